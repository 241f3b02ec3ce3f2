"""benchmarks/calibration.py: rates of errors and coverage over launches, by simulation."""

import re

import numpy as np
import pytest


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
    row = r"^ +(\d\.\d%) +3\.0%  (\w+) +(?:\d+\.\d% +){2}\d+\.\d(?: +\d+\.\d% +\d+\.\d){2} +\d\.\d\d(?: +\d+\.\d%){2}$"
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

    blind = calibration.LaunchTest(assumed_sd=0.0, assumed_launches=1000.0)
    monkeypatch.setattr(calibration, "LaunchTest", lambda: blind)
    assert not calibration.print_grid([calibration.Machine(0.05, 0.01, "plain")], trials=24, seed=1)
    assert "plain" in capsys.readouterr().out
