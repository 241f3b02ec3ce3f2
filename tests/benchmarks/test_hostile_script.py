"""benchmarks/hostile.py: one attack and one honest candidate, as a user starts it; the rest is in tests/hostile."""

import arms
import pytest

from bench.acceleration.host import kept_server


@pytest.mark.slow
def test_an_attack_and_an_honest_candidate_are_counted(run_script):
    lines = run_script(
        "hostile.py",
        "--quick",
        "--only",
        "exits_while_generating",
        "retries",
        **{kept_server.VARIABLE: arms.kept_server()},
    ).splitlines()
    counts = {line.rsplit(maxsplit=3)[0].strip(): line.split()[-3:] for line in lines[1:3]}
    assert counts == {"reading and forging": ["1", "1", "0"], "honest": ["1", "1", "0"]}
    assert "not run: line 27, a CUDA graph replayed with old inputs" in lines
    assert lines[-1] == "1 of 1 attacks held, 0 of 1 honest accused"


def test_what_came_of_a_candidate_is_one_of_three_words(scripts):
    import hostile

    waiting = hostile.Candidate("a", "timing", "fail", waits_for="a check")
    assert [hostile.status(waiting, None), hostile.status(waiting, "passed")] == ["held", "waiting"]
    assert hostile.status(hostile.Candidate("a", "timing", "fail"), "passed") == "wrong"


def test_the_candidates_of_a_quick_run_leave_the_slow_ones_out(scripts):
    import hostile

    made = [
        hostile.Candidate("a", "timing", "fail", timed=True),
        hostile.Candidate("b", "x", "fail", slow=True),
    ]
    assert hostile.split(made, quick=True) == {False: [], True: made[:1]}
    assert hostile.split(made, quick=False) == {False: made[1:], True: made[:1]}


@pytest.mark.parametrize(
    ("verdict", "code", "reason", "right"),
    [
        ("fail", "config_mismatch", "differs in a later call", True),
        ("fail", "config_mismatch", "differs", False),
        ("fail", "degenerate_output", "images repeat another one", True),
        ("fail", "degenerate_output", "images are black", False),
        ("fail", "quality_lost", "in a later call", False),
        ("error", "degenerate_output", "images repeat another one", False),
    ],
)
def test_a_candidate_may_end_for_another_reason_that_is_as_right(scripts, verdict, code, reason, right):
    import hostile

    one = hostile.Candidate(
        "a", "replay", "fail", code="config_mismatch", says=["in a later call"],
        or_else={"degenerate_output": "repeat another one"},
    )  # fmt: skip
    record = {"verdict": verdict, "reason_code": code, "reason": reason, "output_tail": None}
    assert (one.wrong(record) is None) is right
