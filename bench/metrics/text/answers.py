"""Metrics of single answers; the score of a dataset is their mean."""

from __future__ import annotations

import functools
import re
import string
from collections import Counter
from typing import Any

from bench.metrics.text.metric import TEXT_METRICS, Golds, GroupMetric


@TEXT_METRICS.register("accuracy", proportion=True)
def accuracy(answer: str | int, golds: Golds) -> float:
    """Return 1 if the answer is one of the right ones, else 0; 72 and "72" are the same answer.

    Example:
        >>> accuracy("72", [72]), accuracy("B", ["A", "C"])
        (1.0, 0.0)
    """
    return float(str(answer) in {str(gold) for gold in golds})


TEXT_METRICS.add("circular_accuracy", GroupMetric("circular_accuracy", accuracy, proportion=True))


@TEXT_METRICS.register("exact_match", proportion=True)
def exact_match(answer: str | int, golds: Golds) -> float:
    """Return 1 if the answer equals a right one but for case, articles, punctuation and blanks, else 0.

    Source: Rajpurkar et al. 2016 (SQuAD) and its official script.

    Example:
        >>> exact_match("The Eiffel Tower!", ["eiffel tower"])
        1.0
    """
    return float(normalised(answer) in {normalised(gold) for gold in golds})


@TEXT_METRICS.register("f1")
def f1(answer: str | int, golds: Golds) -> float:
    """Return the F1 of the words shared with a right answer, normalised as for `exact_match`, in [0, 1].

    An empty answer is right only where the right one is empty too. Source: as for `exact_match`, version 2.0.

    Example:
        >>> f1("cat cat dog", ["cat"])
        0.5
    """
    return max(_word_f1(normalised(answer).split(), normalised(gold).split()) for gold in golds)


@TEXT_METRICS.register("edit_distance", higher_is_better=False, percent=False, worst=1.0)
def edit_distance(answer: str | int, golds: Golds) -> float:
    """Return the Levenshtein distance to the nearest right answer over the longer length, in [0, 1].

    Equal texts have 0. Source: Levenshtein 1966, as in RapidFuzz.

    Example:
        >>> edit_distance("cart", ["cat"])
        0.25
    """
    from rapidfuzz.distance import Levenshtein  # noqa: PLC0415

    return min(Levenshtein.normalized_distance(str(answer), str(gold)) for gold in golds)


@TEXT_METRICS.register("rouge1")
def rouge1(answer: str | int, golds: Golds) -> float:
    """Return the F-measure of single words shared with a right answer, without stemming, in [0, 1].

    Source: Lin 2004, as in the library rouge-score.

    Raises:
        ValueError: no right answer holds a Latin letter or digit. ROUGE sees no other words: every answer,
            even the right one, would score 0.

    Example:
        >>> rouge1("cat on mat", ["mat on cat"])
        1.0
    """
    return _rouge("rouge1", answer, golds)


@TEXT_METRICS.register("rougeL")
def rouge_l(answer: str | int, golds: Golds) -> float:
    """Return the F-measure of the longest common subsequence of words, in [0, 1]. See `rouge1`.

    Example:
        >>> round(rouge_l("cat on mat", ["mat on cat"]), 3)
        0.333
    """
    return _rouge("rougeL", answer, golds)


def normalised(answer: str | int) -> str:
    """Return the text in lower case without punctuation, articles and extra blanks."""
    text = "".join(character for character in str(answer).lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def _word_f1(words: list[str], gold_words: list[str]) -> float:
    if not words or not gold_words:
        return float(words == gold_words)
    shared = (Counter(words) & Counter(gold_words)).total()
    return 2 * shared / (len(words) + len(gold_words))


def _rouge(kind: str, answer: str | int, golds: Golds) -> float:
    texts = [str(gold) for gold in golds]
    if not any(re.search(r"[a-z0-9]", text.lower()) for text in texts):
        raise ValueError(
            f"found right answers without Latin letters or digits, {texts[:1]}, expected English ones, since ROUGE "
            "sees no other script; name another metric in the dataset, such as edit_distance"
        )
    return float(_rouge_scorer(kind).score_multi(texts, str(answer))[kind].fmeasure)


@functools.cache
def _rouge_scorer(kind: str) -> Any:
    from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415  it takes a second to import

    return RougeScorer([kind], use_stemmer=False)
