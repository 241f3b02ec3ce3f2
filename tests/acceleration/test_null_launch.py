"""A run measures one launch of a baseline against itself, shows it, and does without it where there is no room for it."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from records import case

from bench.acceleration import report
from bench.acceleration.cache import ContentCache
from bench.acceleration.host.own_call import SeenCall
from bench.acceleration.host.pipeline_arm import Batch
from bench.acceleration.null_launch import counted, null_launch, says_enough
from bench.acceleration.prompts import Sample, SampleStream
from bench.acceleration.protocol.messages import Observed
from bench.acceleration.times import NullLaunch, Round, Times
from bench.acceleration.timing import TimingPlan
from bench.core.errors import ArmProblem
from bench.statistics.launches import LaunchTest, Rounds

SAMPLES = SampleStream((Sample("a", 1), Sample("b", 2)), 0)
PLAN = TimingPlan(batch_size=2, warmup_rounds=3)


class Arm:
    """A baseline that is always as fast; a second process of it is by a tenth slower."""

    threads = 1

    load_s = first_call_s = 1.0
    compile_s = None

    def __init__(self, seconds: float, calls: list[tuple[float, list[int]]]) -> None:
        self._seconds, self._calls = seconds, calls
        self.process = SimpleNamespace(pause=lambda: None)

    def again(self, process: object) -> Arm:
        return Arm(1.1 * self._seconds, self._calls)

    def load(self, seen: SeenCall) -> None:
        """Load nothing."""

    def peak_bytes(self) -> int:
        return int(1e9 * self._seconds)

    def begin(self, samples: list[Sample], calls: int) -> float:
        """Stand for a tenth of a whole call."""
        assert calls > 0
        self._calls.append((self._seconds / 10, [sample.seed for sample in samples]))
        return self._seconds / 10

    def generate(self, samples: list[Sample]) -> Batch:
        self._calls.append((self._seconds, [sample.seed for sample in samples]))
        return Batch([], self._seconds, Observed(), False)

    generate_first = generate


@pytest.fixture
def measure(tmp_path: Path):
    """Return a function that asks for the run's launch, and the calls and the processes that it took."""
    calls: list[tuple[float, list[int]]] = []
    started: list[str] = []

    def ask(
        problem: ArmProblem | None = None,
        of: str = "case-1",
        *,
        of_memory: bool = False,
        gpu: str | None = None,
    ) -> NullLaunch:
        @contextmanager
        def start(role: str, name: str):
            started.append(name)
            if problem is not None:
                raise problem
            yield SimpleNamespace(pause=lambda: None)

        arms = SimpleNamespace(start=start, device="cpu", cores=((0,),), gpu=gpu)
        return null_launch(
            ContentCache(tmp_path), arms, Arm(1.0, calls), SeenCall(), case_id=of, samples=SAMPLES, plan=PLAN,
            of_memory=of_memory,
        )  # fmt: skip

    return ask, calls, started


def test_it_is_measured_once_per_run_on_samples_that_no_pair_has(measure) -> None:
    ask, calls, started = measure
    found = ask()
    assert started == ["case-1.again"], "the baseline of the case is the other process"
    assert (found.of, len(found.rounds), found.problem) == ("case-1", 4, None)
    assert found.peak_bytes == {}
    assert {round(seconds, 3) for seconds, _ in calls} == {0.1, 0.11}, "no call is finished"
    assert LaunchTest().speedup(counted(found)).value == pytest.approx(1 / 1.1)
    assert len(calls) == 1 + 2 * 2 + 2 * 4, "the second process is warmed up as the first was"
    pairs = {SAMPLES.at(index).seed for index in range(4000)}
    assert not pairs & {seed for _, seeds in calls for seed in seeds}
    again = ask(of="case-2")
    assert again == found
    assert len(started) == 1


def test_peaks_of_memory_are_those_of_whole_calls_and_only_where_they_are_asked_for(measure) -> None:
    ask, calls, started = measure
    ask()
    found = ask(of_memory=True)
    assert found.peak_bytes == {"baseline": 1_000_000_000, "candidate": 1_100_000_000}
    assert 1.1 in {seconds for seconds, _ in calls}
    assert len(started) == 2, "a launch that somebody needs for its time alone is another one"


def test_calls_on_a_gpu_are_whole_ones(measure) -> None:
    ask, calls, _ = measure
    found = ask(gpu="0")
    assert {round(seconds, 3) for seconds, _ in calls} == {1.0, 1.1}, "work in flight would be left out"
    assert found.peak_bytes == {}


@pytest.mark.parametrize(("scatter", "enough"), [(0.02, True), (0.3, False)])
def test_rounds_that_scatter_ask_for_more(scatter: float, enough: bool) -> None:
    seconds = [1.0 + scatter * sign for sign in (1, -1, 0.5, -0.5)]
    assert says_enough(Rounds(seconds, [1.0] * 4)) is enough
    assert not says_enough(Rounds(seconds[:3], [1.0] * 3))


def test_where_it_cannot_be_measured_the_run_goes_on_and_says_so(measure) -> None:
    ask, _, started = measure
    found = ask(ArmProblem("out_of_memory", "the baseline ran out of memory", role="baseline"))
    assert counted(found) == []
    assert found.problem == "the baseline ran out of memory"
    assert ask() == found
    assert len(started) == 1, "it is not tried again by every case"
    assert "could not be measured: the baseline ran out of memory" in report.null_note([judged(found)])[0]


def test_a_machine_that_fails_ends_the_case_and_is_tried_again_by_the_next(measure) -> None:
    ask, _, started = measure
    with pytest.raises(ArmProblem):
        ask(ArmProblem("service_died", "the fork server is gone", role="baseline"))
    assert ask().problem is None
    assert len(started) == 2


def judged(null: NullLaunch | None, reused: str | None = None):
    """Return the record of a case that counted a launch."""
    record = case().blank()
    record.body.times, record.reused = Times(null=null), reused
    return record


def test_the_summary_and_the_run_have_it_once() -> None:
    rng = np.random.default_rng(0)
    rounds = [
        Round(first="baseline", baseline_s=1.02 * noise, candidate_s=1.0, images=2)
        for noise in np.exp(rng.normal(0, 0.01, 6)).tolist()
    ]
    null = NullLaunch(of="case-1", rounds=rounds)
    records = [judged(None), judged(null), judged(null)]
    (note,) = report.null_note(records)
    assert note.startswith("A/A launch: the baseline of case-1 against itself has a speedup of 1.0")
    assert "over 6 rounds that scatter by" in note
    (kept,) = report.run_facts(records)["null_launches"]
    assert (kept["of"], len(kept["rounds"])) == ("case-1", 6)
    assert report.run_facts([judged(None)]) == {}
    assert report.null_note([judged(null, reused="earlier")]) == [], (
        "that of another day says nothing of this one"
    )
    cut = report.null_note([judged(NullLaunch(of="case-1", rounds=rounds[:1]))])
    assert "was cut short" in cut[0]
