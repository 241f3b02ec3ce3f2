"""A whole run with code of its user's, whose methods and metrics count as ours do.

A method that a task asks for and that does nothing fails it, and one that acts passes.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from suites import CALL, PLAIN, Finished, Suite

pytestmark = pytest.mark.slow


LARGER = CALL.replace("num_inference_steps", "height=64, width=64, num_inference_steps")
FREES = PLAIN + "pipe.enable_freeu(s1=0.9, s2=0.2, b1=1.2, b2=1.4)\n" + CALL


def cached(interval: int, call: str = CALL) -> str:
    """Return a pipeline file with DeepCache."""
    return (
        f"{PLAIN}from DeepCache import DeepCacheSDHelper\nhelper = DeepCacheSDHelper(pipe=pipe)\n"
        f"helper.set_params(cache_interval={interval}, cache_branch_id=0)\nhelper.enable()\n{call}"
    )


MINE = """
import numpy as np

from bench.acceleration.methods import acceleration_method
from bench.metrics.image_fidelity import IMAGE_METRICS


@acceleration_method("free_u", switched_on={"enable_freeu": ("s1", "s2", "b1", "b2")})
def free_u(loaded):
    block = loaded.pipe.unet.up_blocks[0]
    return None if getattr(block, "b1", None) is None else {"b1": block.b1}


@IMAGE_METRICS.register("mean_absolute_error", higher_is_better=False)
def mean_absolute_error(image, reference):
    return np.abs(image.astype(np.float32) - reference).mean()


@IMAGE_METRICS.register("broken", higher_is_better=True)
def broken(image, reference):
    if image.shape[0] == 64 and (image != reference).any():
        raise ValueError("not mine")
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One run, since a folder of the user's own needs a fork server that has imported it."""
    (directory := tmp_path_factory.mktemp("effects") / "mine").mkdir()
    (directory / "registered.py").write_text(MINE)
    suite = Suite(directory.parent)
    suite.add("idle", cached(1), methods=["deepcache"])
    larger = suite.write("larger.py", PLAIN + LARGER)
    suite.add(
        "unscored", cached(2, LARGER), methods=["deepcache"], max_quality_loss=0.9, target_file=larger,
        baseline_file=larger,
    )  # fmt: skip
    suite.add("with", methods=["free_u"], candidate_file=suite.write("frees.py", FREES))
    suite.generations[-1]["candidate_file"] = "frees.py"
    suite.add("without", methods=["free_u"], candidate_file="baseline.py")
    suite.generations.pop()  # its task names its candidate itself
    return suite.run(
        "--time-budget", "0", "--user-dir", "mine", "--require", "acceleration:with.mean_absolute_error<=0.001",
        "--num-samples", "8", "--batch-size", "4",  # 8, so that images of 4 steps have a CLIP score above 0
    )  # fmt: skip


def test_a_method_that_does_nothing_fails_the_task_that_asks_for_it(finished: Finished) -> None:
    record = finished.record("idle")
    assert (record["verdict"], record["reason_code"]) == ("fail", "method_without_effect"), finished.output
    assert (
        "images, executed layers, denoiser calls, dtypes, bytes of weights are those of the baseline"
        in record["reason"]
    )
    assert record["effect"] == {
        "against": "baseline",
        "images": 8,
        "differing_images": 0,
        "changes": {},
        "methods": {"deepcache": False},
    }
    assert record["config"]["mismatches"] == [], "it is in place, with its parameters"


def test_a_method_that_acts_is_known_to_and_what_a_broken_metric_says_nothing_of_is_reported(
    finished: Finished,
) -> None:
    record = finished.record("unscored")
    assert record["effect"]["methods"] == {"deepcache": True}
    without, now = record["effect"]["changes"]["layers_per_call"]
    assert now < without
    assert record["effect"]["differing_images"] > 0
    assert (record["verdict"], record["reason_code"]) == ("error", "scoring_failed"), finished.output
    assert "the image metric 'broken'" in record["reason"]
    assert "not mine" in record["reason"]
    assert record["quality"]["loss"] is not None
    assert record["metrics"]["quality_loss"]["value"] == record["quality"]["loss"]
    assert 0 < record["fidelity"]["ssim"] < 1
    assert record["fidelity"]["psnr_db"] > 0
    assert record["fidelity"]["broken"] is None
    rows = Path(finished.directory, record["files"]["predictions"]).read_text().splitlines()
    assert len(rows) == record["quality"]["samples"] == 8


def test_a_task_in_one_file_with_a_method_and_a_metric_of_ones_own(finished: Finished) -> None:
    record = finished.record("with")
    assert record["config"]["candidate"]["methods"] == {"free_u": {"b1": 1.2}}, finished.output
    assert record["config"]["candidate"]["disagreements"] == []
    error = record["metrics"]["mean_absolute_error"]
    assert 0.001 < error["low"] < error["value"] == record["fidelity"]["mean_absolute_error"] < error["high"]
    assert error["higher_is_better"] is False
    assert (record["verdict"], record["reason_code"]) == ("fail", "requirement_missed")
    assert finished.record("without")["config"]["mismatches"] == [
        {"field": "methods.free_u", "target": "required", "candidate": None}
    ]
