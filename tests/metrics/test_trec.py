"""TREC files are read as trec_eval reads them, and a line that cannot be is named."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics import ranking
from bench.metrics.ranking.trec import flatten, read_qrels, read_run, write_qrels, write_run
from bench.metrics.ranking.trec_read import read_qrels_file, read_run_file

RUN = {"q2": {"d9": 1.5, "d10": 1.5, "d1": 3.0}, "q1": {"d1": -0.1}, "unjudged": {"d1": 1.0}}
QRELS = {"q1": {"d1": 1, "d2": 0}, "q2": {"d10": 2, "d9": 0, "absent": 1}, "unanswered": {"d1": 3}}


@pytest.fixture
def written(tmp_path):
    """Writes a text to a file and returns its path."""

    def write(content):
        path = tmp_path / "file.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


# --- files -------------------------------------------------------------------------------------------------------


def test_a_run_is_written_best_first_with_ties_as_in_trec_eval(tmp_path):
    write_run(tmp_path / "run", RUN, tag="ours")
    assert (tmp_path / "run").read_text().splitlines() == [
        "q2 Q0 d1 1 3.0 ours",
        "q2 Q0 d9 2 1.5 ours",
        "q2 Q0 d10 3 1.5 ours",
        "q1 Q0 d1 1 -0.1 ours",
        "unjudged Q0 d1 1 1.0 ours",
    ]


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=" \t\n\r\v\f"), min_size=1)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        names,
        st.dictionaries(names, st.floats(allow_nan=False, allow_infinity=False), min_size=1),
        min_size=1,
    )
)
def test_a_run_that_is_written_is_read_the_same(tmp_path_factory, run):
    # A mark at the head of a file is no part of its first name.
    run = {f"q{query}": scores for query, scores in run.items()}
    path = tmp_path_factory.mktemp("run") / "run"
    write_run(path, run)
    assert read_run(path) == run


def test_qrels_that_are_written_are_read_the_same(tmp_path):
    qrels = QRELS | {"numpy": {"d": np.int64(2), "spam": -2}}
    write_qrels(tmp_path / "qrels", qrels)
    assert (tmp_path / "qrels").read_text().splitlines()[0] == "q1 0 d1 1"
    assert read_qrels(tmp_path / "qrels") == qrels


def test_blank_lines_tabs_and_a_byte_order_mark_are_no_content(written):
    path = written(b"\xef\xbb\xbfq1\tQ0\td1\t1\t2e-1\ttag\r\n\n  q1 Q0 d\xc2\xa02 7 .5 tag  ")
    assert read_run(path) == {"q1": {"d1": 0.2, "d\xa02": 0.5}}


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (read_run, "q1 Q0 d1 1 2.0 t\nq1 Q0 d2 2 nan t\n", r"line 2: found a score of 'nan', expected a finite"),
        (read_run, "q1 Q0 d1 1 inf t\n", r"line 1: found a score of 'inf'"),
        (read_run, "q1 Q0 d1 1 high t\n", r"line 1: found a score of 'high'"),
        (read_run, "\nq1 0 d1 1\n", r"line 2: found 4 columns, expected 6: query Q0 document rank score tag"),
        (read_run, "q Q0 d 1 2 t\nr Q0 d 1 2 t\nq Q0 d 2 1 t\n", r"line 3: .*'d' of query 'q' again, after line 1"),
        (read_run, " \n", r"found no lines, expected lines of query Q0"),
        (read_run, b"q1 Q0 d\xff 1 2.0 t\n", r"line 1: found bytes that are not UTF-8"),
        (read_qrels, "q1 0 d1 1 2.0 t\n", r"line 1: found 6 columns, expected 4: query iteration document rel"),
        (read_qrels, "q1 0 d1 0.5\n", r"line 1: found a relevance of '0.5', expected a whole number"),
        (read_qrels, "q1 0 d1 1\nq1 0 d1 0\n", r"line 2: .*again, after line 1.*drop one"),
        (read_qrels, "", r"found no lines"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_named(written, read, content, message):
    path = written(content)
    with pytest.raises(ValueError, match=message) as raised:
        read(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("write", "rows", "message"),
    [
        (write_run, {"q": {"d": np.nan}}, r"score of nan for document 'd' of query 'q'"),
        (write_run, {"a query": {"d": 1.0}}, r"query 'a query', expected a text without blanks"),
        (write_run, {"q": {"": 1.0}}, r"document of query 'q' ''"),
        (write_run, {"q": {7: 1.0}}, r"document of query 'q' 7, expected a text"),
        (write_run, {"q": {}}, r"nothing to write"),
        (write_qrels, {}, r"nothing to write"),
        (write_qrels, {"q": {"d": 0.5}}, r"relevance of 0.5 for document 'd' of query 'q', expected a whole"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(tmp_path, write, rows, message):
    path = tmp_path / "file"
    with pytest.raises(ValueError, match=message):
        write(path, rows)
    assert not path.exists()


def test_a_tag_is_one_column(tmp_path):
    with pytest.raises(ValueError, match=r"tag 'two words'"):
        write_run(tmp_path / "run", RUN, tag="two words")


# --- flat form ---------------------------------------------------------------------------------------------------


def test_a_run_and_its_judgements_become_flat_lists():
    flat = flatten(RUN, QRELS)
    assert flat.queries.tolist() == ["q1", "q2", "unanswered", "unjudged"]
    assert flat.offsets.tolist() == [0, 1, 4, 4, 5]
    assert flat.documents.tolist() == ["d1", "d9", "d10", "d1", "d1"]
    assert flat.relevances.tolist() == [1, 0, 2, 0, 0]
    assert flat.relevant_counts.tolist() == [1, 2, 1, 0]
    assert flat.missing_gains.tolist() == [1, 3]

    found = ranking.evaluate(ranking.rank(**vars(flat), ties="docid_desc"))
    assert found.queries.tolist() == ["q1", "q2", "unanswered"]
    assert found.values["mrr@5"].tolist() == [1, 1 / 3, 0]
    assert (found.without_candidates, found.without_relevant) == (1, 1)


def test_trec_eval_gives_the_same_values_for_the_same_files(tmp_path):
    pytrec_eval = pytest.importorskip("pytrec_eval", reason="needs pytrec_eval-terrier, of the extra dev")
    rng = np.random.default_rng(0)
    run = {f"q{q}": {f"d{d}": float(rng.integers(9)) for d in rng.choice(40, 30, False)} for q in range(20)}
    qrels = {
        f"q{q}": {f"d{d}": int(rng.integers(-1, 4)) for d in rng.choice(40, 9, False)} for q in range(20)
    }
    write_run(tmp_path / "run", run)
    write_qrels(tmp_path / "qrels", qrels)
    with (tmp_path / "run").open() as run_file, (tmp_path / "qrels").open() as qrels_file:
        evaluator = pytrec_eval.RelevanceEvaluator(
            pytrec_eval.parse_qrel(qrels_file), {"ndcg", "map", "recip_rank"}
        )
        peer = evaluator.evaluate(pytrec_eval.parse_run(run_file))
    flat = flatten(read_run(tmp_path / "run"), read_qrels(tmp_path / "qrels"), negative="zero")
    found = ranking.evaluate(ranking.rank(**vars(flat), ties="docid_desc"), without_relevant="zero")
    for ours, theirs in {"ndcg": "ndcg", "map": "map", "mrr": "recip_rank"}.items():
        expected = [peer[query][theirs] for query in found.queries.tolist()]
        np.testing.assert_allclose(found.values[ours], expected, rtol=0, atol=1e-9, err_msg=ours)


def test_a_negative_relevance_is_refused_unless_it_is_said_to_mean_0():
    qrels = {"q1": {"d1": 1, "spam": -2}}
    with pytest.raises(
        ValueError, match=r"relevance of -2 for document 'spam' of query 'q1'.*negative='zero'"
    ):
        flatten(RUN, qrels)
    assert flatten(RUN, qrels, negative="zero").relevant_counts.tolist() == [1, 0, 0]


def test_files_that_do_not_belong_together_are_refused():
    with pytest.raises(
        ValueError, match=r"no query of the run \('q2', 'q1', 'unjudged'\) in the qrels \('other'\)"
    ):
        flatten(RUN, {"other": {"d1": 1}})


# --- forms of files that people have -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("query-id\tcorpus-id\tscore\nt1\ta\t2\nt2\tc\t1\n", {"t1": {"a": 2}, "t2": {"c": 1}}),
        ("\ufeffquery_id\tcorpus_id\tscore\r\nt 1\ta b\t1.0\r\n", {"t 1": {"a b": 1}}),
        ("corpus-id\tscore\tquery-id\na\t2\tt1\n", {"t1": {"a": 2}}),
        ("qid docid rel\nt1 a 1\n", {"t1": {"a": 1}}),
        ("t1\ta b\t1\nt1\tc\t0\n", {"t1": {"a b": 1, "c": 0}}),
        ("t1 a 1\nt1 b -1\n", {"t1": {"a": 1, "b": -1}}),
        ("t1 0 a 1.0\nt1 0 b +2\nt1 0 c 1e1\nt1 0 d -0.0\n", {"t1": {"a": 1, "b": 2, "c": 10, "d": 0}}),
    ],
)
def test_qrels_of_beir_and_grades_with_a_point_are_read(written, content, expected):
    assert read_qrels(written(content)) == expected


def test_a_run_with_a_header_is_read_by_its_columns(written):
    assert read_run(written("query-id\tcorpus-id\tscore\nt 1\ta\t.5\n")) == {"t 1": {"a": 0.5}}


def test_files_compressed_by_gzip_are_read_whatever_their_name(written):
    text = "q1 Q0 d1 1 2.5 t\nq1 Q0 é 2 1 t\n".encode()
    path = written(gzip.compress(text))
    assert read_run(path) == {"q1": {"d1": 2.5, "é": 1.0}}
    with pytest.raises(ValueError, match=r"after line 1: found a gzip file that is damaged or cut short"):
        read_run(written(gzip.compress(text)[:-12]))


def test_a_line_that_is_there_twice_is_counted_once_and_said(written):
    run = read_run_file(written("q Q0 d 1 0.5 t\nq Q0 d 2 .50 u\nq Q0 e 3 0 t\nq Q0 d 1 0.5 t\n"))
    assert (run.values, run.repeated) == ({"q": {"d": 0.5, "e": 0.0}}, 2)
    qrels = read_qrels_file(written("q 0 d 1\nq 1 d 1.0\n"))
    assert (qrels.values, qrels.repeated) == ({"q": {"d": 1}}, 1)


def test_a_score_too_small_for_a_number_is_zero(written):
    assert read_run(written("q Q0 d 1 1e-400 t\nq Q0 e 2 -1e-400 t\n")) == {"q": {"d": 0.0, "e": 0.0}}


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (read_run, "q Q0 d 1 1e400 t\n", r"line 1: found a score of '1e400', expected a finite"),
        (read_run, "q Q0 d 1 1_000 t\n", r"found a score of '1_000'"),
        (read_run, "q Q0 d 1 0,5 t\n", r"found a score of '0,5'"),
        (read_run, "q Q0 d 1 ١ t\n", r"found a score of '١'"),
        (read_run, "q Q0 d 1 -inf t\n", r"found a score of '-inf'"),
        (read_run, "q Q0 d 1 0.5 my tag\n", r"found 7 columns, expected 6.*no blanks in TREC files"),
        (read_run, "q d 3\n", r"found 3 columns, expected 6.*needs a header.*could be a rank"),
        (read_run, "q Q0 d 1 0.5\n", r"found 5 columns, expected 6"),
        (read_run, "query,candidate,score\n", r"found 1 columns, expected 6.*a table with commas is read where"),
        (read_run, b"PK\x03\x04....", r"found a file compressed by zip, expected text"),
        (read_run, "q Q0 d 1 1 t".encode("utf-16"), r"bytes that are not UTF-8"),
        (read_qrels, "query-id\tcorpus-id\tscore\n", r"found no lines"),
        (read_qrels, "query-id\tcorpus-id\tscore\nt1\t\t1\n", r"line 2: found an empty column, expected a value"),
        (read_qrels, "query-id\tcorpus-id\tscore\nt1\ta\n", r"line 2: found 2 columns, expected 3: query document rel"),
        (read_qrels, "q 0 d nan\n", r"found a relevance of 'nan', expected a whole number"),
        (read_qrels, "q 0 d 1_0\n", r"found a relevance of '1_0'"),
        (read_qrels, "q 0 d high\n", r"found a relevance of 'high'"),
        (read_qrels, "q 0 d 1 2\n", r"found 5 columns, expected 4"),
    ],
)  # fmt: skip
def test_a_file_of_another_form_says_what_it_is(written, read, content, message):
    path = written(content)
    with pytest.raises(ValueError, match=message) as raised:
        read(path)
    assert str(path) in str(raised.value)
    assert "could not convert" not in str(raised.value)
