"""benchmarks/sequential_error.py: rates of errors and coverage, by simulation."""

import re

import numpy as np
import pytest


@pytest.mark.slow
def test_it_prints_rates_for_each_model_of_noise(run_script, scripts):
    import sequential_error

    lines = run_script("sequential_error.py", "--trials", "2").splitlines()
    rate = r" +\d+\.\d%"
    row = rf"{rate}{rate} +\d+\.\d(?:{rate} +\d+\.\d){{3}}{rate}"
    for name in sequential_error.NOISES:
        tables = [line.removeprefix(f"{name:20}") for line in lines if line.startswith(f"{name:20}")]
        assert re.fullmatch(row, tables[0])
        assert re.fullmatch(rf"(?:{rate}){{5}}", tables[1])
    for name in sequential_error.SCATTERS:
        (table,) = [line for line in lines if line.startswith(f"{name:20}") and line.count("%") == 4]
        assert re.fullmatch(rf"(?:{rate}){{4}}", table.removeprefix(f"{name:20}"))


def test_a_clear_speedup_passes_at_the_first_look(scripts):
    import sequential_error

    test = sequential_error.SequentialTest(resamples=200)
    times = sequential_error.draw_times(
        sequential_error.NOISES["normal"], 3.0, np.random.default_rng(0), max(test.looks)
    )
    verdict, rounds, covered = sequential_error.run_to_decision(test, *times, 3.0, seed=0)
    assert (verdict, rounds, covered) == ("pass", test.looks[0], True)


def test_a_candidate_at_its_requirement_is_timed_to_the_last_look(scripts):
    import sequential_error

    test = sequential_error.SequentialTest(resamples=200)
    equal = np.full(max(test.looks), 1.0) * np.tile([1.0, 1.1], max(test.looks) // 2)
    verdict, rounds, _ = sequential_error.run_to_decision(
        test, sequential_error.REQUIRED * equal, equal[::-1], sequential_error.REQUIRED, seed=0
    )
    assert (verdict, rounds) == ("inconclusive", test.looks[-1])
