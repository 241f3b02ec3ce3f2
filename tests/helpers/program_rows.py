"""Problems of our own in the form that HumanEval and MBPP have on the hub, with right and wrong programs."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

_READ = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
COMPLETIONS = [row.pop("answers") for row in _READ["humaneval"]]
ANSWERS = [row.pop("answers") for row in _READ["mbpp"]]
HUMANEVAL = _READ["humaneval"]
# The hub's solutions have line ends of Windows.
MBPP = [
    {**row, "code": row["code"].replace("\n", "\r\n"), "test_setup_code": "", "challenge_test_list": []}
    for row in _READ["mbpp"]
]
PATHS = {"humaneval": "openai/openai_humaneval", "mbpp": "google-research-datasets/mbpp/full"}


def write_program_rows(folder: Path) -> Path:
    """Write the rows as `--lm-eval-data` expects them."""
    for path, rows in ((PATHS["humaneval"], HUMANEVAL), (PATHS["mbpp"], MBPP)):
        place = folder / path
        place.mkdir(parents=True, exist_ok=True)
        (place / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder
