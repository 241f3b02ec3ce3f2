"""A case's record: resumed, joined from shards, judged, guarded against predictions that no longer fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from language_toys import DATASET, MODEL, Place, Toy, keep_registered, setting

from bench.core.errors import LanguageProblem, ModelProblem
from bench.core.record import plain_problems
from bench.core.requirement import parse_requirement
from bench.language import predictions
from bench.language.backend import TextScore
from bench.language.case import LanguageCase
from bench.language.cases import cost, make_cases
from bench.language.config import RunConfig
from bench.language.earlier import EarlierEvaluation
from bench.language.library import DATASETS, load_dataset
from bench.language.models.config import ModelConfig
from bench.language.predictions import PredictionStore, code_version, differing
from bench.language.record import Usage, decode_record
from bench.language.rows import RowReader
from bench.language.shards import shard_spans


@pytest.fixture(autouse=True)
def _own_datasets(monkeypatch):
    keep_registered(monkeypatch, DATASETS)


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
    score = evaluation.record.score
    assert (score.metric, score.value, score.n, score.unparsed) == ("accuracy", 80.0, 10, 0)
    assert score.low < 80 < score.high
    assert score.stderr == pytest.approx(100 * (0.16 / 9) ** 0.5)
    assert (score.unit, score.percent) == ("%", True)
    assert not plain_problems(evaluation.record.to_json())


def test_the_record_names_the_files_that_were_written(place):
    evaluation = place.evaluation()
    finish(evaluation)
    assert evaluation.record.files == {
        "predictions": "predictions/toy/toy.jsonl",
        "results": "results/toy/toy.json",
    }
    assert all((place.root / "run" / path).is_file() for path in evaluation.record.files.values())


def test_running_a_case_asks_and_evaluates(place):
    evaluation = place.evaluation()
    assert evaluation.run().score.holds
    assert evaluation.record.score.value == 80.0
    assert list(dict(place.evaluation(run="infer", mode="infer").run())) == ["inference"]


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
    assert (evaluation.record.verdict, evaluation.record.reason_code) == (verdict, code)
    assert evaluation.record.score.required == required


def test_a_perplexity_is_required_to_be_at_most_the_limit(place):
    place.declare(
        DATASET.replace("LogLikelihood", "Rolling")
        .replace('choices=(" yes", " no"), metrics=("accuracy",)', 'gold="q", metrics=("word_perplexity",)')
        .replace('prompt="{q}"', 'prompt=""')
    )

    class Reader(Toy):
        def score_rolling(self, texts, done):
            for index, _ in enumerate(texts):
                done(index, TextScore(-2.0 - index / 100, 3, 3))

    low = finish(place.evaluation(Reader(), run="low", case={"min_score": 2.0}))
    assert low.verdict.reason_code == "score_missed"
    high = finish(place.evaluation(Reader(), run="high", case={"min_score": 4.0}))
    assert high.verdict.holds
    assert "at most 4 required" in high.reason


def test_killed_run_goes_on_at_the_question_where_it_stopped(place):
    first = place.evaluation(Toy(fail_at="question 6?"))
    with pytest.raises(RuntimeError, match="switched off"):
        first.infer()
    assert first.record.reason_code == "inference_failed"
    path = place.root / "run/predictions/toy/toy.jsonl"
    with open(path, "a") as file:
        file.write('{"key": "7", "ind')  # what a kill leaves of a line
    toy = Toy()
    second = place.evaluation(toy, run="second", reuse=place.root / "run")
    finish(second)
    assert toy.asked == [f"question {i}?" for i in range(6, 10)]
    assert second.record.body.engine.reused == 6
    assert second.record.score.value == 80.0
    assert len(PredictionStore(place.root / "second/predictions", "toy", "toy").read()) == 10


def test_a_prediction_is_on_disk_before_the_next_question_is_through(place):
    path, seen = place.root / "run/predictions/toy/toy.jsonl", []

    class Watching(Toy):
        def score_continuations(self, contexts, choices, done):
            def after(index, scores):
                done(index, scores)
                seen.append(len(path.read_text().splitlines()))

            super().score_continuations(contexts, choices, after)

    place.evaluation(Watching()).infer()
    assert seen == list(range(1, 11))


def change_data(place):
    place.write([{"q": f"question {i}?", "gold": 1} for i in range(10)])


def change_prompt(place):
    place.declare(DATASET.replace('prompt="{q}"', 'prompt="Q: {q}"'))


def change_rule(place):
    place.declare(DATASET.replace("LogLikelihood()", 'LogLikelihood(rule="char")'))


@pytest.mark.parametrize(("change", "part"), [(change_prompt, "prompt"), (change_rule, "rule")])
def test_predictions_that_no_longer_fit_are_not_reused_and_the_part_is_named(place, change, part):
    finish(place.evaluation())
    change(place)
    toy = Toy()
    evaluation = place.evaluation(toy, run="second", reuse=place.root / "run")
    finish(evaluation)
    assert len(toy.asked) == 10
    assert any(f"not reused: {part} differ" in warning for warning in evaluation.record.warnings)


def test_only_rows_that_changed_are_asked_again_and_their_fields_are_named(place):
    finish(place.evaluation())
    change_data(place)  # the last two rows already had this label
    toy = Toy()
    evaluation = place.evaluation(toy, run="second", reuse=place.root / "run")
    finish(evaluation)
    assert toy.asked == [f"question {i}?" for i in range(8)]
    (warning,) = evaluation.record.warnings
    assert "not reused: data differ (a prediction of another row at 8 rows (0, 1, 2, 3, 4, ...)" in warning
    assert "in the field gold" in warning


def test_another_model_or_dtype_or_code_is_another_fingerprint(place):
    finish(place.evaluation())
    toy = Toy()
    toy.fingerprint, toy.dtype = "toy-2", "bfloat16"
    evaluation = place.evaluation(toy, run="second", reuse=place.root / "run")
    finish(evaluation)
    assert len(toy.asked) == 10
    assert any("model, dtype differ" in warning for warning in evaluation.record.warnings)
    wanted = evaluation.record.body.fingerprint
    assert wanted["code"] == code_version()
    assert differing(wanted | {"code": "older"}, wanted) == ["code"]


@pytest.mark.parametrize(
    ("name", "decides"),
    [
        ("models/loading.py", True),  # the frame of a chat
        ("models/sources.py", True),
        ("models/catalog.py", False),
        ("engine/generating.py", True),
        ("server/client.py", True),
        ("prompting.py", True),
        ("inference.py", True),
        ("grading.py", False),
        ("report.py", False),
    ],
)
def test_predictions_are_asked_again_after_a_change_of_code_that_decides_them(tmp_path, name, decides):
    package = shutil.copytree(
        Path(predictions.__file__).parent, tmp_path / "language", ignore=shutil.ignore_patterns("__pycache__")
    )
    assert code_version(package) == code_version()
    code_version.cache_clear()
    file = package / name
    file.write_text(file.read_text() + "\n# changed\n")
    assert (code_version(package) != code_version()) == decides


def test_what_the_model_did_for_one_case_is_counted_and_what_matters_is_a_warning(place):
    class Tired(Toy):
        def usage(self):
            some = len(self.asked)
            return Usage(
                batch_size=64 >> some, halvings=1 + some, fed_tokens=100 * some, shared_prefixes=True,
                cut_prompts=2 + some,
            )  # fmt: skip

    evaluation = place.evaluation(Tired(), limit=3)
    finish(evaluation)
    engine = evaluation.record.to_json()["engine"]
    assert {key: value for key, value in engine.items() if key != "seconds"} == {
        "batch_size": 8, "halvings": 3, "fed_tokens": 300, "shared_prefixes": True, "cut_prompts": 3,
        "asked": 3, "reused": 0,
    }  # fmt: skip
    assert evaluation.record.warnings == [
        "3 texts lost their beginning: the model cannot read them in one piece",
        "memory ran out 3 times; the batch size is down to 8",
    ]
    served = place.evaluation(Toy(), run="served")
    finish(served)
    assert set(served.record.to_json()["engine"]) == {"seconds", "asked", "reused"}
    assert served.record.warnings == []


def test_metrics_and_post_processors_are_applied_to_stored_predictions(place):
    finish(place.evaluation())
    place.declare(DATASET.replace('("accuracy",)', '("acc_norm", "accuracy")'))
    toy = Toy()
    evaluation = place.evaluation(toy, run="second", reuse=place.root / "run")
    finish(evaluation)
    assert toy.asked == []
    assert list(evaluation.record.metrics) == ["acc_norm", "accuracy"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('("accuracy",)', '("acuracy",)', "no metric is named 'acuracy'; nearest: accuracy"),
        (
            'metrics=("accuracy",)',
            'postprocess=("first_opton",)',
            "no post-processor is named 'first_opton'; nearest: first_option",
        ),
    ],
)
def test_a_name_that_nobody_registered_is_refused_before_anything_is_asked(place, old, new, message):
    place.declare(DATASET.replace(old, new))
    toy = Toy()
    evaluation = place.evaluation(toy)
    with pytest.raises(LanguageProblem, match=message):
        evaluation.infer()
    assert evaluation.record.reason_code == "task_invalid"
    assert toy.asked == []


def shards_of_three():
    for index, span in enumerate(shard_spans(10, 3), 1):
        yield {"id": f"toy-toy-{index}of3", "rows": span, "shard": index, "shards": 3}


def test_shards_join_into_the_score_of_the_whole_and_only_the_last_one_carries_it(place):
    whole = place.evaluation(run="whole")
    finish(whole)
    records = []
    for shard in shards_of_three():
        evaluation = place.evaluation(case=shard)
        finish(evaluation)
        records.append(evaluation.record)
    assert [record.metrics is not None for record in records] == [False, False, True]
    assert records[-1].metrics == whole.record.metrics
    assert sum(record.body.part.n for record in records) == 10


def test_what_is_required_of_a_dataset_is_asked_of_the_shard_that_joins_it(place):
    required = parse_requirement("language:toy.accuracy>=99%", ["language"])
    outcomes = [
        finish(place.evaluation(case=shard, context={"requirements": (required,)}))
        for shard in shards_of_three()
    ]
    assert [outcome.verdict.reason_code for outcome in outcomes] == ["passed", "passed", "requirement_missed"]
    assert outcomes[-1].score.holds  # the gate that --require adds decides, and not the kind's own


def test_reference_run_gates_by_a_paired_interval(place):
    place.write([{"q": f"question {i}?", "gold": int(i >= 32)} for i in range(40)])
    finish(place.evaluation(run="reference"))

    class Worse(Toy):
        def score_continuations(self, contexts, choices, done):
            for index, _ in enumerate(contexts):
                done(index, [TextScore(-3.0, 1, 5), TextScore(-2.0, 1, 5)])

    same = place.evaluation(run="same", reference=place.root / "reference", margin=1.0)
    assert finish(same).verdict.holds
    assert same.record.body.reference.difference == 0.0
    worse = place.evaluation(Worse(), run="worse", reference=place.root / "reference", margin=1.0)
    assert finish(worse).verdict.reason_code == "worse_than_reference"
    assert worse.record.to_json()["reference"] == {
        "run": "toy in reference", "difference": pytest.approx(-60.0), "margin": 1.0, "n": 40,
        "low": worse.record.body.reference.low, "high": worse.record.body.reference.high,
    }  # fmt: skip
    assert "-60.00 [" in worse.record.reason
    lenient = place.evaluation(Worse(), run="lenient", reference=place.root / "reference", margin=100.0)
    assert finish(lenient).verdict.holds
    close = place.evaluation(Worse(), run="close", reference=place.root / "reference", margin=60.0)
    assert finish(close).reference.reason_code == "reference_undecided"


def test_one_question_cannot_be_compared(place):
    finish(place.evaluation(run="reference"))
    evaluation = place.evaluation(run="one", reference=place.root / "reference", limit=1)
    outcome = finish(evaluation)
    assert (outcome.reference.verdict, outcome.reference.reason_code) == (
        "inconclusive",
        "reference_undecided",
    )
    assert evaluation.record.body.reference is None


def test_a_reference_run_of_other_models_names_them(place):
    for name in ("one", "two"):
        (place.root / "reference/predictions" / name).mkdir(parents=True)
    evaluation = place.evaluation(reference=place.root / "reference")
    evaluation.infer()
    with pytest.raises(LanguageProblem, match="found predictions of one, two, expected those of toy"):
        evaluation.evaluate()
    assert evaluation.record.reason_code == "predictions_missing"


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
    with pytest.raises(
        LanguageProblem, match="no prediction of row 9; expected predictions of the same rows"
    ):
        evaluation.infer()
    assert evaluation.record.reason_code == "predictions_missing"


def test_inferring_alone_passes_without_a_score(place):
    evaluation = place.evaluation(mode="infer")
    evaluation.infer()
    assert not evaluation.evaluates
    assert evaluation.record.verdict == "pass"
    assert evaluation.record.score.value is None


def test_a_model_that_cannot_be_loaded_is_an_error_record(place):
    def broken(_):
        raise ModelProblem("model toy: found nothing")

    evaluation = place.evaluation(load=broken)
    with pytest.raises(LanguageProblem):
        evaluation.infer()
    assert evaluation.record.reason_code == "model_failed"


# An earlier run, shown


def earlier(place, case=None, run="run"):
    made = case or LanguageCase("toy-toy", "toy", "toy", metrics=("accuracy",))
    return EarlierEvaluation(made, place.context("shown"), place.root / run)


def test_an_earlier_verdict_is_shown(place):
    evaluation = place.evaluation()
    finish(evaluation)
    record = evaluation.record
    (place.root / "run/evaluation_results.json").write_text(json.dumps({"records": [record.to_json()]}))
    stored = earlier(place)
    assert stored.run().verdict.holds
    assert stored.record.score == record.score
    assert stored.record.duration_s == record.duration_s
    assert stored.record.files["results"] == "../run/results/toy/toy.json"
    with pytest.raises(LanguageProblem, match="no record of toy-other"):
        earlier(place, LanguageCase("toy-other", "toy", "other"))
    with pytest.raises(LanguageProblem, match="expected the results of a run"):
        earlier(place, run="nowhere")


def test_an_earlier_score_is_held_against_what_is_required_now(place):
    evaluation = place.evaluation()
    finish(evaluation)
    (place.root / "run/evaluation_results.json").write_text(
        json.dumps({"records": [evaluation.record.to_json()]})
    )
    required = parse_requirement("accuracy>=99%", ["language"])
    case = LanguageCase("toy-toy", "toy", "toy", metrics=("accuracy",))
    stored = EarlierEvaluation(case, place.context("shown", requirements=(required,)), place.root / "run")
    assert stored.evaluate().verdict.reason_code == "requirement_missed"


def test_the_record_of_an_earlier_run_is_found_however_it_was_split(place):
    def record(index, **fields):
        case = LanguageCase(f"toy-toy-{index}of2", "toy", "toy", shard=index, shards=2)
        passed = {"verdict": "pass", "reason_code": "passed", "reason": ""}
        return case.blank().to_json() | passed | fields

    def stored(*records):
        (place.root / "run").mkdir(exist_ok=True)
        (place.root / "run/evaluation_results.json").write_text(json.dumps({"records": records}))
        return earlier(place)

    both = stored(record(1), record(2, metrics={"acc": {"metric": "acc", "value": 50.0}}))
    assert both.evaluate().verdict.holds
    assert both.record.metrics["acc"].value == 50.0
    plain = both.record.to_json()
    assert (plain["id"], plain["shard"]) == ("toy-toy", {"index": 1, "of": 1})
    wrong = {"verdict": "error", "reason_code": "model_failed", "reason": "died"}
    one = stored(record(1, **wrong), record(2))
    assert (one.record.verdict, one.evaluate().verdict.reason) == ("error", "died")


def test_a_record_of_the_first_version_has_percentages_too(place):
    evaluation = place.evaluation()
    finish(evaluation)
    plain = evaluation.record.to_json()
    for score in (plain["score"], *plain["metrics"].values()):
        for key in ("unit", "confidence", "reason"):
            del score[key]
    decoded = decode_record(plain)
    assert decoded.score == evaluation.record.score
    assert decoded.metrics == evaluation.record.metrics
    assert decoded.to_json() == evaluation.record.to_json()


# Cases


def made(place, workers=1, **fields):
    return make_cases(
        place.settings(**{"max_task_size": 1000, **fields}), setting(place.root, workers=workers)
    )


def test_large_datasets_are_split_by_cost_and_every_row_is_in_one_shard(place):
    assert [case.id for case in made(place)] == ["toy-toy"]
    cases = made(place, max_task_size=7)  # 10 rows x 2 choices
    assert [case.id for case in cases] == ["toy-toy-1of3", "toy-toy-2of3", "toy-toy-3of3"]
    assert [row for case in cases for row in range(*case.rows)] == list(range(10))
    assert sum(case.cost for case in cases) == pytest.approx(20)
    shown = made(place, max_task_size=7, mode="viz", reuse=place.root)
    assert [(case.id, case.rows) for case in shown] == [("toy-toy", (0, None))]


def test_no_shard_is_a_large_part_of_the_run_and_cases_are_the_same_for_up_to_four_workers(
    place, monkeypatch
):
    monkeypatch.setattr("bench.language.rows.RowReader.count", lambda self, source: 4_000)

    def cases(**fields):
        return made(place, max_task_size=None, datasets=("toy", "gsm8k_gen"), **fields)

    serial = cases()  # gsm8k_gen: 4,000 rows x 256 tokens; toy: 4,000 rows x 2 choices
    total = sum(case.cost for case in serial)
    assert total == pytest.approx(4_000 * (256 + 2))
    assert max(case.cost for case in serial) <= 20_000
    assert cases(workers=4) == serial
    assert max(case.cost for case in cases(workers=32)) <= total / (4 * 32)
    short = (ModelConfig("toy", "toy", max_out_len=10),)
    # 40,000 and 8,000: a sixteenth is less than what is worth a shard of its own.
    assert [case.shards for case in cases(models=short)] == [2] * 2 + [8] * 8
    assert [case.shards for case in cases(models=short, workers=1000)] == [2] * 2 + [8] * 8


def test_cost_counts_the_examples_that_questions_do_not_share_and_the_models_own_output_length():
    rows = 100
    each = {name: cost(load_dataset(name), rows) / rows for name in DATASETS}
    assert each["piqa_ll"] == 2
    assert each["hellaswag_ll"] == 4  # choices are in the rows, which are not read: the usual number
    assert each["mmlu_ppl"] == 4 * (1 + 2)
    assert each["gsm8k_gen"] == 256
    assert each["triviaqa_gen"] == 16 + 2 * 4
    assert each["mmlu_circular_gen"] == 4 * 10
    assert cost(load_dataset("mmlu_circular_gen"), rows, 16) == rows * 4 * 16


def test_all_registered_datasets_are_asked_where_none_is_named(place):
    cases = made(place, datasets=(), max_task_size=None)
    assert list(dict.fromkeys(case.dataset for case in cases)) == list(DATASETS)
    assert {"siqa_gen", "toy"} <= set(DATASETS)


def test_an_unknown_dataset_is_a_case_that_says_so_and_the_others_stay(place):
    cases = made(place, datasets=("toy", "toy9"))
    assert cases[0].problem is None
    assert "no dataset is named 'toy9'; nearest: toy" in cases[1].problem


def test_required_score_of_the_command_line_beats_the_configurations(place):
    config = RunConfig(min_scores={"toy": 50.0})
    assert made(place, config=config)[0].min_score == 50.0
    assert made(place, config=config, min_scores={"toy/toy": 60.0, "toy": 55.0})[0].min_score == 60.0


def test_models_are_grouped_so_that_a_worker_is_done_with_one_before_the_next(place):
    cases = made(place, models=(MODEL, ModelConfig("toy2", "toy2")), datasets=("toy", "siqa_gen"))
    assert [(case.model, case.group) for case in cases] == [
        ("toy", 1), ("toy", 1), ("toy2", 2), ("toy2", 2),
    ]  # fmt: skip


def test_a_case_can_be_meant_by_its_dataset_and_says_what_it_measures(place):
    (case,) = made(place)
    assert case.names == ("toy-toy", "toy", "toy/toy")
    assert case.metrics == ("accuracy",)
    assert made(place, mode="infer")[0].metrics == ()  # nothing is measured, so nothing can be required


# Rows


def test_rows_come_from_jsonl_parquet_and_dataset_folders_alike(tmp_path):
    import datasets

    from bench.language.spec import Source

    rows = [{"q": "a", "gold": 0}, {"q": "b\u2028\u0085", "gold": 1}]
    source = Source(hub="nobody/thing", rows="toy", split="validation")
    (tmp_path / "one").mkdir()
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "one/toy.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "two").mkdir()
    made = datasets.Dataset.from_list(rows)
    made.to_parquet(tmp_path / "two/toy.parquet")
    (tmp_path / "three/thing/data").mkdir(parents=True)
    made.to_parquet(tmp_path / "three/thing/data/validation-00000-of-00001.parquet")
    for name in ("one", "two", "three"):
        assert RowReader(str(tmp_path / name), tmp_path).evaluated(source) == rows
    assert RowReader(str(tmp_path / "one")).count(source) == 2
    with pytest.raises(LanguageProblem, match=r"found neither toy\.jsonl"):
        RowReader(str(tmp_path), tmp_path).evaluated(source)
    (tmp_path / "one/toy.jsonl").write_text('{"q": 1}\n{"q"\n')
    with pytest.raises(LanguageProblem, match="line 2: this is not JSON"):
        RowReader(str(tmp_path / "one"), tmp_path).evaluated(source)
    (tmp_path / "one/toy.jsonl").write_text("\n")
    with pytest.raises(LanguageProblem, match="found no rows"):
        RowReader(str(tmp_path / "one"), tmp_path).evaluated(source)


def test_own_rows_without_a_folder_say_which_ini_value_names_it():
    from bench.language.spec import Source

    with pytest.raises(LanguageProblem, match="modelgate_rows"):
        RowReader("own").evaluated(Source(hub="nobody/thing", rows="toy"))
