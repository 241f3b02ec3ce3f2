"""The quality of a candidate's images against its baseline's: CLIP score, and how close the images are."""

from __future__ import annotations

import math
from dataclasses import dataclass
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
from bench.statistics.bootstrap import mean_intervals
from bench.statistics.paired_times import quality_loss_interval

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class PairScores:
    """What the images of a pair are worth.

    Attributes:
        loss: relative loss of the CLIP score, a fraction.
        baseline, candidate: mean CLIP scores.
        rows: one plain row per sample.
        seed: of the bootstrap.
    """

    loss: Estimate
    baseline: float
    candidate: float
    rows: list[Json]
    seed: int = 0

    def fidelity(self) -> dict[str, float | int | None]:
        """Return the mean of each image metric, and how many images are identical to the baseline's."""
        means: dict[str, float | int | None] = {
            name: estimate.value for name, estimate in self.closeness().items()
        }
        return means | {"identical_images": sum(row["identical"] for row in self.rows)}

    def closeness(self) -> dict[str, Estimate]:
        """Return the mean of each image metric over the samples; identical images have no PSNR."""
        return {name: self._mean(name) for name in ("clip_image_cosine", *IMAGE_METRICS)}

    def estimates(self) -> dict[str, Estimate]:
        """Return all that was estimated, by metric."""
        return {self.loss.metric: self.loss, **self.closeness()}

    def _mean(self, name: str) -> Estimate:
        values = [row[name] for row in self.rows if row[name] is not None]
        better = IMAGE_METRICS[name].higher_is_better if name in IMAGE_METRICS else True
        found = Estimate(metric=name, n=len(values), higher_is_better=better)
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
    ) -> PairScores:
        """Score both arms on the same samples.

        Args:
            samples: prompts, seeds and inputs, [n].
            baseline, candidate: uint8 images [height, width, 3], n each.
            baseline_identity: what determines the baseline's images besides the samples.
            seed: seed of the bootstrap.

        Raises:
            ScoringProblem: when the baseline's scores are not positive in sum, so that nothing can be lost.
        """
        identities = [sample.identity() for sample in samples]
        texts = self._once(["texts", identities], lambda: self._embed_texts(samples))
        base_rows = self._once(
            ["images", baseline_identity, identities], lambda: self._embed_images(baseline)
        )
        cand_rows = self._embed_images(candidate)
        base_scores, cand_scores = clip_score(base_rows, texts), clip_score(cand_rows, texts)
        cosines = clip_score(base_rows, cand_rows) / 100
        rows = [
            {
                **samples[index].shown(),
                "baseline_clip_score": float(base_scores[index]),
                "candidate_clip_score": float(cand_scores[index]),
                "clip_image_cosine": float(cosines[index]),
                **_closeness(candidate[index], baseline[index]),
            }
            for index in range(len(samples))
        ]
        try:
            loss = quality_loss_interval(base_scores, cand_scores, seed=seed)
        except ValueError as error:
            raise ScoringProblem(f"no quality loss can be computed: {error}") from error
        return PairScores(loss, float(base_scores.mean()), float(cand_scores.mean()), rows, seed)

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


def _closeness(image: np.ndarray, reference: np.ndarray) -> Json:
    comparable = image.shape == reference.shape
    values = {name: _measured(name, image, reference) if comparable else None for name in IMAGE_METRICS}
    return {**values, "identical": comparable and bool((image == reference).all())}


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
