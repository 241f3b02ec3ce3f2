"""A combination's record: resumed, joined from shards, judged, guarded against predictions that no longer fit."""

from __future__ import annotations

import json
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from bench.core.case import LanguageCase
from bench.core.errors import LanguageProblem
from bench.core.record import blank_record, plain_problems
from bench.language.backend import TextScore
from bench.language.cases import cost, make_cases
from bench.language.config import RunConfig
from bench.language.evaluation import CombinationEvaluation, RunSettings, StoredEvaluation, shard_spans
from bench.language.library import Library
from bench.language.models.config import ModelConfig, ModelProblem
from bench.language.options import LanguageOptions
from bench.language.predictions import PredictionStore, code_version, differing
from bench.language.rows import RowReader

MODEL = ModelConfig("toy", "toy")
DATASET = """
from bench.language.spec import Dataset, LogLikelihood, Source

DATASET = Dataset(
    source=Source(hub="nobody/toy", rows="toy"), prompt="{q}", inference=LogLikelihood(),
    choices=(" yes", " no"), metrics=("accuracy",),
)
"""


class Toy:
    """Prefers `yes` for questions that end in `?`; counts what it was asked."""

    fingerprint, dtype, max_len = "toy-1", "float32", None

    def __init__(self, fail_at: str | None = None) -> None:
        self.asked: list[str] = []
        self._fail_at = fail_at

    def continuations(self, contexts, choices, done):
        for index, context in enumerate(contexts):
            if context == self._fail_at:
                raise RuntimeError("the machine was switched off")
            self.asked.append(context)
            yes = -1.0 if context.endswith("?") else -3.0
            done(index, [TextScore(yes, 1, 5), TextScore(-2.0, 1, 5)])

    def lengths(self, texts):
        return [len(text) for text in texts]

    def effort(self):
        return {}


class Place:
    """A run directory with a dataset of its own."""

    def __init__(self, root: Path, rows: int = 10, right: int = 8) -> None:
        self.root = root
        self.data, self.folder = root / "data", root / "mine"
        for folder in (self.data, self.folder):
            folder.mkdir()
        self.declare(DATASET)
        # The toy answers yes; the last rows want no.
        self.write([{"q": f"question {i}?", "gold": int(i >= right)} for i in range(rows)])

    def write(self, rows) -> None:
        (self.data / "toy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def declare(self, text: str) -> None:
        name = f"toy{len(list(self.folder.glob('*.py')))}"
        (self.folder / f"{name}.py").write_text(textwrap.dedent(text))
        self.dataset = Library([self.folder]).load(name)

    def settings(self, run: str = "run", **fields) -> RunSettings:
        return RunSettings(
            **{
                "directory": self.root / run, "scratch": self.root / run / "scratch", "seed": 0, "mode": "all",
                "rows": RowReader(str(self.data), self.data), **fields,
            }
        )  # fmt: skip

    def evaluation(
        self, backend=None, run: str = "run", case: dict | None = None, **fields
    ) -> CombinationEvaluation:
        made = LanguageCase(
            **{"id": "toy-toy", "model": "toy", "dataset": "toy", "mode": "ll", **(case or {})}
        )
        return CombinationEvaluation(
            made, MODEL, self.dataset, lambda: backend or Toy(), self.settings(run, **fields)
        )


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def finish(evaluation):
    evaluation.infer()
    return evaluation.evaluate()


def test_score_comes_with_samples_interval_and_error(place):
    evaluation = place.evaluation()
    outcome = finish(evaluation)
    assert outcome.verdict.holds
    score = evaluation.record["score"]
    assert (score["metric"], score["value"], score["n"], score["unparsed"]) == ("accuracy", 80.0, 10, 0)
    assert score["low"] < 80 < score["high"]
    assert score["stderr"] == pytest.approx(100 * (0.16 / 9) ** 0.5)
    assert not plain_problems(evaluation.record)


@pytest.mark.parametrize(
    ("required", "verdict", "code"),
    [
        (None, "pass", "passed"),
        (40, "pass", "passed"),
        (99, "fail", "score_missed"),
        (75, "inconclusive", "score_undecided"),
    ],
)
def test_required_score_is_compared_with_the_end_of_the_interval(place, required, verdict, code):
    evaluation = place.evaluation(case={"min_score": required})
    outcome = finish(evaluation)
    assert (outcome.verdict.verdict, outcome.verdict.reason_code) == (verdict, code)
    assert (evaluation.record["verdict"], evaluation.record["reason_code"]) == (verdict, code)


def test_killed_run_goes_on_at_the_question_where_it_stopped(place):
    first = place.evaluation(Toy(fail_at="question 6?"))
    with pytest.raises(RuntimeError, match="switched off"):
        first.infer()
    assert first.record["reason_code"] == "inference_failed"
    path = place.root / "run/predictions/toy/toy.jsonl"
    with open(path, "a") as file:
        file.write('{"key": "7", "ind')  # what a kill leaves of a line
    toy = Toy()
    second = place.evaluation(toy, run="second", reuse=place.root / "run")
    finish(second)
    assert toy.asked == [f"question {i}?" for i in range(6, 10)]
    assert second.record["engine"]["reused"] == 6
    assert second.record["score"]["value"] == 80.0
    assert len(PredictionStore(place.root / "second/predictions", "toy", "toy").read()) == 10


def test_a_prediction_is_on_disk_before_the_next_question_is_through(place):
    path, seen = place.root / "run/predictions/toy/toy.jsonl", []

    class Watching(Toy):
        def continuations(self, contexts, choices, done):
            def after(index, scores):
                done(index, scores)
                seen.append(len(path.read_text().splitlines()))

            super().continuations(contexts, choices, after)

    place.evaluation(Watching()).infer()
    assert seen == list(range(1, 11))


def change_data(place):
    place.write([{"q": f"question {i}?", "gold": 1} for i in range(10)])


def change_prompt(place):
    place.declare(DATASET.replace('prompt="{q}"', 'prompt="Q: {q}"'))


def change_rule(place):
    place.declare(DATASET.replace("LogLikelihood()", 'LogLikelihood(rule="char")'))


@pytest.mark.parametrize(
    ("change", "part"), [(change_data, "data"), (change_prompt, "prompt"), (change_rule, "rule")]
)
def test_predictions_that_no_longer_fit_are_not_reused_and_the_part_is_named(place, change, part):
    finish(place.evaluation())
    change(place)
    toy = Toy()
    evaluation = place.evaluation(toy, run="second", reuse=place.root / "run")
    finish(evaluation)
    assert len(toy.asked) == 10
    assert any(f"not reused: {part} differ" in warning for warning in evaluation.record["warnings"])


def test_another_model_or_dtype_or_code_is_another_fingerprint(place):
    finish(place.evaluation())
    toy = Toy()
    toy.fingerprint, toy.dtype = "toy-2", "bfloat16"
    evaluation = place.evaluation(toy, run="second", reuse=place.root / "run")
    finish(evaluation)
    assert len(toy.asked) == 10
    assert any("model, dtype differ" in warning for warning in evaluation.record["warnings"])
    wanted = evaluation.record["fingerprint"]
    assert wanted["code"] == code_version()
    assert differing(wanted | {"code": "older"}, wanted) == ["code"]


def test_metrics_and_post_processors_are_applied_to_stored_predictions(place):
    finish(place.evaluation())
    place.declare(DATASET.replace('("accuracy",)', '("acc_norm", "accuracy")'))
    toy = Toy()
    evaluation = place.evaluation(toy, run="second", reuse=place.root / "run")
    finish(evaluation)
    assert toy.asked == []
    assert list(evaluation.record["metrics"]) == ["acc_norm", "accuracy"]


def test_shards_join_into_the_score_of_the_whole_and_only_the_last_one_carries_it(place):
    whole = place.evaluation(run="whole")
    finish(whole)
    records = []
    for index, span in enumerate(shard_spans(10, 3), 1):
        shard = {"id": f"toy-toy-{index}of3", "rows": span, "shard": index, "shards": 3}
        evaluation = place.evaluation(case=shard)
        finish(evaluation)
        records.append(evaluation.record)
    assert [record["metrics"] is not None for record in records] == [False, False, True]
    assert records[-1]["metrics"] == whole.record["metrics"]
    assert sum(record["part"]["n"] for record in records) == 10


def test_reference_run_gates_by_a_paired_interval(place):
    place.write([{"q": f"question {i}?", "gold": int(i >= 32)} for i in range(40)])
    finish(place.evaluation(run="reference"))

    class Worse(Toy):
        def continuations(self, contexts, choices, done):
            for index, _ in enumerate(contexts):
                done(index, [TextScore(-3.0, 1, 5), TextScore(-2.0, 1, 5)])

    same = place.evaluation(run="same", reference=place.root / "reference", margin=1.0)
    assert finish(same).verdict.holds
    assert same.record["reference"]["difference"] == 0.0
    worse = place.evaluation(Worse(), run="worse", reference=place.root / "reference", margin=1.0)
    assert finish(worse).verdict.reason_code == "worse_than_reference"
    lenient = place.evaluation(Worse(), run="lenient", reference=place.root / "reference", margin=100.0)
    assert finish(lenient).verdict.holds


def test_evaluation_alone_loads_no_model_and_says_what_is_missing(place):
    finish(place.evaluation())

    class Absent:
        def __getattr__(self, name):
            raise AssertionError("the model was asked")

    evaluation = place.evaluation(Absent(), run="second", mode="eval", reuse=place.root / "run")
    assert finish(evaluation).verdict.holds
    path = place.root / "run/predictions/toy/toy.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    evaluation = place.evaluation(Absent(), run="third", mode="eval", reuse=place.root / "run")
    evaluation.infer()
    with pytest.raises(LanguageProblem, match="9 of 10 questions"):
        evaluation.evaluate()
    assert evaluation.record["reason_code"] == "predictions_missing"


def test_inferring_alone_passes_without_a_score(place):
    evaluation = place.evaluation(mode="infer")
    evaluation.infer()
    assert not evaluation.evaluates
    assert evaluation.record["verdict"] == "pass"
    assert evaluation.record["score"]["value"] is None


def test_a_model_that_cannot_be_loaded_is_an_error_record(place):
    def broken():
        raise ModelProblem("model toy: found nothing")

    evaluation = place.evaluation()
    evaluation._backend = broken
    with pytest.raises(LanguageProblem):
        evaluation.infer()
    assert evaluation.record["reason_code"] == "model_failed"


def test_stored_evaluation_shows_an_earlier_verdict(place):
    evaluation = place.evaluation()
    finish(evaluation)
    (place.root / "run/evaluation_results.json").write_text(json.dumps({"records": [evaluation.record]}))
    stored = StoredEvaluation(evaluation.case, place.root / "run")
    assert stored.evaluate().verdict.holds
    assert stored.record["score"] == evaluation.record["score"]
    other = LanguageCase("toy-other", "toy", "other")
    with pytest.raises(LanguageProblem, match="no record of toy-other"):
        StoredEvaluation(other, place.root / "run")


def options(place, **fields):
    return LanguageOptions(
        **{
            "models": (MODEL,), "datasets": ("toy0",), "config": RunConfig(), "dataset_dirs": (place.folder,),
            "data": str(place.data), "own_rows": place.data, "limit": None, "mode": "all", "reuse": None,
            "reference": None, "margin": 1.0, "min_scores": {}, "max_task_size": 1000, "api_concurrency": 1, **fields,
        }
    )  # fmt: skip


def test_large_datasets_are_split_by_cost_and_every_row_is_in_one_shard(place):
    library = Library([place.folder])
    assert [case.id for case in make_cases(options(place), library)] == ["toy-toy0"]
    cases = make_cases(options(place, max_task_size=7), library)  # 10 rows x 2 choices
    assert [case.id for case in cases] == ["toy-toy0-1of3", "toy-toy0-2of3", "toy-toy0-3of3"]
    assert [row for case in cases for row in range(*case.rows)] == list(range(10))
    assert sum(case.cost for case in cases) == pytest.approx(20)
    shown = make_cases(options(place, max_task_size=7, mode="viz", reuse="latest"), library)
    assert [(case.id, case.rows) for case in shown] == [("toy-toy0", (0, None))]


def test_no_shard_is_a_large_part_of_the_run_and_cases_are_the_same_for_up_to_four_workers(
    place, monkeypatch
):
    monkeypatch.setattr("bench.language.rows.RowReader.count", lambda self, source: 4_000)
    library = Library([place.folder])

    def made(**fields):
        return make_cases(
            options(place, max_task_size=None, datasets=("toy0", "gsm8k_gen"), **fields), library
        )

    serial = made()  # gsm8k_gen: 4,000 rows x 256 tokens; toy0: 4,000 rows x 2 choices
    total = sum(case.cost for case in serial)
    assert total == pytest.approx(4_000 * (256 + 2))
    assert max(case.cost for case in serial) <= 20_000
    assert made(workers=4) == serial
    assert max(case.cost for case in made(workers=32)) <= total / (4 * 32)
    short = (replace(MODEL, max_out_len=10),)
    # 40,000 and 8,000: a sixteenth is less than what is worth a shard of its own.
    assert [case.shards for case in made(models=short)] == [2] * 2 + [8] * 8
    assert [case.shards for case in made(models=short, workers=1000)] == [2] * 2 + [8] * 8


def test_cost_counts_the_examples_that_questions_do_not_share_and_the_models_own_output_length():
    rows, library = 100, Library()
    each = {name: cost(library.load(name), rows) / rows for name in library}
    assert each["piqa_ll"] == 2
    assert each["hellaswag_ll"] == 4  # choices are in the rows, which are not read: the usual number
    assert each["mmlu_ppl"] == 4 * (1 + 2)
    assert each["gsm8k_gen"] == 256
    assert each["triviaqa_gen"] == 16 + 2 * 4
    assert each["mmlu_circular_gen"] == 4 * 10
    assert cost(library.load("mmlu_circular_gen"), rows, 16) == rows * 4 * 16


def test_the_record_of_an_earlier_run_is_found_however_it_was_split(place):
    def record(index, **fields):
        case = LanguageCase(f"toy-toy0-{index}of2", "toy", "toy0", shard=index, shards=2)
        return blank_record(case) | {"verdict": "pass", "reason_code": "passed", "reason": ""} | fields

    def stored(*records):
        (place.root / "run").mkdir(exist_ok=True)
        (place.root / "run/evaluation_results.json").write_text(json.dumps({"records": records}))
        return StoredEvaluation(LanguageCase("toy-toy0", "toy", "toy0"), place.root / "run")

    scores = {"metrics": {"acc": {"value": 50.0}}}
    both = stored(record(1), record(2, **scores))
    assert both.evaluate().verdict.holds
    assert both.record["metrics"] == scores["metrics"]
    assert (both.record["id"], both.record["shard"]) == ("toy-toy0", {"index": 1, "of": 1})
    wrong = {"verdict": "error", "reason_code": "model_failed", "reason": "died"}
    one = stored(record(1, **wrong), record(2))
    assert (one.record["verdict"], one.evaluate().verdict.reason) == ("error", "died")


def test_an_unknown_dataset_is_a_case_that_says_so_and_the_others_stay(place):
    cases = make_cases(options(place, datasets=("toy0", "toy9")), Library([place.folder]))
    assert cases[0].problem is None
    assert "no dataset is named 'toy9'" in cases[1].problem
    assert "toy0" in cases[1].problem


def test_required_score_of_the_command_line_beats_the_configurations(place):
    config = RunConfig(min_scores={"toy0": 50.0})
    library = Library([place.folder])
    assert make_cases(options(place, config=config), library)[0].min_score == 50.0
    given = options(place, config=config, min_scores={"toy/toy0": 60.0, "toy0": 55.0})
    assert make_cases(given, library)[0].min_score == 60.0


def test_models_are_grouped_so_that_a_worker_is_done_with_one_before_the_next(place):
    two = options(place, models=(MODEL, ModelConfig("toy2", "toy2")), datasets=("toy0", "siqa_gen"))
    assert [(case.model, case.group) for case in make_cases(two, Library([place.folder]))] == [
        ("toy", 1), ("toy", 1), ("toy2", 2), ("toy2", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("DATASET = 3", "found int"),
        ("x = 1", "found no DATASET"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("def (", "SyntaxError"),
    ],
)
def test_a_dataset_file_that_declares_nothing_is_refused(tmp_path, text, message):
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(LanguageProblem, match=message):
        Library([tmp_path]).load("bad")


def test_a_name_that_is_taken_names_both_files(tmp_path):
    (tmp_path / "siqa_gen.py").write_text(DATASET)
    with pytest.raises(LanguageProblem, match=r"siqa_gen\.py and .*siqa_gen\.py; rename"):
        Library([tmp_path])
    with pytest.raises(LanguageProblem, match="no such folder"):
        Library([tmp_path / "absent"])


def test_rows_come_from_jsonl_parquet_and_dataset_folders_alike(tmp_path):
    import datasets

    from bench.language.spec import Source

    rows = [{"q": "a", "gold": 0}, {"q": "b", "gold": 1}]
    source = Source(hub="nobody/thing", rows="toy", split="validation")
    (tmp_path / "one").mkdir()
    (tmp_path / "one/toy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "two").mkdir()
    made = datasets.Dataset.from_list(rows)
    made.to_parquet(tmp_path / "two/toy.parquet")
    (tmp_path / "three/thing/data").mkdir(parents=True)
    made.to_parquet(tmp_path / "three/thing/data/validation-00000-of-00001.parquet")
    for name in ("one", "two", "three"):
        assert RowReader(str(tmp_path / name), tmp_path).evaluated(source) == rows
    with pytest.raises(LanguageProblem, match=r"found neither toy\.jsonl"):
        RowReader(str(tmp_path), tmp_path).evaluated(source)
    (tmp_path / "one/toy.jsonl").write_text('{"q": 1}\n{"q"\n')
    with pytest.raises(LanguageProblem, match="line 2: no JSON"):
        RowReader(str(tmp_path / "one"), tmp_path).evaluated(source)
    (tmp_path / "one/toy.jsonl").write_text("\n")
    with pytest.raises(LanguageProblem, match="found no rows"):
        RowReader(str(tmp_path / "one"), tmp_path).evaluated(source)
