"""A GPU as far as a processor can show one: arms that do not fit there together, and what the driver says of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from arms import PAINTER, SAMPLES, ArmStarter
from test_foreign_load import judged

from bench.acceleration.evaluation import AccelerationEvaluation
from bench.acceleration.host.arm_factory import ArmFactory, visible_gpu
from bench.acceleration.host.card import Card
from bench.acceleration.host.card_watch import CardWatch, server_of
from bench.acceleration.pair import Pair
from bench.acceleration.prompts import Sample
from bench.acceleration.times import CardTimes, Times
from bench.acceleration.timing import PairedTimer, TimingPlan
from bench.core.errors import ArmProblem
from bench.machine.gpu_state import GpuState, read_gpu

# A card in a folder, on which one pipeline has room: who is there writes its name.
CROWDED = f"""
import os
from pathlib import Path
{PAINTER}
CARD = Path(__file__).parent.parent / "card"
NAME = Path(__file__).parent.name


class OnCard(Painter):
    places = "cpu"

    @property
    def device(self):
        return torch.device(self.places)

    def to(self, device):
        with (CARD / "moves").open("a") as moves:
            moves.write(f"{{NAME}} {{device}}\\n")
        others = {{file.name for file in CARD.iterdir()}} - {{"moves", NAME}}
        if device == "cuda" and others:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if device == "cuda":
            (CARD / NAME).touch()
        else:
            (CARD / NAME).unlink()
        self.places = device

    def __call__(self, prompt, generator=None):
        assert self.places == "cuda", "called while it was away"
        return super().__call__(prompt, generator)


pipe = OnCard()
"""


class FixedSamples:
    """A stream of two samples."""

    def take(self, indices: Any) -> list[Sample]:
        return [SAMPLES[index % 2] for index in indices]

    def __len__(self) -> int:
        return 2


@pytest.fixture
def crowded(arm_starter: ArmStarter) -> Iterator[tuple[Pair, Path, Callable[[str], Path]]]:
    """A pair on a card for one arm."""
    card = arm_starter.directory / "card"
    card.mkdir()
    references: Any = SimpleNamespace(call_for=lambda *_: None)
    base = arm_starter.factory()
    factory = ArmFactory(**{**vars(base), "gpu": 0})
    with ExitStack() as stack:
        pair = Pair(
            "easy-toy-all-1", factory, FixedSamples(), references, batch_size=2, processes=stack  # type: ignore[arg-type]
        )  # fmt: skip
        yield pair, card, arm_starter.write


@pytest.mark.slow
def test_arms_that_do_not_fit_together_take_turns_and_the_record_says_so(crowded) -> None:
    pair, card, write = crowded
    candidate, baseline = write(CROWDED), write(CROWDED)
    pair.load("candidate", candidate)
    assert pair.card.sharing == "together"
    pair.load("baseline", baseline)
    assert pair.card.sharing == "in_turn"
    watch = SimpleNamespace(look=lambda: None, times=lambda: CardTimes(temperature_c=[40, 50]))
    timer = PairedTimer(
        pair.baseline, pair.candidate, sample_at=lambda index: Sample("a red star", index), keep=lambda *_: None,
        plan=TimingPlan(batch_size=2), card=(pair.card, watch),
    )  # fmt: skip
    timer._first = "baseline"  # it is drawn
    assert timer.run_until(2) == 2
    assert timer.times.card == CardTimes(sharing="in_turn", temperature_c=[40, 50])
    moves = [line.split() for line in (card / "moves").read_text().splitlines()]
    one, other = candidate.parent.name, baseline.parent.name
    assert moves[:4] == [[one, "cuda"], [other, "cuda"], [one, "cpu"], [other, "cuda"]]
    # The baseline begins the first round and the candidate the second, so each round has one change of turns.
    assert moves[4:] == [[other, "cpu"], [one, "cuda"], [one, "cpu"], [other, "cuda"]]


@pytest.mark.slow
def test_an_arm_that_cannot_leave_is_told_with_what_to_do(crowded) -> None:
    pair, _, write = crowded
    fixed = CROWDED.replace(
        '        if device == "cuda" and others', '        if device == "cpu":\n            raise ValueError("device map")\n'
        '        if device == "cuda" and others',
    )  # fmt: skip
    pair.load("candidate", write(fixed))
    with pytest.raises(
        ArmProblem, match=r"cannot be moved to cpu while the other arm has the GPU.*use a larger one"
    ):
        pair.load("baseline", write(CROWDED))


class Arm:
    """An arm that notes its moves."""

    device = "cuda"

    def __init__(self, role: str, *, alive: bool = True) -> None:
        self.moves: list[str] = []
        self.process = SimpleNamespace(role=role, pause=lambda: None, is_alive=lambda: alive)

    def move(self, device: str) -> None:
        self.moves.append(device)


def over() -> ArmProblem:
    return ArmProblem("out_of_memory", "the candidate ran out of memory", role="candidate")


def test_out_of_memory_alone_or_of_a_dead_arm_is_what_it_is() -> None:
    def fails() -> None:
        calls.append(1)
        raise over()

    for others, alive in ((False, True), (True, False)):
        card, calls = Card(), []
        card.add(Arm("candidate", alive=alive))
        if others:
            card.add(Arm("baseline"))
        with pytest.raises(ArmProblem, match="ran out of memory"):
            card.with_room("candidate", fails)
        assert (len(calls), card.sharing) == (1, "together")


def test_another_failure_moves_nobody() -> None:
    def fails() -> None:
        raise ArmProblem("generation_failed", "the candidate raised", role="candidate")

    card, baseline = Card(), Arm("baseline")
    card.add(Arm("candidate"))
    card.add(baseline)
    with pytest.raises(ArmProblem, match="raised"):
        card.with_room("candidate", fails)
    assert baseline.moves == []


def test_a_call_next_to_another_arm_is_made_again_alone() -> None:
    card, candidate, baseline = Card(), Arm("candidate"), Arm("baseline")
    card.add(candidate)
    card.add(baseline)

    def fits_alone() -> str:
        if baseline.moves != ["cpu"]:
            raise over()
        return "made"

    assert card.with_room("candidate", fits_alone) == "made"
    assert card.give_to("candidate") is False  # it was there
    assert card.give_to("baseline") is True
    assert (candidate.moves, baseline.moves) == (["cpu"], ["cpu", "cuda"])


# Device strings


@pytest.mark.parametrize(
    ("visible", "index", "expected"),
    [(None, 1, "1"), ("2,3", 1, "3"), ("GPU-aa, GPU-bb", 1, "GPU-bb"), ("", 0, "0")],
)
def test_an_arm_sees_its_leased_card_alone(visible: str | None, index: int, expected: str) -> None:
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert visible_gpu(environment, index) == expected


@pytest.mark.slow
def test_cards_are_numbered_for_arms_as_for_leases(arm_starter: ArmStarter) -> None:
    shown = PAINTER.replace(
        "pipe = ", "import os\nprint({n: v for n, v in os.environ.items() if 'CUDA' in n})\npipe = "
    )
    file = arm_starter.write(shown)
    base = arm_starter.factory()
    for asked, order in (({}, "PCI_BUS_ID"), ({"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}, "FASTEST_FIRST")):
        factory = ArmFactory(**{**vars(base), "gpu": 1, "environment": {**base.environment, **asked}})
        assert factory.device == "cuda"
        with factory.start("candidate", f"cards-{order}") as process:
            process.ask({"op": "load", "file": str(file), "prefer": "pipe", "device": "cpu", "call": None})
        log = (arm_starter.logs / f"cards-{order}.candidate.log").read_text()
        assert f"'CUDA_DEVICE_ORDER': '{order}'" in log
        assert "'CUDA_VISIBLE_DEVICES': '1'" in log


# What the driver says


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that puts a driver in place with these answers."""

    def say(state: str | None, apps: str | None) -> None:
        answers = ""
        for word, text in (("query-gpu", state), ("query-compute-apps", apps)):
            answer = "exit 9" if text is None else f"printf '{text}'; exit 0"
            answers += f'case "$*" in *{word}*) {answer};; esac\n'
        program = tmp_path / "nvidia-smi"
        program.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n{answers}')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return say


@pytest.mark.parametrize(
    ("state", "apps", "expected"),
    [
        ("1980, 54\\n", "7, 900\\n8, 100\\n9, 50\\n", GpuState(1980, 54, 2, 150 * 2**20)),
        ("1980, 54\\n", "7, 900\\n", GpuState(1980, 54, 0, 0)),
        ("[N/A], 54\\n", "7, [N/A]\\n8, [N/A]\\n", GpuState(None, 54, 1, 0)),
        ("1980, 54\\n", "8, 100\\n", GpuState(1980, 54)),  # ours are known there by other numbers
        ("1980, 54\\n", "", GpuState(1980, 54)),
        ("No devices were found\\n", None, GpuState()),
        (None, None, GpuState()),
    ],
)
def test_a_reading_holds_what_the_driver_says(
    driver, tmp_path: Path, state: str | None, apps: str | None, expected: GpuState
) -> None:
    driver(state, apps)
    assert read_gpu("GPU-aa", {7}) == expected
    assert all(line.startswith("-i GPU-aa ") for line in (tmp_path / "asked").read_text().splitlines())


def test_without_a_driver_nothing_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_gpu("0", {1}) == GpuState()


def test_readings_are_at_least_seconds_apart_and_become_spans() -> None:
    readings = iter([GpuState(1500, 40, 1, 10), GpuState(None, 44, 0, 0), GpuState(1980, 60, None, None)])
    now = iter([0.0, 1.0, 2.5, 2.5, 9.0, 9.0])
    watch = CardWatch("0", [os.getpid()], read=lambda gpu, own: next(readings), clock=lambda: next(now))
    assert watch.times() == CardTimes()
    for _ in range(4):
        watch.look()
    assert watch.times() == CardTimes(
        clock_mhz=[1500, 1980], temperature_c=[40, 60], foreign_processes=1, foreign_bytes=10
    )


@pytest.mark.slow
def test_what_the_runs_server_started_is_not_foreign(arm_starter: ArmStarter) -> None:
    with arm_starter.start() as arm, arm_starter.start(role="baseline") as other:
        server = server_of(arm.process.pid)
        assert server == server_of(other.process.pid)
        assert server not in (os.getpid(), os.getppid(), arm.process.pid)


def test_other_processes_on_the_card_are_a_warning_of_the_case(monkeypatch: pytest.MonkeyPatch) -> None:
    card = CardTimes(clock_mhz=[1500, 1980], foreign_processes=2, foreign_bytes=7)
    record_raw = AccelerationEvaluation._record_raw

    def on_a_card(evaluation: AccelerationEvaluation, speed: Any) -> None:
        speed.times = Times(card=card)
        record_raw(evaluation, speed)

    monkeypatch.setattr(AccelerationEvaluation, "_record_raw", on_a_card)
    record = judged(None)
    assert record.verdict == "pass"
    assert record.warnings == [
        "2 other processes computed on the GPU while the pair was timed; a GPU without them makes the speedup surer"
    ]
    assert record.to_json()["times"]["card"] == {
        "sharing": "together", "clock_mhz": [1500, 1980], "temperature_c": None, "foreign_processes": 2, "foreign_bytes": 7,
    }  # fmt: skip
