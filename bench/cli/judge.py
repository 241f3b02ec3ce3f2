"""``judge``: one candidate against its baseline, in one command, with a card and an exit code.

The command writes a task of one entry and lets pytest run it, as for any other task: the same fixtures, gates and records.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from bench.cli.card import VerdictCard, finite, make_card
from bench.cli.limits import JudgeProblem
from bench.cli.question import JudgeTask
from bench.cli.refusing import refuse
from bench.cli.show import console_for, show_card
from bench.core.fingerprint import path_hash
from bench.core.interpreter import OWN_MODULE
from bench.core.record import Json
from bench.core.runs import NAMED_IN, named_results
from bench.shipped import shipped_root

BROKEN = 2
WORK_DIR = Path("outputs/judge")
#: Variables by which somebody's own runs are told what to judge, and by which limits.
_OF_OTHERS = ("MODELGATE_TASKS", "MODELGATE_CANDIDATES", "MODELGATE_REQUIRE", "MODELGATE_ONLY_CASES")


@dataclass(frozen=True)
class JudgedRun:
    """One run of pytest on some questions.

    Attributes:
        output: what it printed.
        seconds: that it took.
        results: what it found, None where it began nothing.
        path: of the results.
    """

    output: str
    seconds: float
    results: Json | None = None
    path: Path | None = None

    def record_of(self, question: JudgeTask) -> Json | None:
        """Return the record of a question, None where the run has none."""
        records = [] if self.results is None else self.results["records"]
        of_question = ("acceleration", question.name)
        return next((one for one in records if (one["kind"], one.get("prompt_id")) == of_question), None)


def run_questions(
    questions: Sequence[JudgeTask],
    work_dir: Path,
    more: Sequence[str] = (),
    environment: dict[str, str] | None = None,
) -> JudgedRun:
    """Let pytest judge some candidates; prompts and CLIP model are those of the first.

    Args:
        questions: each with a name of its own.
        work_dir: that the run is written to.
        more: further arguments of pytest.
        environment: of the run; left out, this process's.

    Raises:
        JudgeProblem: a file that is not there, a metric without a bound.
    """
    first, shipped = questions[0], shipped_root() / "fixtures"
    limits = first.limits
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="modelgate-judge-") as name:
        job = Path(name)
        (job / "tasks.json").write_text(
            json.dumps([question.entry() for question in questions]), encoding="utf-8"
        )
        (job / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        arguments = [
            *plugin_arguments(), "--modelgate",
            "-c", str(job / "pytest.ini"), f"--rootdir={Path.cwd()}", f"--confcutdir={job}",
            "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-q",
            f"--tasks={job / 'tasks.json'}",
            f"--prompts={first.prompts or shipped / 'datasets' / 'shapes_prompts.jsonl'}",
            f"--clip={first.clip or shipped / 'zoo' / 'tiny-clip'}",
            f"--work-dir={work_dir}",
            *(f"--require={limit.requirement}" for limit in limits),
            *more,
            str(job),
        ]  # fmt: skip
        done = subprocess.run(
            [*OWN_MODULE, "pytest", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            env=_environment(environment, job / "results"),
        )
        # Not from what was printed: that holds what a candidate says, also of results.
        path = named_results(job / "results")
    results = None
    if path is not None and path.is_file():
        results = json.loads(path.read_bytes())
    return JudgedRun(done.stdout, time.monotonic() - began, results, path)


def _environment(given: Mapping[str, str] | None, results: Path) -> dict[str, str]:
    """Return the environment of a run that says where its results are, and that names no other cases or limits.

    The environment goes before the command line. What it says about how to measure holds here too.
    """
    known = os.environ if given is None else given
    return {name: value for name, value in known.items() if name not in _OF_OTHERS} | {NAMED_IN: str(results)}


def judge(
    question: JudgeTask,
    *,
    work_dir: Path = WORK_DIR,
    as_json: bool = False,
    more: Sequence[str] = (),
    environment: dict[str, str] | None = None,
) -> int:
    """Judge one candidate; print its card; return the exit code: 0 pass, 1 fail, 2 error, 3 inconclusive, 4 usage."""
    said = _waiting(f"judging {question.candidate.name} against {question.baseline.name}", quiet=as_json)
    # Frameworks are imported while pytest starts, unless the caller's are there already.
    server = kept_server(more) if environment is None else nullcontext(environment)
    try:
        with said, server as known:
            run = run_questions([question], work_dir, more, known)
        limits = question.limits
    except JudgeProblem as problem:
        return refuse(str(problem), as_json=as_json)
    record = run.record_of(question)
    if record is None:
        return refuse(_last_words(run.output), as_json=as_json)
    if record["reason_code"] == "task_invalid":
        return refuse(_without_place(record["reason"]), as_json=as_json)
    card = make_card(record, limits)
    print_card(card, question, run, as_json=as_json)
    return card.exit_code


def print_card(card: VerdictCard, question: JudgeTask, run: JudgedRun, *, as_json: bool) -> None:
    """Print a card, or its JSON in one line."""
    assert run.results is not None, run.output
    if as_json:
        whole = {
            **card.to_json(),
            "candidate_file": str(question.candidate),
            "baseline_file": str(question.baseline),
            "target_file": None if question.target is None else str(question.target),
            "seconds": round(run.seconds, 2),
            "results": str(run.path),
            "modelgate": run.results["run"].get("version"),
        }
        print(json.dumps(finite(whole)))
        return
    notes = [("results", near(run.path)), ("took", f"{run.seconds:.0f} s")]
    if question.clip is None or question.prompts is None:
        which = [
            word
            for word, given in (("prompts", question.prompts), ("CLIP model", question.clip))
            if given is None
        ]
        notes.append(
            (
                "scored by",
                f"the {' and the '.join(which)} that ship: drawn shapes only. For other pipelines give "
                f"{' and '.join('--prompts' if word == 'prompts' else '--clip' for word in which)}",
            )
        )
    title = f"{near(question.candidate)} against {near(question.baseline)}"
    show_card(console_for(), card, title, notes)


def watch(
    question: JudgeTask,
    *,
    work_dir: Path = WORK_DIR,
    as_json: bool = False,
    more: Sequence[str] = (),
    rounds: int | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Judge again at each save of one of the files; what takes long and stays the same is kept between.

    That is a process that has imported the frameworks, and what is known of the baseline and the target: how they are
    called, their configuration, their images and the null band. For that all verdicts are on the same prompts and seeds,
    which are drawn at the beginning unless ``more`` has a ``--seed``. Both arms are started and timed again each time.

    Args:
        question, work_dir, as_json, more: as for `judge`.
        rounds: end after so many verdicts; None is until Ctrl-C.
        pause: waits between two looks.
    """
    from bench.acceleration.cache import KEPT  # noqa: PLC0415  as below

    code, count = 0, 0
    if not any(argument.partition("=")[0] == "--seed" for argument in more):
        more = [*more, f"--seed={secrets.randbits(53)}"]
    with kept_server(more) as environment, tempfile.TemporaryDirectory(prefix="modelgate-watch-") as kept:
        try:
            while rounds is None or count < rounds:
                seen = _stamp(question)
                references = dict.fromkeys((question.baseline, question.target or question.baseline))
                known = {**environment, KEPT: str(Path(kept, *map(path_hash, references)))}
                code = judge(question, work_dir=work_dir, as_json=as_json, more=more, environment=known)
                count += 1
                if rounds is not None and count >= rounds:
                    break
                if not as_json:
                    print(
                        f"\nwatching {question.candidate}; save it to judge again, Ctrl-C to end", flush=True
                    )
                while _stamp(question) == seen:
                    pause(0.3)
        except KeyboardInterrupt:
            print()
    return code


def near(path: Path | None) -> str:
    """Return a path as somebody in this folder would write it; one elsewhere by its last names."""
    if path is None:
        return "-"
    whole = path.absolute()
    return (
        str(whole.relative_to(Path.cwd())) if whole.is_relative_to(Path.cwd()) else "/".join(whole.parts[-2:])
    )


def plugin_arguments() -> list[str]:
    """Return how pytest is told of the suite, where the environment does not do so."""
    return [] if entry_points(group="pytest11", name="modelgate") else ["-p", "modelgate_plugin"]


def _last_words(output: str) -> str:
    """Return pytest's own complaint, without what is around it."""
    lines = [line.removeprefix("ERROR: ").strip() for line in output.splitlines() if line.strip()]
    told = [line.removeprefix("ERROR: ") for line in output.splitlines() if line.startswith("ERROR: ")]
    return "\n".join(told) or "\n".join(lines[-5:]) or "pytest ended without a word"


def _without_place(reason: str) -> str:
    """Return a reason without the place in a task list that nobody has written."""
    return re.sub(r"tasks\.json, entry \[\d+\] \(prompt_id '\w+'\): ", "", reason)


def _stamp(question: JudgeTask) -> list[tuple[int, int] | None]:
    found: list[tuple[int, int] | None] = []
    for file in (question.candidate, question.baseline, question.target):
        try:
            stat = None if file is None else file.stat()
        except OSError:
            stat = None
        found.append(None if stat is None else (stat.st_mtime_ns, stat.st_size))
    return found


@contextmanager
def kept_server(more: Sequence[str] = ()) -> Iterator[dict[str, str]]:
    """Keep a fork server while the body runs; yield the environment that names it.

    It imports while pytest starts. A run that needs another one, since more of the environment is passed on or a user's
    code is imported, is left to start it.

    Args:
        more: arguments of pytest.
    """
    from bench.acceleration.host.kept_server import VARIABLE, KeptServer  # noqa: PLC0415  not every command keeps one
    from bench.acceleration.host.service import server_environment  # noqa: PLC0415  as above

    if VARIABLE in os.environ or any(one.startswith(("--pass-env", "--user-dir")) for one in more):
        yield dict(os.environ)
        return
    with tempfile.TemporaryDirectory(prefix="modelgate-server-") as name:
        address = str(Path(name) / "server")
        command = [*OWN_MODULE, "bench.acceleration.host.kept_server", address]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=server_environment(),
        ) as kept:
            try:
                deadline = time.monotonic() + 120
                while (
                    kept.poll() is None and not KeptServer(address).is_alive() and time.monotonic() < deadline
                ):
                    time.sleep(0.02)
                yield (
                    {**os.environ, VARIABLE: address} if KeptServer(address).is_alive() else dict(os.environ)
                )
            finally:
                kept.terminate()


@contextmanager
def _waiting(text: str, *, quiet: bool) -> Iterator[None]:
    """Show that something is going on, on a terminal only."""
    console = console_for(sys.stderr)
    if quiet or not console.is_terminal:
        yield
        return
    with console.status(text):
        yield
