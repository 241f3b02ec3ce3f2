"""Scores of questions that several answers were drawn to: the mean over all, pass@k and maj@k, each over questions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from bench.core.record import Score
from bench.language.scores import Values, summarise
from bench.metrics.text import (
    TEXT_METRICS,
    Answer,
    CorpusMetric,
    Golds,
    GroupMetric,
    SampleMetric,
    TextMetric,
)
from bench.statistics.proportion import wilson_interval

Named = dict[str, tuple[Values, Score]]


def repeated_names(metric: str, repeats: int) -> tuple[str, ...]:
    """Return the names of the scores that repeats add to a metric: ``pass@2``, ``pass@4``, ``maj@4``."""
    rule = TEXT_METRICS.get(metric)
    if repeats < 2 or not isinstance(rule, SampleMetric) or not rule.proportion:
        return ()
    votes = () if isinstance(rule, GroupMetric) else (f"maj@{repeats}",)
    return (*(f"pass@{k}" for k in powers(repeats)), *votes)


def pass_at_k(right: int, drawn: int, k: int) -> float:
    """Return the chance that at least one of k answers is right, estimated without bias from all that were drawn.

    Source: Chen et al. 2021, Evaluating Large Language Models Trained on Code.

    Example:
        >>> pass_at_k(1, 4, 2)
        0.5
    """
    return 1.0 - math.comb(drawn - right, k) / math.comb(drawn, k)


def majority(answers: Sequence[Answer], rule: SampleMetric, golds: Golds) -> float:
    """Return the value of the most frequent answer; of equally frequent ones, the mean. What is not read has no vote.

    Example:
        >>> majority(["3", "4", "4", None], TEXT_METRICS["accuracy"], ["4"])
        1.0
    """
    votes = Counter(answer for answer in answers if answer is not None)
    if not votes:
        return rule.worst
    most = max(votes.values())
    values = [rule(answer, golds) for answer, count in votes.items() if count == most]
    return sum(values) / len(values)


def evaluate_repeated(
    rule: TextMetric, answers: Sequence[Sequence[Answer]], golds: Sequence[Golds], groups: Sequence[int] | None = None,
    *, with_draws: bool = True, confidence: float = 0.95, seed: int = 0,
) -> Named:  # fmt: skip
    """Return values per question and score of the mean, and of pass@k and maj@k where values are right or wrong.

    Answers to one question are alike: all intervals are over questions. That of a mean of shares is Wilson's for the number
    of independent answers that scatter as much as the questions do, between one for each question and all.
    Source: Franco, Little, Louis and Slud 2019, Journal of Survey Statistics and Methodology 7:334.

    Args:
        rule: the metric.
        answers: shape (questions, repeats); None for one that could not be read.
        golds: right answers of each question.
        groups: for a `GroupMetric`, which row of the dataset each question asks about.
        with_draws: whether pass@k and maj@k are wanted.
        confidence: two-sided level, as a fraction.
        seed: of the bootstrap.

    Raises:
        ValueError: as for `bench.language.scores.evaluate`.
    """
    repeats = len(answers[0])
    unparsed = sum(answer is None for drawn in answers for answer in drawn)
    if isinstance(rule, CorpusMetric):
        rows = [
            [sum(parts) for parts in zip(*(rule.statistics(answer, right) for answer in drawn), strict=True)]
            for drawn, right in zip(answers, golds, strict=True)
        ]
        score = summarise(rule, rows, confidence=confidence, seed=seed)
        return {rule.name: (rows, msgspec.structs.replace(score, unparsed=unparsed))}
    table = [[rule(answer, right) for answer in drawn] for drawn, right in zip(answers, golds, strict=True)]
    if isinstance(rule, GroupMetric) and groups is not None:
        columns = [list(rule.grouped(column, groups).values()) for column in zip(*table, strict=True)]
        table = [list(row) for row in zip(*columns, strict=True)]
    values = [sum(row) / repeats for row in table]
    score = summarise(replace(rule, proportion=False), values, confidence=confidence, seed=seed)
    if rule.proportion:
        low, high = _clustered_interval(values, repeats, confidence)
        score = msgspec.structs.replace(score, low=low, high=high)
    found: Named = {rule.name: (values, msgspec.structs.replace(score, unparsed=unparsed))}
    if not (rule.proportion and with_draws):
        return found
    for k in powers(repeats):
        chances = [pass_at_k(round(sum(row)), repeats, k) for row in table]
        found[f"pass@{k}"] = (chances, _of_shares(f"pass@{k}", rule, chances, confidence))
    if not isinstance(rule, GroupMetric):
        votes = [majority(drawn, rule, right) for drawn, right in zip(answers, golds, strict=True)]
        found[f"maj@{repeats}"] = (votes, _of_shares(f"maj@{repeats}", rule, votes, confidence))
    return found


def powers(repeats: int) -> list[int]:
    """Return the k of pass@k: powers of two, and all."""
    powers = [2**power for power in range(1, repeats.bit_length()) if 2**power < repeats]
    return [*powers, repeats]


def _of_shares(name: str, rule: SampleMetric, values: list[float], confidence: float) -> Score:
    score = summarise(replace(rule, name=name, proportion=False), values, confidence=confidence)
    low, high = wilson_interval(sum(values), len(values), confidence=confidence)
    return msgspec.structs.replace(score, low=low, high=high)


def _clustered_interval(means: list[float], repeats: int, confidence: float) -> tuple[float, float]:
    """Return the interval of a mean of shares whose answers come in groups.

    Args:
        means: of each question, from 0 to 1.
        repeats: answers to each question.
        confidence: two-sided level, as a fraction.
    """
    count = len(means)
    share = sum(means) / count
    independent = float(count)
    if count > 1 and 0 < share < 1:
        scatter = sum((mean - share) ** 2 for mean in means) / (count - 1) / count
        independent = count * repeats if scatter == 0 else share * (1 - share) / scatter
        independent = min(max(independent, count), count * repeats)
    number = int(independent)
    return wilson_interval(share * number, number, confidence=confidence)
