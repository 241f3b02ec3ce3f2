"""Images that a run keeps for its page: those of the worst prompts, small ones, of both arms."""

from __future__ import annotations

import numpy as np
import page_runs
import PIL.Image
import pytest

from bench.acceleration.stills import MOST_STILLS, stills_folder, worst_samples, write_stills
from bench.report.html.images import STILL_BYTES


def images(count, size=64, arms=("baseline", "candidate")):
    return {
        arm: {number: page_runs.picture(number, size, 30 * place) for number in range(count)}
        for place, arm in enumerate(arms)
    }


def row(change, ssim=0.9):
    return {"baseline_clip_score": 30.0, "candidate_clip_score": 30.0 + change, "ssim": ssim}


def test_the_samples_that_lost_most_are_kept():
    rows = [row(change) for change in (0.0, -3.0, 1.0, -1.0)]
    assert worst_samples(rows, 4) == [1, 3, 0, 2]
    unscored = [
        {"baseline_clip_score": None, "candidate_clip_score": None, "ssim": s} for s in (0.9, 0.2, None)
    ]
    assert worst_samples(unscored, 3) == [1, 0, 2]
    assert worst_samples([], 40) == list(range(MOST_STILLS))
    assert len(worst_samples([row(-n) for n in range(40)], 40)) == MOST_STILLS


def test_both_images_of_a_sample_lie_under_its_number(tmp_path):
    made, rows = images(20), [row(-n) for n in range(20)]
    folder = stills_folder("hard-sd-deepcache-1", made)
    assert folder == {"images": "predictions/sd/hard-sd-deepcache-1"}
    write_stills(tmp_path, "hard-sd-deepcache-1", made, rows)
    names = {path.name for path in (tmp_path / folder["images"]).iterdir()}
    assert names == {f"{n}-{arm}.webp" for n in range(8, 20) for arm in made}
    with PIL.Image.open(tmp_path / folder["images"] / "19-candidate.webp") as kept:
        assert kept.size == (64, 64)
        shown = np.asarray(kept.convert("RGB")).ravel()
    alike = {n: np.corrcoef(shown, made["candidate"][n].ravel())[0, 1] for n in range(20)}
    assert max(alike, key=alike.get) == 19
    assert alike[19] > 0.8


def test_a_large_image_is_made_small(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, size=(640, 960, 3), dtype=np.uint8)
    write_stills(
        tmp_path, "easy-sd-all-1", {"baseline": {0: noise}, "candidate": {0: page_runs.picture(1, 640)}}, []
    )
    sizes = {}
    for path in (tmp_path / "predictions/sd/easy-sd-all-1").iterdir():
        assert path.stat().st_size <= STILL_BYTES
        with PIL.Image.open(path) as kept:
            sizes[path.name] = kept.size
    assert sizes["0-baseline.webp"][0] * 2 == pytest.approx(sizes["0-baseline.webp"][1] * 3, abs=3)
    assert max(sizes["0-candidate.webp"]) <= 320


@pytest.mark.parametrize(
    "made",
    [
        {},
        {"baseline": {0: page_runs.picture(0)}, "candidate": {}},
        {
            "baseline": {0: np.zeros((2, 8, 8, 3), np.uint8)},
            "candidate": {0: np.zeros((2, 8, 8, 3), np.uint8)},
        },
    ],
)
def test_without_images_of_both_arms_nothing_is_kept(tmp_path, made):
    assert stills_folder("easy-sd-all-1", made) == {}
    write_stills(tmp_path, "easy-sd-all-1", made, [])
    assert list(tmp_path.iterdir()) == []


def test_of_samples_that_both_arms_have_each_keeps_its_number(tmp_path):
    made = images(4)
    del made["candidate"][0]
    write_stills(tmp_path, "easy-sd-all-1", made, [])
    names = {path.name for path in (tmp_path / "predictions/sd/easy-sd-all-1").iterdir()}
    assert names == {f"{n}-{arm}.webp" for n in (1, 2, 3) for arm in made}
