"""From a command of pytest to jobs: collects its cases once, splits them, and writes down what each job has."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.cluster.split import Member, split_kinds, units_of
from bench.cluster.submission import (
    SELECTION,
    SELECTION_FILE,
    VERSION,
    ClusterJob,
    SelectedTests,
    Submission,
)
from bench.core.errors import UsageProblem
from bench.core.files import replace_file
from bench.core.interpreter import OWN_MODULE
from bench.core.record import Json


def collect(arguments: Sequence[str]) -> SelectedTests:
    """Return what a command selects; pytest collects and checks it as in a run, and imports no framework.

    Args:
        arguments: of pytest.

    Raises:
        UsageProblem: pytest refused the command, with its words, or it selects nothing.
    """
    with tempfile.TemporaryDirectory(prefix="modelgate-submit-") as folder:
        file = Path(folder) / "selection.json"
        command = [
            *OWN_MODULE, "pytest", "-p", "bench.cluster.collecting", *arguments, "--collect-only", "-q",
            "-p", "no:cacheprovider",
        ]  # fmt: skip
        done = subprocess.run(
            command,
            env={**os.environ, SELECTION_FILE: str(file)},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode == 5 or (not done.returncode and not file.is_file()):
            raise UsageProblem(
                f"-- {shlex.join(arguments)}: found no case that is selected, expected some; correct the paths, -k or -m"
            )
        if done.returncode:
            said = "\n".join(part.strip() for part in (done.stdout, done.stderr) if part.strip())
            raise UsageProblem(
                f"{said}\npytest refused this, and nothing was submitted; correct what it names"
            )
        return msgspec.json.decode(file.read_bytes(), type=SelectedTests)


def begin(
    folder: Path,
    selection: SelectedTests,
    arguments: Sequence[str],
    *,
    jobs: int,
    cluster: str,
    parameters: Json,
) -> Submission:
    """Write what is to be submitted; return it.

    Args:
        folder: of the submission, absolute, as `make_folders` has made it.
        selection: of `collect`.
        arguments: of pytest.
        jobs: at most so many.
        cluster: ``slurm`` or ``local``.
        parameters: of the jobs.

    Raises:
        OSError: when it cannot be written.
    """
    replace_file(folder / SELECTION, msgspec.json.encode(selection))
    kinds: dict[str, list[Member]] = {}
    for one in selection.items:
        kind = "" if one.blank is None else str(one.blank["kind"])
        kinds.setdefault(kind, []).append(Member(one.nodeid, one.cost, tuple(one.names), one.shares))
    parts = split_kinds([units_of(members) for members in kinds.values()], jobs)
    submission = Submission(
        version=VERSION,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        arguments=list(arguments),
        directory=os.getcwd(),
        cluster=cluster,
        parameters=parameters,
        visible_gpus=os.environ.get("CUDA_VISIBLE_DEVICES"),
        seed=selection.seed,
        junit=selection.junit,
        jobs=[
            ClusterJob(number, sum(unit.cost for unit in part), [list(unit.nodeids) for unit in part])
            for number, part in enumerate(parts, 1)
        ],
    )
    submission.write(folder)
    return submission
