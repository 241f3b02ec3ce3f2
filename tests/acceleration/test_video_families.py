"""Each family of video pipelines is called as its file calls it, counted right, and held against its own configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import same_process
from video_families import FAMILIES, HEAD, Family

from bench.acceleration import gates
from bench.acceleration.comparison import differences
from bench.acceleration.configuration import Configuration, OutputShape
from bench.acceleration.freedom import OF_LEVEL, split
from bench.acceleration.host.pipeline_arm import Batch, PipelineArm
from bench.acceleration.prompts import Sample
from bench.core.verdict import Verdict
from bench.metrics.video_fidelity import temporal_difference

# What their libraries warn of concerns those who use them.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SAMPLES = [Sample("a red star", 1), Sample("a blue circle", 2)]


@dataclass(frozen=True)
class Made:
    """A family with its target, loaded and called."""

    family: Family
    folder: Path
    arm: PipelineArm
    batch: Batch

    @property
    def configuration(self) -> Configuration:
        """Of the target."""
        assert self.arm.configuration is not None
        return self.arm.configuration

    def candidate(self, source: str) -> tuple[Verdict, Batch]:
        """Judge the configuration of another file against the target's, as a task without a level does."""
        file = self.folder / "candidate.py"
        file.write_text(source)
        arm, batch = same_process.made(file, SAMPLES[: self.family.batch])
        assert arm.configuration is not None
        counting, free = split(differences(self.configuration, arm.configuration), OF_LEVEL[None])
        return gates.judge_configuration(counting, free), batch


@pytest.fixture(scope="module", params=FAMILIES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    family = FAMILIES[request.param]
    folder = tmp_path_factory.mktemp("family")
    file = folder / "target.py"
    file.write_text(family.source())
    return Made(family, folder, *same_process.made(file, SAMPLES[: family.batch], "target"))


def called_plainly(family: Family) -> list[np.ndarray]:
    """Return what diffusers makes of the same call without anything of ours around it."""
    import torch

    names: dict[str, Any] = {}
    exec(f"{HEAD}{family.head}", names)
    pipe = eval(family.built(), names)
    names["given"] = lambda *args, **options: (args, options)
    args, options = eval(f"given({family.call})", names)
    prompts = [sample.prompt for sample in SAMPLES[: family.batch]]
    args = tuple(prompts if value == "a red star" else value for value in args)
    options = {name: prompts if name == "prompt" else value for name, value in options.items()}
    options |= {family.frames_name: family.frames, "num_inference_steps": family.steps, "output_type": "np"}
    pipe.set_progress_bar_config(disable=True)
    generator = [torch.Generator().manual_seed(sample.seed) for sample in SAMPLES[: family.batch]]
    videos = pipe(*args, **options, generator=generator).frames
    return [(np.asarray(video) * 255).round() for video in videos]


def test_its_videos_are_those_of_a_plain_call(made: Made) -> None:
    family, batch = made.family, made.batch
    shape = (family.frames, family.side, family.side, 3)
    assert [output.shape for output in batch.outputs] == [shape] * family.batch
    for ours, plain in zip(batch.outputs, called_plainly(family), strict=True):
        assert np.abs(ours.astype(int) - plain).max() <= 1
    assert not batch.not_finite
    again = made.arm.generate(SAMPLES[: family.batch])  # not watched
    np.testing.assert_array_equal(again.outputs, batch.outputs)


def test_its_steps_and_every_denoiser_are_counted_for_each_video(made: Made) -> None:
    family, found = made.family, made.configuration
    assert found.pipeline_class == family.class_name
    assert (found.num_inference_steps, found.scheduler_steps) == (family.steps, family.steps)
    assert found.calls_by_component == family.calls
    assert found.idle_layers == []
    assert found.denoiser_layer_calls
    assert found.output == OutputShape(frames=family.frames, height=family.side, width=family.side)
    assert found.arguments is not None
    assert found.arguments[family.frames_name] == family.frames
    assert found.call is not None
    assert found.call.by == "run"
    assert found.disagreements == []


def test_a_candidate_that_computes_the_same_passes(made: Made) -> None:
    verdict, batch = made.candidate(made.family.source(after="pipe.vae.enable_slicing()"))
    assert verdict.verdict == "pass", verdict.reason
    difference = temporal_difference(batch.outputs[0], made.batch.outputs[0])
    assert difference is not None
    assert difference < 1


def test_fewer_steps_are_another_configuration(made: Made) -> None:
    fewer = made.family.steps - 1
    verdict, batch = made.candidate(made.family.source(steps=fewer))
    assert verdict.reason_code == "config_mismatch"
    assert f"num_inference_steps: target {fewer + 1}, candidate {fewer}" in verdict.reason
    assert not np.array_equal(batch.outputs[0], made.batch.outputs[0])


def test_fewer_frames_are_another_configuration(made: Made) -> None:
    family = made.family
    verdict, batch = made.candidate(family.source(frames=family.fewer))
    assert verdict.reason_code == "config_mismatch"
    for field in (f"arguments.{family.frames_name}", "output.frames"):
        assert f"{field}: target {family.frames}, candidate {family.fewer}" in verdict.reason
    assert len(batch.outputs[0]) == family.fewer
