"""The gates: each one passing, rejecting and undecided, at its exact limit."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.acceleration import gates
from bench.acceleration.case import AccelerationCase
from bench.acceleration.comparison import Mismatch
from bench.acceleration.evidence import Evidence
from bench.acceleration.record import PointEstimate
from bench.core.estimate import Estimate
from bench.core.verdict import PASSED, VERDICTS, Verdict, judge_control, worst
from bench.statistics.launches import LaunchTest, Noise

UP, DOWN = math.inf, -math.inf


def interval(low, high, value=None):
    return Estimate(metric="m", value=(low + high) / 2 if value is None else value, low=low, high=high)


def above(limit):
    return math.nextafter(limit, UP)


def below(limit):
    return math.nextafter(limit, DOWN)


def task(**fields):
    return AccelerationCase(**{"id": "hard-sd-all-1", "prompt_id": 1, "difficulty": "hard", **fields})


def check(verdict, expected, code):
    assert (verdict.verdict, verdict.reason_code) == (expected, code)
    assert "\n" not in verdict.reason


# Configuration and images


def test_equal_configuration_passes():
    check(gates.judge_configuration([]), "pass", "passed")


def test_configuration_gate_rejects_and_lists_every_field_with_both_values():
    verdict = gates.judge_configuration(
        [
            Mismatch(field="scheduler_class", target="DDIMScheduler", candidate="UniPCMultistepScheduler"),
            Mismatch(field="num_inference_steps", target=30, candidate=None),
        ]
    )
    check(verdict, "fail", "config_mismatch")
    assert "scheduler_class: target 'DDIMScheduler', candidate 'UniPCMultistepScheduler'" in verdict.reason
    assert "num_inference_steps: target 30, candidate None" in verdict.reason


def test_images_gate_rejects_with_the_first_problem():
    check(gates.judge_images([]), "pass", "passed")
    verdict = gates.judge_images(["3 of 8 images are one flat colour", "another"])
    check(verdict, "fail", "degenerate_output")
    assert verdict.reason.startswith("3 of 8 images are one flat colour")


SHORT = Evidence(1, 6)
LONG = Evidence(3, 14, Noise(0.04, 0.06, 14 / 3, 3, (1.021,), 0.02), launch_s=6.0, round_s=2.0, spent_s=31.0)

# Quality, speedup, latency: the limit itself, and the numbers next to it


@pytest.mark.parametrize(
    ("low", "high", "expected", "code"),
    [
        (-0.01, below(0.05), "pass", "passed"),
        (-0.01, 0.05, "inconclusive", "quality_undecided"),
        (0.05, 0.09, "inconclusive", "quality_undecided"),
        (above(0.05), 0.09, "fail", "quality_lost"),
        (0.05, 0.05, "inconclusive", "quality_undecided"),
        (-0.2, -0.1, "pass", "passed"),
        (math.nan, math.nan, "inconclusive", "quality_undecided"),
    ],
)
def test_quality_gate_compares_the_whole_interval_with_the_allowance(low, high, expected, code):
    check(gates.judge_quality(interval(low, high), 0.05), expected, code)


@pytest.mark.parametrize(
    ("low", "high", "expected", "code"),
    [
        (2.0, 2.5, "pass", "passed"),
        (below(2.0), 2.5, "inconclusive", "speedup_undecided"),
        (1.5, 2.0, "inconclusive", "speedup_undecided"),
        (1.5, below(2.0), "fail", "speedup_missed"),
        (2.0, 2.0, "pass", "passed"),
        (math.nan, math.nan, "inconclusive", "speedup_undecided"),
    ],
)
def test_speedup_gate_compares_the_whole_interval_with_the_requirement(low, high, expected, code):
    check(gates.judge_speedup(interval(low, high), 2.0, SHORT), expected, code)


@pytest.mark.parametrize(
    ("low", "high", "expected", "code"),
    [
        (0.1, 0.5, "pass", "passed"),
        (0.1, above(0.5), "inconclusive", "latency_undecided"),
        (0.5, 0.9, "inconclusive", "latency_undecided"),
        (above(0.5), 0.9, "fail", "latency_missed"),
        (math.nan, math.nan, "inconclusive", "latency_undecided"),
    ],
)
def test_latency_gate_compares_the_whole_interval_with_the_limit(low, high, expected, code):
    check(gates.judge_latency(interval(low, high), 0.5, SHORT), expected, code)


def test_speed_that_nobody_asks_for_is_reported_and_not_gated():
    verdict = gates.judge_speedup(interval(0.1, 0.3, 0.2), None, SHORT)
    check(verdict, "pass", "passed")
    assert verdict.reason == "speedup 0.20x [0.10, 0.30] over 1 launch, 6 rounds, not gated"
    assert gates.judge_latency(interval(5, 9), None, SHORT) == PASSED


@pytest.mark.parametrize("gated", [set(), {"latency"}, {"speedup"}, {"latency", "speedup"}])
def test_budget_too_small_for_an_interval_leaves_exactly_the_gates_that_were_asked_for_undecided(gated):
    asked = task(
        max_latency_s=0.5 if "latency" in gated else None,
        required_speedup=2.0 if "speedup" in gated else None,
    )
    found = dict(zip(("latency", "speedup"), gates.judge_too_few_rounds(asked, 3, 5), strict=True))
    for name, verdict in found.items():
        if name in gated:
            check(verdict, "inconclusive", f"{name}_undecided")
            assert "only 3 timed rounds" in verdict.reason
            assert "at least 5 are needed; raise --time-budget" in verdict.reason
        else:
            assert verdict == PASSED


@pytest.mark.parametrize(
    ("peaks", "allowed", "expected", "code"),
    [
        ([2e9], None, "pass", "passed"),
        ([2e9], 2_200_000_000, "pass", "passed"),
        ([2e9], 1_800_000_000, "fail", "memory_missed"),
        ([2e9], 2_000_000_000, "inconclusive", "memory_undecided"),
        ([2e9], 2_050_000_000, "inconclusive", "memory_undecided"),
        ([2e9] * 4, 2_050_000_000, "pass", "passed"),
        ([1.9e9, 2e9, 2.1e9, 1.9e9], 2_050_000_000, "inconclusive", "memory_undecided"),
        ([], 2_000_000_000, "inconclusive", "memory_undecided"),
        ([], None, "pass", "passed"),
    ],
)
def test_memory_gate_compares_the_whole_interval_over_launches_with_the_limit(peaks, allowed, expected, code):
    peak = LaunchTest().peak(peaks) if peaks else None
    verdict = gates.judge_memory(peak, allowed, "what to do")
    check(verdict, expected, code)
    assert peak is None or allowed is None or f"over {len(peaks)} launch" in verdict.reason
    assert ("what to do" in verdict.reason) == (bool(peaks) and expected == "inconclusive")


ENDS = st.floats(0.01, 100)


@given(ENDS, ENDS, ENDS)
def test_an_interval_that_contains_its_limit_is_undecided_and_any_other_is_decided(one, other, limit):
    found = interval(min(one, other), max(one, other))
    faster, slower = ("pass", "fail") if found.low >= limit else ("fail", "pass")
    if found.low < limit <= found.high:
        faster = "inconclusive"
    if found.low <= limit < found.high:
        slower = "inconclusive"
    elif found.high == limit:
        slower = "pass"
    assert gates.judge_speedup(found, limit, SHORT).verdict == faster
    assert gates.judge_latency(found, limit, SHORT).verdict == slower
    assert (gates.judge_quality(found, limit).verdict == "pass") == (found.high < limit)


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (
            gates.judge_quality(interval(0, 0.02, 0.01), 0.05),
            "quality loss 1.0 % [0.0 %, 2.0 %] is within 5.0 %",
        ),
        (
            gates.judge_quality(interval(0.08, 0.1, 0.09), 0.05),
            "quality loss 9.0 % [8.0 %, 10.0 %] is above the allowed 5.0 %; accelerate less aggressively",
        ),
        (
            gates.judge_quality(interval(0.01, 0.1, 0.05), 0.05),
            "inconclusive: quality loss 5.0 % [1.0 %, 10.0 %] contains the allowed 5.0 %; raise --num-samples",
        ),
        (
            gates.judge_speedup(interval(1.6, 1.8), 1.5, SHORT),
            "speedup 1.70x [1.60, 1.80] over 1 launch, 6 rounds reaches 1.5x",
        ),
        (
            gates.judge_speedup(interval(1.1, 1.3), 1.5, SHORT),
            "speedup 1.20x [1.10, 1.30] over 1 launch, 6 rounds misses the required 1.5x; the candidate must be faster",
        ),
        (
            gates.judge_speedup(interval(1.1, 1.7), 1.5, LONG),
            "inconclusive: speedup 1.40x [1.10, 1.70] over 3 launches, 14 rounds contains the required 1.5x; launches "
            "scatter by 2.0 % (taken as 4.0 % with what is known beforehand), rounds by 6.0 %; against itself the ratio "
            "was 1.021; at this noise about 6 launches decide, 54 s more: raise --max-launches to 6, --max-rounds to 32 "
            "and --time-budget to 96; a quieter machine, fewer workers (-n) or --exclusive make it surer",
        ),
        (
            gates.judge_latency(interval(0.3, 0.5), 0.5, SHORT),
            "latency 0.400 s [0.300, 0.500] per image over 1 launch, 6 rounds is within 0.5 s",
        ),
        (
            gates.judge_latency(interval(0.6, 0.8), 0.5, SHORT),
            "latency 0.700 s [0.600, 0.800] per image over 1 launch, 6 rounds is above the allowed 0.5 s; the candidate "
            "must be faster",
        ),
        (
            gates.judge_latency(interval(0.4, 0.8), 0.5, SHORT),
            "inconclusive: latency 0.600 s [0.400, 0.800] per image over 1 launch, 6 rounds contains the allowed 0.5 s; "
            "raise --time-budget, --max-rounds and --max-launches; a quieter machine, fewer workers (-n) or --exclusive "
            "make it surer",
        ),
    ],
)
def test_a_reason_is_one_sentence_with_both_figures(verdict, reason):
    assert verdict.reason == reason


@pytest.mark.parametrize(
    ("verdict", "number", "limit", "advice"),
    [
        (gates.judge_quality(interval(0.08, 0.1, 0.09), 0.05), "9.0 % [8.0 %, 10.0 %]", "5.0 %", "accelerate less"),
        (gates.judge_quality(interval(0.01, 0.1, 0.05), 0.05), "5.0 % [1.0 %, 10.0 %]", "5.0 %", "--num-samples"),
        (gates.judge_speedup(interval(1.1, 1.3), 1.5, SHORT), "1.20x [1.10, 1.30]", "1.5x", "must be faster"),
        (gates.judge_speedup(interval(1.1, 1.7), 1.5, LONG), "14 rounds", "1.5x", "--time-budget"),
        (gates.judge_latency(interval(0.6, 0.8), 0.5, SHORT), "0.700 s [0.600, 0.800]", "0.5 s", "must be faster"),
        (gates.judge_latency(interval(0.4, 0.8), 0.5, SHORT), "0.600 s [0.400, 0.800]", "0.5 s", "--time-budget"),
    ],
)  # fmt: skip
def test_reason_names_the_number_the_limit_and_the_next_thing_to_do(verdict, number, limit, advice):
    assert number in verdict.reason
    assert limit in verdict.reason
    assert advice in verdict.reason


@pytest.mark.parametrize(
    ("fraction", "text"), [(0.0123, "1.2 %"), (0, "0.0 %"), (-1e-9, "0.0 %"), (-0.02, "-2.0 %")]
)
def test_percent_has_one_decimal_and_no_negative_zero(fraction, text):
    assert gates.percent(fraction) == text


# The verdict of all gates together


def verdict_of(kind):
    code = {"pass": "passed", "fail": "quality_lost", "error": "crashed", "skip": "skipped"}
    return Verdict(kind, code.get(kind, "speedup_undecided"), kind)


@given(st.lists(st.sampled_from(VERDICTS), min_size=1))
def test_worst_verdict_decides_and_the_first_of_its_kind_speaks(kinds):
    verdicts = [dataclasses.replace(verdict_of(kind), reason=str(i)) for i, kind in enumerate(kinds)]
    kind = next(k for k in ("error", "fail", "inconclusive", "skip", "pass") if k in kinds)
    found = worst(verdicts)
    assert found.verdict == kind
    if kind != "pass":
        assert found == verdicts[kinds.index(kind)]


def test_pass_of_all_gates_says_what_each_found():
    assert worst([PASSED, verdict_of("pass"), Verdict("pass", "passed", "2x")]).reason == "pass; 2x"
    assert worst([PASSED]).reason == "nothing to object to"


# Controls


@pytest.mark.parametrize("kind", ["fail", "error", "inconclusive"])
def test_control_rejected_for_its_own_reason_passes(kind):
    found = Verdict(kind, "timed_out", "was too slow")
    verdict = judge_control("timed_out", found)
    check(verdict, "pass", "rejected_as_expected")
    assert "was too slow" in verdict.reason


@pytest.mark.parametrize(
    "found",
    [
        Verdict("pass", "passed", "all well"),
        Verdict("fail", "quality_lost", "another reason"),
        Verdict("error", "crashed", "another reason"),
        Verdict("inconclusive", "speedup_undecided", "undecided"),
        Verdict("skip", "speedup_missed", "the right word, but nothing was measured"),
        Verdict("skip", "skipped", "not run"),
    ],
)
def test_control_that_is_not_rejected_for_its_reason_fails(found):
    verdict = judge_control("speedup_missed", found)
    check(verdict, "fail", "not_rejected")
    assert "must be rejected with speedup_missed" in verdict.reason
    assert found.reason in verdict.reason


# Achievement and point estimates


@pytest.mark.parametrize(
    ("gates_hold", "speedup", "expected"),
    [
        (True, 1.5, (0.75, 0.75)),
        (True, 2.0, (1.0, 1.0)),
        (True, 5.0, (1.0, 2.5)),
        (False, 5.0, (0.0, 2.5)),
        (False, None, (0.0, None)),
        (True, None, (0.0, None)),
    ],
)
def test_achievement_is_capped_and_nothing_where_configuration_or_quality_fails(
    gates_hold, speedup, expected
):
    assert gates.achievement(task(required_speedup=2.0), gates_hold, speedup) == expected


@pytest.mark.parametrize(
    "fields", [{"difficulty": "easy"}, {"required_speedup": None}, {"expect": "speedup_missed"}]
)
def test_only_hard_tasks_with_a_requirement_have_an_achievement(fields):
    assert gates.achievement(task(**{"required_speedup": 2.0, **fields}), True, 3.0) == (None, None)


GATED = {"required_speedup": 2.0, "max_latency_s": 0.5, "max_quality_loss": 0.05}


@pytest.mark.parametrize(
    ("numbers", "failing"),
    [
        ((2.0, 0.05, 0.5), set()),
        ((below(2.0), 0.05, 0.5), {"speedup"}),
        ((2.0, above(0.05), 0.5), {"quality"}),
        ((2.0, 0.05, above(0.5)), {"latency"}),
    ],
)
def test_point_estimate_compares_the_bare_numbers_at_their_limits(numbers, failing):
    found = gates.point_estimate(task(**GATED), *numbers)
    assert {name for name in ("quality", "speedup", "latency") if not getattr(found, name)} == failing
    assert found.verdict == ("fail" if failing else "pass")


def test_point_estimate_of_what_was_not_measured_or_asked_for_is_none():
    assert gates.point_estimate(task(**GATED), None, None, None) == PointEstimate()
    ungated = gates.point_estimate(task(), 0.1, 0.01, 99.0)
    assert ungated == PointEstimate(quality=True, verdict="pass")
