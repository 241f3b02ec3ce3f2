"""Tasks whose code loads metrics and data from elsewhere run with what is installed, or say what to install."""

from __future__ import annotations

import json
import sys

import pytest
from harness_runs import TINY, HarnessBench, write_task_rows
from language_toys import ModelConfig

from bench.core.errors import LanguageProblem
from bench.language.backend import LocalBackend
from bench.language.harness import stand_ins
from bench.language.harness.index import build_index
from bench.language.harness.scoring import measure
from bench.language.harness.selection import select
from bench.language.harness.squad import SquadV2, compute_exact, compute_f1
from bench.language.harness.tasks import Prompting, TaskLoader, documents
from bench.language.models.loading import load_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
]  # of the harness and of what it imports


@pytest.mark.parametrize(
    ("gold", "found", "exact", "f1"),
    [
        ("The lamp!", "lamp", 1, 1.0),
        ("a red lamp", "the red boat", 0, 0.5),
        ("", "", 1, 1.0),
        ("lamp", "", 0, 0.0),
        ("lamp lamp", "lamp", 0, 2 / 3),
        ("the", "an", 1, 1.0),
    ],
)
def test_answers_are_compared_as_squad_does(gold, found, exact, f1):
    assert compute_exact(gold, found) == exact
    assert compute_f1(gold, found) == pytest.approx(f1)


def scored(*rows: tuple[list[str], str, float]) -> dict[str, float]:
    return SquadV2().compute(
        predictions=[
            {"id": f"{i}", "prediction_text": text, "no_answer_probability": doubt}
            for i, (_, text, doubt) in enumerate(rows)
        ],
        references=[{"id": f"{i}", "answers": {"text": golds}} for i, (golds, _, _) in enumerate(rows)],
    )


def test_questions_with_and_without_an_answer_are_scored_apart_and_together():
    found = scored(
        (["a lamp", "the lamp"], "lamp", 0.1),
        (["red boat"], "red lamp", 0.2),
        ([], "", 0.9),
        ([], "a lamp", 0.8),
    )
    assert found["exact"] == 50
    assert found["f1"] == pytest.approx(62.5)
    assert (found["HasAns_exact"], found["HasAns_f1"], found["HasAns_total"]) == (50, 75, 2)
    assert (found["NoAns_exact"], found["NoAns_f1"], found["NoAns_total"]) == (50, 50, 2)
    # Above a doubt of 0.2 a question counts as one without an answer: both of the latter are right then.
    assert (found["best_exact"], found["best_exact_thresh"]) == (75, 0.1)
    assert (found["best_f1"], found["best_f1_thresh"]) == (87.5, 0.2)


def test_questions_of_one_kind_have_no_score_of_the_other():
    assert "HasAns_exact" not in scored(([], "", 0.5))
    assert "NoAns_exact" not in scored((["lamp"], "lamp", 0.5))
    assert scored((["lamp"], "boat", 0.5))["best_exact"] == 0


def test_coqa_and_squadv2_run_and_have_their_metrics(tmp_path):
    write_task_rows(tmp_path / "rows", ["coqa", "squadv2"])
    backend = LocalBackend(load_model(ModelConfig("tiny_lm", str(TINY), dtype="float32")), 8)
    bench = HarnessBench(tmp_path, lambda config: backend)
    found = bench.run(
        "run", hf_path=str(TINY), dtype="float32", lm_eval_tasks=("coqa", "squadv2"), lm_eval_data=tmp_path / "rows",
        max_out_len=8,
    )  # fmt: skip
    assert {record.verdict for record in found.values()} == {"pass"}, [one.reason for one in found.values()]
    assert set(found["tiny_lm-coqa"].metrics) == {"em", "f1"}
    assert {"exact", "f1", "HasAns_exact", "NoAns_f1", "best_exact"} <= set(found["tiny_lm-squadv2"].metrics)


def test_right_answers_to_coqa_and_squadv2_are_right(tmp_path):
    write_task_rows(tmp_path, ["coqa", "squadv2"])
    # CoQA compares with all right answers but one at a time: here they are two that differ.
    for name, expected in (("coqa", {"em": 0.5, "f1": 0.5}), ("squadv2", {"exact": 100.0, "best_f1": 100.0})):
        made = TaskLoader(tmp_path).load(select([name], build_index([])).tasks[name])
        found = documents(made, 0, None, Prompting())
        answers = {}
        for one in found:
            gold = made.doc_to_target(one.requests[0].doc)
            text = gold[0] if isinstance(gold, list) else gold.strip().replace("unanswerable", "")
            answers[one.key] = [
                [[-5.0, False]] if request.request_type == "loglikelihood" else [text]
                for request in one.requests
            ]
        measured = {one.metric: one.combine(one.items) for one in measure(made, found, answers)}
        assert {metric: measured[metric] for metric in expected} == pytest.approx(expected)


def instructed(number: int, name: str, **options) -> dict:
    return {"key": number, "prompt": f"Do it {number}.", "instruction_id_list": [name], "kwargs": [options]}


TWO = "It rained. We left."
ROWS = [
    (instructed(0, "punctuation:no_comma"), "No sign of that sort", True),
    (instructed(1, "length_constraints:number_sentences", num_sentences=2, relation="at least"), TWO, True),
    (instructed(2, "length_constraints:number_sentences", num_sentences=3, relation="at least"), TWO, False),
    (instructed(3, "change_case:capital_word_frequency", capital_frequency=2, capital_relation="at least"), "A LAMP", True),
    (instructed(4, "keywords:existence", keywords=["lamp"]), "no such thing", False),
    (instructed(5, "detectable_format:json_format"), '{"a": 1}', True),
]  # fmt: skip


def graded(tmp_path, rows):
    place = tmp_path / "google/IFEval"
    place.mkdir(parents=True)
    (place / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row, _, _ in rows))
    made = TaskLoader(tmp_path).load(select(["ifeval"], build_index([])).tasks["ifeval"])
    found = documents(made, 0, None, Prompting())
    answers = {one.key: [[text]] for one, (_, text, _) in zip(found, rows, strict=True)}
    return {one.metric: one for one in measure(made, found, answers)}


@pytest.fixture
def without_data(monkeypatch):
    nltk = pytest.importorskip("nltk")
    monkeypatch.setattr(nltk.data, "path", [])
    monkeypatch.setattr(nltk, "download", lambda *_, **__: False)
    # What the task read before stays in its memory.
    for name in [name for name in sys.modules if name.startswith("lm_eval.tasks.ifeval")]:
        monkeypatch.delitem(sys.modules, name)
    if hasattr(nltk.tokenize, "_get_punkt_tokenizer"):
        nltk.tokenize._get_punkt_tokenizer.cache_clear()
    return nltk


def test_ifeval_runs_with_the_data_of_a_wheel(tmp_path, monkeypatch, without_data):
    data = tmp_path / "site/llama_index/core/_static/nltk_cache/tokenizers/punkt_tab/english"
    data.mkdir(parents=True)
    for name in ("abbrev_types.txt", "collocations.tab", "ortho_context.tab", "sent_starters.txt"):
        (data / name).write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    found = graded(tmp_path, ROWS)
    assert found["prompt_level_strict_acc"].items == [wanted for *_, wanted in ROWS]
    assert found["prompt_level_loose_acc"].items == [wanted for *_, wanted in ROWS]


def test_ifeval_without_data_says_what_to_install_where_it_is_used(tmp_path, monkeypatch, without_data):
    monkeypatch.setattr(stand_ins, "_IN_WHEEL", stand_ins.Path("nowhere"))
    with pytest.raises(
        LanguageProblem,
        match=r"ifeval: found no data of nltk.*nltk.downloader punkt_tab.*--no-deps llama-index-core",
    ):
        graded(tmp_path, ROWS)


def test_ifeval_without_data_runs_where_no_row_uses_it(tmp_path, monkeypatch, without_data):
    monkeypatch.setattr(stand_ins, "_IN_WHEEL", stand_ins.Path("nowhere"))
    rows = [
        one
        for one in ROWS
        if "sentences" not in one[0]["instruction_id_list"][0] and "capital" not in f"{one[0]}"
    ]
    assert graded(tmp_path, rows)["prompt_level_strict_acc"].items == [wanted for *_, wanted in rows]
