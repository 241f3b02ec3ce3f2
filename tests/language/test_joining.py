"""Stored predictions are joined to rows by content and words; what differs is refused, and never scored by its number."""

from __future__ import annotations

import json
import random

import pytest
from language_toys import DATASET, Place, Toy, keep_registered

from bench.core.errors import LanguageProblem
from bench.language.backend import TextScore
from bench.language.library import DATASETS
from bench.language.models.config import ModelConfig
from bench.language.predictions import PredictionStore

ROWS = [
    {"q": f"question {i}{'?' if i % 3 else '.'}", "gold": i % 2, "subject": "ab"[i % 2]} for i in range(12)
]


@pytest.fixture(autouse=True)
def _own_datasets(monkeypatch):
    keep_registered(monkeypatch, DATASETS)


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    place.write(ROWS)
    return place


class Absent:
    """No model: it must not be asked."""

    def __getattr__(self, name):
        raise AssertionError("the model was asked")


def finish(evaluation):
    evaluation.infer()
    return evaluation.evaluate()


def evaluated_alone(place, run="again", **fields):
    evaluation = place.evaluation(Absent(), run=run, mode="eval", reuse=place.root / "run", **fields)
    finish(evaluation)
    return evaluation.record


def refusal(place, **fields):
    with pytest.raises(LanguageProblem) as caught:
        evaluated_alone(place, **fields)
    assert caught.value.reason_code == "predictions_missing"
    return str(caught.value)


def test_rows_in_another_order_have_the_score_of_their_own_answers(place):
    first = place.evaluation()
    finish(first)
    place.write(random.Random(0).sample(ROWS, len(ROWS)))
    record = evaluated_alone(place)
    assert record.score == first.record.score
    assert "rows stand at other places than in run; joined by their content" in record.warnings[0]


def test_a_gate_against_a_reference_in_another_order_compares_each_row_with_itself(place):
    finish(place.evaluation())
    place.write(random.Random(0).sample(ROWS, len(ROWS)))
    evaluation = place.evaluation(run="again", reference=place.root / "run")
    assert finish(evaluation).reference.holds
    reference = evaluation.record.body.reference
    assert (reference.difference, reference.low, reference.high) == (0.0, 0.0, 0.0)


def changed_label(rows):
    return [{**rows[0], "gold": 1}, *rows[1:]], "a prediction of another row at row 0, in the field gold"


def changed_text(rows):
    return [*rows[:-1], {**rows[-1], "q": "other?"}], "a prediction of another row at row 11, in the field q"


def new_field(rows):
    return [
        {**row, "id": i} for i, row in enumerate(rows)
    ], "at 12 rows (0, 1, 2, 3, 4, ...), in the field id"


def more_rows(rows):
    return [*rows, {"q": "new?", "gold": 0}, {"q": "newer?", "gold": 0}], "no prediction of 2 rows (12, 13)"


def number_as_text(rows):
    return [{**row, "gold": str(row["gold"])} for row in rows], "in the field gold"


@pytest.mark.parametrize("change", [changed_label, changed_text, new_field, more_rows, number_as_text])
def test_what_differs_is_named_and_nothing_is_scored(place, change):
    finish(place.evaluation())
    rows, named = change(ROWS)
    place.write(rows)
    assert named in refusal(place)
    evaluation = place.evaluation(run="compared", reference=place.root / "run")
    evaluation.infer()
    with pytest.raises(LanguageProblem) as caught:
        evaluation.evaluate()
    assert str(caught.value).startswith("--reference run, toy on toy: found ")
    assert named in str(caught.value)


def test_other_words_are_refused_where_they_are_scored_and_noted_where_they_are_compared(place):
    finish(place.evaluation())
    place.declare(DATASET.replace('prompt="{q}"', 'prompt="Well, {q}"'))
    assert "other prompts, examples or choices of 12 rows" in refusal(place)
    evaluation = place.evaluation(run="compared", reference=place.root / "run")
    finish(evaluation)
    assert (
        "12 questions were asked in other words, or with other examples, in run" in evaluation.record.warnings
    )


def test_other_choices_are_not_compared_either(place):
    finish(place.evaluation())
    place.declare(DATASET.replace('(" yes", " no")', '(" no", " yes")'))
    evaluation = place.evaluation(run="compared", reference=place.root / "run")
    evaluation.infer()
    with pytest.raises(LanguageProblem, match="other choices of 12 rows"):
        evaluation.evaluate()


def test_answers_by_another_inference_are_refused(place):
    finish(place.evaluation())
    place.declare(DATASET.replace("LogLikelihood", "Perplexity"))
    assert "answers by another inference than ppl (12 of them)" in refusal(place)


def test_predictions_that_do_not_name_their_row_are_refused(place):
    finish(place.evaluation())
    path = place.root / "run/predictions/toy/toy.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    plain = [
        {name: value for name, value in line.items() if name not in ("row", "asked", "parts")}
        for line in lines
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in plain))
    assert "do not say which row they are of" in refusal(place)


def test_equal_rows_each_keep_an_answer_of_their_own(place):
    place.write([*ROWS[:3], *ROWS[:3]])
    finish(place.evaluation())
    place.write([*ROWS[:3], *ROWS[:3], *ROWS[:1]])
    assert "no prediction of row 6" in refusal(place)
    place.write([*reversed(ROWS[:3]), *ROWS[:3]])
    assert evaluated_alone(place).score.n == 6


def test_a_file_with_a_key_twice_keeps_the_last_line_and_its_row(place):
    finish(place.evaluation())
    path = place.root / "run/predictions/toy/toy.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    other = json.loads(lines[1]) | {"key": "0", "index": 0}
    path.write_text("".join([*lines, json.dumps(other) + "\n"]))
    assert "at row 0, in the fields q, gold" in refusal(place)


# A sample of the rows


def test_a_larger_limit_asks_only_what_is_new(place):
    rows = [{"q": f"question {i}?", "gold": i % 2} for i in range(40)]
    place.write(rows)
    small = place.evaluation(limit=10)
    finish(small)
    toy = Toy()
    large = place.evaluation(toy, run="large", limit=25, reuse=place.root / "run")
    finish(large)
    assert (len(toy.asked), large.record.body.engine.reused, large.record.score.n) == (15, 10, 25)
    assert large.record.warnings == []
    assert large.record.to_json()["sample"] == {"rows": 25, "of": 40, "seed": 0, "by": None, "groups": None}
    back = Toy()
    finish(place.evaluation(back, run="small", limit=7, reuse=place.root / "large"))
    assert back.asked == []
    elsewhere = place.evaluation(Toy(), run="elsewhere", limit=10, context={"seed": 9})
    finish(elsewhere)
    keys = [
        set(PredictionStore(place.root / run / "predictions", "toy", "toy").read())
        for run in ("run", "elsewhere")
    ]
    assert keys[0] != keys[1]


def test_shards_of_a_sample_are_the_sample(place):
    place.write([{"q": f"question {i}?", "gold": i % 2} for i in range(40)])
    finish(place.evaluation(run="whole", limit=10))
    for index, span in enumerate([(0, 4), (4, 10)], 1):
        shard = {"id": f"toy-toy-{index}of2", "rows": span, "shard": index, "shards": 2}
        evaluation = place.evaluation(case=shard, limit=10)
        finish(evaluation)
    assert evaluation.record.score.n == 10
    keys = [
        set(PredictionStore(place.root / run / "predictions", "toy", "toy").read())
        for run in ("run", "whole")
    ]
    assert keys[0] == keys[1]


def test_a_stratified_sample_names_its_group(place):
    place.declare(DATASET.replace('prompt="{q}"', 'prompt="{q}", group="subject"'))
    evaluation = place.evaluation(limit=6)
    finish(evaluation)
    assert evaluation.record.to_json()["sample"] == {
        "rows": 6,
        "of": 12,
        "seed": 0,
        "by": "subject",
        "groups": 2,
    }
    stored = PredictionStore(place.root / "run/predictions", "toy", "toy").read()
    subjects = [ROWS[prediction["index"]]["subject"] for prediction in stored.values()]
    assert sorted(subjects) == list("aaabbb")


# Answers that are drawn


class Writer(Toy):
    """Writes its seed after each prompt."""

    def generate(self, prompts, max_out_len, stop, seeds, done):
        for index, prompt in enumerate(prompts):
            self.asked.append(prompt)
            done(index, f" {seeds[index]}")

    def score_continuations(self, contexts, choices, done):
        done(0, [TextScore(-1.0, 1, 1)])


DRAWN = [
    {"do_sample": True}, {"do_sample": True, "temperature": 0.6}, {"temperature": 0.6}, {"temperature": 1, "top_p": 0.9},
]  # fmt: skip


@pytest.mark.parametrize("before", DRAWN)
@pytest.mark.parametrize(
    ("after", "seed"),
    [
        ({}, 1),
        ({"temperature": 0.7}, 0),
        ({"min_p": 0.1}, 0),
        ({"top_k": 5}, 0),
        ({"repetition_penalty": 1.1}, 0),
    ],
    ids=str,
)
@pytest.mark.parametrize("served", [False, True])
def test_drawn_answers_are_not_those_of_another_seed_or_another_sampling(place, before, after, seed, served):
    text = DATASET.replace("LogLikelihood", "Generation")
    place.declare(text.replace('choices=(" yes", " no"), metrics=("accuracy",)', 'metrics=("exact_match",)'))
    where = {"backend": "server", "api_base": "http://127.0.0.1:9/v1"} if served else {}

    def asked(run, kwargs, seed, **fields):
        toy = Writer()
        model = ModelConfig("toy", "toy", generation_kwargs=kwargs, **where)
        place.evaluation(toy, run=run, models=(model,), context={"seed": seed}, **fields).infer()
        return len(toy.asked)

    assert asked("run", before, 0) == 12
    assert asked("same", before, 0, reuse=place.root / "run") == 0
    assert asked("other", {**before, **after}, seed, reuse=place.root / "run") == 12


def test_greedy_answers_do_not_depend_on_the_seed(place):
    text = DATASET.replace("LogLikelihood", "Generation")
    place.declare(text.replace('choices=(" yes", " no"), metrics=("accuracy",)', 'metrics=("exact_match",)'))
    place.evaluation(Writer()).infer()
    toy = Writer()
    place.evaluation(toy, run="other", context={"seed": 5}, reuse=place.root / "run").infer()
    assert toy.asked == []


def test_a_drawn_answer_whose_row_has_moved_is_drawn_by_its_new_seed(place):
    text = DATASET.replace("LogLikelihood", "Generation")
    place.declare(text.replace('choices=(" yes", " no"), metrics=("accuracy",)', 'metrics=("exact_match",)'))
    model = ModelConfig("toy", "toy", generation_kwargs={"do_sample": True})
    place.evaluation(Writer(), models=(model,)).infer()
    place.write([*ROWS[:6], *reversed(ROWS[6:])])
    toy = Writer()
    place.evaluation(toy, run="other", models=(model,), reuse=place.root / "run").infer()
    assert len(toy.asked) == 6
