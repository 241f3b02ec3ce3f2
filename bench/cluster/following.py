"""Waits for jobs and shows a line for each: its state, and how many of its cases are decided."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from bench.cluster.states import State, states
from bench.cluster.submission import Submission, decided, job_folder

_LEAST_S, _MOST_S = 0.5, 10.0
# Each further look waits for this share of the time since the first, so that a long run asks the cluster seldom.
_SHARE = 0.05
_COUNTS_S = 60  # without a terminal, counts alone are told so often

Ask = Callable[[Path, Submission], Mapping[int, State] | None]


def follow(
    folder: Path, submission: Submission, *, ask: Ask = states, sleep: Callable[[float], None] = time.sleep
) -> Mapping[int, State]:
    """Wait until all jobs are over; return their states.

    Args:
        folder: of the submission.
        submission: what was submitted.
        ask: returns the states; None where the cluster does not answer, which is awaited.
        sleep: waits for some seconds.
    """
    console = Console()
    shown = _OnTerminal(console) if console.is_terminal else _AsLines(console)
    began = time.monotonic()
    known: Mapping[int, State] = {}
    with shown:
        while True:
            found = ask(folder, submission)
            known = known if found is None else found
            is_over = found is not None and all(state.is_over for state in found.values())
            shown.show(lines(folder, submission, known), is_silent=found is None)
            if is_over:
                return known
            sleep(min(_MOST_S, max(_LEAST_S, _SHARE * (time.monotonic() - began))))


def lines(folder: Path, submission: Submission, known: Mapping[int, State]) -> Sequence[tuple[str, str]]:
    """Return for each job its state and its count, in words."""
    told = []
    for job in submission.jobs:
        state = known.get(job.number)
        done = len(decided(job_folder(folder, job.number)).intersection(job.nodeids))
        name = job.launches[-1].id if job.launches else "not submitted"
        told.append(
            (f"job {job.number} ({name}): {state or 'UNKNOWN'}", f"{done} of {len(job.nodeids)} decided")
        )
    return told


class _AsLines:
    """Prints the line of a job when its state has changed, and now and then when its count has."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._before: dict[int, tuple[str, str]] = {}
        self._counted = time.monotonic()
        self._was_silent = False

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass

    def show(self, told: Sequence[tuple[str, str]], *, is_silent: bool) -> None:
        if is_silent and not self._was_silent:
            print("the cluster does not answer; asking again", flush=True)
        self._was_silent = is_silent
        is_time = time.monotonic() - self._counted > _COUNTS_S
        if is_time:
            self._counted = time.monotonic()
        for place, line in enumerate(told):
            before = self._before.get(place, ("", ""))
            if line[0] != before[0] or (is_time and line != before):
                print(", ".join(line), flush=True)
                self._before[place] = line


class _OnTerminal:
    """Keeps the lines of all jobs at the end of the terminal."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="ellipsis")

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def show(self, told: Sequence[tuple[str, str]], *, is_silent: bool) -> None:
        end = ["the cluster does not answer; asking again"] if is_silent else []
        self._live.update(Text("\n".join([*(", ".join(line) for line in told), *end])), refresh=True)
