"""The quality of a candidate's images or videos against its baseline's: CLIP score, and how close they are.

A video counts by its scored frames, evenly spaced ones, each of which is scored as an image is; the mean over them is the
video's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from bench.acceleration.cache import ContentCache
from bench.acceleration.host.failures import scorer_died
from bench.acceleration.host.process import ArmProcess
from bench.acceleration.prompts import Sample
from bench.core.errors import ArmProblem, ScoringProblem
from bench.core.estimate import Estimate
from bench.core.record import Json
from bench.metrics.clip_score import clip_score
from bench.metrics.image_fidelity import IMAGE_METRICS
from bench.metrics.video_fidelity import TEMPORAL_DIFFERENCE, scored_frames, temporal_difference
from bench.statistics.bootstrap import mean_intervals
from bench.statistics.paired_times import quality_loss_interval

if TYPE_CHECKING:
    import numpy as np

_CLIP_ROWS = ("baseline_clip_score", "candidate_clip_score", "clip_image_cosine")


@dataclass(frozen=True)
class PairScores:
    """What the images or videos of a pair are worth.

    Attributes:
        loss: relative loss of the CLIP score, a fraction; without a value where there is none.
        baseline, candidate: mean CLIP scores; None where they could not be computed.
        rows: one plain row per sample.
        seed: of the bootstrap.
        problems: what could not be computed, and why. All else is there.
    """

    loss: Estimate
    baseline: float | None
    candidate: float | None
    rows: list[Json]
    seed: int = 0
    problems: tuple[str, ...] = ()

    def fidelity(self) -> dict[str, float | int | None]:
        """Return the mean of each metric, and how many images or videos are identical to the baseline's."""
        means: dict[str, float | int | None] = {
            name: estimate.value for name, estimate in self.closeness().items()
        }
        return means | {"identical_images": sum(row["identical"] for row in self.rows)}

    def closeness(self) -> dict[str, Estimate]:
        """Return the mean of each metric over the samples; identical images have no PSNR, and images no motion."""
        names = ("clip_image_cosine", *IMAGE_METRICS, TEMPORAL_DIFFERENCE)
        return {name: self._mean(name) for name in names}

    def estimates(self) -> dict[str, Estimate]:
        """Return all that was estimated, by metric."""
        return {self.loss.metric: self.loss, **self.closeness()}

    def _mean(self, name: str) -> Estimate:
        values = [row[name] for row in self.rows if row[name] is not None]
        better = (
            IMAGE_METRICS[name].higher_is_better if name in IMAGE_METRICS else name != TEMPORAL_DIFFERENCE
        )
        found = Estimate(metric=name, n=len(values), higher_is_better=better)
        if not values and name == TEMPORAL_DIFFERENCE:
            return replace(found, reason="only videos of one size, with two frames or more, have a value")
        if not values:
            return replace(found, reason="no sample has a value, since it was not measured or is infinite")
        found = replace(found, value=sum(values) / len(values))
        if len(values) == 1:
            return replace(found, reason="one sample says nothing of the scatter")
        (low, high), *_ = mean_intervals([[value] for value in values], self.seed).tolist()
        return replace(found, low=low, high=high)


class Scoring:
    """CLIP embeddings through the trusted scoring process; prompts and baselines once per run.

    Args:
        scorer: the scoring process, with its model loaded.
        clip: name of the model, part of every key.
        cache: the run's cache.
    """

    def __init__(self, scorer: ArmProcess, clip: str, cache: ContentCache) -> None:
        self._scorer, self._clip, self._cache = scorer, clip, cache

    def compare(
        self,
        samples: list[Sample],
        baseline: list[np.ndarray],
        candidate: list[np.ndarray],
        *,
        baseline_identity: list[Any],
        seed: int,
        look_alpha: float = 0.05,
    ) -> PairScores:
        """Score both arms on the same samples.

        A score that cannot be computed is among the problems of the answer, and the others are in it.

        Args:
            samples: prompts, seeds and inputs, [n].
            baseline, candidate: uint8 images [height, width, 3], or videos [frames, height, width, 3], n each.
            baseline_identity: what determines the baseline's outputs besides the samples.
            seed: seed of the bootstrap.
            look_alpha: two-sided error of the interval of the loss, smaller where it is one of several looks.

        Raises:
            InfrastructureProblem: when the scoring process has died.
        """
        closeness, problems = _closeness_of(candidate, baseline)
        scores: dict[str, np.ndarray] = {}
        loss = Estimate(metric="quality_loss", higher_is_better=False)
        try:
            scores = self._clip_scores(samples, baseline, candidate, baseline_identity)
            loss = _loss_of(scores, seed, look_alpha)
        except ScoringProblem as problem:
            problems.insert(0, str(problem))
            loss = replace(loss, reason=str(problem))
        rows = [
            {
                **sample.shown(),
                **{name: _known(scores[name][index]) if scores else None for name in _CLIP_ROWS},
                **closeness[index],
            }
            for index, sample in enumerate(samples)
        ]
        base_mean, cand_mean = (float(scores[name].mean()) if scores else None for name in _CLIP_ROWS[:2])
        return PairScores(loss, base_mean, cand_mean, rows, seed, tuple(problems))

    def _clip_scores(
        self,
        samples: list[Sample],
        baseline: list[np.ndarray],
        candidate: list[np.ndarray],
        baseline_identity: list[Any],
    ) -> dict[str, np.ndarray]:
        """Return the CLIP scores of both arms, and the cosines of their images, each [n]."""
        import numpy as np  # noqa: PLC0415

        identities = [sample.identity() for sample in samples]
        texts = self._once(["texts", identities], lambda: self._embed_texts(samples))
        base_frames, cand_frames = (
            [scored_frames(output) for output in arm] for arm in (baseline, candidate)
        )
        base_rows = self._once(
            ["images", baseline_identity, identities], lambda: self._embed_images(list(chain(*base_frames)))
        )
        cand_rows = self._embed_images(list(chain(*cand_frames)))
        base_of, cand_of = _of_each(base_rows, base_frames), _of_each(cand_rows, cand_frames)
        try:
            found = (
                _scores(base_of, texts),
                _scores(cand_of, texts),
                np.array([_cosine(*rows) for rows in zip(base_of, cand_of, strict=True)]),
            )
        except ValueError as error:  # what the model made of an image or text is no direction
            raise ScoringProblem(f"no CLIP score can be computed: {error}") from error
        return dict(zip(_CLIP_ROWS, found, strict=True))

    def _once(self, parts: list[Any], embed: Any) -> np.ndarray:
        key = self._cache.key("embeddings", self._clip, *parts)
        return self._cache.once(key, lambda: {"rows": embed()})["rows"]

    def _embed_texts(self, samples: list[Sample]) -> np.ndarray:
        return self._rows({"op": "embed_texts", "texts": [sample.prompt for sample in samples]})

    def _embed_images(self, images: list[np.ndarray]) -> np.ndarray:
        shapes = [list(image.shape[:2]) for image in images]
        pixels = b"".join(image.tobytes() for image in images)
        return self._rows({"op": "embed_images", "shapes": shapes}, pixels)

    def _rows(self, request: Json, payload: bytes = b"") -> np.ndarray:
        import numpy as np  # noqa: PLC0415

        try:
            header, answer, _ = self._scorer.ask(request, payload)
        except ArmProblem as problem:  # it says nothing of the candidate
            died = scorer_died(problem)
            if died is not None:
                raise died from problem
            raise ScoringProblem(f"{problem}; see the scorer's log in the run's logs/") from problem
        return np.frombuffer(answer, dtype=np.float32).reshape(header["shape"])


def _known(value: float) -> float | None:
    """Return a value as a plain number, None where there is none."""
    return None if math.isnan(value) else float(value)


def _loss_of(scores: dict[str, np.ndarray], seed: int, look_alpha: float) -> Estimate:
    baseline, candidate, _ = (scores[name] for name in _CLIP_ROWS)
    try:
        found = quality_loss_interval(baseline, candidate, confidence=1 - look_alpha, seed=seed)
        return replace(found, confidence=0.95)  # of all looks together
    except ValueError as error:  # scores that are not positive in sum, so that nothing can be lost
        raise ScoringProblem(f"no quality loss can be computed: {error}") from error


def _closeness_of(outputs: list[np.ndarray], references: list[np.ndarray]) -> tuple[list[Json], list[str]]:
    """Return the metrics of each pair of outputs, and what could not be measured: that metric is None in all rows."""
    comparable = [
        output.shape == reference.shape for output, reference in zip(outputs, references, strict=True)
    ]
    pairs = list(zip(outputs, references, comparable, strict=True))
    rows: list[Json] = [{} for _ in pairs]
    problems = []
    for name in IMAGE_METRICS:
        try:
            values = [_mean_measured(name, *pair[:2]) if pair[2] else None for pair in pairs]
        except ScoringProblem as problem:
            problems.append(str(problem))
            values = [None] * len(pairs)
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    for row, (output, reference, is_comparable) in zip(rows, pairs, strict=True):
        row[TEMPORAL_DIFFERENCE] = temporal_difference(output, reference)
        row["identical"] = is_comparable and bool((output == reference).all())
    return rows, problems


def _of_each(rows: np.ndarray, frames: list[list[np.ndarray]]) -> list[np.ndarray]:
    """Return the rows of each output apart, one for each of its frames."""
    ends = list(accumulate(len(of_one) for of_one in frames))
    return [rows[end - len(of_one) : end] for end, of_one in zip(ends, frames, strict=True)]


def _scores(rows: list[np.ndarray], texts: np.ndarray) -> np.ndarray:
    """Return the CLIP score of each output: the mean over its frames."""
    import numpy as np  # noqa: PLC0415

    return np.array(
        [
            clip_score(of_one, np.repeat(texts[index : index + 1], len(of_one), axis=0)).mean()
            for index, of_one in enumerate(rows)
        ]
    )


def _cosine(rows: np.ndarray, others: np.ndarray) -> float:
    """Return the mean cosine frame by frame; NaN where one has more frames."""
    return float(clip_score(rows, others).mean() / 100) if len(rows) == len(others) else math.nan


def _mean_measured(name: str, output: np.ndarray, reference: np.ndarray) -> float | None:
    """Return the mean of an image metric over pairs of frames that have a value."""
    pairs = zip(scored_frames(output), scored_frames(reference), strict=True)
    values = [value for pair in pairs if (value := _measured(name, *pair)) is not None]
    return sum(values) / len(values) if values else None


def _measured(name: str, image: np.ndarray, reference: np.ndarray) -> float | None:
    """Return an image metric as a plain number; a user's own may raise or return anything."""
    place = IMAGE_METRICS.place(name)
    try:
        value = IMAGE_METRICS[name](image, reference)
        number = None if value is None else float(value)
    except Exception as error:
        raise ScoringProblem(
            f"the image metric {name!r} ({place}) raised {type(error).__name__}: {error}; expected a number, or None; "
            "fix the metric"
        ) from error
    if number is not None and not math.isfinite(number):
        raise ScoringProblem(
            f"the image metric {name!r} ({place}) returned {number}; expected a finite number, or None; fix the metric"
        )
    return number
