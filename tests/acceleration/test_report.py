"""The records of acceleration cases, and what a summary makes of them."""

import json
from pathlib import Path

import pytest
from records import case, measured, record

from bench.acceleration.kind import KIND
from bench.acceleration.report import PROPERTIES, group_rows, headline, summarize, table
from bench.acceleration.samples import sample_files, write_samples
from bench.acceleration.times import Times
from bench.core.kind import Finish
from bench.core.record import plain_problems
from bench.core.verdict import Verdict

# Records


def test_blank_record_is_plain_and_has_what_is_asked_for():
    blank = case(7, required_speedup=2.0, max_latency_s=0.5, difficulty="hard", level="L4").blank()
    plain = blank.to_json()
    assert plain_problems(plain) == []
    assert json.loads(json.dumps(plain)) == plain
    assert (plain["verdict"], plain["reason_code"], plain["control"]) == ("error", "not_run", None)
    assert (plain["prompt_id"], plain["difficulty"], plain["level"]) == (7, "hard", "L4")
    assert plain["speedup"] == {
        "value": None, "low": None, "high": None, "required": 2.0, "rounds": 0, "launches": 0,
    }  # fmt: skip
    assert plain["latency"] == {"value": None, "low": None, "high": None, "allowed": 0.5}
    assert plain["config"] == {
        "target": None,
        "baseline": None,
        "candidate": None,
        "mismatches": None,
        "free": None,
    }
    assert plain["quality"] == {
        "metric": "clip_score", "baseline": None, "candidate": None, "loss": None, "low": None, "high": None,
        "allowed": 0.05,
        "samples": 0,
    }  # fmt: skip
    assert {plain[name] for name in ("fidelity", "achievement_ratio", "point_estimate", "times")} == {None}
    assert case(expect="crashed").blank().to_json()["control"]["expected"] == "crashed"


def test_record_of_an_earlier_version_reads_back_as_it_was():
    earlier = {
        "id": "a", "kind": "acceleration", "order": 1, "prompt_id": 1, "verdict": "pass", "reason_code": "passed",
        "reason": "", "difficulty": "easy", "level": "L1", "duration_s": 1.5, "control": None,
        "achievement_rate": None, "warnings": [],
        "config": {
            "target": {
                "pipeline_class": "P", "model_id": "m", "scheduler_class": "S", "num_inference_steps": 3,
                "scheduler_steps": 3, "entry_point": "__call__", "methods": {"tome": {"ratio": 0.5}},
                "dtypes": {"unet": "float32"}, "denoiser_calls_per_image": 6.0, "denoiser_layer_calls": 75,
                "source": {
                    "pipeline_class": "P", "model_id": "m", "scheduler_class": None, "num_inference_steps": 3,
                    "methods": {},
                },
                "disagreements": [{"field": "methods.tome", "source": False, "observed": True}],
            },
            "baseline": None, "candidate": None,
            "mismatches": [{"field": "scheduler_class", "target": "S", "candidate": "T"}],
        },
        "speedup": {"value": 1.5, "low": 1.4, "high": 1.6, "required": None, "rounds": 1},
        "latency": {"value": 0.4, "low": 0.3, "high": 0.5, "allowed": None},
        "quality": {
            "metric": "clip_score", "baseline": 90.0, "candidate": 89.0, "loss": 0.01, "low": 0.0, "high": 0.02,
            "allowed": 0.05,
        },
        "fidelity": {"clip_image_cosine": 1.0, "ssim": 0.5, "psnr_db": None, "identical_images": 32},
        "achievement_ratio": None,
        "point_estimate": {"quality": True, "speedup": None, "latency": None, "verdict": "pass"},
        "times": {
            "load_s": {"baseline": 0.3}, "first_call_s": {"baseline": 1.6},
            "warmup_s": {"baseline": [1.5], "candidate": []},
            "rounds": [{"first": "baseline", "baseline_s": 1.5, "candidate_s": 1.6, "images": 4}],
        },
        "memory": {"baseline_peak_bytes": 493248512, "candidate_peak_bytes": None},
    }  # fmt: skip
    again = KIND.decode(earlier).to_json()
    assert again["times"].pop("foreign_load") is None, "it was not measured then"
    assert again["times"].pop("per") == "image", "there were no videos then"
    later = (
        "call",
        "calls_by_component",
        "idle_layers",
        "layers_per_call",
        "texts",
        "arguments",
        "output",
        "scheduler",
        "parts",
    )
    assert [again["config"]["target"].pop(key) for key in later] == [None] * len(later), (
        "they were not recorded then"
    )
    assert again["config"].pop("free") is None
    assert (again["times"].pop("launches"), again["times"].pop("null")) == ([], None)
    assert again["quality"].pop("samples") == 0, "it was not recorded then"
    assert (again["times"]["rounds"][0].pop("launch"), again["speedup"].pop("launches")) == (0, 0)
    assert (
        again["times"].pop("compile_s") == again["times"].pop("step_s") == again["times"].pop("part_s") == {}
    )
    for name in set(again["times"]) - set(earlier["times"]):
        assert again["times"].pop(name) in (None, {}, []), name
    for name in set(again["memory"]) - set(earlier["memory"]):
        assert again["memory"].pop(name) is None
    assert {key: again[key] for key in earlier} == earlier
    assert type(again["fidelity"]["identical_images"]) is int


@pytest.mark.parametrize(
    ("verdict", "fields", "before", "after"),
    [
        ("fail", {}, None, 0.0),
        ("inconclusive", {}, None, 0.0),
        ("error", {}, None, 0.0),
        ("pass", {}, None, None),
        ("skip", {}, None, None),
        ("fail", {}, 0.7, 0.7),
        ("fail", {"difficulty": "easy"}, None, None),
        ("fail", {"required_speedup": None}, None, None),
        ("fail", {"expect": "crashed"}, None, None),
    ],
)
def test_hard_task_that_ends_without_a_measurement_has_achieved_nothing(verdict, fields, before, after):
    blank = case(**{"difficulty": "hard", "required_speedup": 2.0, **fields}).blank()
    blank.achievement_rate = before
    blank.apply(Verdict(verdict, "crashed", "why"))
    assert blank.achievement_rate == after


def test_a_requirement_may_mean_a_case_by_its_id_or_its_prompt_id():
    assert case(7).names == ("medium-sd-all-7", "7")
    assert case(prompt_id=None, id="medium-tasks-file-anno-0").names == ("medium-tasks-file-anno-0",)


# The summary


def test_groups_have_a_row_each_where_they_have_tasks():
    records = [
        record("pass", 1, difficulty="hard", level="L4", achievement=0.5),
        record("fail", 2, difficulty="hard", achievement=0.0),
        record("skip", 3, difficulty="easy"),
        record("pass", 4, difficulty="hard", expect="crashed"),
    ]
    assert group_rows(records) == [
        ("easy", "1", "0", "-", "0", "0", "0", "1", "-"),
        ("hard", "2", "1", "50 % [9, 91]", "1", "0", "0", "0", "0.25 [0.03, 0.80]"),
        ("L4", "1", "1", "100 % [21, 100]", "0", "0", "0", "0", "0.50 [0.05, 0.95]"),
        ("all", "3", "1", "50 % [9, 91]", "1", "0", "0", "1", "0.25 [0.03, 0.80]"),
    ]
    section = table(Finish(Path(), records, None, None))
    assert section.rows[0][0] == "group"
    assert section.rows[1:] == group_rows(records)
    assert section.notes == ["controls: 1 of 1 rejected for the reason they were written for"]


def test_levels_are_counted_each_for_itself_and_all_are_named():
    records = [record("pass", 1, level="L1"), record("fail", 2, level="L1"), record("pass", 3, level="L4")]
    records += [record("pass", 4), record("pass", 5, level="L1", expect="crashed")]
    summary = summarize(records)
    nothing = {"total": 0, "passed": 0, "pass_rate": None, "low": None, "high": None}
    assert [summary["levels"][level] for level in ("L2", "L3", "L5")] == [nothing] * 3
    assert list(summary["levels"]) == ["L1", "L2", "L3", "L4", "L5"]
    one = summary["levels"]["L1"]
    assert (one["total"], one["passed"], one["pass_rate"]) == (2, 1, 0.5)
    assert (one["low"], one["high"]) == (pytest.approx(0.0945, abs=1e-4), pytest.approx(0.9055, abs=1e-4))
    every = summary["every_level"]
    assert (every["total"], every["passed"], every["pass_rate"]) == (4, 3, 0.75)
    assert summarize([])["every_level"] == nothing


def test_a_skipped_task_counts_in_no_pass_rate():
    level = summarize([record("pass", 1, level="L1"), record("skip", 2, level="L1")])["levels"]["L1"]
    assert (level["total"], level["passed"], level["pass_rate"]) == (2, 1, 1.0)
    assert level["low"] == pytest.approx(0.2065, abs=1e-4)  # of one task


def test_achievement_is_the_mean_over_tasks_that_have_one():
    hard = [
        record("pass", n, achievement=rate, difficulty="hard") for n, rate in enumerate((1.0, 0.5, 0.0, None))
    ]
    found = summarize(hard)["hard"]
    assert (found["total"], found["achievement_rate"]) == (4, 0.5)
    # Wilson's interval of 1.5 of 3.
    assert (found["achievement_low"], found["achievement_high"]) == (
        pytest.approx(0.1253, abs=1e-4), pytest.approx(0.8747, abs=1e-4),
    )  # fmt: skip
    none = summarize(hard[3:])["hard"]
    assert [none[key] for key in ("total", "achievement_rate", "achievement_low")] == [1, None, None]
    assert summarize([])["hard"]["achievement_rate"] is None


def test_headline_shows_what_was_measured():
    assert headline(measured(required_speedup=2.0)) == "1.50x [1.25, 1.75], loss 1.2 %"
    assert headline(record("error")) == ""


def test_headline_of_a_compiled_candidate_shows_its_first_call_next_to_the_warm_latency():
    made = measured()
    made.body.latency.value = 0.0421
    made.body.times = Times(first_call_s={"candidate": 31.04}, compile_s={"candidate": None})
    assert headline(made) == headline(measured())
    made.body.times.compile_s = {"baseline": 5.0, "candidate": 28.96}
    assert headline(made) == (
        f"{headline(measured())}, 0.0421 s per image, the first call 31.0 s, 29.0 s of compiling"
    )


def test_every_property_is_a_path_into_the_record():
    made = measured()
    made.body.times = Times(
        first_call_s={"candidate": 2.0}, compile_s={"candidate": 1.0}, step_s={"candidate": 0.5}
    )
    plain = made.to_json()
    for _, path in PROPERTIES:
        found = plain
        for key in path:
            found = found[key]


# What lies next to the results


def test_samples_and_record_lie_under_the_model_of_the_id(tmp_path):
    rows = [{"prompt": "a", "seed": 1}, {"prompt": "ü", "seed": 2}]
    write_samples(tmp_path, record(), rows)
    files = sample_files("medium-sd-all-1", has_rows=True)
    assert files == {
        "predictions": "predictions/sd/medium-sd-all-1.jsonl",
        "results": "results/sd/medium-sd-all-1.json",
    }
    lines = (tmp_path / files["predictions"]).read_text().splitlines()
    assert [json.loads(line) for line in lines] == rows
    assert json.loads((tmp_path / files["results"]).read_text()) == record().to_json()


def test_case_without_samples_has_its_record_only(tmp_path):
    write_samples(tmp_path, record(id="alone"), [])
    found = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert found == ["results/unknown/alone.json"] == list(sample_files("alone", has_rows=False).values())
