"""What one answer is worth.

A metric gives each sample a value, or a few sums; `bench.language.scores` makes one score of them. Three kinds:

- `SampleMetric`: a value per sample, the score is their mean (accuracy, F1, ROUGE).
- `GroupMetric`: a value per question that was asked several times, the score is the mean over questions.
- `CorpusMetric`: sums per sample, the score is a formula of their totals (BLEU, perplexity).

An answer that could not be read (None) has the worst value and is counted.
"""

from __future__ import annotations

import functools
import math
import re
import string
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Sequence, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.registry import Registry

Prediction = str | int | float | None
Golds = Sequence[str | int]
Floats = NDArray[np.float64]

# --- what a metric is ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SampleMetric:
    """A value per sample; the score is the mean.

    Attributes:
        name: as in `METRICS`.
        function: value of an answer that could be read, given at least one right answer.
        higher_is_better: what "better" means.
        percent: values are shares, which a table shows times 100.
        worst: value of an answer that could not be read.
        proportion: values are 0 or 1 and nothing between.
    """

    name: str
    function: Callable[[Any, Golds], float]
    higher_is_better: bool = True
    percent: bool = True
    worst: float = 0.0
    proportion: bool = False

    def __call__(self, prediction: Prediction, golds: Golds) -> float:
        """Return the value of an answer, the best over the right answers in `golds`.

        Raises:
            ValueError: no right answers, or a text in place of a list of texts.
        """
        _check_golds(golds)
        return self.worst if prediction is None else float(self.function(prediction, golds))

    @property
    def __code__(self) -> Any:
        """Where the metric is written: the registry names both places of a name that is taken twice."""
        return self.function.__code__


@dataclass(frozen=True)
class GroupMetric(SampleMetric):
    """A value per question that was asked several times: right only if every time; the score is the mean.

    A call gives the value of one asking; `grouped` gives those of the questions. Asking for every rotation of
    the options finds out who answers by position: CircularEval of MMBench, Liu et al. 2023.
    """

    def grouped(self, values: Sequence[float], keys: Sequence[Hashable]) -> dict[Hashable, float]:
        """Return the least value of each question, in the order in which questions first appear.

        Args:
            values: shape (askings,).
            keys: which question each of them asks, shape (askings,).

        Raises:
            ValueError: unequal lengths.
        """
        check_lengths(values, "values", keys, "keys of questions")
        least: dict[Hashable, float] = {}
        for value, key in zip(values, keys, strict=True):
            least[key] = min(least.get(key, value), value)
        return least


class CorpusMetric(ABC):
    """Sums per sample; the score is a formula of their totals, which no mean of values per sample gives.

    Attributes:
        name: as in `METRICS`.
        higher_is_better: what "better" means.
        percent: the score is a share, which a table shows times 100.
    """

    name: str
    higher_is_better: bool
    percent: bool = False

    @abstractmethod
    def statistics(self, prediction: Prediction, golds: Golds) -> list[float]:
        """Return the sums of one sample, as many for every sample."""

    @abstractmethod
    def combine(self, totals: Sequence[float]) -> float:
        """Return the score of samples whose statistics add up to `totals`."""

    def __call__(self, prediction: Prediction, golds: Golds) -> float:
        """Return the score of a corpus of this one sample."""
        return self.combine(self.statistics(prediction, golds))


Metric = SampleMetric | CorpusMetric
METRICS: Registry[Metric] = Registry("metric")
"""Every metric that a dataset file may name."""


def _sample_metric(
    name: str,
    *,
    higher_is_better: bool = True,
    percent: bool = True,
    worst: float = 0.0,
    proportion: bool = False,
) -> Callable[[Callable[[Any, Golds], float]], SampleMetric]:
    """Return a decorator that makes a registered metric of a function."""

    def decorate(function: Callable[[Any, Golds], float]) -> SampleMetric:
        metric = SampleMetric(name, function, higher_is_better, percent, worst, proportion)
        METRICS.register(name)(metric)
        return metric

    return decorate


# --- metrics of single answers ---------------------------------------------------------------------------------


@_sample_metric("accuracy", proportion=True)
def accuracy(prediction: str | int, golds: Golds) -> float:
    """Return 1 if the answer is one of the right ones, else 0; 72 and "72" are the same answer."""
    return float(str(prediction) in {str(gold) for gold in golds})


METRICS.register("circular_accuracy")(GroupMetric("circular_accuracy", accuracy.function, proportion=True))


@_sample_metric("exact_match", proportion=True)
def exact_match(prediction: str | int, golds: Golds) -> float:
    """Return 1 if the answer equals a right one but for case, articles, punctuation and blanks, else 0.

    Source: Rajpurkar et al. 2016 (SQuAD) and its official script.
    """
    return float(_normalised(prediction) in {_normalised(gold) for gold in golds})


@_sample_metric("f1")
def f1(prediction: str | int, golds: Golds) -> float:
    """Return the F1 of the words shared with a right answer, normalised as for `exact_match`, in [0, 1].

    An empty answer is right only where the right one is empty too. Source: as for `exact_match`, version 2.0.
    """
    return max(_word_f1(_normalised(prediction).split(), _normalised(gold).split()) for gold in golds)


@_sample_metric("edit_distance", higher_is_better=False, percent=False, worst=1.0)
def edit_distance(prediction: str | int, golds: Golds) -> float:
    """Return the Levenshtein distance to the nearest right answer over the longer length, in [0, 1]; 0 is equal."""
    from rapidfuzz.distance import Levenshtein  # noqa: PLC0415

    return min(Levenshtein.normalized_distance(str(prediction), str(gold)) for gold in golds)


@_sample_metric("rouge1")
def rouge1(prediction: str | int, golds: Golds) -> float:
    """Return the F-measure of single words shared with a right answer, without stemming, in [0, 1].

    Source: Lin 2004, as in the library rouge-score.

    Raises:
        ValueError: no right answer holds a Latin letter or digit. Nothing else is a word to ROUGE, and every
            answer, even the right one, would score 0.
    """
    return _rouge("rouge1", prediction, golds)


@_sample_metric("rougeL")
def rouge_l(prediction: str | int, golds: Golds) -> float:
    """Return the F-measure of the longest common subsequence of words, in [0, 1]. See `rouge1`."""
    return _rouge("rougeL", prediction, golds)


def _normalised(answer: str | int) -> str:
    """Return the text in lower case without punctuation, articles and superfluous blanks."""
    text = "".join(character for character in str(answer).lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def _word_f1(words: list[str], gold_words: list[str]) -> float:
    if not words or not gold_words:
        return float(words == gold_words)
    shared = (Counter(words) & Counter(gold_words)).total()
    return 2 * shared / (len(words) + len(gold_words))


def _rouge(kind: str, prediction: str | int, golds: Golds) -> float:
    texts = [str(gold) for gold in golds]
    if not any(re.search(r"[a-z0-9]", text.lower()) for text in texts):
        raise ValueError(
            f"found right answers without Latin letters or digits, {texts[:1]}, expected English ones: no other "
            "script is seen by ROUGE; name another metric in the dataset, such as edit_distance"
        )
    return float(_rouge_scorer(kind).score_multi(texts, str(prediction))[kind].fmeasure)


@functools.cache
def _rouge_scorer(kind: str) -> Any:
    from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415  it takes a second to import

    return RougeScorer([kind], use_stemmer=False)


# --- metrics of a corpus ---------------------------------------------------------------------------------------


class Bleu(CorpusMetric):
    """BLEU in [0, 100] with the tokens and the smoothing that sacreBLEU takes by default (13a, exponential).

    Statistics: length of the answer and of the right one that is nearest to it, then the numbers of shared
    and of all n-grams for n = 1 to 4. Source: Papineni et al. 2002 and Post 2018.
    """

    name = "bleu"
    higher_is_better = True

    def statistics(self, prediction: Prediction, golds: Golds) -> list[float]:
        """Return ten counts; an answer that could not be read counts as an empty one."""
        _check_golds(golds)
        found = _bleu().sentence_score(
            "" if prediction is None else str(prediction), [str(gold) for gold in golds]
        )
        return [float(count) for count in (found.sys_len, found.ref_len, *found.counts, *found.totals)]

    def combine(self, totals: Sequence[float]) -> float:
        """Return the BLEU of a corpus with these counts."""
        from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415

        counts = [int(total) for total in totals]
        score = BLEU.compute_bleu(counts[2:6], counts[6:], counts[0], counts[1], smooth_method="exp")
        return float(score.score)


@functools.cache
def _bleu() -> Any:
    from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415

    # The effective order touches the score of a sentence, never its counts; without it each call warns.
    return BLEU(effective_order=True)


class RollingMetric(CorpusMetric):
    """How well a model foretells whole texts: the prediction is the log-likelihood of the text, in nats.

    Statistics: log-likelihood, words (between blanks) and UTF-8 bytes of the text as it is in the dataset.
    """

    higher_is_better = False

    def __init__(self, name: str, formula: Callable[[float, float, float], float]) -> None:
        """Name a score and its formula, of the sums of log-likelihood, words and bytes."""
        self.name = name
        self._formula = formula

    def statistics(self, prediction: Prediction, golds: Golds) -> list[float]:
        """Return log-likelihood, words and bytes of the one text in `golds`.

        Raises:
            ValueError: no finite log-likelihood at or under 0, not one text, or a text of blanks only.
        """
        _check_golds(golds)
        if isinstance(prediction, str) or prediction is None or not -math.inf < prediction <= 0:
            raise ValueError(
                f"found a log-likelihood of {prediction!r}, expected a finite number of nats that is not above 0; "
                "see what the model gave for this text"
            )
        if len(golds) != 1 or not (words := len(str(golds[0]).split())):
            raise ValueError(
                f"found {len(golds)} texts, the first {str(golds[0])[:40]!r}, expected one with a word in it; "
                "drop empty rows in the dataset's `prepare`"
            )
        return [float(prediction), float(words), float(len(str(golds[0]).encode()))]

    def combine(self, totals: Sequence[float]) -> float:
        """Return the score of texts with these sums.

        Raises:
            ValueError: a score too large for a float.
        """
        try:
            return self._formula(*totals)
        except OverflowError:
            raise ValueError(
                f"found {totals[0]:g} nats for {totals[1]:g} words of {totals[2]:g} bytes, expected a {self.name} "
                "that a float can hold; see whether the model's weights are what they should be"
            ) from None


METRICS.register("bleu")(Bleu())
METRICS.register("word_perplexity")(
    RollingMetric("word_perplexity", lambda nats, words, _bytes: math.exp(-nats / words))
)
METRICS.register("byte_perplexity")(
    RollingMetric("byte_perplexity", lambda nats, _words, bytes_: math.exp(-nats / bytes_))
)
METRICS.register("bits_per_byte")(
    RollingMetric("bits_per_byte", lambda nats, _words, bytes_: -nats / bytes_ / math.log(2))
)


# --- checks ----------------------------------------------------------------------------------------------------


def _check_golds(golds: Golds) -> None:
    # A text is a sequence too, of letters: each of them would count as a right answer.
    if not isinstance(golds, list | tuple) or not golds:
        raise ValueError(
            f"found right answers {golds!r}, expected a list of at least one; see `gold` in the dataset file"
        )


def check_lengths(first: Sized, first_name: str, second: Sized, second_name: str) -> None:
    """Refuse lists of the same samples that are not of the same length.

    Raises:
        ValueError: with both lengths.
    """
    if len(first) != len(second):
        raise ValueError(
            f"found {len(first)} {first_name} and {len(second)} {second_name}, expected as many of one as of the "
            "other; give both of the same samples"
        )
