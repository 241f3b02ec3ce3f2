"""What a task's text asks for in prose: each phrase of docs/demands.tsv, and what is done with what is asked for."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import case
from test_requirement import IN_A_TASK, NAMED, NOT_NAMED

from bench.acceleration.kind import KIND
from bench.acceleration.report import unread_note
from bench.acceleration.requirement.chinese import in_english
from bench.acceleration.requirement.demands import Demands, read_demands
from bench.acceleration.tasks.join import load_cases
from bench.core.errors import REASON_CODES, RequirementProblem

LIST = Path(__file__).resolve().parents[2] / "docs/demands.tsv"
FIELDS = ("speedup", "latency_s", "quality_loss", "memory_gb")


def phrases() -> list[dict[str, str]]:
    with LIST.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_the_list_is_long_and_names_every_phrase_once() -> None:
    texts = [row["phrase"] for row in phrases()]
    assert len(texts) >= 200
    assert len(set(texts)) == len(texts)
    assert sum(any("\u4e00" <= letter <= "\u9fff" for letter in text) for text in texts) >= 50
    assert sum(bool(row["unread"]) for row in phrases()) >= 10


@pytest.mark.parametrize("row", phrases(), ids=lambda row: row["phrase"])
def test_a_phrase_asks_for_what_the_list_says(row: dict[str, str]) -> None:
    found = read_demands(row["phrase"])
    for field in FIELDS:
        assert getattr(found, field) == (pytest.approx(float(row[field])) if row[field] else None), field
    assert bool(found.unread) == bool(row["unread"]), found.unread


@pytest.mark.parametrize("text", [*NAMED, *IN_A_TASK, *NOT_NAMED])
def test_speedups_are_those_that_are_read_alone(text: str) -> None:
    named = {**NAMED, **IN_A_TASK}.get(text)
    found = read_demands(text)
    assert found.speedup == (None if named is None else pytest.approx(named))
    slower = "slower" in text or text == "reduce memory by 40%"
    assert bool(found.unread) == (
        (slower and "no more" in text)
        or text in ("2x slower", "reduce memory by 40%", "not more than twice the latency", "no quality loss")
    )


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("under 2 s, at most 3 s", ["latency", "'under 2 s'", "'at most 3 s'"]),
        ("at most 5% quality loss, quality loss below 3%", ["quality loss"]),
        ("at most 4 GB, memory below 6 GB", ["memory"]),
        ("from 4 s to 2 s, 3x faster", ["several speedups"]),
        ("速度提升2倍，加速比不低于3", ["several speedups"]),
    ],
)
def test_two_limits_of_one_thing_are_a_problem_that_quotes_them(text: str, quoted: list[str]) -> None:
    with pytest.raises(RequirementProblem) as caught:
        read_demands(text)
    assert all(part in str(caught.value) for part in quoted), str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["under 0 s", "at most 0% quality loss", "at most 100% quality loss", "at most 0 GB", "from 3 s to 0 s"],
)
def test_a_limit_that_cannot_be_is_a_problem(text: str) -> None:
    with pytest.raises(RequirementProblem, match="cannot be"):
        read_demands(text)


def test_what_is_given_as_a_field_is_told_and_not_read() -> None:
    text = "2x faster or 3x faster, under 2 s, at most 3 s, at most 5% quality loss"
    assert read_demands(text, ("speedup", "latency_s")) == Demands(
        quality_loss=0.05,
        elsewhere=(
            ("speedup", 2.0, "'2x faster'"), ("speedup", 3.0, "'3x faster'"),
            ("latency_s", 2.0, "'under 2 s'"), ("latency_s", 3.0, "'at most 3 s'"),
        ),
    )  # fmt: skip


def test_text_without_chinese_stays_as_it_is() -> None:
    assert in_english("at most 5 % loss") == "at most 5 % loss"
    assert in_english("一只猫在三张椅子上") == "一只猫在三张椅子上"


@given(st.lists(st.sampled_from(
    ["2x", "1.5", "at most", "5%", "quality", "loss", "under", "3 s", "4 GB", "memory", "from", "to", "faster", "lose",
     "not", ".", ",", "速度", "提升", "2倍", "不超过", "3%", "质量损失", "以内", "显存", "latency"]
), max_size=14))  # fmt: skip
def test_any_jumble_is_read_or_a_problem(words: list[str]) -> None:
    try:
        found = read_demands(" ".join(words))
    except RequirementProblem:
        return
    assert all(
        value is None or (math.isfinite(value) and value > 0) for value in (getattr(found, f) for f in FIELDS)
    )


# --- what is done with it


@pytest.fixture
def loads(tmp_path: Path):
    for name in ("plain.py", "fast.py"):
        (tmp_path / name).write_text("pipe = StableDiffusionPipeline.from_pretrained('org/tiny')\n")

    def load(text: str, **fields: object):
        entry = {
            "prompt_id": 1, "prompt_context": text, "difficulty": "easy", "target_file": "plain.py",
            "baseline_file": "plain.py", "candidate_file": "fast.py", **fields,
        }  # fmt: skip
        (tmp_path / "tasks.json").write_text(json.dumps([entry]))
        (found,) = load_cases([tmp_path / "tasks.json"], [], default_max_quality_loss=0.05, metrics=())
        return found

    return load


def test_demands_become_gates_and_fields_go_before_them(loads) -> None:
    text = "2x faster, under 3 s per image, at most 2% quality loss, at most 4 GB, at least 5 it/s"
    found = loads(text)
    asked = (found.required_speedup, found.max_latency_s, found.max_quality_loss, found.max_memory_gb)
    assert asked == (2.0, 3.0, 0.02, 4.0)
    assert found.unread_demands == ("at least 5 it/s",)
    given_too = loads(text, required_speedup=1.5, max_quality_loss=0.1, max_memory_gb=2)
    asked = (
        given_too.required_speedup,
        given_too.max_latency_s,
        given_too.max_quality_loss,
        given_too.max_memory_gb,
    )
    assert asked == (1.5, 3.0, 0.1, 2)
    assert loads("no demand").max_quality_loss == 0.05


def test_an_unread_demand_is_shown_with_its_case_and_in_the_summary(loads) -> None:
    record = loads("reach at least 25 fps").blank()
    assert record.warnings == [
        "unread demand: 'reach at least 25 fps'; write it as a field, such as max_latency_s, or in other words"
    ]
    assert record.to_json()["unread_demands"] == ["reach at least 25 fps"]
    assert ("unread_demands", ("unread_demands",)) in KIND.properties
    (note,) = unread_note([record])
    assert note == f"unread demands: 1, such as 'reach at least 25 fps' of {record.id}; they were not judged"
    assert unread_note([loads("2x").blank()]) == []


def test_a_field_that_overrules_the_text_is_a_warning_where_they_differ(loads) -> None:
    text = "At least 2x faster, within 3 s."
    differing = loads(text, required_speedup=1.2, max_latency_s=3)
    assert (differing.required_speedup, differing.max_latency_s) == (1.2, 3)
    assert differing.blank().warnings == [
        "'2x faster' of the text is overruled by required_speedup 1.2; leave one of the two"
    ]
    assert loads(text, required_speedup=2).blank().warnings == []


def test_a_hard_task_without_a_readable_demand_is_unclear_and_achieves_nothing(loads) -> None:
    unclear = loads("reach at least 25 fps", difficulty="hard")
    assert unclear.is_unclear
    for clear in (
        loads("2x faster", difficulty="hard"), loads("under 2 s", difficulty="hard"),
        loads("at most 2 GB", difficulty="hard"),
        loads("", difficulty="hard", max_latency_s=2), loads("reach 25 fps", difficulty="medium"),
        loads("reach 25 fps", difficulty="hard", expect="crashed"),
    ):  # fmt: skip
        assert not clear.is_unclear
    from bench.acceleration.evaluation import AccelerationEvaluation
    from bench.core.errors import UnclearProblem
    from bench.core.verdict import verdict_of

    with pytest.raises(UnclearProblem, match="unread: 'reach at least 25 fps'") as caught:
        AccelerationEvaluation._check_configuration(
            type("Evaluation", (), {"case": unclear, "body": unclear.blank().body})()
        )
    record = unclear.blank()
    record.apply(verdict_of(caught.value))
    assert (record.verdict, record.reason_code, record.achievement_rate) == (
        "error",
        "requirement_unclear",
        0.0,
    )
    assert record.reason_code in REASON_CODES


def test_the_limit_of_memory_is_in_the_record() -> None:
    assert case(max_memory_gb=4.0).blank().to_json()["memory"]["allowed_bytes"] == 4_000_000_000
    assert case().blank().to_json()["memory"] is None


@pytest.mark.parametrize(("text", "speedup"), [("时间缩短100分之20", 1.25), ("时间缩短10分之3", 1 / 0.7)])
def test_a_part_of_a_number_in_digits_is_read(text: str, speedup: float) -> None:
    assert read_demands(text).speedup == pytest.approx(speedup)


@pytest.mark.parametrize("text", ["时间减少0分之一", "速度提升00分之5"])
def test_a_part_of_nothing_is_told_as_unread(text: str) -> None:
    assert read_demands(text) == Demands(unread=(in_english(text),))
