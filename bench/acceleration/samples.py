"""Raw material of a record on disk: a row per sample, the videos of both arms, and the record by itself."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.files import replace_file
from bench.core.places import Places
from bench.core.record import Json, Record

if TYPE_CHECKING:
    import numpy as np

Videos = Mapping[str, Sequence["np.ndarray"]]
"""Videos [frames, height, width, 3] by the arm that made them, in the order of the samples."""

FRAME_MS = 125
"""How long a frame of a kept video is shown. Most pipelines do not say how fast theirs are to be shown."""
_WEBP_QUALITY = 90


def sample_files(case_id: str, *, has_rows: bool, has_videos: bool = False) -> dict[str, str]:
    """Return where the files of a case lie, by what they are, relative to the run's directory.

    They are ``predictions/<model>/<id>.jsonl`` with a row per sample, where there are any,
    ``results/<model>/<id>.json``, and the folder ``predictions/<model>/<id>`` of videos. The model is the second part
    of the id, as in the test's name.
    """
    parts = case_id.split("-")
    model = parts[1] if len(parts) > 1 else "unknown"
    files = {"predictions": f"predictions/{model}/{case_id}.jsonl"} if has_rows else {}
    files |= {"videos": f"predictions/{model}/{case_id}"} if has_videos else {}
    return files | {"results": f"results/{model}/{case_id}.json"}


def write_samples(
    directory: Path, record: Record, rows: Sequence[Json], places: Places | None = None
) -> None:
    """Write the files of a record below a run's directory; `places` makes the paths in the record relative."""
    plain = (places or Places()).tidy(record.to_json())
    texts = {
        "predictions": "".join(json.dumps(row) + "\n" for row in rows),
        "results": json.dumps(plain, indent=1) + "\n",
    }
    for name, path in sample_files(record.id, has_rows=bool(rows)).items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, texts[name])


def write_videos(directory: Path, case_id: str, videos: Videos) -> None:
    """Write videos below a run's directory as animated WebP: ``<number of the sample>-<arm>.webp``."""
    if not videos:
        return
    folder = directory / sample_files(case_id, has_rows=False, has_videos=True)["videos"]
    folder.mkdir(parents=True, exist_ok=True)
    for arm, of_arm in videos.items():
        for number, video in enumerate(of_arm):
            replace_file(folder / f"{number}-{arm}.webp", animated_webp(video))


def animated_webp(video: np.ndarray) -> bytes:
    """Return a video, uint8 [frames, height, width, 3], as an animated WebP file that repeats for ever."""
    import PIL.Image  # noqa: PLC0415

    first, *others = (PIL.Image.fromarray(frame) for frame in video)
    file = io.BytesIO()
    first.save(
        file, "WEBP", save_all=True, append_images=others, duration=FRAME_MS, loop=0, quality=_WEBP_QUALITY
    )
    return file.getvalue()
