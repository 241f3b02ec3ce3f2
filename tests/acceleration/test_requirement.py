"""What a task's text requires, and what it must not be taken to require."""

from __future__ import annotations

import contextlib
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.acceleration.requirement.demands import read_demands
from bench.acceleration.requirement.reading import MAX_SPEEDUP
from bench.core.errors import RequirementProblem


def required_speedup(text: str) -> float | None:
    return read_demands(text).speedup


NAMED = {
    "2x": 2.0,
    "2 x": 2.0,
    "1.5×": 1.5,
    "1.5X": 1.5,
    "1,5x": 1.5,
    "1x": 1.0,
    "0.5x": 0.5,
    "1,000x": 1000.0,
    "at least 2x": 2.0,
    "Make it at least 2x faster.": 2.0,
    "at least 2-fold": 2.0,
    "twofold": 2.0,
    "a two-fold acceleration": 2.0,
    "three-fold": 3.0,
    "twice as fast": 2.0,
    "thrice as fast": 3.0,
    "two times faster": 2.0,
    "three times as fast": 3.0,
    "1.8 times": 1.8,
    "one and a half times faster": 1.5,
    "It must run one and a half times as fast as the baseline.": 1.5,
    "2 times the throughput": 2.0,
    "a hundred times faster": 100.0,
    "30% faster": 1.3,
    "30 percent faster": 1.3,
    "thirty per cent faster": 1.3,
    "150% faster": 2.5,
    "a 50 % speedup": 1.5,
    "speedup of at least 50%": 1.5,
    "speed it up by 30%": 1.3,
    "Accelerate the generation by 30 %": 1.3,
    "increase the throughput by at least 25%": 1.25,
    "25% higher throughput": 1.25,
    "speedup of 1.7": 1.7,
    "speedup: 1.7": 1.7,
    "speedup >= 1.7": 1.7,
    "required_speedup=2": 2.0,
    "Target speedup 1.7.": 1.7,
    "a speedup of at least 1.7x": 1.7,
    "speed-up factor of 1.7": 1.7,
    "speed it up by a factor of 2": 2.0,
    "faster by a factor of at least 1.4": 1.4,
    "By a factor of 2, make it faster": 2.0,
    "a 2x speedup": 2.0,
    "a 2x speed-up over the baseline": 2.0,
    "x2 speedup": 2.0,
    "a 1.5 speedup": 1.5,
    "half the time": 2.0,
    "in at most half the time": 2.0,
    "in half of the original inference time": 2.0,
    "a third of the time": 3.0,
    "halve the latency": 2.0,
    "cut the latency in half": 2.0,
    "cut latency by 40%": 1 / 0.6,
    "40 % less time": 1 / 0.6,
    "reduce the generation time by 40%": 1 / 0.6,
    "reduce the generation time by at least 40%": 1 / 0.6,
    "the latency must be reduced by 40%": 1 / 0.6,
    "40% lower latency": 1 / 0.6,
    "a 40% reduction in latency": 1 / 0.6,
    "a 40% latency reduction": 1 / 0.6,
    "in 50% of the time": 2.0,
    "reduce the latency to 50% of the baseline time": 2.0,
    "cut latency by a factor of 2": 2.0,
    "2x lower latency": 2.0,
    "2x less time": 2.0,
    "double the throughput": 2.0,
    "double the speed": 2.0,
    "triple its generation speed": 3.0,
    "an order of magnitude faster": 10.0,
    "no less than 2x": 2.0,
    "must not be less than 2x faster": 2.0,
    "more than 2x faster": 2.0,
    "at least 2x (twofold)": 2.0,
    "twice as fast, that is 2x": 2.0,
    "1.25x faster (a speedup of 25%)": 1.25,
}  # fmt: skip

IN_A_TASK = {
    "A 2-fold speedup over 50 DDIM steps, whatever the method, with DPM-Solver++ in 20 steps.": 2.0,
    "UniPC in 20 steps on merged tokens: a speedup of 1.4 over 50 DDIM steps.": 1.4,
    "Use SD 1.5 with DeepCache (interval 3, branch 0) and ToMe (ratio 0.5) for 512x512 images; be at least "
    "1.8x faster than the 50-step baseline, quality loss within 5%.": 1.8,
    "Accelerate the 4x upscaler by at least 2x.": 2.0,
    "Generate two images of 1024 × 1024 pixels at guidance scale 7.5 twice as fast; CLIP score drop of at "
    "most 3 %.": 2.0,
    "Generate the image 2x faster than before.": 2.0,
    "Speed up PixArt.\n\nTarget: 1.5x\n\nKeep 20 steps.": 1.5,
    "It does not change the style and is 2x faster.": 2.0,
    "Not only quality, a 2x speedup too": 2.0,
    "With a maximum of 5% loss, cut the time per image by 40%.": 1 / 0.6,
    "Do not lose more than 5% of the CLIP score, but be 30% faster.": 1.3,
    "Upscale 4x, and run 3 times faster.": 3.0,
}

NOT_NAMED = [
    "", " ", "accelerate", "Accelerate the pipeline.", "make it faster", "as fast as possible", "speed it up",
    "much faster", "a lot faster, several times", "many times faster",
    "512x512", "1024 × 1024", "1024x1024 px", "512 x 512 x 3", "images of 512x768 pixels, faster",
    "4x upscaler", "x4 upscaling", "a 4x-UltraSharp model", "stable-diffusion-x4-upscaler", "2x/4x upscaling",
    "upscale the image by 4x", "zoom 2x into the face", "an upscaling factor of 4 makes it slow",
    "guidance scale 7.5", "50 steps", "batch of 4", "2 images", "quality loss within 5%", "no quality loss",
    "CLIP score drop of at most 3 %", "latency under 2 s", "latency of 1.5 seconds or less", "SD 1.5", "SDXL 1.0",
    "v2.1", "DPM-Solver++ 2M", "two objects", "ratio 0.5", "interval 3", "fewer than 20 steps",
    "a maximum of 5% loss", "with DDIM at 20 steps, faster than with 50 steps", "5-fold cross-validation",
    "no more than 2x slower", "at most 2x", "2x at most", "not more than twice the latency", "2x slower",
    "2x the latency", "It need not be 2x faster.", "it does not have to be twice as fast" , "2x the memory",
    "use 2x less memory", "on 2x A100", "run it 3 times and average for speed", "repeat the fast path two times",
    "up to 2x faster", "a cat and two times square", "reduce memory by 40%", "CLIP loss below 40% of the target",
    "one fast step, two slow ones", "DeepCache with cache_interval=3 and x=2", "time: 10 s", "half the steps",
    "double the batch size", "a factor of 2", "scale factor of 8, faster", "at least 60% of the time it is sharp",
    "Speed up 4 pipelines", "speed up to 20 steps", "the mean speedup over 5 runs",
    "speedup over 3 seeds, in one table", "Make Flux faster", "a k-fold of images, quick",
]  # fmt: skip


@pytest.mark.parametrize(("text", "speedup"), NAMED.items())
def test_every_way_of_naming_a_speedup_is_understood(text: str, speedup: float) -> None:
    assert required_speedup(text) == pytest.approx(speedup)


@pytest.mark.parametrize(("text", "speedup"), IN_A_TASK.items())
def test_a_speedup_is_found_among_the_other_numbers_of_a_task(text: str, speedup: float) -> None:
    assert required_speedup(text) == pytest.approx(speedup)


@pytest.mark.parametrize("text", NOT_NAMED)
def test_no_other_number_is_taken_for_a_speedup(text: str) -> None:
    assert required_speedup(text) is None


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("1.5x to 2x", ["1.5x to 2x", "1.5 and 2"]),
        ("2-3x", ["2-3x", "2 and 3"]),
        ("2–3× faster", ["2-3x faster", "2 and 3"]),
        ("between 1.5 and 2 times faster", ["1.5 and 2"]),
        ("two or three times faster", ["two or three times", "2 and 3"]),
        ("30-40% faster", ["1.3 and 1.4"]),
        ("at least 2x, better 3x", ["'2x'", "'3x'"]),
        ("twice as fast, a speedup of 1.7", ["twice as fast", "speedup of 1.7", "2 and 1.7"]),
        ("half the time and 30% faster", ["half the time", "30% faster"]),
    ],
)
def test_two_speedups_or_a_range_are_a_problem_that_quotes_them(text: str, quoted: list[str]) -> None:
    with pytest.raises(RequirementProblem, match="several speedups") as caught:
        required_speedup(text)
    message = str(caught.value)
    assert all(fragment in message for fragment in quoted), message
    assert "expected exactly one" in message
    assert "required_speedup" in message


@pytest.mark.parametrize(
    "text",
    [
        "at least x faster", "?x speedup", "a ?x faster model", "NaNx faster", "inf x faster", "N times faster",
        "at least {speedup}x faster", "<n>x faster", "__x speedup", "a speedup of ??", "speedup: x",
        "accelerate it by a factor of N", "at least % faster", "3/2x faster", "at least times faster",
    ],
)  # fmt: skip
def test_a_demand_whose_number_is_missing_is_a_problem(text: str) -> None:
    with pytest.raises(RequirementProblem, match="without a readable number") as caught:
        required_speedup(text)
    assert "expected one number, such as 'at least 2x'" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["0x faster", "-2x faster", "1001x", "2000 times faster", "1e400x faster", "1.2.3x faster",
     "cut the latency by 100%", "reduce the time by 140%", "0% faster", "in 0% of the time"],
)  # fmt: skip
def test_an_impossible_speedup_is_a_problem(text: str) -> None:
    with pytest.raises(RequirementProblem, match=r"cannot be .*expected one number above 0 and at most 1000"):
        required_speedup(text)


@given(st.floats(min_value=1e-6, max_value=MAX_SPEEDUP) | st.integers(min_value=1, max_value=1000))
def test_any_number_before_x_faster_is_that_number(value: float) -> None:
    assert required_speedup(f"{value}x faster") == pytest.approx(value, rel=1e-12)
    assert required_speedup(f"Please make it at least {value} times as fast.") == pytest.approx(
        value, rel=1e-12
    )


@given(st.floats(min_value=0.01, max_value=99.0))
def test_a_percentage_saved_is_the_inverse_of_what_is_left(percent: float) -> None:
    assert required_speedup(f"cut the latency by {percent}%") == pytest.approx(100 / (100 - percent))


TRIGGERS = re.compile(r"[0-9x×%]|times|fold|percent|per cent|pct|factor|speed|half|halv|third|quarter|fifth|"
                      r"tenth|doubl|tripl|quadrupl|twice|thrice|magnitude", re.IGNORECASE)  # fmt: skip


@given(st.text())
def test_text_without_a_trigger_requires_nothing(text: str) -> None:
    if not TRIGGERS.search(text):
        assert required_speedup(text) is None


@given(
    st.lists(
        st.sampled_from(
            [
                "2x",
                "1.5",
                "x",
                "times",
                "faster",
                "speedup",
                "at least",
                "most",
                "of the time",
                "latency",
                "half",
                "twice",
                "30%",
                "by",
                "factor",
                "to",
                "-",
                "cut",
                "reduce",
                "no more than",
                "not",
                ".",
                ",",
                "512x512",
                "upscaler",
                "N",
                "?",
                "fold",
                "nan",
            ]
        ),
        max_size=14,
    )
)
def test_any_jumble_is_a_number_nothing_or_a_problem(words: list[str]) -> None:
    try:
        speedup = required_speedup(" ".join(words))
    except RequirementProblem:
        return
    assert speedup is None or 0 < speedup <= MAX_SPEEDUP


@pytest.mark.slow  # long texts
@pytest.mark.parametrize(
    "unit", ["9", " ", "\n", "speed ", "speed up by ", "2x ", "cut latency ", "2-", "a", "½", "2,", "between 2 and ",
             "at least ", "<", "half the ", "no ", "quality ", "at most 3 ", "loss of ", "lose a b ", "from 2 to ",
             "keep 3% of the ", "in 3 s ", "不超过", "3秒不超过", "质量损失不超过", "时间3", "百分之", "每张"],
)  # fmt: skip
def test_a_hostile_text_is_read_in_time_proportional_to_its_length(unit: str) -> None:
    text = unit * (40_000 // len(unit))
    started = time.process_time()
    with contextlib.suppress(RequirementProblem):
        required_speedup(text)
    assert time.process_time() - started < 5.0


def test_a_message_stays_short_however_many_speedups_are_named() -> None:
    with pytest.raises(RequirementProblem) as caught:
        required_speedup(" ".join(f"{number}x faster" for number in range(1, 500)))
    assert len(str(caught.value)) < 500
