"""benchmarks/many_cases.py: the cost of a case, and what is written."""

import re
import sys

import pytest


@pytest.mark.slow
def test_it_prints_what_cases_cost_and_write(run_script):
    lines = run_script("many_cases.py", "--cases", "20", "--repeats", "1", "--workers", "1").splitlines()
    assert lines[0] == "20 cases, 1 workers, the fastest of 1 runs each"
    assert re.fullmatch(r"more +-?\d+\.\d\d ms a case, \d+\.\d\d times as long", lines[3])
    assert re.fullmatch(r"more +-?\d+\.\d\d ms of processors a case", lines[4])
    assert re.fullmatch(r"written +\d+\.\d MB, \d+\.\d\d times the final \d+\.\d MB", lines[5])


def test_a_run_that_ends_otherwise_is_no_measurement(scripts, tmp_path):
    import many_cases

    with pytest.raises(RuntimeError, match=r"ended with 3, expected 1:\nno tests here"):
        many_cases.measured(
            [sys.executable, "-c", "print('no tests here', flush=True); raise SystemExit(3)"], tmp_path
        )
