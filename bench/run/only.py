"""``--only-cases``: a part of the cases that a command selects, such as the part of one job of many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.core.errors import UsageProblem
from bench.core.files import describe_error


def keep_only(session: pytest.Session, file: Path | None) -> None:
    """Leave out every test that a file does not name, after the options were checked against all of them.

    Args:
        session: that has collected.
        file: a node id in each line; None keeps everything.

    Raises:
        UsageProblem: a file that cannot be read, that names none, or that names a test that was not selected.
    """
    if file is None:
        return
    try:
        named = read_only(file)
    except (OSError, ValueError) as error:
        why = describe_error(error) if isinstance(error, OSError) else "it is no text in UTF-8"
        raise UsageProblem(
            f"--only-cases {file}: found no file that can be read ({why}), expected one with a node id in each line; "
            "correct the path"
        ) from error
    selected = {item.nodeid for item in session.items}
    unknown = [nodeid for nodeid in named if nodeid not in selected]
    if unknown or not named:
        found = f"found {unknown[0]}, which is not among the {len(selected)} that are selected" if unknown else (
            "found no node id"
        )  # fmt: skip
        raise UsageProblem(
            f"--only-cases {file}: {found}, expected node ids as `pytest --collect-only -q` prints them with the same "
            "options; correct the file or the options"
        )
    kept = set(named)
    left_out = [item for item in session.items if item.nodeid not in kept]
    session.items[:] = [item for item in session.items if item.nodeid in kept]
    session.config.hook.pytest_deselected(items=left_out)


def read_only(file: Path) -> Sequence[str]:
    """Return the node ids of a file, each once.

    Raises:
        OSError, ValueError: when it cannot be read.
    """
    lines = file.read_text(encoding="utf-8").split("\n")
    return list(dict.fromkeys(line.rstrip("\r") for line in lines if line.strip()))
