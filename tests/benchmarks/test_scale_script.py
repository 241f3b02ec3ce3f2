"""benchmarks/scale.py: collecting the whole set, and judging a part of the zoo's."""

import json
import re
import signal
import sys
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
    of_case = r"of 2, +\d+\.\d minutes: easy-tiny_\w+-plain-zoo_l1_001"
    assert re.search(rf"^ +\d {of_case}: pass \(passed\)$", printed, re.MULTILINE)
    assert re.search(rf"^ +\d {of_case}_\w+: pass \(rejected_as_expected\)$", printed, re.MULTILINE)
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


def test_progress_shows_each_case_once_when_it_is_decided(scripts, tmp_path, capsys):
    import scale

    results = tmp_path / "evaluation_results.json"
    progress = scale.Progress(results, 3)
    codes = [{"a": "passed"}, {"a": "passed", "b": "quality_lost", "c": "not_run"}]
    progress()
    results.write_text("{")
    progress()
    for of_case in codes:
        records = [{"id": name, "verdict": "fail", "reason_code": code} for name, code in of_case.items()]
        results.write_text(json.dumps({"records": records}))
        progress()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":", 1)[1] for line in lines] == [" a: fail (passed)", " b: fail (quality_lost)"]
    assert [line.split(",")[0].strip() for line in lines] == ["1 of 3", "2 of 3"]


def test_a_run_beyond_its_limit_is_ended_and_what_it_decided_is_read(scripts, tmp_path, monkeypatch):
    import steadiness

    # A run that never ends by itself; its results are there before it is looked at.
    monkeypatch.setattr(
        steadiness, "cases_command", lambda *_: [sys.executable, "-c", "import time; time.sleep(1000)"]
    )
    monkeypatch.setattr(steadiness, "read_results", lambda directory: directory)
    seen = []
    run = steadiness.run_once({0}, tmp_path, [], meanwhile=lambda: seen.append(1), limit_s=0)
    assert (run.code, run.results) == (-signal.SIGTERM, tmp_path)
    assert seen
