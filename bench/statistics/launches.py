"""How large a ratio is where launches differ: rounds nested in pairs of launches, and an interval over both.

A process can be faster or slower than its twin for as long as it lives: where its memory lies, which core it has. That
handicap is in every round of a launch, so no number of rounds shows it. Here the unit of evidence is a *launch*: both arms
are started again, for a number of rounds in alternating order. The log ratio of a round is

    truth + effect of the launch + scatter of the round

and the interval is Student's t on the locations of the launches. A launch gives the biweight location of its rounds, which
gives no weight to a stalled one.

**Few launches.** One launch says nothing of how launches differ, two say little. What is known beforehand counts as some
launches more: an assumed scatter, and launches of one pipeline against itself on this machine (A/A), whose true ratio is 1.
So a gap larger than such launches differ is decided in the first launch; a narrow one needs as many as the machine demands.

    test = LaunchTest()
    speedup = test.speedup([Rounds(baseline_s, candidate_s)], null=[Rounds(one_s, same_s)])
    gate(speedup, Limit(bound=1.3))      # inconclusive? launch again, up to test.next_look(1) launches

Everything is pure: arrays in, estimates out. Sources: Kalibera & Jones 2013, "Rigorous Benchmarking in Reasonable Time",
ISMM (nested levels, and the split between them); Satterthwaite 1946, Biometrics Bulletin 2:110 (degrees of freedom).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.core.estimate import Estimate
from bench.statistics.paired_times import location_of_logs, log_ratios, log_times, pooled_cutoff
from bench.statistics.sequential import CORRELATION_ALLOWANCE, LOOK_ALPHA

Floats = NDArray[np.float64]

LAUNCH_LOOKS = (1, 2, 3, 4, 6, 8)
"""Numbers of launches at which the interval is looked at: six, as Pocock's constant of `LOOK_ALPHA` is for."""
ASSUMED_LAUNCH_SD = 0.05
"""Scatter of launches, of a log ratio, that is assumed before any is seen: the largest that the simulation draws. Eight
pairs of one pipeline against itself on two busy cores were off by 1.9 % in the median and 4.3 % at worst."""
ASSUMED_PEAK_SD = 0.01
"""The same of peaks of memory. Pipelines of Stable Diffusion were off by 0.2 %, one with a motion module by 1.8 %."""
ASSUMED_LAUNCHES = 4.0
"""How many launches that assumption counts as."""


def looks_up_to(most: int) -> tuple[int, ...]:
    """Return at which numbers of launches the interval is looked at, six times at most, where there are at most so many.

    Raises:
        ValueError: less than one launch.

    Example:
        >>> looks_up_to(3), looks_up_to(8) == LAUNCH_LOOKS, looks_up_to(16)
        ((1, 2, 3), True, (1, 2, 3, 4, 8, 16))
    """
    if most < 1:
        raise ValueError(f"found {most} launches at most, expected at least one")
    late = (round(math.sqrt(4 * most)), most) if most > 4 else (most,)
    return tuple(sorted({look for look in (1, 2, 3, 4, *late) if look <= most}))


Comparison = Literal["faster", "slower", "equivalent", "undecided"]


@dataclass(frozen=True, eq=False)
class Rounds:
    """The rounds of one launch.

    Attributes:
        baseline_s, candidate_s: seconds, shape (rounds,), at least four; entry i of both is the same round.
    """

    baseline_s: ArrayLike
    candidate_s: ArrayLike


@dataclass(frozen=True)
class Noise:
    """How much launches and rounds scatter.

    Attributes:
        launch_sd: standard deviation of the effects of launches, in log units; 0.03 is 3 %. That which the interval uses:
            the assumption and the launches of A/A are in it.
        round_sd: of the rounds within a launch.
        rounds: of a launch, on average.
        launches: that were measured, without those of A/A.
        null: the ratio of each A/A launch, which is 1 but for noise.
        seen_sd: that of the launches that were measured alone; None for one of them.
    """

    launch_sd: float
    round_sd: float
    rounds: float
    launches: int
    null: tuple[float, ...]
    seen_sd: float | None = None

    def text(self) -> str:
        """Return what was seen in a sentence, for a reason or a log.

        Example:
            >>> Noise(0.031, 0.06, 8, 3, (1.021,)).text()
            'launches are taken to scatter by 3.1 %, rounds scatter by 6.0 %; against itself the ratio was 1.021'
            >>> Noise(0.031, 0.06, 8, 3, (), 0.02).text()
            'launches scatter by 2.0 % (taken as 3.1 % with what is known beforehand), rounds by 6.0 %'
        """
        taken, rounds = (f"{100 * sd:.1f} %" for sd in (self.launch_sd, self.round_sd))
        text = f"launches are taken to scatter by {taken}, rounds scatter by {rounds}"
        if self.seen_sd is not None:
            seen = f"{100 * self.seen_sd:.1f} %"
            text = f"launches scatter by {seen} (taken as {taken} with what is known beforehand), rounds by {rounds}"
        if self.null:
            text += f"; against itself the ratio was {', '.join(f'{one:.3f}' for one in self.null)}"
        return text


@dataclass(frozen=True)
class LaunchTest:
    """Intervals that hold at all looks together, each at the end of a launch.

    While `bench.core.gate.gate` finds an interval inconclusive, launch again until the next look. Over all looks, the chance
    that a candidate exactly at its requirement ever passes is at most `alpha`, and so is the chance that it ever fails:
    `python benchmarks/calibration.py` simulates both, with launches that scatter by up to 5 %.

    Attributes:
        looks: numbers of launches, ascending. They must not depend on the times seen.
        alpha: two-sided error over all looks; the estimates' confidence is ``1 - alpha``.
        look_alpha: two-sided error of one look alone.
        assumed_sd: scatter of launches that is assumed beforehand, in log units.
        assumed_launches: how many launches the assumption counts as; more than 0.
        widen: factor on the standard error of a launch's location, which allows for correlated rounds.
    """

    looks: tuple[int, ...] = LAUNCH_LOOKS
    alpha: float = 0.05
    look_alpha: float = LOOK_ALPHA
    assumed_sd: float = ASSUMED_LAUNCH_SD
    assumed_launches: float = ASSUMED_LAUNCHES
    widen: float = CORRELATION_ALLOWANCE

    def speedup(self, launches: Sequence[Rounds], null: Sequence[Rounds] = ()) -> Estimate:
        """Return how many times faster the candidate is, with the interval that holds at all looks.

        Swapping the arms inverts the interval. Launches count alike, however many rounds they have.

        Args:
            launches: in any order.
            null: launches of one pipeline against itself on this machine.

        Raises:
            ValueError: no launch, fewer than four rounds in one, unequal lengths, or a time that is not finite and
                positive. The message says which launch.

        Example:
            >>> same = Rounds([1.0, 1.1, 1.0, 1.1], [1.0, 1.1, 1.0, 1.1])
            >>> faster = Rounds([2.0, 2.2, 2.0, 2.2], [1.0, 1.1, 1.0, 1.1])
            >>> one, four = (LaunchTest().speedup([faster] * n, [same]) for n in (1, 4))
            >>> round(one.value, 6), one.low > 1.5, four.high - four.low < one.high - one.low
            (2.0, True, True)
        """
        levels, same = _some(_levels(launches, "launch")), _levels(null, "A/A launch")
        return self._estimate(_located(levels, same), _located(same, levels)[0], "speedup", "x")

    def latency(self, launches: Sequence[ArrayLike]) -> Estimate:
        """Return the typical seconds of one arm, from its times launch by launch, each of shape (rounds,).

        Nothing cancels here: what slows the machine down for all launches is in the value and in no interval.

        Raises:
            ValueError: as for `speedup`.
        """
        levels = [_checked(log_times, "launch", number, times) for number, times in enumerate(launches)]
        return self._estimate(_located(_some(levels)), np.empty(0), "latency_s", "s", higher_is_better=False)

    def peak(self, peaks: ArrayLike, null: ArrayLike = ()) -> Estimate:
        """Return the typical peak of memory of one arm, from its peaks launch by launch, in bytes.

        What is assumed beforehand is a scatter of `ASSUMED_PEAK_SD`: memory differs far less between launches than time.

        Args:
            peaks: shape (launches,), above 0.
            null: ratios of the peaks of A/A launches, shape (A/A launches,).

        Raises:
            ValueError: no launch, or a peak or ratio that is not finite and positive.

        Example:
            >>> test = LaunchTest()
            >>> one, three = (test.peak([2e9] * launches) for launches in (1, 3))
            >>> round(one.value), one.high < 2.1e9, three.high < one.high
            (2000000000, True, True)
        """
        values, ratios = (np.asarray(some, np.float64) for some in (peaks, null))
        if not values.size or not all(
            np.isfinite(some).all() and (some > 0).all() for some in (values, ratios)
        ):
            raise ValueError(
                f"found peaks of {values.tolist()} bytes and ratios of {ratios.tolist()}, expected at least one peak, all "
                "above 0; measure them again"
            )
        located = (np.log(values), np.zeros(values.size), np.ones(values.size))
        known = replace(self, assumed_sd=ASSUMED_PEAK_SD)
        return known._estimate(located, np.log(ratios), "peak_bytes", "B", higher_is_better=False)

    def noise(self, launches: Sequence[Rounds], null: Sequence[Rounds] = ()) -> Noise:
        """Return how much launches and rounds scatter; arguments and errors as for `speedup`."""
        levels, same = _levels(launches, "launch"), _levels(null, "A/A launch")
        places, errors, counts = _located(_some(levels), same)
        variance, _ = self._variance(places, errors, _located(same, levels)[0])
        within = float(np.median((self.widen * errors) ** 2))
        return Noise(
            launch_sd=math.sqrt(max(variance - within, 0.0)),
            round_sd=float(np.sqrt(np.mean(errors**2 * counts))),
            rounds=float(np.mean(counts)),
            launches=len(levels),
            null=tuple(np.exp(_located(same, levels)[0]).tolist()),
            seen_sd=math.sqrt(max(places.var(ddof=1) - float(np.mean(errors**2)), 0.0))
            if len(places) > 1
            else None,
        )

    def next_look(self, launches_done: int) -> int | None:
        """Return how many launches there are at the next look, None after the last.

        Example:
            >>> LaunchTest().next_look(0), LaunchTest().next_look(4), LaunchTest().next_look(8)
            (1, 6, None)
        """
        return next((look for look in self.looks if look > launches_done), None)

    def _variance(self, places: Floats, errors: Floats, null: Floats) -> tuple[float, float]:
        """Return the variance of a launch's location, and its degrees of freedom.

        The assumption, A/A launches and launches each bring squares and degrees of freedom. What an A/A launch is away from
        1 is all noise; launches lose one degree to their own mean.
        """
        # A launch with stalls has a large standard error, and says little of the others.
        within = float(np.median((self.widen * errors) ** 2))
        squares = self.assumed_launches * (self.assumed_sd**2 + within)
        squares += float((null**2).sum() + ((places - places.mean()) ** 2).sum())
        freedom = self.assumed_launches + len(null) + len(places) - 1
        # Where launches agree by chance, their location is still no better known than its rounds say.
        return max(squares / freedom, within), freedom

    def _estimate(
        self,
        located: tuple[Floats, Floats, Floats],
        null: Floats,
        metric: str,
        unit: str,
        *,
        higher_is_better: bool = True,
    ) -> Estimate:
        from scipy.special import stdtrit  # noqa: PLC0415  a process that measures nothing need not load scipy

        if not 0 < self.look_alpha < 1 or self.assumed_launches <= 0:
            raise ValueError(
                f"found an error of {self.look_alpha:g} at a look and {self.assumed_launches:g} assumed launches, expected "
                "a chance between 0 and 1 and more than 0 launches; change them"
            )
        places, errors, counts = located
        variance, freedom = self._variance(places, errors, null)
        if len(places) == 1:
            # The scatter of rounds is known from these rounds alone: it has their degrees of freedom.
            within = float((self.widen * errors[0]) ** 2)
            between = max(variance - within, 0.0)
            parts = ((between, freedom), (within, max(float(counts[0]) - 2, 1.0)))
            total = sum(part for part, _ in parts)
            freedom = total**2 / sum(part**2 / own for part, own in parts) if total > 0 else freedom
        centre = float(places.mean())
        reach = float(stdtrit(freedom, 1 - self.look_alpha / 2)) * math.sqrt(variance / len(places))
        with np.errstate(over="ignore"):  # clocks that are off by hundreds of orders of magnitude: no bound
            value, low, high = np.exp([centre, centre - reach, centre + reach]).tolist()
        return Estimate(
            metric=metric, value=value, low=low, high=high, n=len(places), unit=unit, stderr=None,
            higher_is_better=higher_is_better, confidence=1 - self.alpha,
        )  # fmt: skip


def compare(estimate: Estimate, margin: float) -> Comparison:
    """Return what an interval of a ratio says next to an equivalence margin.

    ``equivalent`` where the whole interval lies within a factor of ``1 + margin`` of 1 either way: no difference that
    matters. ``faster`` or ``slower`` where it lies on that side of 1, by whatever it is; ``undecided`` otherwise.

    Args:
        estimate: a ratio with its interval, such as `LaunchTest.speedup` gives.
        margin: above 0; 0.05 is 5 %.

    Raises:
        ValueError: an estimate without an interval, or a margin that is not above 0.

    Example:
        >>> compare(Estimate(metric="speedup", value=1.01, low=0.99, high=1.03), 0.05)
        'equivalent'
        >>> compare(Estimate(metric="speedup", value=1.2, low=0.99, high=1.4), 0.05)
        'undecided'
    """
    low, high = estimate.low, estimate.high
    if low is None or high is None or not margin > 0:
        raise ValueError(
            f"found {estimate.text()} and a margin of {margin:g}, expected a ratio with an interval and a margin above 0; "
            "measure it, or give a margin such as 0.05"
        )
    if 1 / (1 + margin) <= low and high <= 1 + margin:
        return "equivalent"
    if low > 1:
        return "faster"
    return "slower" if high < 1 else "undecided"


def _levels(launches: Sequence[Rounds], what: str) -> list[Floats]:
    """Return the log ratios of each launch, checked."""
    return [
        _checked(log_ratios, what, number, one.baseline_s, one.candidate_s)
        for number, one in enumerate(launches)
    ]


def _some(levels: Sequence[Floats]) -> Sequence[Floats]:
    if not levels:
        raise ValueError("found no launch, expected at least one; measure one")
    return levels


def _checked(function: object, what: str, number: int, *times: ArrayLike) -> Floats:
    try:
        return np.asarray(function(*times), np.float64)  # type: ignore[operator]  # one of two functions of paired_times
    except ValueError as problem:
        raise ValueError(f"{what} {number + 1}: {problem}") from None


def _located(levels: Sequence[Floats], others: Sequence[Floats] = ()) -> tuple[Floats, Floats, Floats]:
    """Return location, its standard error and number of rounds of each launch, each of shape (launches,).

    Which rounds count as stalls is judged by the scatter of all launches, and of others of this machine.
    """
    cutoff = pooled_cutoff([*levels, *others]) if levels else 0.0
    found = [location_of_logs(logs, cutoff) for logs in levels]
    return (
        np.array([place for place, _ in found]),
        np.array([error for _, error in found]),
        np.array([float(len(logs)) for logs in levels]),
    )
