"""Whether candidates that cheat are found out, and candidates that only look strange are not.

    python benchmarks/hostile.py [--only NAME ...] [--quick] [--write] [-- ARGUMENTS OF PYTEST]

The attacks are the files of ``tests/hostile/attacks``, one for each line of a catalogue of known ones; ``catalogue.toml``
next to them says how each must end: with which verdict, and for which reason. The candidates of ``tests/hostile/honest`` do
the target's work in a form that looks suspicious, and must pass. All of them run in the same two runs of the suite, so that
each has the others as its neighbours: one without timed rounds, and one for those whose attack is on the clock.

With the suite's own settings each attack costs some seconds; ``--quick`` takes four images and few rounds. Printed is, for
each class of attacks, how many are held, and what was wrong with the others. ``--write`` writes what came of each to
``benchmarks/hostile.json``, which README quotes; with ``--only``, of those alone. The exit code is 1 if an attack that
should be held is not, or an honest candidate was accused.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suite import ROOT, Task, add_run_arguments, pinned, results_file, write_tasks

ROOM = ROOT / "tests/hostile"
FIGURES = ROOT / "benchmarks/hostile.json"
MODEL = ROOT / "fixtures/zoo/tiny-sd-small"
PLAIN = "plain"
SETTINGS = {"num_inference_steps": 4}
NOT_RUN = {
    5: "work on another stream of a GPU",
    17: "events of a GPU with their timing off",
    27: "a CUDA graph replayed with old inputs",
    30: "part of a GPU's cache set apart",
    36: "addresses of a GPU searched",
}
"""Lines of the catalogue that need a GPU."""
REQUIRED_SPEEDUP = 3.0
# Of what the small model draws, without any training, a CLIP model thinks most with these.
_COLOURS = ("purple", "cyan", "white", "yellow", "black", "red", "green", "blue")
PROMPTS = [
    f"a large {colour} {shape} in the middle of a {ground} background"
    for colour, shape, ground in (
        ("purple", "ring", "black"), ("cyan", "ring", "green"), ("blue", "star", "purple"), ("white", "ring", "yellow"),
        ("purple", "cross", "white"), ("yellow", "ring", "black"), ("black", "ring", "white"), ("red", "star", "purple"),
    )
] + [
    f"a large {one} ring in the middle of a {other} background" for one in _COLOURS for other in _COLOURS if one != other
]  # fmt: skip
_QUICK = (
    "--num-samples", "4", "--batch-size", "2", "--warmup-rounds", "1",
    # Calls of hundredths of a second, which a busy machine scatters by a factor: where it is quiet, few rounds decide.
    "--max-rounds", "60", "--max-foreign-load", "1", "--disk-limit", "0.06",
    "--seed", "4503599627370497",  # the same images in every run, and no number that an attack tries
)  # fmt: skip
_UNTIMED = ("--time-budget", "0")
_FEW_PROMPTS = 8
_SHOWN_CHARACTERS = 300

Record = dict[str, Any]
Start = Callable[[list[str], Path, Mapping[str, str]], subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Candidate:
    """One file, and how it must end.

    Attributes:
        name: of the file, without its suffix.
        group: class of the attack, or ``honest``.
        line: of the catalogue; 0 for an honest one.
        verdict, code: of its record; any code where it is empty.
        says: what its reason holds.
        or_else: another code, and what its reason holds then: with more images, another gate may find it first.
        timed: whether a speedup is asked for that it does not have.
        no_effect: whether the attack finds nothing to attack, so that the candidate passes as what else it is.
        methods: acceleration methods that its task asks for.
        level: of its task; a task without one lets a candidate have more code than the target.
        waits_for: the check that catches it, where that is not there yet.
        slow: whether it costs too much for a quick run.
    """

    name: str
    group: str
    verdict: str
    line: int = 0
    code: str = ""
    says: list[str] = field(default_factory=list)
    or_else: dict[str, str] = field(default_factory=dict)
    timed: bool = False
    no_effect: bool = False
    methods: list[str] = field(default_factory=list)
    level: str = ""
    waits_for: str = ""
    slow: bool = False

    @property
    def file(self) -> Path:
        """Its text."""
        return ROOM / ("honest" if self.group == "honest" else "attacks") / f"{self.name}.py"

    def wrong(self, record: Record | None) -> str | None:
        """Return what is wrong with a record, None where it is as it must be."""
        if record is None:
            return "it has no record"
        found = f"{record['verdict']} ({record['reason_code']}): {record['reason']}"
        says = [self.or_else[record["reason_code"]]] if record["reason_code"] in self.or_else else self.says
        codes = {self.code or record["reason_code"], *self.or_else}
        if record["verdict"] != self.verdict or record["reason_code"] not in codes:
            return f"expected {self.verdict} {self.code}, found {found}"
        missing = [text for text in says if text not in record["reason"] + (record["output_tail"] or "")]
        return f"expected {missing[0]!r} in the reason, found {found}" if missing else None


def catalogue() -> list[Candidate]:
    """Return all attacks."""
    tables = tomllib.loads((ROOM / "catalogue.toml").read_text(encoding="utf-8"))
    return [Candidate(name=name, **table) for name, table in tables.items()]


def honest() -> list[Candidate]:
    """Return all honest candidates."""
    names = sorted(file.stem for file in (ROOM / "honest").glob("*.py"))
    return [Candidate(name, "honest", "pass", code="passed") for name in names]


@dataclass(frozen=True)
class Finished:
    """What came of a run.

    Attributes:
        records: by the candidate's name.
        output: what it printed.
        directory: of the tasks.
    """

    records: Mapping[str, Record]
    output: str
    directory: Path


def run(
    directory: Path,
    candidates: Sequence[Candidate],
    arguments: Sequence[str] = (),
    *,
    timed: bool,
    quick: bool = True,
    cores: Collection[int] | None = None,
    environment: Mapping[str, str] | None = None,
    start: Start | None = None,
) -> Finished:
    """Run candidates in one run of the suite, as a user would.

    Args:
        directory: for their files and the results.
        candidates: what is judged.
        arguments: further ones of pytest.
        timed: whether there are timed rounds, in which all of them must be faster than they are.
        quick: whether few images and rounds are enough.
        cores: of the run; None is all of them.
        environment: variables besides this process' own.
        start: runs the command in a folder with an environment; None starts a process.
    """
    submission = directory / "submission"
    submission.mkdir(parents=True)
    (submission / "pyproject.toml").touch()  # it is a project of its own, which candidates may read
    (submission / ".git").mkdir()
    (submission / ".git/packed-refs").write_text("an answer\n", encoding="utf-8")
    (submission / "settings.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    (directory / "prompts.txt").write_text(
        "\n".join(PROMPTS[: _FEW_PROMPTS if quick else None]), encoding="utf-8"
    )
    tasks = [_task(candidate, submission, timed=timed) for candidate in candidates]
    _write(ROOM / "attacks" / f"{PLAIN}.py", submission)
    command = [
        *pinned(cores), sys.executable, "-m", "pytest", str(ROOT / "cases/test_acceleration.py"), "-q",
        "-p", "no:cacheprovider", "--rootdir", str(ROOT), "-c", str(ROOT / "pytest.ini"),
        "--work-dir", str(directory / "out"), "--prompts", str(directory / "prompts.txt"), *write_tasks(directory, tasks),
        *(_QUICK if quick else ()), *(() if timed else _UNTIMED), *arguments,
    ]  # fmt: skip
    finished = (start or _started)(
        command, directory, {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    )
    output = finished.stdout + finished.stderr
    file = results_file(directory / "out")
    if not file.is_file():
        raise RuntimeError(f"the run wrote no results (exit code {finished.returncode}):\n{output[-3000:]}")
    records = json.loads(file.read_text(encoding="utf-8"))["records"]
    return Finished({record["prompt_id"]: record for record in records}, output, directory)


def _started(command: list[str], cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def _task(candidate: Candidate, folder: Path, *, timed: bool) -> Task:
    plain = str(folder / f"{PLAIN}.py")
    limits: Task = {"required_speedup": REQUIRED_SPEEDUP} if timed else {}
    methods: Task = {"methods": candidate.methods} if candidate.methods else {}
    level: Task = {"level": candidate.level} if candidate.level else {}
    return {
        "prompt_id": candidate.name, "difficulty": "easy", "prompt_context": "", "target_file": plain,
        "baseline_file": plain, "candidate_file": str(_write(candidate.file, folder)), **limits, **methods, **level,
    }  # fmt: skip


def _write(file: Path, folder: Path) -> Path:
    text = file.read_text(encoding="utf-8").replace("path/of/model", str(MODEL))
    (folder / file.name).write_text(text, encoding="utf-8")
    return folder / file.name


def split(candidates: Sequence[Candidate], *, quick: bool) -> dict[bool, list[Candidate]]:
    """Return the candidates of the run without timed rounds and of the other one, each among honest ones."""
    taken = [candidate for candidate in candidates if not (quick and candidate.slow)]
    return {timed: [candidate for candidate in taken if candidate.timed is timed] for timed in (False, True)}


def table(candidates: Sequence[Candidate], wrong: Mapping[str, str | None]) -> list[str]:
    """Return the lines of a table: for each class, how many there are and how many ended as they must."""
    groups = dict.fromkeys(candidate.group for candidate in candidates)
    lines = [f"{'class':24} {'n':>4} {'as it must be':>14} {'waiting':>8}"]
    for group in groups:
        members = [candidate for candidate in candidates if candidate.group == group]
        held = sum(wrong[one.name] is None for one in members)
        waiting = sum(wrong[one.name] is not None and bool(one.waits_for) for one in members)
        lines.append(f"{group:24} {len(members):4} {held:14} {waiting:8}")
    return lines


def status(candidate: Candidate, wrong: str | None) -> str:
    """Return what came of a candidate in a word: ``held``, ``waiting`` for a check that is not there yet, or ``wrong``."""
    return "held" if wrong is None else "waiting" if candidate.waits_for else "wrong"


def figures() -> dict[str, str]:
    """Return what came of each candidate when the figures were written."""
    written: dict[str, str] = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.is_file() else {}
    return written


def main() -> int:
    """Run all candidates and print what came of them."""
    parser = argparse.ArgumentParser(
        prog="hostile.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", metavar="NAME", help="candidates to run (default: all)")
    parser.add_argument("--quick", action="store_true", help="few images and rounds")
    parser.add_argument("--write", action="store_true", help="write what README quotes")
    add_run_arguments(parser)
    given = parser.parse_args()
    candidates = [one for one in (*catalogue(), *honest()) if not given.only or one.name in given.only]
    if given.quick:
        candidates = [one for one in candidates if not one.slow]
    wrong: dict[str, str | None] = {}
    folder = Path(tempfile.mkdtemp(prefix="modelgate-hostile-"))
    try:
        for timed, members in split(candidates, quick=given.quick).items():
            if not members:
                continue
            found = run(
                folder / ("timed" if timed else "untimed"), members, given.pytest,
                timed=timed, quick=given.quick, cores=given.cores,
            )  # fmt: skip
            wrong |= {one.name: one.wrong(found.records.get(one.name)) for one in members}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(table(candidates, wrong)))
    for line, why in NOT_RUN.items():
        print(f"not run: line {line}, {why}")
    bad = 0
    for one in candidates:
        problem = wrong[one.name]
        if problem is None:
            continue
        bad += not one.waits_for
        waits = f" (waits for {one.waits_for})" if one.waits_for else ""
        print(f"{one.name}{waits}: {' '.join(problem.split())[:_SHOWN_CHARACTERS]}")
    attacks = [one for one in candidates if one.group != "honest"]
    accused = sum(wrong[one.name] is not None for one in candidates if one.group == "honest")
    held = sum(wrong[one.name] is None for one in attacks)
    print(
        f"{held} of {len(attacks)} attacks held, {accused} of {len(candidates) - len(attacks)} honest accused"
    )
    if given.write:
        known = {one.name for one in (*catalogue(), *honest())}
        made = {name: what for name, what in figures().items() if name in known and given.only}
        made |= {one.name: status(one, wrong[one.name]) for one in candidates}
        FIGURES.write_text(json.dumps(dict(sorted(made.items())), indent=1) + "\n", encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
