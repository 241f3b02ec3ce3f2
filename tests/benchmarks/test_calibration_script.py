"""benchmarks/calibration.py: rates of errors and coverage over launches, by simulation."""

import re

import numpy as np
import pytest

from bench.acceleration.record import Speedup
from bench.acceleration.times import Launch, Round, Times
from bench.statistics.launches import LaunchTest


@pytest.mark.slow
def test_it_prints_a_line_for_each_point_of_the_grid(run_script):
    printed = run_script(
        "calibration.py",
        "--trials",
        "20",
        "--launch-sd",
        "0",
        "0.05",
        "--round-sd",
        "0.03",
        "--shapes",
        "plain",
        "bursts",
    )
    row = r"^ +(\d\.\d%) +3\.0%  (\w+) +(?:\d+\.\d% +){2}\d+\.\d(?: +\d+\.\d% +\d+\.\d){2} +\d\.\d\d(?: +\d+\.\d%){3}$"
    found = re.findall(row, printed, re.MULTILINE)
    assert found == [("0.0%", "plain"), ("0.0%", "bursts"), ("5.0%", "plain"), ("5.0%", "bursts")]
    assert "all points keep what is demanded" in printed


def test_every_shape_of_noise_leaves_the_true_ratio_in_the_middle(scripts):
    import calibration

    for shape in calibration.SHAPES:
        rng = np.random.default_rng(0)
        machine = calibration.Machine(0.02, 0.05, shape)
        drawn = [machine.launch(rng, 1.5) for _ in range(300)]
        logs = np.concatenate([np.log(one.baseline_s) - np.log(one.candidate_s) for one in drawn])
        assert np.median(logs) == pytest.approx(np.log(1.5), abs=0.015), shape


def test_a_grid_that_breaks_its_promise_is_an_error(scripts, monkeypatch, capsys):
    import calibration

    blind = LaunchTest(assumed_sd=0.0, assumed_launches=1000.0)
    monkeypatch.setattr(calibration, "LaunchTest", lambda: blind)
    assert not calibration.print_grid([calibration.Machine(0.05, 0.01, "plain")], trials=24, seed=1)
    assert "plain" in capsys.readouterr().out


def test_real_launches_are_measured_until_there_are_enough_and_held_against_the_promise(
    scripts, monkeypatch, capsys
):
    """With a suite that is simulated: two runs of two cases of four launches each."""
    import calibration

    machine, rng, asked = calibration.Machine(0.02, 0.04, "plain"), np.random.default_rng(2), []

    def judge(file, cases, workers, limit_s):
        asked.append((file.name, cases, workers, limit_s <= 600))
        records = []
        for _ in range(cases):
            times = Times(launches=[Launch(order=["baseline", "candidate"]) for _ in range(4)])
            for launch in range(4):
                drawn = machine.launch(rng, 1.0)
                times.rounds += [
                    Round(
                        first="baseline",
                        baseline_s=float(one),
                        candidate_s=float(other),
                        images=1,
                        launch=launch,
                    )
                    for one, other in zip(drawn.baseline_s, drawn.candidate_s, strict=True)
                ]
            speedup = Speedup(value=1.0, low=0.95, high=1.05)
            records.append(calibration._Record("inconclusive", speedup, times))
        return records

    monkeypatch.setattr(calibration, "judge_against_itself", judge)
    monkeypatch.setattr(calibration, "SEQUENCES", 60)
    assert calibration.print_real(16, 10.0, 2, calibration.PIPELINES / "baselines/ddim_20.py", 1)
    printed = capsys.readouterr().out
    assert asked == [("ddim_20.py", 2, 2, True)] * 2
    assert "16 A/A launches, 4 cases: 4 intervals hold 1.000, 0 passed, 0 failed" in printed
    assert "60 sequences drawn from them" in printed
    assert not calibration.print_real(16, 0.0, 2, calibration.PIPELINES / "baselines/ddim_20.py", 1)
    assert "NOT measured" in capsys.readouterr().out
