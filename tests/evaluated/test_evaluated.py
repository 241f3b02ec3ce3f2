"""What a training script evaluated: written down by a callback, read back, and judged."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from comparing import run_kind
from evaluated_files import ranking_file, regression_file

from bench.core.errors import TuningProblem, UsageProblem
from bench.core.evaluation import RunContext
from bench.core.requirement import check_requirements, parse_requirement
from bench.evaluated.case import EvaluatedCase
from bench.evaluated.cases import make_cases
from bench.evaluated.evaluation import EvaluatedEvaluation
from bench.evaluated.file import read
from bench.evaluated.options import EvaluatedOptions, resolve
from bench.kinds import KINDS


def write(directory: Path, name: str, content: object) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / f"{name}.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def case_of(file: Path) -> EvaluatedCase:
    (case,) = (case for case in make_cases(EvaluatedOptions((file.parent,)), None) if case.file == file)
    return case


def judged(file: Path, *requirements: str) -> EvaluatedEvaluation:
    asked = tuple(parse_requirement(text, KINDS) for text in requirements)
    check_requirements(asked, [case_of(file)])
    evaluation = EvaluatedEvaluation(case_of(file), RunContext(file.parent, file.parent, requirements=asked))
    evaluation.outcome = evaluation.run()
    return evaluation


# The callback


@pytest.fixture
def watch(tmp_path):
    from bench.evaluated.callback import RecordCallback, Watched

    def watch(metrics, *, world_zero=True, step=5, **named):
        given = {
            "prefix": "eval",
            "kind": "regression",
            "model": "Mine",
            "dataset": "notes",
            "primary": "pearson",
        }
        callback = RecordCallback(tmp_path / "records", Watched(**{**given, **named}))
        state = SimpleNamespace(is_world_process_zero=world_zero, global_step=step, epoch=1.0)
        loader = SimpleNamespace(dataset=range(7))
        callback.on_evaluate(None, state, None, metrics=metrics, eval_dataloader=loader)
        file = tmp_path / "records/mine-notes.json"
        return json.loads(file.read_text()) if file.exists() else None

    return watch


def test_a_record_holds_the_metrics_of_its_prefix_and_only_world_zero_writes(watch, tmp_path):
    metrics = {
        "eval_pearson": 0.5,
        "eval_loss": float("nan"),
        "eval_runtime": 3.0,
        "test_pearson": 0.9,
        "epoch": 1.0,
    }
    assert watch(metrics, world_zero=False) is None
    record = watch(metrics, data_hash="abc")
    assert (record["score"]["value"], record["score"]["n"]) == (0.5, 7)
    assert record["metrics"].keys() == {"pearson", "loss"}
    assert record["metrics"]["loss"]["value"] is None
    assert "nan" in record["metrics"]["loss"]["reason"]
    assert (record["step"], record["data"]["hash"]) == (5, "abc")
    assert [file.name for file in (tmp_path / "records").iterdir()] == [
        "mine-notes.json"
    ]  # nothing half-written
    other = watch({"eval_mae": 1.0})
    assert other["score"]["value"] is None
    assert "no pearson" in other["score"]["reason"]


def test_metrics_that_are_no_numbers_are_named_and_the_plain_ones_recorded(watch, tmp_path):
    import numpy as np
    import torch

    class Odd:
        shape = property(lambda self: 1 / 0)

    record = watch(
        {
            "eval_pearson": np.float32(0.5),
            "eval_mae": torch.tensor(0.25),
            "eval_rmse": np.array(0.75),
            "eval_n": 7,
            "eval_per_class": [0.1, 0.2],
            "eval_report": {"a": {"f1": 1}},
            "eval_note": "good",
            "eval_missing": None,
            "eval_matrix": np.eye(2),
            "eval_one": np.array([0.5]),
            "eval_vector": torch.zeros(3),
            "eval_done": True,
            "eval_huge": 10**400,
            7: 1.0,
        }
    )
    assert {name: metric["value"] for name, metric in record["metrics"].items()} == {
        "pearson": 0.5, "mae": 0.25, "rmse": 0.75, "n": 7.0,
    }  # fmt: skip
    assert record["left_out"] == {
        "per_class": "a list of 2", "report": "a dictionary of 1", "note": "a text", "missing": "None",
        "matrix": "an array of shape (2, 2)", "one": "an array of shape (1,)", "vector": "an array of shape (3,)",
        "done": "a truth value", "huge": "a value of type int",
    }  # fmt: skip
    (warning, bare) = judged(tmp_path / "records/mine-notes.json", "pearson>=0.4").record.warnings
    assert "is not recorded: per_class (a list of 2), report (a dictionary of 1), note (a text)" in warning
    assert "no interval known of pearson" in bare
    assert (
        watch({"eval_pearson": Odd(), "eval_mae": 1.0}) == record
    )  # logged, and the file of before is whole


def test_a_score_that_is_no_number_has_no_value_and_says_what_it_was(watch):
    record = watch({"eval_pearson": [0.5], "eval_mae": 1.0})
    assert record["score"]["value"] is None
    assert record["score"]["reason"] == "the evaluation reported a list of 1 as pearson, which is no number"
    record = watch({"eval_pearson": None})
    assert (record["score"]["value"], record["left_out"]) == (None, {"pearson": "None"})


def test_training_goes_on_whatever_cannot_be_written(watch, tmp_path, caplog):
    (tmp_path / "records").write_text("a file where the folder would be")
    assert watch({"eval_pearson": 0.5}) is None
    assert "mine-notes is not recorded" in caplog.text
    assert "training goes on" in caplog.text


@pytest.mark.parametrize("dataset", [object(), None, iter(())])
def test_a_dataset_without_a_length_is_recorded_without_a_count(tmp_path, dataset):
    from bench.evaluated.callback import RecordCallback, Watched

    watched = Watched("eval", "regression", model="m", dataset="d", primary="mae")
    state = SimpleNamespace(is_world_process_zero=True, global_step=1, epoch=None)
    RecordCallback(tmp_path, watched).on_evaluate(
        None, state, None, metrics={"eval_mae": 1}, eval_dataloader=SimpleNamespace(dataset=dataset)
    )
    stored = read(tmp_path / "m-d.json")
    assert (stored.score.value, stored.score.n, stored.epoch) == (1.0, None, None)


def test_a_state_of_another_trainer_raises_nothing(tmp_path, caplog):
    from bench.evaluated.callback import RecordCallback, Watched

    callback = RecordCallback(tmp_path, Watched("eval", "regression", model="m", dataset="d", primary="mae"))
    callback.on_evaluate(None, SimpleNamespace(), None, metrics={"eval_mae": 1})
    callback.on_evaluate(None, SimpleNamespace(is_world_process_zero=True), None, metrics=None)
    assert "nothing is recorded of an evaluation" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_evaluations_without_a_name_of_their_own_are_refused():
    from bench.evaluated.callback import RecordCallback, Watched

    one = Watched("eval", "regression", model="m", dataset="d", primary="mae")
    with pytest.raises(ValueError, match="prefix and a name of its own"):
        RecordCallback("x", one, one)
    with pytest.raises(ValueError, match="expected one of regression, reranking"):
        Watched("eval", "other", model="m", dataset="d", primary="mae")
    with pytest.raises(ValueError, match="primary metric"):
        Watched("eval", "regression", model="m", dataset="d")


# The file


def test_an_evaluation_of_an_earlier_version_is_read_and_its_metrics_get_their_names(tmp_path):
    stored = read(write(tmp_path, "reg-notes", regression_file()))
    assert (stored.metrics["mae"].metric, stored.metrics["mae"].value) == ("mae", 2.0)
    assert stored.gain is None
    ranked = read(write(tmp_path, "slope-toy", ranking_file(0.2, 0.4)))
    assert (ranked.gain.over, ranked.gain.expected) == ("random order", 0.25)


def without(name: str) -> dict:
    content = regression_file()
    del content[name]
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "this is not JSON"),
        ('{"schema": NaN}', "this is not JSON"),
        ([], "found the schema None"),
        ({"schema": "modelgate-evaluation-9"}, "found the schema 'modelgate-evaluation-9'"),
        (without("step"), "missing required field `step`"),
        (regression_file(step="three"), r"Expected `int`, got `str` - at `\$.step`"),
        (regression_file(metrics={"mae": {"value": "low"}}), "does not fit the schema"),
        (regression_file(metrics=[1]), "does not fit the schema"),
        (regression_file(kind="other"), "found the kind 'other', none of regression, reranking"),
    ],
)
def test_a_file_that_is_no_evaluation_is_refused_with_its_name_and_is_a_case_with_a_problem(
    tmp_path, content, message
):
    file = write(tmp_path, "mine", content)
    with pytest.raises(TuningProblem, match=f"mine.json: .*{message}.*; evaluate again") as raised:
        read(file)
    assert raised.value.reason_code == "data_failed"
    assert case_of(file).problem == str(raised.value)


# Cases and options


def test_a_case_knows_its_metrics_and_names_and_two_files_of_one_name_are_two_cases(tmp_path):
    for folder in ("one", "two"):
        write(tmp_path / folder, "Reg-notes", regression_file())
    cases = make_cases(EvaluatedOptions((tmp_path / "one", tmp_path / "two")), None)
    assert [case.id for case in cases] == ["evaluated-reg-notes", "evaluated-reg-notes-again"]
    assert [case.order for case in cases] == [0, 1]
    assert cases[0].metrics == ("mae",)
    assert cases[0].names == ("evaluated-reg-notes", "Reg-notes", "notes", "reg/notes")
    record = cases[0].blank().to_json()
    assert (record["kind"], record["model"], record["dataset"], record["evaluated"]) == (
        "evaluated", "reg", "notes", None
    )  # fmt: skip


def test_a_folder_without_evaluations_is_refused(tmp_path):
    with pytest.raises(UsageProblem, match=f"--evaluated {tmp_path}: found no evaluations"):
        resolve(EvaluatedOptions((tmp_path,)), SimpleNamespace())


def test_a_requirement_of_a_metric_that_no_evaluation_has_ends_the_run(tmp_path):
    write(tmp_path / "mine", "reg-notes", regression_file())
    finished = run_kind("evaluated", tmp_path, "--evaluated", "mine", "--require", "reg-notes:mea<=3")
    assert finished.code == 4, finished.output
    assert finished.results is None
    assert "nearest: reg-notes.mae" in finished.output


# Verdicts


@pytest.mark.parametrize(
    ("requirement", "verdict", "code"),
    [
        ("mae<=3", "pass", "passed"),
        ("evaluated:mae<=3", "pass", "passed"),
        ("reg-notes:mae<=3", "pass", "passed"),
        ("notes:mae<=2", "pass", "passed"),
        ("evaluated:reg/notes.mae<=1.5", "fail", "requirement_missed"),
        ("mae>=2.5", "fail", "requirement_missed"),
    ],
)
def test_a_value_without_an_interval_is_compared_as_it_is_and_the_record_says_so(
    tmp_path, requirement, verdict, code
):
    found = judged(write(tmp_path, "reg-notes", regression_file()), requirement).record
    assert (found.verdict, found.reason_code) == (verdict, code), found.reason
    assert found.warnings == ["no interval known of mae: the bare value is compared with what is required"]
    assert found.score.required == float(requirement[-1] if requirement[-2] == "=" else requirement[-3:])
    assert (found.body.evaluated.kind, found.body.evaluated.step) == ("regression", 3)


def test_several_requirements_are_gates_of_their_own_and_the_missed_one_decides(tmp_path):
    evaluation = judged(write(tmp_path, "reg-notes", regression_file()), "reg-notes:mae<=3", "mae<=1")
    verdicts = {name: verdict.verdict for name, verdict in evaluation.outcome}
    assert verdicts == {"required reg-notes:mae<=3": "pass", "required mae<=1": "fail"}
    assert "at most 1 required" in evaluation.record.reason


@pytest.mark.parametrize(
    ("low", "high", "verdict", "code"),
    [
        (0.1, 0.5, "pass", "passed"),
        (-0.1, 0.5, "inconclusive", "gain_undecided"),
        (0.0, 0.5, "inconclusive", "gain_undecided"),
        (-0.5, -0.1, "fail", "baseline_not_beaten"),
        (None, None, "inconclusive", "gain_undecided"),
    ],
)
def test_a_known_gain_must_be_above_zero_by_its_whole_interval(tmp_path, low, high, verdict, code):
    record = judged(write(tmp_path, "slope-toy", ranking_file(low, high)), "mrr@10>=0.4").record
    assert (record.verdict, record.reason_code) == (verdict, code), record.reason
    assert record.warnings == []  # the metric has an interval
    plain = record.to_json()
    assert (plain["gain"]["expected"], plain["queries"]["total"], plain["tie_rule"]) == (
        0.25,
        40,
        "pessimistic",
    )


def test_a_ranking_that_nothing_could_improve_says_so_also_from_a_file(tmp_path):
    content = ranking_file(0.0, 0.0, value=0.0)
    content["gain"]["reason"] = (
        "every order of the candidates has the same value, so no ranker can gain anything"
    )
    record = judged(write(tmp_path, "slope-toy", content)).record
    assert record.reason_code == "gain_undecided"
    assert "no ranker can gain anything" in record.reason


def test_a_score_without_a_value_is_no_pass_where_nothing_is_required(tmp_path):
    missing = {"metric": "pearson", "value": None, "low": None, "high": None, "n": 7, "reason": "no pearson"}
    content = regression_file(score=missing)
    assert judged(write(tmp_path, "reg-notes", content)).record.verdict == "inconclusive"
    assert judged(write(tmp_path, "reg-notes", content), "mae<=3").record.verdict == "pass"
