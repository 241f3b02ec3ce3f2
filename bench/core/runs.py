"""Earlier runs, by the names that options give them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from bench.core.errors import UsageProblem
from bench.core.files import replace_file
from bench.core.options import Setting

LATEST = "latest"
NAMED_IN = "MODELGATE_RESULTS_NAMED_IN"
"""Variable with a file that gets the path of the results, for a program that starts a run. What a run prints is no source
for it: it holds what candidates say."""


def name_results(path: Path) -> None:
    """Write where the results of this run are into the file that the environment names, if it names one."""
    if NAMED_IN in os.environ:
        replace_file(Path(os.environ[NAMED_IN]), os.fsencode(path))


def named_results(file: Path) -> Path | None:
    """Return the path that a run has written into a file; None where it has come to no results."""
    try:
        return Path(os.fsdecode(file.read_bytes()))
    except FileNotFoundError:
        return None


def become_latest(directory: Path) -> None:
    """Point the link ``latest`` next to a run's directory to it, atomically."""
    link = directory.with_name(LATEST)
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    with suppress(OSError):  # a file system without links has no `latest`
        temporary.symlink_to(directory.name)
        temporary.replace(link)


def find_run(name: str, option: str, setting: Setting) -> Path:
    """Return the directory of an earlier run.

    ``latest`` is the newest run when this one began. The link of that name moves to this run as soon as this run writes
    anything, and a worker that is started again later would follow it.

    Args:
        name: ``latest``, the name of a run in the work directory, or a path.
        option: that gives the name, for messages.
        setting: of this run.

    Raises:
        UsageProblem: there is no such run.
    """
    work_dir = setting.run.work_dir
    known = name == LATEST and setting.latest is not None
    for path in (setting.latest,) if known else (work_dir / name, setting.local_path(name)):
        if path is not None and any((path / part).exists() for part in ("predictions", "records.jsonl")):
            return path.resolve()
    runs = sorted(path.parent.name for path in work_dir.glob("*/predictions") if path.parent.name != LATEST)
    raise UsageProblem(
        f"{option} {name}: found no such run in {work_dir}, and no directory of a run; expected {LATEST}, a name "
        f"({', '.join(runs[-3:]) or 'there is none yet'}) or a directory; correct it"
    )
