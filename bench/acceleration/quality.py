"""The quality of a candidate's images against its baseline's: CLIP score, and how close the images are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bench.acceleration.cache import ContentCache
from bench.acceleration.host.process import ArmProcess
from bench.acceleration.prompts import Sample
from bench.core.errors import ArmProblem, ScoringProblem
from bench.metrics.clip_score import clip_score
from bench.metrics.image_fidelity import IMAGE_METRICS
from bench.statistics.paired_times import Interval, quality_loss_interval

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Quality:
    """What the images of a pair are worth.

    Attributes:
        loss: relative loss of the CLIP score with its interval.
        baseline, candidate: mean CLIP scores.
        rows: one plain row per sample.
    """

    loss: Interval
    baseline: float
    candidate: float
    rows: list[dict[str, Any]]

    def fidelity(self) -> dict[str, Any]:
        """Return the mean similarity to the baseline's own images; identical ones have no PSNR."""
        names = ("clip_image_cosine", *IMAGE_METRICS)
        return {name: _mean(row[name] for row in self.rows) for name in names} | {
            "identical_images": sum(row["identical"] for row in self.rows)
        }


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
    ) -> Quality:
        """Score both arms on the same samples.

        Args:
            samples: prompts and seeds, [n].
            baseline, candidate: uint8 images [height, width, 3], n each.
            baseline_identity: what determines the baseline's images besides the samples.
            seed: seed of the bootstrap.

        Raises:
            ScoringProblem: when the baseline's scores are not positive in sum, so that nothing can be lost.
        """
        plain_samples = [asdict(sample) for sample in samples]
        texts = self._once(["texts", plain_samples], lambda: self._embed_texts(samples))
        base_rows = self._once(
            ["images", baseline_identity, plain_samples], lambda: self._embed_images(baseline)
        )
        cand_rows = self._embed_images(candidate)
        base_scores, cand_scores = clip_score(base_rows, texts), clip_score(cand_rows, texts)
        cosines = clip_score(base_rows, cand_rows) / 100
        rows = [
            {
                **plain_samples[index],
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
        return Quality(
            loss,
            float(base_scores.mean()),
            float(cand_scores.mean()),
            rows,
        )

    def _once(self, parts: list[Any], embed: Any) -> np.ndarray:
        key = self._cache.key("embeddings", self._clip, *parts)
        return self._cache.once(key, lambda: {"rows": embed()})["rows"]

    def _embed_texts(self, samples: list[Sample]) -> np.ndarray:
        return self._rows({"op": "embed_texts", "texts": [sample.prompt for sample in samples]})

    def _embed_images(self, images: list[np.ndarray]) -> np.ndarray:
        shapes = [list(image.shape[:2]) for image in images]
        pixels = b"".join(image.tobytes() for image in images)
        return self._rows({"op": "embed_images", "shapes": shapes}, pixels)

    def _rows(self, request: dict, payload: bytes = b"") -> np.ndarray:
        import numpy as np  # noqa: PLC0415

        try:
            header, answer, _ = self._scorer.ask(request, payload)
        except ArmProblem as problem:  # it says nothing of the candidate
            raise ScoringProblem(f"{problem}; see the scorer's log in the run's logs/") from problem
        return np.frombuffer(answer, dtype=np.float32).reshape(header["shape"])


def _closeness(image: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    comparable = image.shape == reference.shape
    values = {
        name: measure(image, reference) if comparable else None for name, measure in IMAGE_METRICS.items()
    }
    return {**values, "identical": comparable and bool((image == reference).all())}


def _mean(values: Any) -> float | None:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None
