"""The parts of a regression case: range, rows, arguments, batches, measures and the gate."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shipped_code import import_shipped

from bench.core.errors import TuningProblem
from bench.machine.torchvision_shim import ensure_torchvision
from bench.metrics.regression import with_interval
from bench.regression.dataset import ScoredText, ScoredTexts, read_jsonl, read_split, vocabularies
from bench.regression.evaluation import judge_gain
from bench.regression.measures import compute_metrics, gain_over_mean, measure, metric_names
from bench.regression.model_args import checked
from bench.regression.preparation import builder_for, problem_of, read_rows
from bench.regression.scale import ScoreRange
from bench.regression.task import RegressionTask, TrainingSettings

import_shipped()

from shipped import diabetes, regression  # noqa: E402  the folder is imported as a user's is
from shipped.regression import SyntheticRubric, diabetes_text, synthetic_rubric  # noqa: E402

SCORES = ScoreRange(1, 6)


# The range


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.lists(st.floats(0, 1), min_size=1))
def test_scores_come_back_from_the_unit_interval(low, width, values):
    scores = ScoreRange(low, low + width)
    assert scores.to_unit(scores.from_unit(values)) == pytest.approx(
        values, abs=1e-6 + abs(low) / width * 1e-9
    )


def test_a_list_is_scaled_as_numbers_and_not_repeated():
    # As lists, [0.5] * 5 is five halves, and ints would silently pass: [0, 1] * 5 + [1] has eleven entries.
    for values in ([0, 1, 0.5], (0, 1, 0.5), np.array([0, 1, 0.5], dtype=np.float32)):
        assert SCORES.from_unit(values).tolist() == [1.0, 6.0, 3.5]
        assert SCORES.from_unit(values).dtype == np.float64
    assert SCORES.from_unit([[0], [1]]).tolist() == [[1.0], [6.0]]
    assert SCORES.to_unit([1, 6]).tolist() == [0.0, 1.0]
    assert ScoreRange(*diabetes.RANGE).from_unit([0, 1]).tolist() == [25.0, 346.0]


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (0, math.inf), (math.nan, 1)])
def test_range_that_nothing_can_be_scaled_to_is_refused(low, high):
    with pytest.raises(ValueError, match="score range"):
        ScoreRange(low, high)


# Rows


class Given(ScoredTexts):
    """A dataset of the rows it is given."""

    def __init__(self, *rows, fields=()):
        self._rows, self.fields = rows, fields

    def rows(self, split):
        return self._rows


def row(key="a", text="some text", score=2.0, **fields):
    return ScoredText(key, text, score, fields)


def test_rows_without_a_usable_score_are_left_out_and_counted():
    scores = {"b": None, "c": math.nan, "d": 0.99, "e": 6.01, "f": True, "g": "4", "h": -math.inf}
    kept = (row("a", score=1), row("z", score=np.int64(6)))
    used, excluded = read_split(
        Given(*kept, *(row(key, score=s) for key, s in scores.items())), "train", SCORES
    )
    assert [(one.key, one.score, type(one.score)) for one in used] == [("a", 1.0, float), ("z", 6.0, float)]
    assert excluded.to_record().rows == 7
    assert excluded.to_record().reasons == {
        "without a score": 1,
        "with a score that is no number": 3,
        "with a score outside 1 to 6": 3,
    }
    assert "1 without a score (first: b), 3 with a score that is no number (first: c)" in excluded.sentence(
        "train"
    )


@pytest.mark.parametrize(
    ("rows", "fields", "message"),
    [
        ([row("a"), row("a")], (), "row 1 has the key 'a' of an earlier row"),
        ([row(""), row("a")], (), "row 0 has the key ''"),
        ([row(7), row("a")], (), "row 0 has the key 7"),
        ([row("a", text=7), row("b")], (), "a: the text is 7, expected a text"),
        ([row("a", house="red"), row("b")], ("house",), "b: the field 'house' is None"),
        ([{"text": "?"}], (), r"row 0 is dict, expected ScoredText"),
        ([row("a", score=None), row("b", score=None)], (), "found 0 usable rows of 2.*2 without a score"),
        ([row("a")], (), "found 1 usable rows of 1"),
        ([], (), "found 0 usable rows of 0"),
    ],
)
def test_rows_that_would_be_joined_wrongly_or_are_too_few_end_the_case(rows, fields, message):
    with pytest.raises(TuningProblem, match=f"evaluation rows: {message}") as raised:
        read_split(Given(*rows, fields=fields), "evaluation", SCORES)
    assert raised.value.reason_code == "data_failed"


def test_dataset_that_raises_is_blamed():
    with pytest.raises(TuningProblem, match=r"rows\(\) raised NotImplementedError"):
        read_split(ScoredTexts(), "train", SCORES)


def test_values_of_a_field_are_numbered_from_one():
    rows = [row("a", house="red", size="s"), row("b", house="blue", size="s")]
    assert vocabularies(rows, ("house", "size")) == {"house": {"blue": 1, "red": 2}, "size": {"s": 1}}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"key": "a"', "this is not JSON.*expected one object to a line"),
        ('{"key": "a", "text": "t"}', "found no score, expected an object with key, text, score"),
        ("[1]", "found a list, expected an object"),
    ],
)
def test_line_that_is_no_row_is_named(tmp_path, line, message):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"key": 1, "text": "t", "score": null}\n\n' + line + "\n")
    with pytest.raises(TuningProblem, match=f"rows.jsonl, line 3: {message}") as raised:
        read_jsonl(file)
    assert raised.value.reason_code == "data_failed"
    file.write_text(file.read_text().replace(line, ""))
    assert read_jsonl(file) == [ScoredText("1", "t", None)]
    with pytest.raises(TuningProblem, match="No such file"):
        read_jsonl(tmp_path / "nowhere.jsonl")


def test_line_separator_inside_of_a_text_ends_no_line(tmp_path):
    file = tmp_path / "rows.jsonl"
    text = "one\u2028two\u0085three"
    line = json.dumps({"key": "a", "text": text, "score": 1}, ensure_ascii=False)
    file.write_bytes(b"\xef\xbb\xbf" + f"{line}\r\n".encode())
    assert read_jsonl(file) == [ScoredText("a", text, 1)]


def test_control_learns_from_the_same_texts_with_each_others_scores():
    task = diabetes_text()
    plain = read_rows(task, 0).used["train"]
    control = RegressionTask(task.dataset, task.model, task.scores, shuffle_training_scores=True)
    shuffled = read_rows(control, 0).used["train"]
    assert [one.key for one in shuffled] == [one.key for one in plain]
    assert sorted(one.score for one in shuffled) == sorted(one.score for one in plain)
    assert sum(one.score == other.score for one, other in zip(shuffled, plain, strict=True)) < 10
    assert read_rows(control, 0).used["evaluation"] == read_rows(task, 0).used["evaluation"]
    assert read_rows(control, 0).hash != read_rows(task, 0).hash != read_rows(control, 1).hash


# What ships


def test_synthetic_rows_are_reproduced_and_scored_by_the_rubric(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(regression.ROWS))
    import make_scored_texts

    make_scored_texts.write(tmp_path)
    for part in ("train", "evaluation"):
        name = f"synthetic_rubric.{part}.jsonl"
        assert (tmp_path / name).read_bytes() == (regression.ROWS / name).read_bytes()
        assert all(json.loads(line)["synthetic"] for line in (tmp_path / name).read_text().splitlines())
    openings = {
        sentence.split("{")[0].split(",")[0].rstrip(".!"): kind
        for kind, sentences in make_scored_texts.SENTENCES.items()
        for sentence in sentences
    }
    for part in ("train", "evaluation"):
        for one in SyntheticRubric().rows(part):
            found = [
                next(kind for opening, kind in openings.items() if sentence.startswith(opening))
                for sentence in one.text.replace("!", ".").rstrip(".").split(". ")
            ]
            prompt = one.fields["prompt"]
            assert make_scored_texts.score(prompt, make_scored_texts.Counter(found)) == one.score, one.text


def test_no_evaluation_row_is_a_training_row():
    for task in (synthetic_rubric(), diabetes_text()):
        rows = read_rows(task, 0)
        assert rows.warnings() == []
        keys = [{one.key for one in rows.used[split]} for split in ("train", "evaluation")]
        assert not keys[0] & keys[1]
        assert [one.to_record().rows for one in rows.excluded.values()] == [0, 0]


def test_texts_that_are_in_both_splits_are_warned_of():
    rows = read_rows(diabetes_text(), 0)
    rows.used["evaluation"][0] = rows.used["train"][0]
    assert rows.warnings() == ["evaluation texts that are training texts too: 1; the figures are too good"]


def test_rubric_by_hand(monkeypatch):
    monkeypatch.syspath_prepend(str(regression.ROWS))
    from make_scored_texts import Counter, score

    kinds = Counter(position=1, reason=3, example=2, figure=1, reply=1, conclusion=1, aside=1)
    assert score("argue", kinds) == 1 + 3 + 1 + 1 + 0 + 1 - 1  # a reply to nothing earns nothing
    assert score("argue", kinds + Counter(objection=1)) == 6 + 1 + 2
    assert score("explain", kinds) == 3 + 4 + 2 + 1 - 1
    assert score("persuade", kinds + Counter(appeal=1)) == 2 + 3 + 1 + 1 + 1 + 2 - 1
    assert score("explain", Counter(aside=3)) == 0


def test_diabetes_rows_are_whole_and_their_text_says_what_was_measured():
    rows = diabetes.measured("train") + diabetes.measured("evaluation")
    assert len({key for key, _, _ in rows}) == len(rows) == 442
    targets = [target for _, _, target in rows]
    assert (min(targets), max(targets)) == diabetes.RANGE
    text = diabetes.render([59, 2, 32.1, 101, 157, 93.2, 38, 4, math.log(129), 87])
    assert text == (
        "A patient of 59 years with a body mass index of 32 and a blood pressure of 101. Blood sugar 87, triglycerides "
        "129, cholesterol 157, of which low density 93 and high density 38, ratio 4."
    )


# Arguments


@dataclass(frozen=True)
class Arguments:
    width: int = 8
    rate: float = 0.1
    wide: bool = False
    name: str = "a"
    pooling: Literal["mean", "first"] = "mean"
    limit: int | None = None
    parts: tuple[int, ...] = ()


@pytest.mark.parametrize(
    ("given_", "found"),
    [
        ({"width": "16"}, {"width": 16}),
        ({"rate": "1"}, {"rate": 1.0}),
        ({"rate": 1}, {"rate": 1.0}),
        ({"wide": "TRUE"}, {"wide": True}),
        ({"wide": "0"}, {"wide": False}),
        ({"name": "1"}, {"name": "1"}),
        ({"pooling": "first"}, {"pooling": "first"}),
        ({"limit": "none"}, {"limit": None}),
        ({"limit": "3"}, {"limit": 3}),
        ({"parts": (1, 2)}, {"parts": (1, 2)}),
    ],
)
def test_argument_gets_its_fields_type(given_, found):
    assert checked(Arguments, given_, "argument") == found
    assert [type(value) for value in checked(Arguments, given_, "argument").values()] == [
        type(value) for value in found.values()
    ]


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"widht": "16"}, "no argument is named 'widht'; nearest: width.*; there are width, rate"),
        ({"width": "1.5"}, "found '1.5', expected a whole number"),
        ({"width": 1.5}, "found 1.5, expected a whole number"),
        ({"width": True}, "found True, expected a whole number"),
        ({"rate": "fast"}, "found 'fast', expected a number"),
        ({"wide": "maybe"}, "found 'maybe', expected true or false"),
        ({"name": 3}, "found 3, expected a text"),
        ({"pooling": "max"}, "found 'max', expected one of mean, first"),
        ({"limit": "few"}, "found 'few', expected a whole number or none"),
        ({"parts": "1,2"}, "cannot be given as text"),
    ],
)
def test_argument_of_another_type_or_name_is_refused(given_, message):
    with pytest.raises(ValueError, match=message):
        checked(Arguments, given_, "argument")


def test_model_that_is_no_dataclass_is_refused():
    with pytest.raises(ValueError, match="expected a dataclass whose fields are the arguments"):
        checked(lambda: None, {}, "argument")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"expect": "lost"}, "reason code"),
        ({"label_step": 2}, "divides the range"),
        ({"label_step": -1}, "divides the range"),
    ],
)
def test_task_that_no_case_can_be_made_of_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        RegressionTask("notes", "encoder", SCORES, **changes)


@pytest.mark.parametrize(
    ("changes", "model_args", "training_args", "message"),
    [
        ({"dataset": "diabets"}, {}, {}, "no dataset of scored texts is named 'diabets'; nearest: diabetes"),
        ({"model": "encodr"}, {}, {}, "no regression model is named 'encodr'; nearest: encoder"),
        ({}, {"dropuot": "0.2"}, {}, "no argument of model encoder is named 'dropuot'; nearest: dropout"),
        ({}, {"dropout": "much"}, {}, "found 'much', expected a number"),
        ({}, {}, {"num_train_epoch": "1"}, "no training setting is named 'num_train_epoch'"),
        (
            {"model_args": {}}, {}, {},
            "found no argument of model encoder named encoder, expected one; give it in the task's model_args, or with "
            "--model-args encoder=...",
        ),
    ],
)  # fmt: skip
def test_problem_that_is_known_before_anything_is_loaded_has_one_reason_code(
    changes, model_args, training_args, message
):
    task = replace(diabetes_text(), **changes)
    assert message in problem_of(task, model_args, training_args)
    assert problem_of(diabetes_text(), {"dropout": "0.2"}, {"num_train_epochs": "1"}) is None
    if not training_args:
        use = read_rows if "dataset" in changes else builder_for
        with pytest.raises(TuningProblem) as raised:
            use(task, 0 if use is read_rows else model_args)
        assert raised.value.reason_code == "task_invalid"
        assert message in str(raised.value)


def test_settings_are_those_of_transformers():
    ensure_torchvision()
    from transformers import TrainingArguments

    arguments = TrainingArguments(output_dir="unused", **TrainingSettings(learning_rate=0.25).to_arguments())
    assert arguments.learning_rate == 0.25


# Measures


GOLD = np.array([1.0, 2, 3, 6, 5, 2, 4, 6])
NEAR = np.array([1.4, 2.2, 2.9, 5.1, 4.4, 2.6, 3.2, 5.5])


def test_metrics_are_those_of_the_library_on_the_real_range():
    found = measure(GOLD, NEAR, SCORES, 1, seed=3)
    for name in ("pearson", "spearman", "mae", "rmse"):
        assert found[name] == with_interval(name, GOLD, NEAR, 3)
    kappa = with_interval("quadratic_weighted_kappa", GOLD, NEAR, 3, label_range=(1, 6))
    assert found["qwk"].value == pytest.approx(kappa.value)
    assert found["qwk"].low == pytest.approx(kappa.low)
    assert "qwk" not in measure(GOLD, NEAR, SCORES, None, seed=3)
    assert (
        [estimate.metric for estimate in found.values()]
        == list(found)
        == list(metric_names(synthetic_rubric()))
    )
    assert list(metric_names(diabetes_text())) == list(measure(GOLD, NEAR, SCORES, None, seed=3))


def test_kappa_rounds_to_the_labels_of_a_range_that_starts_between_them():
    # Labels 0.5, 1.5, 2.5: 1.4 is the second of them and not "one".
    found = measure(np.array([0.5, 1.5, 2.5]), np.array([0.5, 1.4, 2.6]), ScoreRange(0.5, 2.5), 1, seed=0)
    assert found["qwk"].value == 1.0


def test_kappa_of_half_points_counts_half_points():
    halves = measure(GOLD / 2, NEAR / 2, ScoreRange(0.5, 3), 0.5, seed=3)["qwk"]
    assert halves.value == pytest.approx(measure(GOLD, NEAR, SCORES, 1, seed=3)["qwk"].value)


def test_constant_prediction_has_a_reason_and_no_correlation():
    found = measure(GOLD, np.full(8, 3.0), SCORES, 1, seed=0)
    for name in ("pearson", "spearman"):
        assert found[name].value is None
        assert "prediction is constant" in found[name].reason
    assert found["rmse"].value == pytest.approx(np.sqrt(np.mean((GOLD - 3) ** 2)))


def test_gain_is_the_difference_of_both_errors_resampled_together():
    gain = gain_over_mean(GOLD, NEAR, seed=0)
    rmse, of_mean = np.sqrt(np.mean((GOLD - NEAR) ** 2)), np.sqrt(np.mean((GOLD - GOLD.mean()) ** 2))
    assert gain.value == pytest.approx(of_mean - rmse)
    assert (gain.mean, gain.mean_rmse) == (pytest.approx(GOLD.mean()), pytest.approx(of_mean))
    assert gain.low < gain.value < gain.high
    assert gain == gain_over_mean(GOLD, NEAR, seed=0)
    perfect = gain_over_mean(GOLD, GOLD, seed=0)
    assert perfect.value == pytest.approx(of_mean)
    assert perfect.low > 0


def verdict_of(gold, prediction):
    found = judge_gain(gain_over_mean(gold, prediction, seed=0), with_interval("rmse", gold, prediction, 0))
    return found.verdict, found.reason_code, found.reason


def test_gate_rejects_what_is_worse_than_the_mean_and_passes_what_is_better():
    rng = np.random.default_rng(0)
    gold = 100 + rng.normal(size=200)
    for prediction in (np.full(200, 100.0), np.full(200, gold.mean()), 100 + rng.normal(size=200)):
        verdict, code, reason = verdict_of(gold, prediction)
        assert (verdict, code) == ("fail", "baseline_not_beaten")
        assert "train longer or with other settings" in reason
    assert verdict_of(gold, 100 + (gold - 100) * 0.5)[0] == "pass"


def test_gate_decides_nothing_where_the_interval_of_the_gain_contains_zero():
    rng = np.random.default_rng(0)
    gold = 100 + rng.normal(size=200)
    prediction = 100 + rng.normal(size=200) * 0.05
    gain = gain_over_mean(gold, prediction, seed=0)
    assert gain.low <= 0 <= gain.high
    verdict, code, reason = verdict_of(gold, prediction)
    assert (verdict, code) == ("inconclusive", "gain_undecided")
    assert "above zero required: the interval contains the limit; evaluate more rows" in reason


@given(st.floats(-1e6, 1e6), st.integers(0, 100))
def test_no_constant_beats_the_mean_whatever_it_is(constant, seed):
    gold = np.random.default_rng(seed).normal(50, 10, 30)
    assert gain_over_mean(gold, np.full(30, constant), seed=seed).low <= 1e-9


def test_interval_of_the_gain_covers():
    # The gain of the prediction 0.6 x over the mean where gold is x plus noise is known.
    rng = np.random.default_rng(1)
    true, covered = np.sqrt(2) - np.sqrt(0.16 + 1), 0
    for seed in range(150):
        x = rng.normal(size=60)
        gain = gain_over_mean(x + rng.normal(size=60), 0.6 * x, seed)
        covered += gain.low <= true <= gain.high
    assert 0.89 < covered / 150 <= 1


def test_metrics_for_a_trainer_of_ones_own_are_on_the_real_range():
    predicted = SimpleNamespace(predictions=SCORES.to_unit(NEAR)[:, None], label_ids=SCORES.to_unit(GOLD))
    found = compute_metrics(SCORES, 1)(predicted)
    expected = measure(GOLD, NEAR, SCORES, 1, seed=0)
    assert found == {name: pytest.approx(estimate.value) for name, estimate in expected.items()}
    constant = SimpleNamespace(predictions=np.full(8, 0.5), label_ids=SCORES.to_unit(GOLD))
    assert set(compute_metrics(SCORES)(constant)) == {"mae", "rmse"}
