"""A score that cannot be computed takes nothing else with it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.acceleration.arm.scorer import measure_images
from bench.acceleration.prompts import Sample
from bench.acceleration.quality import PairScores, Scoring
from bench.core.errors import ArmProblem, InfrastructureProblem
from bench.metrics.shipped_images import IMAGE_METRICS

SAMPLES = [Sample("a red star", 1), Sample("a blue circle", 2)]
IMAGES = list(np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8))
OTHERS = [np.clip(image.astype(int) + 3, 0, 255).astype(np.uint8) for image in IMAGES]

CACHE: Any = SimpleNamespace(
    key=lambda *parts: parts, once=lambda key, make: make(), once_json=lambda key, make: make()
)


class Scorer:
    """Answers with embeddings, or fails."""

    def __init__(self, problem: Exception | None = None, text: tuple[float, float] = (1.0, 0.0)) -> None:
        self.problem, self.text = problem, text

    def ask(self, request: Any, payload: bytes = b"") -> tuple[dict[str, Any], bytes, float]:
        if self.problem is not None:
            raise self.problem
        if request["op"] == "measure":
            return measure_images(request, payload), b"", 0.0
        is_text = request["op"] == "embed_texts"
        rows = np.tile(np.float32(self.text if is_text else (1.0, 0.0)), (2, 1))
        return {"shape": [2, 2]}, rows.astype(np.float32).tobytes(), 0.0


def scores(scorer: Scorer) -> PairScores:
    scoring = Scoring(scorer, "clip", CACHE)  # type: ignore[arg-type]
    return scoring.compare(SAMPLES, IMAGES, OTHERS, baseline_identity=[], seed=0)


def test_without_a_problem_everything_is_there() -> None:
    found = scores(Scorer())
    assert found.problems == ()
    assert found.loss.value == 0
    assert found.baseline == found.candidate == 100
    assert all(row["baseline_clip_score"] == 100 for row in found.rows)


def test_a_scorer_that_fails_leaves_how_close_the_images_are() -> None:
    problem = ArmProblem("generation_failed", "the scorer raised ValueError: odd sizes", role="scorer")
    found = scores(Scorer(problem))
    assert found.problems == (
        "the scorer raised ValueError: odd sizes; see the scorer's log in the run's logs/",
    )
    assert found.loss.value is None
    assert found.loss.reason == found.problems[0]
    assert (found.baseline, found.candidate) == (None, None)
    fidelity = found.fidelity()
    assert fidelity["clip_image_cosine"] is None
    assert 0.5 < fidelity["ssim"] < 1
    assert fidelity["psnr_db"] > 30
    assert fidelity["identical_images"] == 0
    assert [row["prompt"] for row in found.rows] == [sample.prompt for sample in SAMPLES]
    assert {row["candidate_clip_score"] for row in found.rows} == {None}
    assert set(found.estimates()) == {
        "quality_loss",
        "clip_score",
        "clip_image_cosine",
        "temporal_difference",
        *IMAGE_METRICS,
    }


def test_baselines_from_which_nothing_can_be_lost_keep_their_scores() -> None:
    found = scores(Scorer(text=(0.0, 1.0)))
    assert found.loss.value is None
    assert found.problems[0].startswith("no quality loss can be computed: ")
    assert (found.baseline, found.candidate) == (0, 0)
    assert found.fidelity()["clip_image_cosine"] == 1


def test_an_embedding_that_is_no_direction_leaves_how_close_the_images_are() -> None:
    found = scores(Scorer(text=(0.0, 0.0)))
    assert found.problems[0].startswith("no CLIP score can be computed: found text embedding 0 zero")
    assert found.baseline is None
    assert found.fidelity()["ssim"] > 0.5


def test_a_scorer_that_died_says_nothing_of_the_images_and_ends_the_case() -> None:
    dead = ArmProblem("crashed", "the scorer ended by signal 9", role="scorer")
    with pytest.raises(InfrastructureProblem):
        scores(Scorer(dead))


def test_a_metric_that_fails_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_things", "_places"):
        monkeypatch.setattr(IMAGE_METRICS, name, dict(getattr(IMAGE_METRICS, name)))

    @IMAGE_METRICS.register("odd", higher_is_better=True)
    def odd(image: Any, reference: Any) -> float:
        return float("nan")

    found = scores(Scorer())
    assert len(found.problems) == 1
    assert "the image metric 'odd'" in found.problems[0]
    assert "returned nan; expected a finite number" in found.problems[0]
    assert found.loss.value == 0
    assert found.fidelity()["odd"] is None
    assert found.fidelity()["ssim"] > 0.5


def test_images_of_other_sizes_have_no_closeness_and_are_not_identical() -> None:
    scoring = Scoring(Scorer(), "clip", CACHE)  # type: ignore[arg-type]
    smaller = [image[:8, :8] for image in IMAGES]
    found = scoring.compare(SAMPLES, IMAGES, smaller, baseline_identity=[], seed=0)
    assert found.problems == ()
    assert {row["ssim"] for row in found.rows} == {None}
    assert found.fidelity()["identical_images"] == 0
