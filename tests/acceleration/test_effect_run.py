"""A whole run: a method that a task asks for and that does nothing fails it, and one that acts passes."""

from __future__ import annotations

from pathlib import Path

import pytest
from suites import CALL, PLAIN, Finished, Suite

pytestmark = pytest.mark.slow


def cached(interval: int) -> str:
    """Return a pipeline file with DeepCache."""
    return (
        f"{PLAIN}from DeepCache import DeepCacheSDHelper\nhelper = DeepCacheSDHelper(pipe=pipe)\n"
        f"helper.set_params(cache_interval={interval}, cache_branch_id=0)\nhelper.enable()\n{CALL}"
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    (directory := tmp_path_factory.mktemp("effects") / "mine").mkdir()
    (directory / "broken.py").write_text(
        "from bench.metrics.image_fidelity import IMAGE_METRICS\n\n\n"
        "@IMAGE_METRICS.register('broken', higher_is_better=True)\n"
        "def broken(image, reference):\n    if (image != reference).any():\n        raise ValueError('not mine')\n"
    )
    suite = Suite(directory.parent)
    suite.add("idle", cached(1), methods=["deepcache"])
    suite.add("unscored", cached(2), methods=["deepcache"], max_quality_loss=0.9)
    return suite.run("--time-budget", "0", "--user-dir", "mine", "--num-samples", "8", "--batch-size", "4")


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
