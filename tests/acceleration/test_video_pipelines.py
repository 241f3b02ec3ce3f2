"""Pipelines of diffusers that make videos, in arms and in a whole run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from arms import SAMPLES, ArmStarter
from suites import Finished, Suite
from video_families import FAMILIES
from video_pipelines import (
    ANIMATED,
    FRAMES,
    SIDE,
    STEPS,
    SVD,
    SVD_FRAMES,
    SVD_SIDE,
    WAN,
    WAN_FRAMES,
    WAN_SIDE,
)

from bench.acceleration.configuration import OutputShape
from bench.acceleration.inputs import Inputs
from bench.acceleration.prompts import Sample

pytestmark = pytest.mark.slow

LTX2 = FAMILIES["ltx-2"]


@pytest.mark.parametrize(
    ("source", "frames", "side"),
    [(ANIMATED, FRAMES, SIDE), (WAN, WAN_FRAMES, WAN_SIDE)],
    ids=["animatediff", "wan"],
)
def test_a_pipeline_of_videos_gives_one_for_each_prompt(
    arm_starter: ArmStarter, source: str, frames: int, side: int
) -> None:
    with arm_starter.start(source) as arm:
        arm.load()
        batch = arm.first_call(SAMPLES)
        (alone,) = arm.generate(SAMPLES[1:]).outputs
        assert arm.configuration is not None
        configuration = arm.configuration
    assert [output.shape for output in batch.outputs] == [(frames, side, side, 3)] * len(SAMPLES)
    assert {output.dtype for output in batch.outputs} == {np.dtype(np.uint8)}
    assert not batch.not_finite
    # Each prompt has a generator of its own, so a video does not depend on its batch.
    assert np.abs(batch.outputs[1].astype(int) - alone.astype(int)).max() <= 1
    assert np.abs(batch.outputs[0].astype(int) - alone.astype(int)).mean() > 1
    assert configuration.output == OutputShape(frames=frames, height=side, width=side)
    assert configuration.num_inference_steps == configuration.scheduler_steps == STEPS
    assert configuration.denoiser_calls_per_image == 2 * STEPS  # guidance
    assert configuration.arguments is not None
    assert configuration.arguments["num_frames"] == frames


def test_a_video_is_made_from_the_image_of_its_sample(arm_starter: ArmStarter, tmp_path: Path) -> None:
    samples = []
    for seed, colour in enumerate(("red", "blue")):
        PIL.Image.new("RGB", (SVD_SIDE, SVD_SIDE), colour).save(tmp_path / f"{colour}.png")
        samples.append(Sample(colour, seed, Inputs(image=str(tmp_path / f"{colour}.png"))))
    with arm_starter.start(SVD) as arm:
        arm.load()
        batch = arm.first_call(samples)
        (alone,) = arm.generate(samples[1:]).outputs
    assert [output.shape for output in batch.outputs] == [(SVD_FRAMES, SVD_SIDE, SVD_SIDE, 3)] * 2
    assert np.abs(batch.outputs[1].astype(int) - alone.astype(int)).max() <= 1
    assert np.abs(batch.outputs[0].astype(int) - alone.astype(int)).mean() > 1


def test_numbers_that_are_none_are_seen_where_the_frames_hide_them(arm_starter: ArmStarter) -> None:
    broken = "pipe.vae.post_quant_conv.weight.data.fill_(float('nan'))\n\nif __name__"
    with arm_starter.start(ANIMATED.replace("if __name__", broken)) as arm:
        arm.load()
        assert arm.first_call(SAMPLES).not_finite


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run over a candidate with a little less guidance, which is free, and one that makes fewer frames.

    And over an LTX-2, which makes sound too and steps a copy of its scheduler.
    """
    suite = Suite(tmp_path_factory.mktemp("videos"))
    suite.write("baseline.py", ANIMATED)
    suite.add(
        "close", ANIMATED.replace("guidance_scale=7.5", "guidance_scale=7.0"),
        free=["guidance"], max_quality_loss=0.9,
    )  # fmt: skip
    suite.add("fewer", ANIMATED.replace(f"num_frames={FRAMES}", f"num_frames={FRAMES - 1}"))
    own = {name: suite.write("ltx2.py", LTX2.source()) for name in ("target_file", "baseline_file")}
    suite.add("ltx2", LTX2.source(after="pipe.vae.enable_slicing()"), max_quality_loss=0.9, **own)
    suite.add("ltx2-less", LTX2.source(steps=LTX2.steps - 1, frames=LTX2.fewer), **own)
    return suite.run("--num-samples", "4", "--batch-size", "2", "--time-budget", "0")


def test_a_video_pipeline_is_judged(finished: Finished) -> None:
    record = finished.record("close")
    assert record["verdict"] == "pass", record["reason"]
    assert record["config"]["candidate"]["output"] == {"frames": FRAMES, "height": SIDE, "width": SIDE}
    assert record["times"]["per"] == "video"
    assert record["quality"]["baseline"] > 0
    found = record["metrics"]["temporal_difference"]
    assert 0 < found["low"] < found["value"] < found["high"] < 100
    assert found["value"] == record["fidelity"]["temporal_difference"]
    assert record["fidelity"]["identical_images"] == 0
    folder: Path = finished.directory / record["files"]["videos"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{number}-{arm}.webp" for number in range(4) for arm in ("baseline", "candidate")
    )
    with PIL.Image.open(folder / "0-candidate.webp") as video:
        assert (video.size, video.n_frames) == ((SIDE, SIDE), FRAMES)


def test_another_number_of_frames_is_another_configuration(finished: Finished) -> None:
    record = finished.record("fewer")
    assert (record["verdict"], record["reason_code"]) == ("fail", "config_mismatch")
    assert f"output.frames: target {FRAMES}, candidate {FRAMES - 1}" in record["reason"]
    assert "output.height" not in record["reason"]


def test_an_ltx_2_is_judged_by_its_videos(finished: Finished) -> None:
    record = finished.record("ltx2")
    # Its weights are random, and CLIP scores of such videos may sum to less than nothing, of which no loss can be computed.
    assert record["verdict"] == "pass" or record["reason_code"] == "scoring_failed", record["reason"]
    shape = {"frames": LTX2.frames, "height": LTX2.side, "width": LTX2.side}
    assert record["config"]["candidate"]["output"] == shape
    assert record["config"]["candidate"]["calls_by_component"] == LTX2.calls
    assert record["times"]["per"] == "video"
    assert record["times"]["card"] is None  # a processor
    assert record["fidelity"]["ssim"] > 0.9999  # slices of a batch are decoded in another order of additions
    assert record["fidelity"]["temporal_difference"] < 0.01
    with PIL.Image.open(finished.directory / record["files"]["videos"] / "3-baseline.webp") as video:
        assert (video.size, video.n_frames) == ((LTX2.side, LTX2.side), LTX2.frames)


def test_an_ltx_2_that_does_less_is_rejected_for_all_that_it_leaves_out(finished: Finished) -> None:
    """For fewer steps or fewer frames alone each family is, in test_video_families."""
    record = finished.record("ltx2-less")
    assert (record["verdict"], record["reason_code"]) == ("fail", "config_mismatch")
    assert f"num_inference_steps: target {LTX2.steps}, candidate {LTX2.steps - 1}" in record["reason"]
    assert f"output.frames: target {LTX2.frames}, candidate {LTX2.fewer}" in record["reason"]
