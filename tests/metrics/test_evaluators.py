"""A score says what the answers are worth, how many could not be read, and how sure that is."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from bench.core.registry import Registry
from bench.language.scores import evaluate, mcnemar_p, not_worse, summarise, wilson_interval
from bench.metrics.text import METRICS, CorpusMetric, GroupMetric, SampleMetric

WORDS = st.lists(
    st.sampled_from(["the", "a", "cat", "sat", "on", "mat", "Cat", "mat,", "dog!", "x"]), max_size=12
).map(" ".join)
HYPOTHESES = [
    "the cat is on the mat",
    "there is a cat on a mat today",
    "completely different words here now",
    "",
    "the quick brown fox jumps over the lazy dog",
]
REFERENCES = [
    ["the cat sat on the mat", "a cat was on the mat"],
    ["there is a cat on the mat today"],
    ["nothing in common with that one"],
    ["something was expected here"],
    ["the quick brown fox jumped over the lazy dog", "a fast brown fox jumps over the lazy dog"],
]


def values_of(name, predictions, golds):
    return evaluate(name, predictions, golds)[0]


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
    assert METRICS["accuracy"](prediction, golds) == value


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
    assert METRICS["exact_match"](prediction, golds) == exact
    assert METRICS["f1"](prediction, golds) == pytest.approx(f1)


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
    assert METRICS["edit_distance"](prediction, golds) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["rouge1", "rougeL"])
def test_rouge_is_the_librarys_best_f_measure(name):
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([name])
    for prediction, golds in zip(HYPOTHESES, REFERENCES, strict=True):
        expected = max(scorer.score(gold, prediction)[name].fmeasure for gold in golds)
        assert METRICS[name](prediction, golds) == pytest.approx(expected)
    # By hand: "cat on mat" of "mat on cat" shares three words, in order only one.
    assert METRICS["rouge1"]("cat on mat", ["mat on cat"]) == 1
    assert METRICS["rougeL"]("cat on mat", ["mat on cat"]) == pytest.approx(1 / 3)


def test_rouge_refuses_a_script_that_it_cannot_see():
    with pytest.raises(ValueError, match=r"found right answers without Latin letters.*edit_distance"):
        METRICS["rouge1"]("猫", ["猫"])


@settings(max_examples=50)
@given(WORDS, st.lists(WORDS.filter(str.strip), min_size=1, max_size=3))
def test_values_stay_in_their_range_and_a_right_answer_has_the_best(prediction, golds):
    for name in ("accuracy", "exact_match", "f1", "edit_distance", "rouge1", "rougeL"):
        metric = METRICS[name]
        value, best = metric(prediction, golds), metric(golds[-1], golds)
        assert 0 <= value <= 1
        assert best == (1 if metric.higher_is_better else 0)
        assert metric(None, golds) == metric.worst == 1 - best


@pytest.mark.parametrize("name", list(METRICS))
@pytest.mark.parametrize("golds", [[], "ABC", 2, None])
def test_a_sample_without_a_list_of_right_answers_is_refused(name, golds):
    with pytest.raises(ValueError, match=r"found right answers .*expected a list of at least one"):
        METRICS[name]("A" if name not in ROLLING else -1.0, golds)


def test_a_metric_named_twice_is_refused_with_both_places():
    registry = Registry("metric")
    registry.register("f1")(METRICS["f1"])
    with pytest.raises(ValueError, match=r"in .*text\.py:\d+ and in .*text\.py:\d+"):
        registry.register("f1")(METRICS["rouge1"])


# --- the score of a dataset --------------------------------------------------------------------------------------


def test_an_unread_answer_counts_as_wrong_and_is_reported():
    values, score = evaluate("accuracy", ["A", None, "B", None], [["A"], ["B"], ["A"], ["A"]])
    assert values == [1, 0, 0, 0]
    assert (score.value, score.n, score.unparsed) == (0.25, 4, 2)
    assert values_of("edit_distance", [None, "a"], [["a"], ["a"]]) == [1, 0]


def test_score_of_a_mean_has_the_standard_error_of_the_sample():
    values = [0.0, 0.5, 1.0, 0.25, 0.75, 0.75]
    score = summarise("f1", values)
    assert score.value == pytest.approx(statistics.mean(values))
    assert score.stderr == pytest.approx(statistics.stdev(values) / math.sqrt(6))
    assert score.low < score.value < score.high
    assert score.confidence == 0.95


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 20), (20, 20), (7, 20), (812, 1000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_interval_of_a_share_is_wilsons(successes, n, confidence):
    expected = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    assert wilson_interval(successes, n, confidence=confidence) == pytest.approx(
        (expected.low, expected.high)
    )
    score = summarise("accuracy", [1] * successes + [0] * (n - successes), confidence=confidence)
    assert (score.low, score.high) == pytest.approx((expected.low, expected.high))


def test_one_sample_leaves_the_standard_error_open():
    share = summarise("accuracy", [1])
    assert (share.stderr, share.low, share.high) == (None, pytest.approx(0.2065, abs=1e-4), 1)
    for name, values in (("f1", [0.5]), ("bleu", [METRICS["bleu"].statistics("a cat", ["a cat"])])):
        score = summarise(name, values)
        assert (score.stderr, score.low, score.high) == (None, None, None)


def test_same_seed_same_interval_and_another_seed_barely_another():
    values = np.random.default_rng(0).beta(0.5, 0.5, 200)
    first, again, other = (summarise("f1", values, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.low != other.low
    assert abs(first.low - other.low) < 0.05 * (first.high - first.low)


def test_interval_of_ten_skewed_values_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    truth = 0.25  # the mean of Beta(0.5, 1.5): many answers worth nothing, a few worth all
    scores = [summarise("f1", rng.beta(0.5, 1.5, 10), seed=i, resamples=600) for i in range(400)]
    covered = np.mean([score.low <= truth <= score.high for score in scores])
    assert 0.91 <= covered <= 0.98  # 0.93; plain percentiles cover in 0.88
    assert all(score.low >= 0 and score.high <= 1 for score in scores)


@pytest.mark.parametrize(
    ("name", "values", "arguments", "message"),
    [
        ("accuracy", [], {}, "found no values of accuracy, expected at least one"),
        ("bleu", [], {}, "found no values of bleu, expected at least one"),
        ("accuracy", [0.5, 1], {}, "found values of accuracy other than 0 and 1"),
        ("f1", [0.5, math.nan], {}, r"found values\[1\] = nan of f1, expected a finite number"),
        ("f1", [[0.5]], {}, r"shape \(1, 1\), expected 1 dimension"),
        ("bleu", [0.5], {}, r"shape \(1,\), expected 2 dimension"),
        ("f1", [0.5], {"unparsed": 2}, "found 2 unparsed answers of 1"),
        ("f1", [0.5], {"confidence": 95}, "found a confidence of 95"),
    ],
)
def test_values_that_have_no_score_are_refused(name, values, arguments, message):
    with pytest.raises(ValueError, match=message):
        summarise(name, values, **arguments)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_a_share_of_nothing_is_refused(successes, n):
    with pytest.raises(ValueError, match=r"found .* successes of"):
        wilson_interval(successes, n)


def test_answers_without_their_right_ones_are_refused():
    with pytest.raises(ValueError, match="found 2 predictions and 1 lists of right answers"):
        evaluate("accuracy", ["A", "B"], [["A"]])
    with pytest.raises(ValueError, match="found no values"):
        evaluate("accuracy", [], [])
    with pytest.raises(KeyError, match="nearest: accuracy"):
        evaluate("acuracy", ["A"], [["A"]])


# --- questions asked in rotation ---------------------------------------------------------------------------------


def test_a_question_is_right_only_if_all_of_its_rotations_are():
    # In the order of the rotations, not of the questions: groups need not be neighbours.
    predictions = ["A", "A", "B", None, "C", "B"]
    golds = [["A"], ["A"], ["B"], ["B"], ["C"], ["C"]]
    values, score = evaluate("circular_accuracy", predictions, golds, groups=["p", "q", "p", "q", "p", "r"])
    assert values == [1, 0, 0]
    assert (score.value, score.n, score.unparsed) == (pytest.approx(1 / 3), 3, 1)


def test_rotations_need_to_say_which_question_they_ask_and_nothing_else_may():
    with pytest.raises(ValueError, match="found no groups"):
        evaluate("circular_accuracy", ["A"], [["A"]])
    with pytest.raises(ValueError, match="no independent samples; name circular_accuracy"):
        evaluate("accuracy", ["A"], [["A"]], groups=["p"])
    with pytest.raises(ValueError, match="found 2 values and 1 keys of questions"):
        METRICS["circular_accuracy"].grouped([1, 0], ["p"])


# --- metrics of a corpus -----------------------------------------------------------------------------------------

ROLLING = ("word_perplexity", "byte_perplexity", "bits_per_byte")


def sacrebleu_of(predictions, golds):
    import sacrebleu

    # The library takes one list per reference, padded with None where a sample has fewer.
    most = max(len(each) for each in golds)
    streams = [[each[i] if i < len(each) else None for each in golds] for i in range(most)]
    return sacrebleu.corpus_bleu(predictions, streams).score


def test_bleu_is_sacrebleus_corpus_score():
    _, score = evaluate("bleu", HYPOTHESES, REFERENCES)
    assert score.value == pytest.approx(sacrebleu_of(HYPOTHESES, REFERENCES))
    assert 0 <= score.low < score.value < score.high
    assert score.stderr > 0


@settings(max_examples=30)
@given(st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=2)), min_size=1, max_size=4))
def test_bleu_equals_sacrebleu_for_any_corpus(samples):
    predictions, golds = [sample[0] for sample in samples], [sample[1] for sample in samples]
    bleu = METRICS["bleu"]
    rows = [bleu.statistics(prediction, right) for prediction, right in samples]
    totals = np.sum(rows, axis=0)
    assert bleu.combine(totals) == pytest.approx(sacrebleu_of(predictions, golds))


def test_bleu_takes_an_unread_answer_for_an_empty_one():
    bleu = METRICS["bleu"]
    assert bleu.statistics(None, ["a cat"]) == bleu.statistics("", ["a cat"])
    _, score = evaluate("bleu", ["the cat sat on a mat", None], [["the cat sat on a mat"]] * 2)
    assert score.unparsed == 1
    assert score.value == pytest.approx(
        sacrebleu_of(["the cat sat on a mat", ""], [["the cat sat on a mat"]] * 2)
    )


def test_perplexities_are_those_of_all_texts_together():
    nats, texts = [-12.0, -3.5], ["the naïve cat", "ok now"]
    words, size = 5, 14 + 6  # ï has two bytes
    expected = {
        "word_perplexity": math.exp(15.5 / words),
        "byte_perplexity": math.exp(15.5 / size),
        "bits_per_byte": 15.5 / size / math.log(2),
    }
    for name, value in expected.items():
        values, score = evaluate(name, nats, [[text] for text in texts])
        assert values == [[-12.0, 3, 14], [-3.5, 2, 6]]
        assert score.value == pytest.approx(value)
        assert score.low <= score.value <= score.high
        assert not METRICS[name].higher_is_better


@pytest.mark.parametrize("name", ROLLING)
@pytest.mark.parametrize("prediction", [None, "x", math.nan, -math.inf, 0.5])
def test_a_text_without_a_log_likelihood_is_refused(name, prediction):
    with pytest.raises(ValueError, match="found a log-likelihood of"):
        METRICS[name](prediction, ["a text"])


@pytest.mark.parametrize("golds", [[" \n"], [""], ["a", "b"]])
def test_a_text_without_words_has_no_perplexity(golds):
    with pytest.raises(ValueError, match="expected one with a word in it"):
        METRICS["word_perplexity"](-1.0, golds)


def test_a_perplexity_beyond_floats_is_refused_with_its_numbers():
    with pytest.raises(ValueError, match="found -5000 nats for 2 words of 6 bytes"):
        METRICS["word_perplexity"](-5000.0, ["ok now"])


# --- another run on the same samples -----------------------------------------------------------------------------


def runs(rng, n, p_lost, p_gained):
    """Correctness of two runs that differ on a few samples."""
    reference = (rng.random(n) < 0.6).astype(float)
    draw = rng.random(n)
    run = np.where(draw < p_lost, 0, np.where(draw > 1 - p_gained, 1, reference))
    return run, reference


def test_a_run_much_worse_than_the_margin_fails_and_an_equal_one_passes():
    rng = np.random.default_rng(0)
    run, reference = runs(rng, 400, p_lost=0.2, p_gained=0)
    worse = not_worse("accuracy", run, reference, 0.02)
    assert worse.verdict == "fail"
    assert worse.difference == pytest.approx(run.mean() - reference.mean())
    assert worse.low < worse.difference < worse.high < -0.02
    same = not_worse("accuracy", reference, reference, 0)
    assert (same.difference, same.low, same.high, same.verdict) == (0, 0, 0, "pass")
    assert not_worse("accuracy", reference, run, 0.02).verdict == "pass"


def test_a_difference_about_as_large_as_the_margin_is_inconclusive():
    rng = np.random.default_rng(1)
    run, reference = runs(rng, 60, p_lost=0.08, p_gained=0.02)
    assert not_worse("accuracy", run, reference, 0.04).verdict == "inconclusive"


def test_pairing_decides_what_two_separate_intervals_leave_open():
    rng = np.random.default_rng(2)
    run, reference = runs(rng, 300, p_lost=0.01, p_gained=0.01)
    alone = summarise("accuracy", run)
    assert alone.high - alone.low > 0.1
    assert not_worse("accuracy", run, reference, 0.03).verdict == "pass"


def test_a_run_worse_by_the_margin_passes_no_more_often_than_promised():
    rng = np.random.default_rng(3)
    passed = [
        not_worse("f1", values - 0.05 + rng.normal(0, 0.1, 40), values, 0.05, seed=i, resamples=500).verdict
        == "pass"
        for i, values in enumerate(rng.random((300, 40)))
    ]
    assert np.mean(passed) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)


def test_lower_being_better_turns_the_difference_round():
    better = not_worse("edit_distance", [0.1, 0.2, 0.1], [0.3, 0.4, 0.2], 0)
    assert better.difference == pytest.approx(1 / 6)
    assert better.verdict == "pass"
    texts = [["a text of words"], ["and one more"], ["last"]]
    rows, worse_rows = (values_of("word_perplexity", nats, texts) for nats in ([-5, -4, -2], [-9, -8, -4]))
    assert not_worse("word_perplexity", worse_rows, rows, 0.5).verdict == "fail"
    assert not_worse("word_perplexity", rows, worse_rows, 0.5).verdict == "pass"


def test_corpus_scores_are_compared_by_their_totals():
    bleu = METRICS["bleu"]
    right = [bleu.statistics(gold[0], gold) for gold in REFERENCES]
    wrong = [bleu.statistics(text, gold) for text, gold in zip(HYPOTHESES, REFERENCES, strict=True)]
    compared = not_worse("bleu", wrong, right, 1.0, resamples=500)
    assert compared.difference == pytest.approx(sacrebleu_of(HYPOTHESES, REFERENCES) - 100)
    assert compared.verdict == "fail"


@pytest.mark.parametrize(
    ("values", "reference", "margin", "message"),
    [
        ([1, 0], [1], 0.1, "found 2 values and 1 reference values"),
        ([1], [1], 0.1, "found 1 sample, expected at least two"),
        ([], [], 0.1, "found no values"),
        ([1, 0], [1, math.inf], 0.1, r"found reference values\[1\] = inf"),
        ([1, 0], [1, 0], -0.1, "found a margin of -0.1"),
        ([1, 0], [1, 0], math.nan, "found a margin of nan"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(values, reference, margin, message):
    with pytest.raises(ValueError, match=message):
        not_worse("f1", values, reference, margin)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=60))
def test_mcnemar_is_the_exact_binomial_test_of_the_samples_that_differ(pairs):
    gained, lost = pairs.count((1, 0)), pairs.count((0, 1))
    expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert mcnemar_p([left for left, _ in pairs], [right for _, right in pairs]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("correct", "reference", "message"),
    [([], [], "found no values"), ([1], [1, 0], "found 1 values and 2"), ([0.5], [1], "other than 0 and 1")],
)
def test_mcnemar_refuses_what_is_not_right_or_wrong(correct, reference, message):
    with pytest.raises(ValueError, match=message):
        mcnemar_p(correct, reference)


# --- the registry ------------------------------------------------------------------------------------------------


def test_every_metric_says_what_is_better_and_how_it_is_shown():
    kinds = {
        name: (type(metric), metric.higher_is_better, metric.percent) for name, metric in METRICS.items()
    }
    assert kinds == {
        "accuracy": (SampleMetric, True, True),
        "circular_accuracy": (GroupMetric, True, True),
        "exact_match": (SampleMetric, True, True),
        "f1": (SampleMetric, True, True),
        "edit_distance": (SampleMetric, False, False),
        "rouge1": (SampleMetric, True, True),
        "rougeL": (SampleMetric, True, True),
        "bleu": (type(METRICS["bleu"]), True, False),
        **{name: (type(METRICS["bits_per_byte"]), False, False) for name in ROLLING},
    }
    assert isinstance(METRICS["bleu"], CorpusMetric)
    assert all(metric.name == name for name, metric in METRICS.items())
