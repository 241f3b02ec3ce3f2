"""Foreign load: measured during the rounds, recorded, and enough of it leaves a verdict on speed undecided."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import arms
import pytest
import suites
from records import case
from suites import STEPS, Suite

from bench.acceleration.comparison import Mismatch
from bench.acceleration.configuration import Configuration
from bench.acceleration.evaluation import AccelerationEvaluation
from bench.acceleration.gates import judge_next_to
from bench.acceleration.host import foreign_load
from bench.acceleration.host.foreign_load import ForeignLoad
from bench.acceleration.kind import KIND
from bench.acceleration.prompts import Sample
from bench.acceleration.times import Times
from bench.acceleration.timing import PairedTimer, TimingPlan
from bench.core.estimate import Estimate
from bench.core.evaluation import RunContext
from bench.core.requirement import parse_requirement
from bench.core.verdict import PASSED, Verdict
from bench.run import journal
from bench.run.resume import Resuming

BURN = "while True: pass"
# Half of a processor, from when a file is there: five times what the run allows.
BURN_FROM = """
import glob, sys, time
while not glob.glob(sys.argv[1]):
    time.sleep(0.05)
while True:
    end = time.monotonic() + 0.1
    while time.monotonic() < end:
        pass
    time.sleep(0.1)
"""
TICKS = os.sysconf("SC_CLK_TCK")


# What is measured


class Machine:
    """A machine of two processors whose times a test sets."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.now, self.evaluator = directory, 0.0, 0.0
        self.busy, self.arms = [0.0, 0.0], {7: 0.0, 8: 0.0}
        self.tells = True
        self.write()

    def process_time(self) -> float:
        return self.evaluator

    def monotonic(self) -> float:
        return self.now

    def write(self) -> None:
        lines = [f"cpu{cpu} {round(s * TICKS)} 0 0 0 0 0 0 0" for cpu, s in enumerate(self.busy)]
        (self.directory / "stat").write_text("\n".join(lines) if self.tells else "")
        for pid, seconds in self.arms.items():
            (self.directory / str(pid)).mkdir(exist_ok=True)
            numbers = ["S", *"0123456789", str(round(seconds * TICKS)), "0", "0", "0"]
            (self.directory / str(pid) / "stat").write_text(f"{pid} (arm) {' '.join(numbers)}")

    def compute(
        self, *, arm: float = 0.0, evaluator: float = 0.0, foreign: float = 0.0, elapsed: float
    ) -> None:
        self.now += elapsed
        self.arms[7] += arm
        self.evaluator += evaluator
        self.busy[0] += arm + evaluator + foreign
        self.write()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Stand in for the system."""
    made = Machine(tmp_path)
    monkeypatch.setattr(foreign_load, "PROC", tmp_path)
    monkeypatch.setattr(foreign_load, "time", made)
    monkeypatch.setattr(foreign_load, "tree", lambda pid: [pid])
    return made


def test_what_neither_the_pair_nor_its_evaluator_used_is_foreign(machine: Machine) -> None:
    load = ForeignLoad([(0,), (1,)], (7, 8))
    assert load.share is None, "nothing was measured"
    with load.measured():
        machine.compute(arm=6.0, evaluator=1.0, foreign=3.0, elapsed=10.0)
    assert load.share == pytest.approx(3 / 20)


def test_what_happens_between_the_rounds_does_not_count(machine: Machine) -> None:
    load = ForeignLoad([(0,)], (7, 8))
    for foreign in (1.0, 3.0):
        with load.measured():
            machine.compute(arm=6.0, foreign=foreign, elapsed=10.0)
        machine.compute(foreign=50.0, elapsed=50.0)
    assert load.share == pytest.approx(4 / 20)


@pytest.mark.parametrize(("foreign", "share"), [(-0.5, 0.0), (0.0, 0.0), (30.0, 1.0)])
def test_the_share_is_never_outside_of_0_and_1(machine: Machine, foreign: float, share: float) -> None:
    load = ForeignLoad([(0, 1)], (7,))
    with load.measured():
        machine.compute(arm=6.0, foreign=foreign, elapsed=10.0)
    assert load.share == share


def test_a_system_that_does_not_tell_leaves_the_share_unknown(machine: Machine) -> None:
    blind, idle = ForeignLoad([(0,)], (7,)), ForeignLoad([(1,)], (7,))
    with idle.measured():
        machine.compute(arm=6.0, elapsed=10.0)
    assert idle.share is None, "the processors look idle while the pair computes"
    with blind.measured():
        machine.tells = False
        machine.compute(arm=6.0, elapsed=10.0)
    assert blind.share is None


def test_a_busy_loop_on_the_same_core_is_seen() -> None:
    cpu = min(os.sched_getaffinity(0))
    command = ["taskset", "--cpu-list", str(cpu), sys.executable, "-c", BURN]
    with subprocess.Popen(command) as arm, subprocess.Popen(command) as other:
        try:
            time.sleep(0.3)
            load = ForeignLoad([(cpu,)], (arm.pid,))
            with load.measured():
                time.sleep(1.0)
        finally:
            arm.kill()
            other.kill()
    assert load.share is not None
    assert load.share > 0.25


def test_timed_rounds_are_measured_and_the_calls_before_them_are_not(machine: Machine) -> None:
    class Arm:
        load_s = first_call_s = 1.0
        compile_s = None
        process = SimpleNamespace(pause=lambda: None)

        def generate(self, samples: list[Sample]) -> SimpleNamespace:
            machine.compute(arm=1.0, foreign=foreign, elapsed=2.0)
            return SimpleNamespace(seconds=2.0)

    timer = PairedTimer(
        Arm(), Arm(), sample_at=lambda index: Sample("a", index), keep=lambda *_: None,
        plan=TimingPlan(warmup_rounds=3), load=ForeignLoad([(0,)], (7, 8)),
    )  # fmt: skip
    foreign = 1.0
    timer.warm_up()
    assert timer.times.foreign_load is None
    foreign = 0.25
    timer.run_until(6)
    assert timer.times.foreign_load == pytest.approx(0.125)


# What it decides


SPEEDUP = Verdict("pass", "passed", "speedup 2.40x [2.14, 2.82] reaches 1.4x")
MISSED = Verdict(
    "fail",
    "speedup_missed",
    "speedup 1.20x [1.10, 1.30] misses the required 1.4x; the candidate must be faster",
)


@pytest.mark.parametrize("verdict", [SPEEDUP, MISSED])
def test_a_verdict_next_to_too_much_foreign_load_is_undecided(verdict: Verdict) -> None:
    assert judge_next_to(0.25, 0.25, verdict) == verdict
    assert judge_next_to(None, 0.0, verdict) == verdict
    assert judge_next_to(1.0, 1.0, verdict) == verdict
    found = judge_next_to(0.43, 0.25, verdict)
    assert (found.verdict, found.reason_code) == ("inconclusive", "foreign_load")
    assert found.reason == (
        f"inconclusive: {verdict.reason.split(';')[0]}, but other processes used 43.0 % of the leased cores while it was "
        "timed, above the allowed 25.0 %; stop the other work, use --exclusive, or raise --max-foreign-load"
    )


def test_what_is_undecided_already_keeps_its_reason() -> None:
    undecided = Verdict("inconclusive", "speedup_undecided", "raise --time-budget")
    assert judge_next_to(0.9, 0.25, undecided) == undecided


class FakePair:
    """A pair whose images and steps are right, unless a test says otherwise."""

    def __init__(self, drift: list[Mismatch] = ()) -> None:
        self.drift, self.is_broken = list(drift), False
        self.step_s, self.part_s = {}, {}
        self.baseline = self.candidate = SimpleNamespace(peak_bytes=lambda: None, gpu_memory=lambda: None)

    def load(self, role: str, file: Path | None) -> Configuration:
        return Configuration()

    def output_problems(self, *, any_size: bool = False) -> list[str]:
        return []

    def audit(self) -> None:
        """Make no image again."""

    def asking_both(self) -> AbstractContextManager[None]:
        """Blame nobody."""
        return nullcontext()

    def time_baseline(self) -> None:
        """Make none for this either."""

    def images(self) -> dict[str, dict[int, object]]:
        """Keep none."""
        return {}


def judged(
    load: float | None, *, drift=(), quality=PASSED, latency=PASSED, verdict=SPEEDUP, require=(), **fields
):
    """Return the evaluation of a case whose measurements are given."""
    asked = tuple(parse_requirement(text, ("acceleration",)) for text in require)
    evaluation = AccelerationEvaluation(
        case(target_file=Path("target.py"), baseline_file=Path("baseline.py"), **fields),
        RunContext(Path("/nowhere"), Path("/nowhere"), requirements=asked),
        SimpleNamespace(
            plan=TimingPlan(), cache=None, arms=SimpleNamespace(gpu=None), samples=(),
            scoring=SimpleNamespace(wait=lambda: None),
        ),
    )  # fmt: skip
    evaluation._pair, evaluation._observed = FakePair(drift), {"target": Configuration()}
    evaluation._references = SimpleNamespace(are_the_same=lambda *_: False)
    evaluation._estimates = {"speedup": Estimate(metric="speedup", value=2.4, low=2.1, high=2.8, unit="x")}
    evaluation._time = lambda: SimpleNamespace(
        calls=1, rounds=6, times=Times(foreign_load=load), judge=lambda: (latency, verdict)
    )
    evaluation._score = lambda calls: {"quality": quality}
    evaluation._judge_effect = lambda: PASSED
    evaluation._look_at_images = dict
    evaluation.measure()
    return evaluation.record


def test_too_much_foreign_load_leaves_a_case_inconclusive_and_is_recorded() -> None:
    record = judged(0.6, required_speedup=1.4)
    assert (record.verdict, record.reason_code) == ("inconclusive", "foreign_load")
    assert record.to_json()["times"]["foreign_load"] == 0.6
    assert record.warnings == [
        "other processes used 60.0 % of the leased cores while the pair was timed; a quiet machine or --exclusive makes "
        "the speedup surer"
    ]


@pytest.mark.parametrize(("load", "warned"), [(None, False), (0.0, False), (0.125, False), (0.2, True)])
def test_less_of_it_decides_nothing_and_warns_from_half_of_the_limit(
    load: float | None, warned: bool
) -> None:
    record = judged(load, required_speedup=1.4)
    assert record.verdict == "pass"
    assert bool(record.warnings) == warned


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (
            {"drift": [Mismatch(field="num_inference_steps while timed", target=4, candidate=2)]},
            "config_mismatch",
        ),
        (
            {"quality": Verdict("fail", "quality_lost", "loss 9 %; accelerate less aggressively")},
            "quality_lost",
        ),
    ],
)
def test_no_load_saves_a_candidate_that_is_wrong(given: dict, code: str) -> None:
    record = judged(0.9, required_speedup=1.4, **given)
    assert (record.verdict, record.reason_code) == ("fail", code)


def test_a_latency_that_load_can_only_have_raised_stays_within_its_limit() -> None:
    within = Verdict("pass", "passed", "latency 0.430 s [0.352, 0.527] per image is within 5 s")
    above = Verdict(
        "fail", "latency_missed", "latency 5.430 s [5.352, 5.527] per image is above the allowed 5 s"
    )
    assert judged(0.9, latency=within, max_latency_s=5.0).verdict == "pass"
    record = judged(0.9, latency=above, max_latency_s=5.0)
    assert (record.verdict, record.reason_code) == ("inconclusive", "foreign_load")
    record = judged(0.9, latency=within, max_latency_s=5.0, required_speedup=1.4)
    assert (record.verdict, record.reason_code) == ("inconclusive", "foreign_load")


def test_a_speedup_that_nobody_asks_for_is_not_turned() -> None:
    assert judged(0.9).verdict == "pass"


@pytest.mark.parametrize(
    ("requirement", "verdict"),
    [("speedup>=2", "inconclusive"), ("speedup>=9", "inconclusive"), ("speedup>=2.4", "inconclusive")],
)
def test_a_required_speedup_is_turned_too(requirement: str, verdict: str) -> None:
    record = judged(0.9, require=[f"acceleration:{requirement}"], metrics=("speedup",))
    assert record.verdict == verdict
    assert record.reason_code == (
        "requirement_undecided" if requirement == "speedup>=2.4" else "foreign_load"
    )


def test_a_control_next_to_too_much_load_is_undecided_and_not_blamed() -> None:
    record = judged(0.6, verdict=MISSED, required_speedup=1.4, expect="speedup_missed")
    assert (record.verdict, record.reason_code) == ("inconclusive", "foreign_load")
    assert record.control.reason_code == "foreign_load"
    quiet = judged(0.1, verdict=MISSED, required_speedup=1.4, expect="speedup_missed")
    assert (quiet.verdict, quiet.reason_code) == ("pass", "rejected_as_expected")


def test_a_result_that_foreign_load_left_undecided_is_not_taken_over_by_a_later_run(tmp_path: Path) -> None:
    written = journal.Journal(tmp_path / journal.NAME, {})
    written.append("node", judged(0.6, required_speedup=1.4).to_json())
    written.close()
    taken, why = Resuming(tmp_path, {}).take(KIND, case(), None)
    assert taken is None
    assert why.endswith("is not taken over: it ended as inconclusive (foreign_load)")


@pytest.mark.slow
def test_a_run_next_to_a_busy_loop_is_inconclusive_and_still_rejects_wrong_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = suites.own_cores(())
    monkeypatch.setattr(suites, "own_cores", lambda _: core)  # the loop and the run have to share it
    suite = Suite(tmp_path)
    suite.add(1, required_speedup=0.1)
    suite.add(
        2, (tmp_path / "baseline.py").read_text().replace(f"steps={STEPS}", "steps=2"), required_speedup=0.1
    )
    arms.kept_server()  # it starts before the loop, which would slow it down
    # The loop begins with the baseline of the pair that is timed; the other pair is rejected before it has one.
    began = str(tmp_path / "out/*/logs/*.baseline.log")
    command = ["taskset", "--cpu-list", core, sys.executable, "-c", BURN_FROM, began]
    with subprocess.Popen(command) as other:
        try:
            finished = suite.run("--max-foreign-load", "0.1", "--max-rounds", "6")
        finally:
            other.kill()
    timed, wrong = finished.record(1), finished.record(2)
    assert (timed["verdict"], timed["reason_code"]) == ("inconclusive", "foreign_load"), finished.output
    assert timed["times"]["foreign_load"] > 0.1
    assert (wrong["verdict"], wrong["reason_code"]) == ("fail", "config_mismatch")
