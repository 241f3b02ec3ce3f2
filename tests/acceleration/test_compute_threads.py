"""Both arms of a pair compute with the fewest threads that are nearly as fast as any on this machine, now."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import arms
import pytest

from bench.acceleration.arm import pacing
from bench.acceleration.cache import ContentCache
from bench.acceleration.compute_threads import chosen, counts_to_try
from bench.acceleration.host.arm_factory import ArmFactory
from bench.acceleration.host.process import ArmLimits
from bench.acceleration.pair import Pair
from bench.acceleration.references import References
from bench.machine.cores import usable_cores

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(
    ("most", "counts"), [(1, [1]), (2, [1, 2]), (4, [1, 2, 4]), (6, [1, 2, 4, 6]), (9, [1, 2, 4, 8, 9])]
)
def test_powers_of_two_are_tried_and_all_cores(most, counts):
    assert counts_to_try(most) == counts


@pytest.mark.parametrize(
    ("paces", "threads"),
    [
        ({}, 8),
        ({1: 1.0, 2: 0.6, 8: 0.3}, 8),
        ({1: 1.0, 2: 0.32, 8: 0.3}, 2),
        ({1: 1.0, 2: 0.98, 8: 5.0}, 1),
        ({1: 1.0, 2: 0.5, 8: 5.0}, 2),
    ],
    ids=["nothing known", "scales", "ends to scale", "small", "all cores are late"],
)
def test_the_fewest_that_are_nearly_the_fastest_are_chosen(paces, threads):
    assert chosen(paces, 8) == threads


class Net(torch.nn.Module):
    """Takes as many seconds of a clock as `costs` says for the number of threads."""

    def __init__(self, clock: list[float], costs: dict[int, float]) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.clock, self.costs, self.seen = clock, costs, []

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        self.seen.append(torch.get_num_threads())
        self.clock[0] += self.costs[torch.get_num_threads()]
        return sample


class ControlNet(Net):
    """Another class, as in a pipeline with a ControlNet."""


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(pacing.time, "perf_counter", lambda: now[0])
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield now
    torch.set_num_threads(before)


def paces_of(
    pipe: SimpleNamespace, steps: int, counts: list[int], calls: list[int] | None = None
) -> dict[int, float]:
    def generate() -> None:
        if calls is not None:
            calls.append(len(calls))
        for _ in range(steps):
            with suppress(Exception):  # a file may take any error for one of its own
                for part in ("controlnet", "unet"):
                    if hasattr(pipe, part):
                        getattr(pipe, part)(torch.zeros(2, 1))

    return pacing.paces(pipe, generate, counts, usual=2)


def test_neighbouring_calls_have_different_numbers_and_the_rest_of_the_image_is_not_made(clock):
    pipe = SimpleNamespace(unet=Net(clock, {1: 1.0, 2: 3.0}))
    assert paces_of(pipe, 50, [1, 2]) == {1: 1.0, 2: 3.0}
    assert pipe.unet.seen == [1, 2] * 4
    assert torch.get_num_threads() == 2
    pipe.unet(torch.zeros(1, 1))  # nothing is left on the class
    assert pipe.unet.seen[-1] == 2


def test_what_a_number_prepares_in_its_first_call_does_not_count(clock):
    class Prepared(Net):
        def forward(self, sample):
            if torch.get_num_threads() not in self.seen:
                self.clock[0] += 100
            return super().forward(sample)

    assert paces_of(SimpleNamespace(unet=Prepared(clock, {1: 1.0, 2: 3.0})), 50, [1, 2]) == {1: 1.0, 2: 3.0}


def test_a_pipeline_of_few_steps_is_called_again_and_one_that_never_steps_not_for_ever(clock):
    calls: list[int] = []
    pipe = SimpleNamespace(unet=Net(clock, {1: 1.0, 2: 3.0}))
    assert paces_of(pipe, 3, [1, 2], calls) == {1: 1.0, 2: 3.0}
    assert len(calls) == 3
    calls.clear()
    assert paces_of(pipe, 0, [1, 2], calls) == {}
    assert len(calls) == 4


def test_each_of_several_denoisers_has_each_number(clock):
    pipe = SimpleNamespace(unet=Net(clock, {1: 1.0, 2: 3.0}), controlnet=ControlNet(clock, {1: 0.5, 2: 0.1}))
    assert paces_of(pipe, 50, [1, 2]) == pytest.approx({1: 1.5, 2: 3.1})


def compiled(net: Net) -> Net:
    net._compiled_call_impl = net.forward  # as its method compile leaves it
    return net


@pytest.mark.parametrize("what", ["file set its own", "no denoiser", "compiled"])
def test_nothing_is_tried_where_it_would_say_nothing(clock, what):
    net = Net(clock, {1: 1.0, 2: 3.0})
    if what == "file set its own":
        torch.set_num_threads(1)
    pipe = SimpleNamespace(
        **({} if what == "no denoiser" else {"unet": compiled(net) if what == "compiled" else net})
    )
    assert paces_of(pipe, 50, [1, 2]) == {}
    assert net.seen in ([], [1])  # the caller's own call aside


def test_a_call_that_is_only_begun_ends_after_some_calls_of_the_denoisers(clock):
    pipe = SimpleNamespace(unet=Net(clock, {2: 1.0}), controlnet=ControlNet(clock, {2: 1.0}))
    other = Net(clock, {2: 1.0})
    ended: list[bool] = []

    def generate(steps: int) -> None:
        for _ in range(steps):
            other(torch.zeros(1, 1))
            with suppress(Exception):  # a file may take any error for one of its own
                pipe.controlnet(torch.zeros(2, 1))
                pipe.unet(torch.zeros(2, 1))
        ended.append(True)

    pacing.begin(pipe, lambda: generate(50), 8)
    assert (len(pipe.unet.seen), len(pipe.controlnet.seen), len(other.seen)) == (4, 4, 5)
    assert ended == []
    pacing.begin(pipe, lambda: generate(3), 8)
    assert ended == [True], "fewer steps are all made"
    pipe.unet(torch.zeros(1, 1))  # nothing is left on the class
    assert len(pipe.unet.seen) == 4 + 3 + 1


@pytest.mark.parametrize("pipe", ["no denoiser", "compiled"])
def test_a_call_whose_denoiser_cannot_be_counted_is_finished(clock, pipe):
    net = Net(clock, {2: 1.0})
    parts = SimpleNamespace(**({} if pipe == "no denoiser" else {"unet": compiled(net)}))
    pacing.begin(parts, lambda: [net(torch.zeros(1, 1)) for _ in range(20)], 8)
    assert len(net.seen) == 20


def test_a_limit_of_seconds_stands_for_the_whole_machine():
    factory = ArmFactory("", ((0,), (1,)), None, {}, ArmLimits(), Path(), Path())
    for limited, threads in ((True, None), (False, 1)):
        pair = Pair("a", factory, None, None, batch_size=1, processes=None)
        pair.compute_as_fast_as({1: 1.0, 2: 1.0}, is_latency_limited=limited)
        assert pair._arms.threads == threads
    pair.compute_as_fast_as({}, is_latency_limited=False)
    assert pair.paces == {}


@pytest.mark.slow
@pytest.mark.skipif(len(usable_cores()) < 2, reason="one core leaves no choice")
def test_a_target_shows_how_many_threads_it_computes_with_best(arm_starter, tmp_path):
    model = arms.REPOSITORY / "fixtures/zoo/tiny-sd-small"
    source = f"""
    from diffusers import StableDiffusionPipeline
    pipe = StableDiffusionPipeline.from_pretrained({str(model)!r})
    if __name__ == "__main__":
        pipe("a small red star", num_inference_steps=3)
    """
    factory = replace(arm_starter.factory(), cores=tuple(usable_cores()[:2]))
    references = References(ContentCache(tmp_path / "cache"), factory)
    file = arm_starter.write(source)
    target = references.target_observed(file, arms.SAMPLES, "a", arms.SAMPLES)
    assert set(target.paces) == {1, 2}
    assert all(seconds > 0 for seconds in target.paces.values())
    again = References(ContentCache(tmp_path / "cache"), replace(factory, server="nobody"))
    assert again.target_observed(file, arms.SAMPLES, "a", arms.SAMPLES) == target
