"""A score says what the answers are worth, how many could not be read, and how sure that is."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from answer_samples import HYPOTHESES, REFERENCES, sacrebleu_of
from scipy.stats import binomtest

from bench.core.gate import Limit, gate
from bench.language.scores import difference, evaluate, summarise
from bench.metrics.text import TEXT_METRICS


def values_of(name, predictions, golds):
    return evaluate(name, predictions, golds)[0]


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


def test_one_sample_leaves_the_standard_error_open():
    share = summarise("accuracy", [1])
    assert (share.stderr, share.low, share.high) == (None, pytest.approx(0.2065, abs=1e-4), 1)
    for name, values in (("f1", [0.5]), ("bleu", [TEXT_METRICS["bleu"].statistics("a cat", ["a cat"])])):
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


def test_answers_without_their_right_ones_are_refused():
    with pytest.raises(ValueError, match="found 2 answers and 1 lists of right answers"):
        evaluate("accuracy", ["A", "B"], [["A"]])
    with pytest.raises(ValueError, match="found no values"):
        evaluate("accuracy", [], [])
    with pytest.raises(KeyError, match="nearest: accuracy"):
        evaluate("acuracy", ["A"], [["A"]])


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 20), (20, 20), (7, 20), (812, 1000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_interval_of_a_share_is_wilsons(successes, n, confidence):
    expected = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    score = summarise("accuracy", [1] * successes + [0] * (n - successes), confidence=confidence)
    assert (score.low, score.high) == pytest.approx((expected.low, expected.high))


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


# --- metrics of a corpus -----------------------------------------------------------------------------------------


def test_bleu_is_sacrebleus_corpus_score():
    _, score = evaluate("bleu", HYPOTHESES, REFERENCES)
    assert score.value == pytest.approx(sacrebleu_of(HYPOTHESES, REFERENCES))
    assert 0 <= score.low < score.value < score.high
    assert score.stderr > 0


def test_bleu_takes_an_unread_answer_for_an_empty_one():
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
        assert not TEXT_METRICS[name].higher_is_better


# --- another run on the same samples -----------------------------------------------------------------------------


def runs(rng, n, p_lost, p_gained):
    """Correctness of two runs that differ on a few samples."""
    reference = (rng.random(n) < 0.6).astype(float)
    draw = rng.random(n)
    run = np.where(draw < p_lost, 0, np.where(draw > 1 - p_gained, 1, reference))
    return run, reference


def verdict(found, margin):
    """Return what the gate says of a difference when `margin` worse is still good enough."""
    limit = Limit(bound=-margin, missed="worse_than_reference", undecided="reference_undecided")
    return gate(found, limit).verdict


def not_worse(metric, values, reference_values, margin, **options):
    return verdict(difference(metric, values, reference_values, **options), margin)


def test_a_run_much_worse_than_the_margin_fails_and_an_equal_one_passes():
    rng = np.random.default_rng(0)
    run, reference = runs(rng, 400, p_lost=0.2, p_gained=0)
    worse = difference("accuracy", run, reference)
    assert verdict(worse, 0.02) == "fail"
    assert worse.value == pytest.approx(run.mean() - reference.mean())
    assert worse.low < worse.value < worse.high < -0.02
    assert (worse.metric, worse.n, worse.confidence, worse.higher_is_better) == (
        "difference",
        400,
        0.95,
        True,
    )
    same = difference("accuracy", reference, reference)
    assert (same.value, same.low, same.high, verdict(same, 0)) == (0, 0, 0, "pass")
    assert not_worse("accuracy", reference, run, 0.02) == "pass"


def test_a_difference_about_as_large_as_the_margin_is_inconclusive():
    rng = np.random.default_rng(1)
    run, reference = runs(rng, 60, p_lost=0.08, p_gained=0.02)
    assert not_worse("accuracy", run, reference, 0.04) == "inconclusive"


def test_pairing_decides_what_two_separate_intervals_leave_open():
    rng = np.random.default_rng(2)
    run, reference = runs(rng, 300, p_lost=0.01, p_gained=0.01)
    alone = summarise("accuracy", run)
    assert alone.high - alone.low > 0.1
    assert not_worse("accuracy", run, reference, 0.03) == "pass"


def test_a_run_worse_by_the_margin_passes_no_more_often_than_promised():
    rng = np.random.default_rng(3)
    passed = [
        not_worse("f1", values - 0.05 + rng.normal(0, 0.1, 40), values, 0.05, seed=i, resamples=500) == "pass"
        for i, values in enumerate(rng.random((300, 40)))
    ]
    assert np.mean(passed) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)


def test_lower_being_better_turns_the_difference_round():
    better = difference("edit_distance", [0.1, 0.2, 0.1], [0.3, 0.4, 0.2])
    assert better.value == pytest.approx(1 / 6)
    assert verdict(better, 0) == "pass"
    texts = [["a text of words"], ["and one more"], ["last"]]
    rows, worse_rows = (values_of("word_perplexity", nats, texts) for nats in ([-5, -4, -2], [-9, -8, -4]))
    assert not_worse("word_perplexity", worse_rows, rows, 0.5) == "fail"
    assert not_worse("word_perplexity", rows, worse_rows, 0.5) == "pass"


def test_corpus_scores_are_compared_by_their_totals():
    bleu = TEXT_METRICS["bleu"]
    right = [bleu.statistics(gold[0], gold) for gold in REFERENCES]
    wrong = [bleu.statistics(text, gold) for text, gold in zip(HYPOTHESES, REFERENCES, strict=True)]
    compared = difference("bleu", wrong, right, resamples=500)
    assert compared.value == pytest.approx(sacrebleu_of(HYPOTHESES, REFERENCES) - 100)
    assert verdict(compared, 1.0) == "fail"


@pytest.mark.parametrize(
    ("values", "reference", "options", "message"),
    [
        ([1, 0], [1], {}, "found 2 values and 1 reference values"),
        ([1], [1], {}, "found 1 sample, expected at least two"),
        ([], [], {}, "found no values"),
        ([1, 0], [1, math.inf], {}, r"found reference values\[1\] = inf"),
        ([1, 0], [1, 0], {"confidence": 95}, "found a confidence of 95"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(values, reference, options, message):
    with pytest.raises(ValueError, match=message):
        difference("f1", values, reference, **options)
