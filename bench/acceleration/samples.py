"""Raw material of a record on disk: a row per sample, and the record by itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bench.core.files import replace_file
from bench.core.places import Places
from bench.core.record import Json, Record


def sample_files(case_id: str, *, has_rows: bool) -> dict[str, str]:
    """Return where the files of a case lie, by what they are, relative to the run's directory.

    They are ``predictions/<model>/<id>.jsonl`` with a row per sample, where there are any, and
    ``results/<model>/<id>.json``. The model is the second part of the id, as in the test's name.
    """
    parts = case_id.split("-")
    model = parts[1] if len(parts) > 1 else "unknown"
    files = {"predictions": f"predictions/{model}/{case_id}.jsonl"} if has_rows else {}
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
