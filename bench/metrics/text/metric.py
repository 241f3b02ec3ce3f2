"""What a text metric is: the value of one answer, and the registry of metrics.

A metric gives each sample a value, or a few sums; `bench.language.scores` makes one score of them. Three
kinds:

- `SampleMetric`: a value per sample, the score is their mean (accuracy, F1, ROUGE).
- `GroupMetric`: a value per question that was asked several times, the score is the mean over questions.
- `CorpusMetric`: sums per sample, the score is a formula of their totals (BLEU, perplexity).

An answer that could not be read (None) gets the worst value and is counted.

A metric of your own is one function in a file of a ``--user-dir`` folder::

    from bench.metrics.text import TEXT_METRICS

    @TEXT_METRICS.register("contains", proportion=True)
    def contains(answer, golds):
        return float(any(str(gold) in str(answer) for gold in golds))
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence, Sized
from dataclasses import dataclass
from typing import Any, TypeVar

from bench.core.registry import Registry, caller_place

Answer = str | int | float | None
"""A text, the index of a choice, a log-likelihood, or None for what could not be read."""
Golds = Sequence[str | int]
F = TypeVar("F")


@dataclass(frozen=True)
class SampleMetric:
    """A value per sample; the score is the mean.

    Attributes:
        name: as in `TEXT_METRICS`.
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

    def __call__(self, answer: Answer, golds: Golds) -> float:
        """Return the value of an answer, the best over the right answers in `golds`.

        Raises:
            ValueError: no right answers, or a text in place of a list of texts.
        """
        check_golds(golds)
        return self.worst if answer is None else float(self.function(answer, golds))


@dataclass(frozen=True)
class GroupMetric(SampleMetric):
    """A value per question that was asked several times: right only if every time; the score is the mean.

    A call gives the value of one asking; `grouped` gives those of the questions. Asking for every rotation of
    the options reveals a model that answers by position: CircularEval of MMBench, Liu et al. 2023.
    """

    def grouped(self, values: Sequence[float], keys: Sequence[Hashable]) -> dict[Hashable, float]:
        """Return the least value of each question, in the order in which questions first appear.

        Args:
            values: shape (askings,).
            keys: which question each of them asks, shape (askings,).

        Raises:
            ValueError: unequal lengths.

        Example:
            >>> TEXT_METRICS["circular_accuracy"].grouped([1, 1, 0], ["p", "q", "p"])
            {'p': 0, 'q': 1}
        """
        check_lengths(values, "values", keys, "keys of questions")
        least: dict[Hashable, float] = {}
        for value, key in zip(values, keys, strict=True):
            least[key] = min(least.get(key, value), value)
        return least


class CorpusMetric(ABC):
    """Sums per sample; the score is a formula of their totals, which no mean of values per sample gives.

    Attributes:
        name: as in `TEXT_METRICS`.
        higher_is_better: what "better" means.
        percent: the score is a share, which a table shows times 100.
    """

    name: str
    higher_is_better: bool
    percent: bool = False

    @abstractmethod
    def statistics(self, answer: Answer, golds: Golds) -> list[float]:
        """Return the sums of one sample, as many for every sample."""

    @abstractmethod
    def combine(self, totals: Sequence[float]) -> float:
        """Return the score of samples whose statistics add up to `totals`."""

    def __call__(self, answer: Answer, golds: Golds) -> float:
        """Return the score of a corpus of this one sample."""
        return self.combine(self.statistics(answer, golds))


TextMetric = SampleMetric | CorpusMetric


class TextMetrics(Registry[TextMetric]):
    """The metrics that a dataset file may name."""

    def register(
        self,
        name: str,
        *,
        higher_is_better: bool = True,
        percent: bool = True,
        proportion: bool = False,
        worst: float | None = None,
    ) -> Callable[[F], F]:
        """Return a decorator that registers a function as a `SampleMetric` and returns it unchanged.

        The function takes an answer that could be read and the list of right answers, and returns the best
        value over these. ``TEXT_METRICS.add(name, metric)`` registers a `GroupMetric` or a `CorpusMetric`.

        Args:
            name: as dataset files name it.
            higher_is_better: what "better" means.
            percent: values are shares, which a table shows times 100.
            proportion: values are 0 or 1 and nothing between; the interval is then Wilson's.
            worst: value of an answer that could not be read; left out, 0.

        Raises:
            ValueError: the name is taken, or no `worst` where lower is better: 0 would be the best value
                there.

        Example:
            >>> metrics = TextMetrics("metric")
            >>> @metrics.register("contains", proportion=True)
            ... def contains(answer, golds):
            ...     return float(any(gold in answer for gold in golds))
            >>> metrics["contains"]("It is sunny.", ["sunny", "clear"])
            1.0
            >>> metrics["contains"](None, ["sunny"])
            0.0
        """
        place = caller_place()
        if worst is None and not higher_is_better:
            raise ValueError(
                f"found metric {name!r}, where lower is better, without `worst`, expected the value of an answer "
                "that could not be read; give it, such as worst=1.0"
            )

        def decorate(function: F) -> F:
            metric = SampleMetric(
                name,
                function,  # type: ignore[arg-type]  # F keeps the type of what is decorated
                higher_is_better,
                percent,
                worst or 0.0,
                proportion,
            )
            self.add(name, metric, place=place)
            return function

        return decorate


TEXT_METRICS = TextMetrics("metric")
"""Every metric that a dataset file may name."""


def check_golds(golds: Golds) -> None:
    """Refuse what is no list of right answers; of a text, each letter would count as one.

    Raises:
        ValueError: with what was found.
    """
    if not isinstance(golds, list | tuple) or not golds:
        raise ValueError(
            f"found right answers {golds!r}, expected a list of at least one; see `gold` in the dataset file"
        )


def check_lengths(first: Sized, first_name: str, second: Sized, second_name: str) -> None:
    """Refuse lists that should have an entry for each sample but differ in length.

    Raises:
        ValueError: with both lengths.
    """
    if len(first) != len(second):
        raise ValueError(
            f"found {len(first)} {first_name} and {len(second)} {second_name}, expected equal numbers; give both "
            "for the same samples"
        )
