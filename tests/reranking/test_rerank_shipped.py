"""The query sets, rankers and the cross-encoder that ship: held out, reproducible, with margin to their gate."""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path

import numpy as np
import pytest
from shipped_code import SHIPPED, import_shipped

from bench.core.errors import TuningProblem
from bench.core.evaluation import RunContext
from bench.core.registry import Registry
from bench.metrics.ranking import trec
from bench.reranking import library
from bench.reranking.case import RerankingCase
from bench.reranking.cases import make_cases
from bench.reranking.evaluation import RerankingEvaluation, RerankingResources
from bench.reranking.options import RerankingOptions

import_shipped()

from shipped.docstrings import is_held_out, read_docstrings  # noqa: E402  the folder is imported as a user's is

ZOO = SHIPPED.parent / "zoo"


def cases_of(**given) -> list[RerankingCase]:
    return make_cases(RerankingOptions(**given), None)


def evaluation_of(directory: Path, ranker: str, dataset: str, **more) -> RerankingEvaluation:
    given = RerankingResources(RerankingOptions(), ("parquet", "csv"))
    return RerankingEvaluation(
        RerankingCase("mine", ranker, dataset, **more), RunContext(directory, directory), given
    )


# Cases


def test_each_ranker_meets_the_sets_of_its_form_and_controls_are_marked():
    cases = {case.id: case for case in cases_of(min_rank_score={"digits": 0.5, "tiny_clip/shapes": 0.9})}
    assert list(cases) == [
        "tiny_clip-shapes", "tiny_reranker-stdlib_docstrings", "pixel_cosine-digits", "control-constant-digits",
        "control-shuffled-digits",
    ]  # fmt: skip
    assert [case.min_score for case in cases.values()] == [0.9, None, 0.5, None, None]
    assert [case.expect for case in cases.values()] == [None] * 3 + ["baseline_not_beaten", "gain_undecided"]
    for case in cases.values():
        assert "mrr@10" in case.metrics
        assert case.names == (case.id, case.dataset, f"{case.ranker}/{case.dataset}")


def test_names_that_are_unknown_or_fit_nothing_are_cases_with_a_problem():
    unknown, idle = cases_of(rankers=("tiny_klip", "pixel_cosine"), query_sets=("shapes",))[:2]
    assert "nearest: tiny_clip" in unknown.problem
    assert "nothing that is named fits 'pixel_cosine'" in idle.problem


@pytest.mark.parametrize(
    ("ranker", "dataset", "code"),
    [("constant", "digits", "baseline_not_beaten"), ("shuffled", "digits", "gain_undecided")],
)
def test_a_control_is_rejected_for_the_reason_that_it_is_written_for(ranker, dataset, code, tmp_path):
    evaluation = evaluation_of(tmp_path, ranker, dataset, expect=library.RANKERS[ranker].expect)
    found = evaluation.verdict()
    assert found.reason_code == code, found.reason
    assert (evaluation.record.verdict, evaluation.record.reason_code) == ("pass", "rejected_as_expected")
    low, high = evaluation.record.gain.low, evaluation.record.gain.high
    assert high < 0 if code == "baseline_not_beaten" else low < 0 < high


def test_a_name_that_is_taken_raises_with_both_places(monkeypatch):
    monkeypatch.setattr(library, "RANKERS", Registry("ranker"))

    @library.ranker("mine")
    def first(queries):
        return []

    with pytest.raises(ValueError, match=rf"{__file__}:\d+ and in {__file__}:\d+"):

        @library.ranker("mine")
        def second(queries):
            return []


@pytest.mark.parametrize(
    ("ranker", "dataset"),
    [("tiny_clip", "shapes"), ("tiny_reranker", "stdlib_docstrings"), ("pixel_cosine", "digits")],
)
def test_what_ships_passes_with_margin_and_leaves_its_files(ranker, dataset, tmp_path, one_thread):
    evaluation = evaluation_of(tmp_path, ranker, dataset)
    outcome = evaluation.run()
    record = evaluation.record.to_json()
    assert outcome.holds, outcome.reason
    assert record["gain"]["low"] >= 0.2 * record["gain"]["value"]
    assert record["tie_rule"] == "pessimistic"
    assert len(record["data"]["hash"]) == 64
    queries = library.QUERY_SETS[dataset].load()
    lengths = {len(documents) for documents in queries.documents}
    assert len(lengths) > 5  # ragged
    assert record["queries"]["candidates"] == sum(map(len, queries.documents))

    flat = trec.flatten(*(read(tmp_path / record["files"][name]) for read, name in (
        (trec.read_run, "run"), (trec.read_qrels, "qrels"),
    )))  # fmt: skip
    from bench.metrics import ranking

    again = ranking.evaluate(ranking.rank(**vars(flat))).means()["mrr@10"]
    assert again == pytest.approx(record["score"]["value"], abs=1e-12)
    from pyarrow import parquet

    table = parquet.read_table(tmp_path / record["files"]["parquet"]).to_pydict()
    assert list(table) == ["run", "case", "data", "query", "document", "score", "rank", "relevance", "tied"]
    assert len(table["rank"]) == record["queries"]["candidates"]


def test_several_are_relevant_among_the_digits_and_a_query_without_any_is_counted(tmp_path):
    evaluation = evaluation_of(tmp_path, "pixel_cosine", "digits")
    evaluation.run()
    digits = library.QUERY_SETS["digits"].load()
    relevant = [int(sum(relevances)) for relevances in digits.relevances]
    assert np.mean(relevant) > 2
    assert evaluation.record.body.queries.without_relevant == relevant.count(0)


# Docstrings


def test_docstrings_are_of_the_running_interpreter_and_held_out_from_training():
    queries = library.QUERY_SETS["stdlib_docstrings"].load()
    assert queries.facts["python"] == platform.python_version()
    asked = {query.partition(".")[0] for query in queries.ids}
    assert all(is_held_out(module) for module in asked)
    assert all(is_held_out(name.partition(".")[0]) for names in queries.documents for name in names)
    assert all(sum(relevances) == 1 for relevances in queries.relevances)
    first = [relevances.index(1.0) for relevances in queries.relevances]
    assert len(set(first)) > 3  # input order says nothing


def test_docstrings_are_read_and_not_run(tmp_path):
    body = "This says in at least eight words what the function is for."
    modules = {
        f"module_{number}": f'"""Summary of module number {number}.\n\n{body} {number}"""\nraise SystemExit'
        for number in range(40)
    }
    modules["broken"] = "def ("
    modules["site-packages/other"] = '"""A summary of four words.\n\n' + body + '"""'
    for name, text in modules.items():
        file = tmp_path / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    found = [read_docstrings(held_out=held_out, root=tmp_path) for held_out in (True, False)]
    assert sorted(one.name for part in found for one in part) == sorted(f"module_{n}" for n in range(40))
    assert all(is_held_out(one.module) for one in found[0])
    assert found[0]
    with pytest.raises(TuningProblem, match="installed with its sources"):
        read_docstrings(held_out=False, root=tmp_path / "nowhere")


# tiny-reranker


def test_a_short_training_writes_a_model_that_scores(tmp_path, one_thread, monkeypatch):
    monkeypatch.syspath_prepend(str(ZOO))
    import train_tiny_reranker

    from bench.reranking.cross_encoder import TextRanker

    bodies = [
        "the socket is closed and its buffer is given back",
        "a thread waits until the queue has room again",
    ]
    made = [
        train_tiny_reranker.Docstring(
            f"module{n % 3}.f{n}", f"Return the number {n} of it.", f"{bodies[n % 2]} {n}"
        )
        for n in range(12)
    ]
    monkeypatch.setattr(train_tiny_reranker, "read_docstrings", lambda held_out: made)
    train_tiny_reranker.train(tmp_path, steps=2, threads=1)
    facts = json.loads((tmp_path / "training.json").read_text())
    assert (facts["steps"], facts["docstrings"]) == (2, 12)
    assert facts["python"] == platform.python_version()
    scores = TextRanker(tmp_path).scores(
        ["which?", "nothing", "what?"], [["the socket", "a " * 300], [], ["a queue"]]
    )
    assert [len(one) for one in scores] == [2, 0, 1]
    assert all(np.isfinite(one).all() for one in scores)


def test_a_directory_without_a_model_is_refused(tmp_path):
    from bench.reranking.cross_encoder import TextRanker

    with pytest.raises(TuningProblem, match="found no config"):
        TextRanker(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(TuningProblem, match="could not be loaded"):
        TextRanker(tmp_path)


def test_the_shipped_model_is_small_holds_no_text_and_its_card_says_what_it_was_trained_on():
    directory = ZOO / "tiny-reranker"
    assert sum(file.stat().st_size for file in directory.iterdir()) < 3_000_000
    card = (directory / "README.md").read_text()
    assert hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest() in card
    assert "PSF License" in card
    tokens = json.loads((directory / "tokenizer.json").read_text())["model"]["vocab"]
    # A blank is written as this letter, and only in front: no token is more than a word.
    assert all("\u0120" not in token[1:] for token in tokens if len(token) > 1)
    figures = json.loads((directory / "figures.json").read_text())
    assert figures["metrics"]["mrr@10"]["value"] > 2 * figures["metrics"]["mrr@10"]["random order"]
