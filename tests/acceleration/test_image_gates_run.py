"""One whole run: each gate on images rejects what it is there for, and an honest candidate passes all of them."""

from __future__ import annotations

import json
import sys

import pytest
from suites import BASELINE, NOISE, STEPS, Finished, Suite, own_generate

pytestmark = pytest.mark.slow

FEWER_STEPS = BASELINE.replace(f"num_inference_steps={STEPS}", f"num_inference_steps={STEPS - 2}")
BLURRED = own_generate(
    "import PIL.ImageFilter\nreturn [image.filter(PIL.ImageFilter.GaussianBlur(3)) for image in images]"
)
BLURRED_AND_FEWER = BLURRED.replace(f"num_inference_steps={STEPS}", f"num_inference_steps={STEPS - 1}")
# Makes other images each time, whatever it is given.
UNSEEDED = f"""
import numpy as np
{NOISE}

def generate(pipe, prompts, generators):
    rng = np.random.default_rng()
    made = [rng.integers(0, 256, (*image.size, 3), np.uint8) for image in pipe(prompts, generators)]
    return [PIL.Image.fromarray(image) for image in made]
"""
LENIENT = {"max_quality_loss": 0.95, "free": ["steps"]}
STAND_IN = """
class Model:
    def score(self, prompt, path):
        return len(prompt) / 1000


def load(name, device):
    return Model()
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    suite = Suite(tmp_path_factory.mktemp("images"))
    (suite.directory / "ImageReward.py").write_text(STAND_IN)
    python = suite.directory / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={suite.directory} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    limits = {
        "ms_ssim": {"min": 0.99}, "flip": {"equal_within": "null_band"}, "contrast": {"relative_within": 0.01},
        "image_reward": {"min": 0.001, "equal_within": 0.01}, "psnr_db": {"min": 40},
    }  # fmt: skip
    suite.add("honest", own_generate("return images"), quality=limits)
    suite.add("forged", BLURRED, max_quality_loss=0.95)
    suite.add("limited", FEWER_STEPS, quality={"ssim": {"min": 0.999}} | dict.fromkeys(GUARDS), **LENIENT)
    suite.add("degraded", BLURRED_AND_FEWER, **LENIENT)
    suite.add("control", BLURRED, expect="images_differ_from_target", max_quality_loss=0.95)
    suite.write("unseeded.py", UNSEEDED)
    suite.add(
        "unseeded", UNSEEDED, target_file="unseeded.py", baseline_file="unseeded.py", max_quality_loss=0.95
    )
    suite.add("misspelled", quality={"ssin": {"min": 0.9}})
    suite.add("few", quality={"cmmd": {"max": 0.5}})
    suite.add("missing", quality={"hpsv3": {"min": 1}})
    return suite.run("--time-budget", "0", "--metric-python", f"image_reward={python}")


GUARDS = ("sharpness", "noise", "contrast", "diversity")


def test_an_honest_candidate_passes_every_gate(finished: Finished) -> None:
    record = finished.record("honest")
    assert record["verdict"] == "pass", record["reason"]
    found = record["target_images"]
    assert found["status"] == "equal"
    assert found["distance"] <= found["allowed"]
    assert (found["images"], found["timed_images"]) == (2, 4)
    assert record["metrics"]["ms_ssim"]["value"] == pytest.approx(1, abs=1e-3)
    assert record["metrics"]["image_reward"]["value"] > 0.001


def test_the_null_band_is_measured_and_shown(finished: Finished) -> None:
    band = finished.record("honest")["null_band"]
    assert band["perturbations"] == ["batch", "threads"]
    assert band["images"] == 1, "half of a batch of two, with all perturbations at the same time"
    assert {"ssim", "flip", "contrast", "clip_image_cosine"} <= set(band["metrics"])
    assert band["metrics"]["ssim"]["worst"] > 0.9
    assert finished.record("forged")["null_band"] == band, "it is the same baseline, measured once"
    assert "null band, the baselines against themselves under other batch, threads" in finished.output


def test_images_that_are_not_the_targets_are_rejected_whatever_is_reported(finished: Finished) -> None:
    record = finished.record("forged")
    assert (record["verdict"], record["reason_code"]) == ("fail", "images_differ_from_target"), record[
        "reason"
    ]
    assert record["config"]["mismatches"] == []
    assert record["target_images"]["distance"] > record["target_images"]["allowed"]
    assert finished.record("control")["reason_code"] == "rejected_as_expected"


def test_a_metric_that_a_task_limits_rejects(finished: Finished) -> None:
    record = finished.record("limited")
    assert (record["verdict"], record["reason_code"]) == ("fail", "quality_lost"), record["reason"]
    assert "ssim 0." in record["reason"]
    assert record["target_images"]["status"] == "not_claimed"
    assert "num_inference_steps" in record["target_images"]["note"]


def test_a_safeguard_rejects_what_no_task_asks_for(finished: Finished) -> None:
    record = finished.record("degraded")
    assert (record["verdict"], record["reason_code"]) == ("fail", "images_degraded"), record["reason"]
    change = record["image_statistics"]["sharpness"]
    assert change["candidate"] < change["baseline"]
    assert change["high"] < 0


def test_a_target_that_ignores_its_seeds_accuses_nobody(finished: Finished) -> None:
    record = finished.record("unseeded")
    assert record["target_images"]["status"] == "not_repeated"
    assert record["reason_code"] != "images_differ_from_target"
    assert any("let the file pass the given generators on" in warning for warning in record["warnings"])


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("misspelled", "entry [6] (prompt_id 'misspelled'): quality is the object"),
        ("misspelled", "no metric is named 'ssin'; nearest: ssim"),
        (
            "few",
            "(prompt_id 'few'): quality: cmmd is too biased to be judged of 4 images; expected at least 2,000",
        ),
        ("missing", "quality: hpsv3 needs the package hpsv3, which this Python has not"),
    ],
)
def test_a_limit_that_cannot_be_judged_names_its_entry(finished: Finished, task: str, said: str) -> None:
    record = finished.record(task)
    assert record["reason_code"] == "task_invalid"
    assert said.replace("is the object", "is an object") in record["reason"].replace(
        "is the object", "is an object"
    )


def test_distances_of_sets_have_their_size_and_a_warning(finished: Finished) -> None:
    found = finished.record("limited")["distribution"]
    assert found["images"] == 4
    assert found["fid_clip"] > 0
    assert "too large by an amount that depends on their number" in found["note"]


def test_rows_have_the_values_of_both_arms(finished: Finished) -> None:
    path = finished.directory / finished.record("limited")["files"]["predictions"]
    row = json.loads(path.read_text().splitlines()[0])
    assert {"ssim", "flip", "sharpness", "baseline_sharpness", "diversity"} <= set(row)
