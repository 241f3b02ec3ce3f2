"""The null band: what a baseline is against itself, made once and known for every metric."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.acceleration.null_band import (
    BATCH,
    REFERENCE,
    THREADS,
    WEIGHTS,
    NullImages,
    collect,
    draw_secret_samples,
    perturbations_for,
)
from bench.acceleration.null_metrics import band_of
from bench.acceleration.prompts import Sample, SampleStream
from bench.core.errors import ArmProblem
from bench.metrics.measuring import measure
from bench.metrics.shipped_images import IMAGE_METRICS

SAMPLES = [Sample(f"prompt {index}", index) for index in range(4)]


@dataclass
class Arm:
    """Makes an image from the seed alone, plus what the perturbation adds; notes what it was asked for."""

    rounds: bool = True
    drift: int = 3
    calls: list[tuple[list[int], dict[str, Any]]] = field(default_factory=list)
    change: dict[str, Any] = field(default_factory=dict)

    def generate(self, samples):
        self.calls.append(([sample.seed for sample in samples], self.change))
        images = [
            np.random.default_rng(sample.seed).integers(0, 200, (16, 16, 3), np.uint8) for sample in samples
        ]
        return SimpleNamespace(outputs=[image + np.uint8(self.drift * bool(self.change)) for image in images])

    def perturb(self, **change):
        self.change = change
        return self.rounds or "round" not in change


def made(arm: Arm, perturbations, threads=1) -> NullImages:
    return collect(lambda what, make: make(), arm, SAMPLES, perturbations, threads)


def test_all_perturbations_are_applied_in_one_call_and_taken_back():
    arm = Arm()
    images = made(arm, (BATCH, THREADS, WEIGHTS))
    assert arm.calls == [([0, 1, 2, 3], {}), ([1, 0], {"threads": 2, "round": "vae"})]
    assert arm.change == {}
    ((names, again),) = images.again.items()
    assert names == (BATCH, THREADS, WEIGHTS)
    # The order is that of the samples again.
    np.testing.assert_array_equal(again, np.array(images.reference[:2]) + 3)
    assert images.width == 3
    assert images.spread > 30


@pytest.mark.parametrize(("threads", "other"), [(1, 2), (4, 1)])
def test_several_threads_become_one_and_one_becomes_two(threads, other):
    arm = Arm()
    made(arm, (THREADS,), threads=threads)
    assert arm.calls[1] == ([0], {"threads": other})


def test_what_can_be_applied_has_a_call_of_its_own_where_something_else_cannot():
    arm = Arm(rounds=False)
    images = made(arm, (BATCH, THREADS, WEIGHTS))
    assert images.again[WEIGHTS,] == []
    assert arm.calls[1:] == [([1, 0], {}), ([0], {"threads": 2})]
    assert band_of(images, measure, embed).perturbations == [BATCH, THREADS]


def test_what_cannot_be_applied_makes_nothing():
    arm = Arm(rounds=False)
    images = made(arm, (WEIGHTS,))
    assert images.again == {(WEIGHTS,): []}
    assert images.width == 0
    assert len(arm.calls) == 1


class WholeBatches(Arm):
    """Raises on anything but a whole batch."""

    code = "generation_failed"

    def generate(self, samples):
        if len(samples) < len(SAMPLES):
            raise ArmProblem(self.code, "a batch of 4 was expected", role="baseline")
        return super().generate(samples)


def test_a_pipeline_that_takes_whole_batches_only_has_no_band_and_no_fault(monkeypatch):
    images = made(WholeBatches(), (BATCH, THREADS))
    assert images.again == {(BATCH,): [], (THREADS,): []}
    monkeypatch.setattr(WholeBatches, "code", "crashed")
    with pytest.raises(ArmProblem):
        made(WholeBatches(), (BATCH,))


def test_what_was_made_before_is_not_made_again():
    stored = {REFERENCE: [np.zeros((8, 8, 3), np.uint8)] * 4, BATCH: [np.zeros((8, 8, 3), np.uint8)]}
    arm = Arm()
    images = collect(lambda what, make: stored[what], arm, SAMPLES, (BATCH,), 1)
    assert (arm.calls, images.width) == ([], 0)


@pytest.mark.parametrize(
    ("free", "on_gpu", "expected"),
    [
        ((), False, (BATCH, THREADS)),
        ((), True, (BATCH,)),
        (("steps", "added_methods"), False, (BATCH, THREADS)),
        (("methods",), False, (BATCH, THREADS, WEIGHTS)),
        (("methods.precision",), True, (BATCH, WEIGHTS)),
        (("vae",), False, (BATCH, THREADS, WEIGHTS)),
    ],
)
def test_weights_are_rounded_only_where_a_task_frees_the_precision(free, on_gpu, expected):
    assert perturbations_for(free, on_gpu=on_gpu) == expected


def test_secret_samples_have_prompts_of_the_run_and_seeds_that_nobody_knows():
    stream = SampleStream(tuple(SAMPLES), run_seed=0)
    drawn = [draw_secret_samples(stream, 4) for _ in range(2)]
    for samples in drawn:
        assert {sample.prompt for sample in samples} == {sample.prompt for sample in SAMPLES}
    assert {s.seed for s in drawn[0]} != {s.seed for s in drawn[1]}
    assert len(draw_secret_samples(stream, 9)) == 4


# In the unit of each metric


def embed(images):
    rows = np.array([image.reshape(-1, 3).mean(axis=0) for image in images])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_every_metric_has_a_band():
    images = made(Arm(), (BATCH, THREADS))
    found = band_of(images, measure, embed)
    assert (found.images, found.perturbations, found.grey_levels) == (2, [BATCH, THREADS], 3)
    names = {name for name, metric in IMAGE_METRICS.items() if metric.form != "set"}
    assert names | {"clip_image_cosine"} <= set(found.metrics)
    assert found.metrics["ssim"].worst < 1
    assert found.width_of("ssim") == pytest.approx(1 - found.metrics["ssim"].worst)
    assert found.width_of("brightness") == pytest.approx(3, abs=1e-3)
    assert found.metrics["psnr_db"].width is None
    assert found.metrics["psnr_db"].worst == pytest.approx(20 * np.log10(255 / 3))
    assert found.width_of("psnr_db") == 0


def test_a_baseline_that_repeats_itself_has_a_band_of_nothing():
    found = band_of(made(Arm(drift=0), (BATCH, THREADS)), measure, embed)
    assert found.grey_levels == 0
    assert found.width_of("ssim") == found.width_of("brightness") == 0
    assert found.width_of("flip") == 0
    assert "psnr_db" not in found.metrics, "equal images have none"


def test_images_of_other_sizes_have_none():
    images = NullImages([np.zeros((8, 8, 3), np.uint8)], {(BATCH,): [np.zeros((4, 4, 3), np.uint8)]})
    found = band_of(images, measure, embed)
    assert (found.images, found.note) == (0, "no image was made again in the same size")
    assert images.width == float("inf")
