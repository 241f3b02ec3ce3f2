"""An answer is worth what its metric says, an unread one the worst, and users register metrics of their own."""

from __future__ import annotations

import contextlib
import gc
import math
import signal
import time

import math_verify
import numpy as np
import pytest
from answer_samples import HYPOTHESES, REFERENCES, WORDS, sacrebleu_of
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics.text import TEXT_METRICS, CorpusMetric, GroupMetric, SampleMetric, TextMetrics, formulas

ROLLING = ("word_perplexity", "byte_perplexity", "bits_per_byte")


# --- metrics of single answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prediction", "golds", "value"),
    [
        (1, [1], 1),
        (1, [0], 0),
        ("A", ["A", "B"], 1),
        ("a", ["A"], 0),
        ("72", [72], 1),
        (0, ["0"], 1),
        ("", [""], 1),
    ],
)
def test_accuracy_is_equality_with_one_of_the_right_answers(prediction, golds, value):
    assert TEXT_METRICS["accuracy"](prediction, golds) == value


@pytest.mark.parametrize(
    ("prediction", "golds", "exact", "f1"),
    [
        # By hand, by the rules of the SQuAD script.
        ("The cat!", ["a cat"], 1, 1),
        ("  cat   sat ", ["cat sat"], 1, 1),
        ("cat", ["dog", "Cat."], 1, 1),
        ("cat sat", ["cat"], 0, 2 / 3),
        ("cat cat dog", ["cat"], 0, 0.5),
        ("cat cat", ["cat cat dog"], 0, 0.8),
        ("dog", ["cat"], 0, 0),
        ("theatre", ["atre"], 0, 0),
        ("", ["the"], 1, 1),
        ("the", ["cat"], 0, 0),
        (72, ["72"], 1, 1),
    ],
)
def test_exact_match_and_f1_follow_the_squad_script(prediction, golds, exact, f1):
    assert TEXT_METRICS["exact_match"](prediction, golds) == exact
    assert TEXT_METRICS["f1"](prediction, golds) == pytest.approx(f1)


def levenshtein(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


@settings(max_examples=50)
@given(st.text("abc", max_size=8), st.lists(st.text("abc", max_size=8), min_size=1, max_size=3))
def test_edit_distance_is_that_to_the_nearest_right_answer(prediction, golds):
    expected = min(levenshtein(prediction, gold) / max(len(prediction), len(gold), 1) for gold in golds)
    assert TEXT_METRICS["edit_distance"](prediction, golds) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["rouge1", "rougeL"])
def test_rouge_is_the_librarys_best_f_measure(name):
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([name])
    for prediction, golds in zip(HYPOTHESES, REFERENCES, strict=True):
        expected = max(scorer.score(gold, prediction)[name].fmeasure for gold in golds)
        assert TEXT_METRICS[name](prediction, golds) == pytest.approx(expected)
    # By hand: "cat on mat" of "mat on cat" shares three words, in order only one.
    assert TEXT_METRICS["rouge1"]("cat on mat", ["mat on cat"]) == 1
    assert TEXT_METRICS["rougeL"]("cat on mat", ["mat on cat"]) == pytest.approx(1 / 3)


def test_rouge_refuses_a_script_that_it_cannot_see():
    with pytest.raises(ValueError, match=r"found right answers without Latin letters.*edit_distance"):
        TEXT_METRICS["rouge1"]("猫", ["猫"])


@settings(max_examples=50)
@given(WORDS, st.lists(WORDS.filter(str.strip), min_size=1, max_size=3))
def test_values_stay_in_their_range_and_a_right_answer_has_the_best(prediction, golds):
    for name in ("accuracy", "exact_match", "f1", "edit_distance", "rouge1", "rougeL"):
        metric = TEXT_METRICS[name]
        value, best = metric(prediction, golds), metric(golds[-1], golds)
        assert 0 <= value <= 1
        assert best == (1 if metric.higher_is_better else 0)
        assert metric(None, golds) == metric.worst == 1 - best


@pytest.mark.parametrize("name", list(TEXT_METRICS))
@pytest.mark.parametrize("golds", [[], "ABC", 2, None])
def test_a_sample_without_a_list_of_right_answers_is_refused(name, golds):
    with pytest.raises(ValueError, match=r"found right answers .*expected a list of at least one"):
        TEXT_METRICS[name]("A" if name not in ROLLING else -1.0, golds)


# --- metrics of a corpus -----------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=2)), min_size=1, max_size=4))
def test_bleu_equals_sacrebleu_for_any_corpus(samples):
    predictions, golds = [sample[0] for sample in samples], [sample[1] for sample in samples]
    bleu = TEXT_METRICS["bleu"]
    rows = [bleu.statistics(prediction, right) for prediction, right in samples]
    totals = np.sum(rows, axis=0)
    assert bleu.combine(totals) == pytest.approx(sacrebleu_of(predictions, golds))


def test_bleu_takes_an_unread_answer_for_an_empty_one():
    bleu = TEXT_METRICS["bleu"]
    assert bleu.statistics(None, ["a cat"]) == bleu.statistics("", ["a cat"])


@pytest.mark.parametrize("name", ROLLING)
@pytest.mark.parametrize("prediction", [None, "x", math.nan, -math.inf, 0.5])
def test_a_text_without_a_log_likelihood_is_refused(name, prediction):
    with pytest.raises(ValueError, match="found a log-likelihood of"):
        TEXT_METRICS[name](prediction, ["a text"])


@pytest.mark.parametrize("golds", [[" \n"], [""], ["a", "b"]])
def test_a_text_without_words_has_no_perplexity(golds):
    with pytest.raises(ValueError, match="expected one with a word in it"):
        TEXT_METRICS["word_perplexity"](-1.0, golds)


def test_a_perplexity_beyond_floats_is_refused_with_its_numbers():
    with pytest.raises(ValueError, match="found -5000 nats for 2 words of 6 bytes"):
        TEXT_METRICS["word_perplexity"](-5000.0, ["ok now"])


def test_questions_asked_in_rotation_need_a_key_for_each_asking():
    metric = TEXT_METRICS["circular_accuracy"]
    assert metric.grouped([1, 1, 0], ["p", "q", "p"]) == {"p": 0, "q": 1}
    with pytest.raises(ValueError, match="found 2 values and 1 keys of questions"):
        metric.grouped([1, 0], ["p"])


# --- the registry ------------------------------------------------------------------------------------------------


def test_every_metric_says_what_is_better_and_how_it_is_shown():
    kinds = {
        name: (type(metric), metric.higher_is_better, metric.percent) for name, metric in TEXT_METRICS.items()
    }
    assert kinds == {
        "accuracy": (SampleMetric, True, True),
        "circular_accuracy": (GroupMetric, True, True),
        "exact_match": (SampleMetric, True, True),
        "f1": (SampleMetric, True, True),
        "edit_distance": (SampleMetric, False, False),
        "math_equal": (SampleMetric, True, True),
        "rouge1": (SampleMetric, True, True),
        "rougeL": (SampleMetric, True, True),
        "bleu": (type(TEXT_METRICS["bleu"]), True, False),
        "perplexity": (type(TEXT_METRICS["perplexity"]), False, False),
        **{name: (type(TEXT_METRICS["bits_per_byte"]), False, False) for name in ROLLING},
    }
    assert isinstance(TEXT_METRICS["bleu"], CorpusMetric)
    assert all(metric.name == name for name, metric in TEXT_METRICS.items())


def test_a_function_of_a_users_becomes_a_metric_and_stays_a_function():
    metrics = TextMetrics("metric")

    @metrics.register("error_rate", higher_is_better=False, percent=False, worst=1.0)
    def error_rate(answer, golds):
        return float(answer not in golds)

    metric = metrics["error_rate"]
    assert metric == SampleMetric("error_rate", error_rate, False, False, 1.0, False)
    assert (metric("a", ["a"]), metric("b", ["a"]), metric(None, ["a"])) == (0, 1, 1)
    assert error_rate("a", ["a"]) == 0
    assert metrics.place("error_rate").file == __file__


def test_where_lower_is_better_the_worst_value_has_to_be_declared():
    metrics = TextMetrics("metric")
    with pytest.raises(ValueError, match=r"found metric 'wer'.*without `worst`.*such as worst=1.0"):
        metrics.register("wer", higher_is_better=False)


def test_a_metric_named_twice_is_refused_with_both_places():
    metrics = TextMetrics("metric")
    metrics.register("f1")(len)
    with pytest.raises(ValueError, match=r"in .*test_text\.py:\d+ and in .*test_text\.py:\d+"):
        metrics.register("f1")(len)


@pytest.mark.parametrize(
    ("answer", "gold", "equal"),
    [
        (r"\dfrac12", "0.5", 1), ("x^2+1", "1+x^2", 1), (r"2\sqrt{2}", r"$\sqrt{8}$", 1), (r"\{2,1\}", r"\{1,2\}", 1),
        ("x=5", "5", 1), ("(3, -2)", "(3,-2)", 1), (r"\text{Eva}", "Eva", 1), ("[0,1)", "[0,1]", 0), ("11", "10", 0),
        ("(-2,3)", "(3,-2)", 0), (r"\frac{1}{", "1", 0),
    ],
)  # fmt: skip
def test_formulas_are_equal_where_mathematics_says_so(answer, gold, equal):
    assert TEXT_METRICS["math_equal"](answer, [gold]) == equal
    assert TEXT_METRICS["math_equal"](answer, ["nothing of it", gold]) == equal


def test_comparing_formulas_leaves_a_timer_of_the_process_running():
    rang = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append(True))
    try:
        signal.setitimer(signal.ITIMER_REAL, 300)
        TEXT_METRICS["math_equal"](r"\frac{1}{2}", ["0.5"])
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 300
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def compute():
    while True:
        pass


class TestTimeOfFormulas:
    """Only what a comparison computes itself counts."""

    @pytest.fixture(autouse=True)
    def brief(self, monkeypatch):
        monkeypatch.setattr(formulas, "SECONDS", 0.05)

    @pytest.mark.parametrize(("verify", "equal"), [(lambda: time.sleep(0.2) or True, 1), (compute, 0)])
    def test_waiting_is_no_computing(self, monkeypatch, verify, equal):
        monkeypatch.setattr(math_verify, "verify", lambda *_, **__: verify())
        monkeypatch.setattr(formulas, "_parsed", lambda text: [text])
        assert TEXT_METRICS["math_equal"]("a", ["b"]) == equal
        assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)
        assert gc.isenabled()

    def test_a_library_that_catches_everything_is_ended_all_the_same(self, monkeypatch):
        def stubborn(*_, **__):
            for _ in range(2):
                with contextlib.suppress(BaseException):
                    compute()
            compute()

        monkeypatch.setattr(math_verify, "verify", stubborn)
        monkeypatch.setattr(formulas, "_parsed", lambda text: [text])
        assert TEXT_METRICS["math_equal"]("a", ["b"]) == 0
