"""benchmarks/fuzz.py: broken inputs end in clear errors, and what is unclear is found."""

import random
import re

import pytest


@pytest.mark.slow
def test_some_hundred_broken_inputs_end_in_clear_errors(run_script):
    *lines, last = run_script("fuzz.py", "--count", "450", "--seed", "17").splitlines()
    assert last == "450 inputs, 0 faults"
    counts = {name: int(count) for name, count in (re.split(r"\s{2,}", line.strip()) for line in lines)}
    for name in ("tasks", "prompts", "answers"):
        assert counts[f"{name} refused"] > 20, "nothing was broken"
        assert counts[f"{name} taken"] > 5, "nothing was good"


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("the file is no JSON; expected a list of objects; correct it", None),
        ("no", "next to nothing"),
        ("invalid literal for int() with base 10", "Python's own words"),
        ("found half a character \ud800 in it", "cannot be written down"),
        ("x" * 6000, "longer than a page"),
    ],
)
def test_what_is_unclear_is_said(scripts, message, problem):
    import fuzz

    found = fuzz.unclear(message)
    assert (found is None) if problem is None else problem in found


def test_an_error_of_python_is_a_fault(scripts):
    import fuzz

    assert fuzz._refused(KeyError("shapes")).startswith("fault: KeyError")


def test_what_is_broken_is_the_same_for_the_same_seed(scripts):
    import fuzz

    made = [fuzz.broken_value(random.Random(3), fuzz._ANSWER) for _ in range(2)]
    assert repr(made[0]) == repr(made[1])
    assert any(fuzz.broken_value(random.Random(seed), fuzz._ANSWER) != fuzz._ANSWER for seed in range(5))
