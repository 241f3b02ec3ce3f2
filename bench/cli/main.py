"""The commands of ``python -m bench``.

python -m bench report RUN      what a run came to; completes the results of one that died
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bench.cli.report import report

USAGE_ERROR = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0, or 4 for what cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Commands besides pytest.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    reporting = commands.add_parser(
        "report", help="show what a run came to, and complete the results of one that died"
    )
    reporting.add_argument("run", type=Path, metavar="RUN", help="directory of the run")
    try:
        given = parser.parse_args(arguments)
    except SystemExit as end:
        return USAGE_ERROR if end.code else 0
    return report(given.run) or 0
