"""Images of a pair that a run keeps for its page: those of the worst prompts, reduced, as WebP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.acceleration.samples import sample_files
from bench.core.files import replace_file
from bench.core.record import Json
from bench.report.html.images import small_webp

if TYPE_CHECKING:
    import numpy as np

Images = Mapping[str, Mapping[int, "np.ndarray"]]
"""Images uint8 [height, width, 3], or videos, by arm and number of the sample."""

MOST_STILLS = 12
"""Samples of a case whose images are kept."""


def worst_samples(rows: Sequence[Json], count: int) -> list[int]:
    """Return the numbers of the samples to keep, the worst one first.

    Args:
        rows: what was measured of each sample; empty where nothing was.
        count: how many samples there are.
    """
    if len(rows) != count:
        return list(range(min(count, MOST_STILLS)))

    def badness(number: int) -> tuple[float, float]:
        row = rows[number]
        scores = row.get("baseline_clip_score"), row.get("candidate_clip_score")
        change = 0.0 if scores[0] is None or scores[1] is None else scores[1] - scores[0]
        closeness = row.get("ssim")
        return change, 1.0 if closeness is None else closeness

    return sorted(range(count), key=badness)[:MOST_STILLS]


def stills_folder(case_id: str, images: Images) -> dict[str, str]:
    """Return the folder of a case's images relative to the run's directory, as ``images``; nothing where there are none."""
    folder = sample_files(case_id, has_rows=False, has_videos=True)["videos"]
    return {"images": folder} if _shared(images) else {}


def write_stills(directory: Path, case_id: str, images: Images, rows: Sequence[Json]) -> None:
    """Write images below a run's directory as ``<number of the sample>-<arm>.webp``.

    Args:
        directory: of the run.
        case_id: names the folder.
        images: of both arms.
        rows: what was measured of each sample, in their order; empty where nothing was.
    """
    numbers = _shared(images)
    if not numbers:
        return
    folder = directory / stills_folder(case_id, images)["images"]
    folder.mkdir(parents=True, exist_ok=True)
    for place in worst_samples(rows, len(numbers)):
        for arm, of_arm in images.items():
            replace_file(folder / f"{numbers[place]}-{arm}.webp", _webp(of_arm[numbers[place]]))


def _shared(images: Images) -> list[int]:
    """Return the numbers of the samples of which both arms have an image, and no video."""
    numbers = set.intersection(*map(set, images.values())) if images else set()
    return sorted(number for number in numbers if all(arm[number].ndim == 3 for arm in images.values()))


def _webp(image: np.ndarray) -> bytes:
    import PIL.Image  # noqa: PLC0415

    return small_webp(PIL.Image.fromarray(image))
