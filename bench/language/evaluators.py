"""What one answer is worth, what a dataset's answers are worth together, and how sure that is.

A metric gives each sample a value, or a few sums; `summarise` makes one `Score` of them. Three kinds:

- `SampleMetric`: a value per sample, the score is their mean (accuracy, F1, ROUGE).
- `GroupMetric`: a value per question that was asked several times, the score is the mean over questions.
- `CorpusMetric`: sums per sample, the score is a formula of their totals (BLEU, perplexity).

An answer that could not be read (None) has the worst value and is counted. Values are what a record keeps:
scores, intervals and comparisons with another run are computed from them, without the model.

The interval of a share of right answers is Wilson's (1927, Journal of the American Statistical Association
22:209). Every other one is a bootstrap over samples, at the quantile levels of Hesterberg (2015, The American
Statistician 69:371): percentiles by themselves are too short for few samples.
"""

from __future__ import annotations

import functools
import math
import re
import string
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence, Sized
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.measure.statistics import expanded_tail
from bench.registry import Registry

Prediction = str | int | float | None
Golds = Sequence[str | int]
Floats = NDArray[np.float64]

# With these the ends of an interval move by about a hundredth of its length from one seed to the next.
RESAMPLES = 5_000
_BLOCK_ELEMENTS = 200_000  # resampled values held at once: they stay in the processor's cache


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
        _check_lengths(values, "values", keys, "keys of questions")
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


# --- the score of a dataset ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Score:
    """What the answers to a dataset are worth together.

    Attributes:
        metric: name in `METRICS`.
        value: in the metric's own unit: a share of 1, BLEU points, a perplexity.
        n: samples; questions for a metric that groups them.
        unparsed: how many of the n could not be read, with the worst value for each.
        stderr: standard error of `value`, None where one sample leaves it open.
        low, high: two-sided interval at level `confidence`, None where one sample leaves it open.
        confidence: as a fraction.
    """

    metric: str
    value: float
    n: int
    unparsed: int
    stderr: float | None
    low: float | None
    high: float | None
    confidence: float


def evaluate(
    metric: str,
    predictions: Sequence[Prediction],
    golds: Sequence[Golds],
    *,
    groups: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[list[Any], Score]:
    """Return the values to keep and the score of a dataset's answers.

    Args:
        metric: name in `METRICS`.
        predictions: answers, shape (samples,); None for one that could not be read.
        golds: right answers of each sample, shape (samples,), at least one each.
        groups: which question each sample asks, shape (samples,); for a `GroupMetric` only.

    Returns:
        Values, shape (samples,), of a `CorpusMetric` (samples, statistics), of a `GroupMetric` (questions,).

    Raises:
        KeyError: an unknown metric.
        ValueError: no samples, unequal lengths, groups where the metric takes none or the other way round,
            or a sample that the metric cannot score.
    """
    how = METRICS[metric]
    _check_lengths(predictions, "predictions", golds, "lists of right answers")
    if groups is None and isinstance(how, GroupMetric):
        raise ValueError(
            f"found no groups for metric {metric!r}, expected the question that each sample asks"
        )
    if groups is not None and not isinstance(how, GroupMetric):
        raise ValueError(
            f"found groups for metric {metric!r}, expected none: answers to one question are no independent "
            "samples; name circular_accuracy, or leave the groups out"
        )
    each: Callable[[Prediction, Golds], Any] = how.statistics if isinstance(how, CorpusMetric) else how
    values: list[Any] = [
        each(prediction, right) for prediction, right in zip(predictions, golds, strict=True)
    ]
    unparsed = sum(prediction is None for prediction in predictions)
    if isinstance(how, GroupMetric) and groups is not None:
        values = list(how.grouped(values, groups).values())
        unparsed = len(
            {group for group, prediction in zip(groups, predictions, strict=True) if prediction is None}
        )
    return values, summarise(how, values, unparsed=unparsed, confidence=confidence, seed=seed)


def summarise(
    metric: str | Metric,
    values: ArrayLike,
    *,
    unparsed: int = 0,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Score:
    """Return the score of a dataset with its standard error and interval.

    Args:
        metric: name in `METRICS`, or the metric itself.
        values: of samples or questions, shape (n,); statistics of a `CorpusMetric`, shape (n, statistics).
        unparsed: how many of them stand for an answer that could not be read.
        seed: of the bootstrap; the same values and seed give the same interval.

    The standard error of a mean is that of the sample, with n - 1; of a corpus score, that of the bootstrap.

    Raises:
        KeyError: an unknown metric.
        ValueError: no samples, values of another shape, not finite, or not 0 or 1 where only these can be;
            more unparsed answers than samples; a level that is none.
    """
    how = METRICS[metric] if isinstance(metric, str) else metric
    rows = _rows(how, values, "values")
    n = len(rows)
    if not 0 <= unparsed <= n:
        raise ValueError(f"found {unparsed} unparsed answers of {n}, expected between none and all")
    _check_confidence(confidence)
    value = _combined(how, rows.sum(axis=0), n)
    stderr, low, high = None, None, None
    if n > 1 and isinstance(how, SampleMetric):
        stderr = float(rows.std(ddof=1)) / math.sqrt(n)
    if isinstance(how, SampleMetric) and how.proportion:
        low, high = wilson_interval(int(rows.sum()), n, confidence=confidence)
    elif n > 1:
        draws = np.array([_combined(how, totals, n) for totals in _resampled_totals(rows, resamples, seed)])
        low, high = _percentiles(draws, n, (1 - confidence) / 2)
        if stderr is None:
            stderr = float(draws.std(ddof=1))
    return Score(how.name, value, n, unparsed, stderr, low, high, confidence)


def wilson_interval(successes: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's two-sided score interval of a share, without continuity correction.

    It stays within [0, 1] and keeps a length where all answers are right or all wrong.

    Raises:
        ValueError: n under 1, or successes that are not between 0 and n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"found {successes} successes of {n}, expected between none and all of at least one")
    _check_confidence(confidence)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # Rounding alone would leave the ends a little beside 0 and 1.
    low = 0.0 if successes == 0 else centre - reach
    high = 1.0 if successes == n else centre + reach
    return low, high


# --- another run on the same samples ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """How much better a run is than another one on the same samples.

    Attributes:
        difference: in the metric's unit, above 0 where the run is better, whichever way "better" is.
        low, high: bounds of the difference, each one-sided at level `confidence`.
        margin: how much worse is still good enough, in the metric's unit.
        n: samples, or questions.
        confidence: as a fraction.
    """

    difference: float
    low: float
    high: float
    margin: float
    n: int
    confidence: float

    @property
    def verdict(self) -> Literal["pass", "fail", "inconclusive"]:
        """Whether the run is at most `margin` worse: pass if all of the interval says so, fail if none of it."""
        if self.low >= -self.margin:
            return "pass"
        return "fail" if self.high < -self.margin else "inconclusive"


def not_worse(
    metric: str | Metric,
    values: ArrayLike,
    reference_values: ArrayLike,
    margin: float,
    *,
    seed: int = 0,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Return how much better a run is than a stored one, by a paired bootstrap over the samples.

    A sample is drawn with its values of both runs, so that a hard one counts in both or in neither. Runs that
    agree on every sample differ by 0 for sure. The chance to pass a run that is worse by just over `margin` is
    1 - `confidence`.

    Args:
        metric: name in `METRICS`, or the metric itself.
        values, reference_values: as for `summarise`; entry i of both is the same sample.
        margin: how much worse is still good enough, in the metric's unit: 0.01 is one point of accuracy.

    Raises:
        KeyError: an unknown metric.
        ValueError: values as for `summarise`, unequal lengths, fewer than two samples, a margin under 0.
    """
    how = METRICS[metric] if isinstance(metric, str) else metric
    rows, reference = _rows(how, values, "values"), _rows(how, reference_values, "reference values")
    _check_lengths(rows, "values", reference, "reference values")
    n, width = rows.shape
    if n < 2:
        raise ValueError(f"found {n} sample, expected at least two; one says nothing of the scatter")
    if not 0 <= margin < math.inf:
        raise ValueError(f"found a margin of {margin:g}, expected a finite one of at least 0")
    _check_confidence(confidence)

    def gain(totals: Floats) -> float:
        change = _combined(how, totals[:width], n) - _combined(how, totals[width:], n)
        return change if how.higher_is_better else -change

    both = np.concatenate([rows, reference], axis=1)
    draws = np.array([gain(totals) for totals in _resampled_totals(both, resamples, seed)])
    low, high = _percentiles(draws, n, 1 - confidence)
    return Comparison(gain(both.sum(axis=0)), low, high, margin, n, confidence)


def mcnemar_p(correct: ArrayLike, reference_correct: ArrayLike) -> float:
    """Return the two-sided p-value of McNemar's exact test of two runs on the same samples.

    The chance that the samples on which only one run is right would split at least this unevenly if both runs
    were as good; 1 where there are none. Source: McNemar 1947, with the binomial distribution.

    Args:
        correct, reference_correct: 0 or 1, shape (samples,); entry i of both is the same sample.

    Raises:
        ValueError: no samples, unequal lengths, or values that are not 0 or 1.
    """
    from scipy.special import bdtr  # noqa: PLC0415  a worker that compares nothing need not load scipy

    rows, reference = (
        _rows(accuracy, correct, "values"),
        _rows(accuracy, reference_correct, "reference values"),
    )
    _check_lengths(rows, "values", reference, "reference values")
    gained, lost = int((rows > reference).sum()), int((rows < reference).sum())
    return min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5)))


# --- resampling and checks -------------------------------------------------------------------------------------


def _combined(metric: Metric, totals: Floats, n: int) -> float:
    """Return the score of n samples from the totals of their values, shape (statistics,)."""
    if isinstance(metric, CorpusMetric):
        return metric.combine(totals.tolist())
    return float(totals[0]) / n


def _resampled_totals(rows: Floats, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield the totals, shape (statistics,), of `resamples` draws of n rows with replacement."""
    rng = np.random.default_rng(seed)
    block = max(_BLOCK_ELEMENTS // rows.size, 1)
    for done in range(0, resamples, block):
        index = rng.integers(0, len(rows), size=(min(block, resamples - done), len(rows)))
        yield from rows[index].sum(axis=1)


def _percentiles(draws: Floats, n: int, tail: float) -> tuple[float, float]:
    """Return the quantiles of the draws that leave out `tail` on either side, further out for few samples."""
    level = expanded_tail(n, tail)
    low, high = np.quantile(draws, (level, 1 - level)).tolist()
    return low, high


def _rows(metric: Metric, values: ArrayLike, name: str) -> Floats:
    """Return values as an array of shape (samples, statistics), one statistic for a mean."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError(
            f"found no {name} of {metric.name}, expected at least one; a dataset without rows, or whose rows were "
            "all left out, has no score"
        )
    dimensions = 2 if isinstance(metric, CorpusMetric) else 1
    if array.ndim != dimensions:
        raise ValueError(
            f"found {name} of {metric.name} of shape {array.shape}, expected {dimensions} dimension(s), the first "
            "one for the samples; see `evaluate`"
        )
    for i in np.argwhere(~np.isfinite(array))[:1]:
        raise ValueError(
            f"found {name}{i.tolist()} = {array[tuple(i)]:g} of {metric.name}, expected a finite number; "
            "see what produced it"
        )
    if isinstance(metric, SampleMetric) and metric.proportion and not np.isin(array, (0, 1)).all():
        raise ValueError(
            f"found {name} of {metric.name} other than 0 and 1, expected only these; name the metric they are of"
        )
    return array.reshape(len(array), -1)


def _check_golds(golds: Golds) -> None:
    # A text is a sequence too, of letters: each of them would count as a right answer.
    if not isinstance(golds, list | tuple) or not golds:
        raise ValueError(
            f"found right answers {golds!r}, expected a list of at least one; see `gold` in the dataset file"
        )


def _check_lengths(first: Sized, first_name: str, second: Sized, second_name: str) -> None:
    if len(first) != len(second):
        raise ValueError(
            f"found {len(first)} {first_name} and {len(second)} {second_name}, expected as many of one as of the "
            "other; give both of the same samples"
        )


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(
            f"found a confidence of {confidence:g}, expected a fraction between 0 and 1, such as 0.95"
        )
