"""Metrics of a whole corpus: sums per sample, and a formula of their totals."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from bench.metrics.text.metric import TEXT_METRICS, Answer, CorpusMetric, Golds, check_golds


class Bleu(CorpusMetric):
    """BLEU in [0, 100] with the tokens and the smoothing that sacreBLEU takes by default (13a, exponential).

    Statistics: length of the answer and of the right one that is nearest to it, then the numbers of shared
    and of all n-grams for n = 1 to 4. Source: Papineni et al. 2002 and Post 2018.

    Example:
        >>> bleu = Bleu()
        >>> counts = bleu.statistics("the cat is on the mat", ["the cat sat on the mat"])
        >>> round(bleu.combine(counts), 1)
        38.0
    """

    name = "bleu"
    higher_is_better = True

    def statistics(self, answer: Answer, golds: Golds) -> list[float]:
        """Return ten counts; an answer that could not be read counts as an empty one."""
        check_golds(golds)
        found = _bleu().sentence_score("" if answer is None else str(answer), [str(gold) for gold in golds])
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

    # The effective order changes the score of a sentence, never its counts; without it each call warns.
    return BLEU(effective_order=True)


class RollingMetric(CorpusMetric):
    """How well a model predicts whole texts: the answer is the log-likelihood of the text, in nats.

    Statistics: log-likelihood, words (between blanks) and UTF-8 bytes of the text as it is in the dataset.

    Example:
        >>> bits = TEXT_METRICS["bits_per_byte"]
        >>> bits.statistics(-12.0, ["the cat"])
        [-12.0, 2.0, 7.0]
        >>> round(bits(-12.0, ["the cat"]), 3)
        2.473
    """

    higher_is_better = False

    def __init__(self, name: str, formula: Callable[[float, float, float], float]) -> None:
        """Name a score and its formula, of the sums of log-likelihood, words and bytes."""
        self.name = name
        self._formula = formula

    def statistics(self, answer: Answer, golds: Golds) -> list[float]:
        """Return log-likelihood, words and bytes of the one text in `golds`.

        Raises:
            ValueError: no finite log-likelihood at or under 0, not one text, or a text of blanks only.
        """
        check_golds(golds)
        nats = _nats(answer)
        if len(golds) != 1 or not str(golds[0]).strip():
            raise ValueError(
                f"found {len(golds)} texts, the first {str(golds[0])[:40]!r}, expected one with a word in it; drop "
                "empty rows in the dataset's `prepare`"
            )
        # As lm-evaluation-harness counts them: blanks at an end leave an empty word there.
        words = len(re.split(r"\s+", str(golds[0])))
        return [nats, float(words), float(len(str(golds[0]).encode()))]

    def combine(self, totals: Sequence[float]) -> float:
        """Return the score of texts with these sums.

        Raises:
            ValueError: a score too large for a float.
        """
        try:
            return self._formula(*totals)
        except OverflowError:
            raise ValueError(
                f"found {totals[0]:g} nats for {totals[1]:g} words of {totals[2]:g} bytes, expected a "
                f"{self.name} that a float can hold; check the model's weights"
            ) from None


class AnswerPerplexity(CorpusMetric):
    """Perplexity of right answers: the exponential of the mean negative log-likelihood of an answer, in nats.

    Statistics: log-likelihood, and 1 for the answer. Source: as lm-evaluation-harness scores LAMBADA.

    Example:
        >>> perplexity = AnswerPerplexity()
        >>> round(perplexity(-2.0, ["key"]), 3)
        7.389
    """

    name = "perplexity"
    higher_is_better = False

    def statistics(self, answer: Answer, golds: Golds) -> list[float]:
        """Return the log-likelihood of the right answer, and that it is one.

        Raises:
            ValueError: no finite log-likelihood at or under 0.
        """
        check_golds(golds)
        return [_nats(answer), 1.0]

    def combine(self, totals: Sequence[float]) -> float:
        """Return the perplexity of answers with these sums.

        Raises:
            ValueError: a perplexity too large for a float.
        """
        try:
            return math.exp(-totals[0] / totals[1])
        except OverflowError:
            raise ValueError(
                f"found {totals[0]:g} nats for {totals[1]:g} answers, expected a perplexity that a float can hold; check "
                "the model's weights"
            ) from None


def _nats(answer: Answer) -> float:
    """Return a log-likelihood that can be one.

    Raises:
        ValueError: a text, none, or a number that is not finite or above 0.
    """
    if isinstance(answer, str) or answer is None or not -math.inf < answer <= 0:
        raise ValueError(
            f"found a log-likelihood of {answer!r}, expected a finite number of nats that is not above 0; see "
            "what the model gave for this text"
        )
    return float(answer)


TEXT_METRICS.add("bleu", Bleu())
TEXT_METRICS.add("perplexity", AnswerPerplexity())
for _name, _formula in (
    ("word_perplexity", lambda nats, words, _bytes: math.exp(-nats / words)),
    ("byte_perplexity", lambda nats, _words, bytes_: math.exp(-nats / bytes_)),
    ("bits_per_byte", lambda nats, _words, bytes_: -nats / bytes_ / math.log(2)),
):
    TEXT_METRICS.add(_name, RollingMetric(_name, _formula))
