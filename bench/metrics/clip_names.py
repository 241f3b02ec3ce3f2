"""Names that ``--clip`` takes, told from others without importing open_clip or torch."""

from __future__ import annotations

import difflib
from importlib.util import find_spec
from pathlib import Path

from bench.core.errors import UsageProblem

CONFIG_FILE = "open_clip_config.json"
SOURCES = ("hf-hub:", "local-dir:")
"""What a name of open_clip's own begins with that is not looked up here."""


def check_clip(name: str) -> None:
    """Refuse a folder without a model and a name that open_clip does not have.

    Raises:
        UsageProblem: with the nearest names.
    """
    directory = Path(name)
    if directory.is_dir():
        if not (directory / CONFIG_FILE).is_file():
            raise UsageProblem(
                f"--clip {name}: the directory has no {CONFIG_FILE}; expected a model directory as open_clip saves it"
            )
        return
    known = _architectures()
    architecture = name.partition(":")[0]
    if name.startswith(SOURCES) or not known or architecture in known:
        return
    near = difflib.get_close_matches(architecture, known, n=3, cutoff=0.4)
    raise UsageProblem(
        f"--clip {name}: {architecture!r} is neither a directory nor a model of open_clip; "
        f"nearest names: {', '.join(near) or 'none'}; give MODEL:PRETRAINED or a local directory"
    )


def _architectures() -> list[str]:
    """Return the models that the installed open_clip has settings of; empty where it is not installed."""
    spec = find_spec("open_clip")
    folders = [] if spec is None else spec.submodule_search_locations or []
    return sorted(file.stem for folder in folders for file in Path(folder, "model_configs").glob("*.json"))
