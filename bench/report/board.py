"""What a person sees while a run goes on: a line for each case that has ended, and below them what is being done.

On a terminal the lower part is drawn again and again by the process that owns the run. Elsewhere there are only the lines,
each in one piece, so that nothing is garbled in a log.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from bench.core.doing import Doing
from bench.core.record import Json
from bench.report.layout import WIDTH, line_width, shortened

_STYLES = {"pass": "green", "fail": "red", "error": "red", "inconclusive": "yellow", "skip": "dim"}
_WORDS = {"inconclusive": "open"}
_PER_SECOND = 4
_NAME = 36  # characters of a case's id that are kept before what was measured


@dataclass
class RunProgress:
    """How far a run is.

    Attributes:
        costs: relative cost of each case, by node id; empty until they are collected.
        began: when the first case began, by the clock.
        clock: returns seconds.
        ended: node ids of the cases that have ended.
        verdicts: how often there was each.
    """

    costs: Mapping[str, float]
    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)
    ended: set[str] = field(default_factory=set)
    verdicts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Begin."""
        self.began = self.clock()

    def add(self, nodeid: str, verdict: str) -> None:
        """Take a case that has ended."""
        if nodeid not in self.ended:
            self.ended.add(nodeid)
            self.verdicts[verdict] += 1

    @property
    def gone_s(self) -> float:
        """Seconds since the begin."""
        return self.clock() - self.began

    @property
    def left_s(self) -> float | None:
        """About how many seconds are left, by the costs of what has ended; None while too little has."""
        total = sum(self.costs.values())
        done = sum(self.costs.get(nodeid, 0.0) for nodeid in self.ended)
        if len(self.ended) < 2 or not done or not total:
            return None
        return self.gone_s * (total - done) / done

    def counted(self) -> str:
        """Return how many cases have ended, and how."""
        words = [f"{_WORDS.get(name, name)} {count}" for name, count in self.verdicts.items()]
        return ", ".join([f"{len(self.ended)} of {len(self.costs) or '?'}", *words])

    def times(self) -> str:
        """Return what has passed and what is left."""
        left = self.left_s
        return clock(self.gone_s) if left is None else f"{clock(self.gone_s)}, {clock(left)} left"


def clock(seconds: float) -> str:
    """Return seconds as minutes and seconds, or hours, minutes and seconds.

    Example:
        >>> clock(75), clock(3700)
        ('1:15', '1:01:40')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def ended_line(record: Json, progress: RunProgress, width: int = WIDTH) -> str:
    """Return the line of a case that has ended: how, which, what was measured, how far the run is."""
    left = f"{_WORDS.get(record['verdict'], record['verdict']):5} "
    right = f"  {len(progress.ended)}/{len(progress.costs) or '?'}  {progress.times()}"
    words = [record.get("headline") or ""]
    if record["verdict"] != "pass":
        words.insert(0, record["reason_code"])
    said = "  " + ", ".join(word for word in words if word)
    room = width - len(left) - len(right)
    name = shortened(record["id"], max(_NAME, room - len(said)))
    if len(name) + len(said) > room:
        said = f"{said[: max(0, room - len(name) - 3)]}..." if room - len(name) > _NAME // 2 else ""
    return f"{left}{name}{said}".ljust(width - len(right)) + right


def doing_line(doing: Doing, width: int, now: float) -> str:
    """Return the line of what one process is at."""
    right = f"  {clock(max(0.0, now - doing.since))}"
    said = f"  {doing.stage}{f' {doing.note}' if doing.note else ''}"
    room = width - 2 - len(right)
    name = shortened(doing.case, max(16, room - len(said)))
    said = said[: max(0, room - len(name))]
    return f"  {name}{said}".ljust(width - len(right)) + right


class Board:
    """Shows the progress of a run.

    Args:
        terminal: pytest's.
        costs: returns the relative cost of each case by node id, as soon as it is known.
        doing: returns what the processes are at.
    """

    def __init__(
        self,
        terminal: pytest.TerminalReporter,
        costs: Callable[[], Mapping[str, float]],
        doing: Callable[[], Iterable[Doing]],
    ) -> None:
        self._terminal, self._costs, self._doing = terminal, costs, doing
        self._progress = RunProgress({})
        self._live: Any = None
        self._verdicts: dict[str, str] = {}
        option = terminal.config.option
        self.is_on = (
            option.verbose == 0 and not option.collectonly and getattr(option, "usepdb", False) is False
        )
        if self.is_on:
            terminal.showfspath = False  # no path before lines that name their case

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show it while the cases run."""
        self._progress = RunProgress({})
        if not self.is_on or not self._can_draw():
            yield
            return
        from rich.console import Console, Group  # noqa: PLC0415  a run without a terminal needs none of it
        from rich.file_proxy import FileProxy  # noqa: PLC0415  as above
        from rich.live import Live  # noqa: PLC0415  as above
        from rich.text import Text  # noqa: PLC0415  as above

        writer = self._terminal._tw
        own = writer._file
        # While a test runs, pytest has the terminal's own descriptor lead elsewhere.
        with os.fdopen(os.dup(own.fileno()), "w", buffering=1, encoding=own.encoding or "utf-8") as screen:
            console = Console(file=screen, force_terminal=True, highlight=False)

            def drawn() -> Group:
                self._progress.costs = self._progress.costs or self._costs()
                width = min(WIDTH, console.width - 1)
                head = f"  {self._progress.counted()}".ljust(width - len(self._progress.times()) - 1)
                lines = [doing_line(doing, width, time.time()) for doing in self._doing()]
                return Group(
                    Text(f"{head} {self._progress.times()}"[:width], style="bold"),
                    *(Text(line, style="dim") for line in lines[: max(1, console.height - 4)]),
                )

            live = Live(
                console=console, get_renderable=drawn, refresh_per_second=_PER_SECOND, transient=True,
                redirect_stdout=False, redirect_stderr=False,
            )  # fmt: skip
            with live:
                writer._file, self._live = FileProxy(console, own), live
                try:
                    yield
                finally:
                    writer._file.flush()
                    writer._file, self._live = own, None

    def add(self, nodeid: str, record: Json) -> None:
        """Show that a case has ended."""
        if not self._progress.costs:
            self._progress.costs = self._costs()
        was_told = self._verdicts.get(nodeid) == record["verdict"]  # a failed teardown may say otherwise
        self._verdicts[nodeid] = record["verdict"]
        self._progress.add(nodeid, record["verdict"])
        if not self.is_on or was_told:
            return
        width = min(WIDTH, self._terminal._tw.fullwidth - 1) if self._terminal.isatty() else line_width()
        line = ended_line(record, self._progress, width)
        if self._live is not None:
            from rich.text import Text  # noqa: PLC0415  imported already

            self._live.console.print(Text(line, style=_STYLES.get(record["verdict"], "")))
            return
        if self._terminal._tw.width_of_current_line:  # letters of tests that are no cases
            self._terminal._tw.line()
        style = {"pass": {"green": True}, "inconclusive": {"yellow": True}, "skip": {}}.get(
            record["verdict"], {"red": True}
        )
        self._terminal.write_line(line, **style)

    def _can_draw(self) -> bool:
        file = getattr(self._terminal._tw, "_file", None)
        if not self._terminal.isatty() or os.environ.get("TERM") == "dumb" or file is None:
            return False
        return self._terminal.config.option.capture != "no" and not os.environ.get("CI")
