"""benchmarks/scale.py: collecting the whole set, and judging a part of the zoo's."""

import json
import re
from pathlib import Path

import arms
import pytest

from bench.acceleration.host import kept_server


@pytest.mark.slow
def test_it_prints_what_collecting_takes_and_a_pass_rate(run_script):
    printed = run_script(
        "scale.py", "--tasks", "1", "--wrong", "1", "--", "-n", "0", "--num-samples", "2", "--batch-size", "1",
        "--time-budget", "0", "--ungated-rounds", "6", "--max-foreign-load", "1",
        **{kept_server.VARIABLE: arms.kept_server()},
    )  # fmt: skip
    assert re.search(
        r"^collecting +\d+\.\d\d s, \d+\.\d\d s of processor time, 604 collected, heavy modules: none, \d+ MB$",
        printed, re.MULTILINE,
    )  # fmt: skip
    assert re.search(r"^L1 +1 +1  1\.000 \[0\.\d{3}, 1\.000\]$", printed, re.MULTILINE), printed
    assert "achievement of the 0 hard tasks: -" in printed
    assert "candidates with a fault: 1 of 1 rejected for it" in printed
    assert re.search(r"^\d+\.\d minutes on 1 cores, peak \d+\.\d GB$", printed, re.MULTILINE)


def test_a_part_is_spread_over_the_levels(scripts, tmp_path):
    import scale

    folder = scale.written(tmp_path / "zoo", scale.zoo_tasks())
    _, annotations, _, candidates = scale.part(folder, 60, 5)
    entries = [json.loads(Path(file).read_text()) for file in (annotations, candidates)]
    assert [entry["prompt_id"] for entry in entries[0]] == [entry["prompt_id"] for entry in entries[1]]
    levels = [entry["level"] for entry in entries[0] if "expect" not in entry]
    assert {level: levels.count(level) for level in levels} == {"L1": 5, "L2": 11, "L3": 26, "L4": 9, "L5": 9}
    assert sum("expect" in entry for entry in entries[0]) == 5


def test_more_than_there_are_is_all(scripts):
    import scale

    assert scale.spread([{"a": 1}, {"a": 2}], 5) == [{"a": 1}, {"a": 2}]
