"""What a kind of case is: one value that says all that the run, the report and pytest need to know of it.

A kind is a folder of `bench` with a ``kind.py`` that defines ``KIND``, a line in `bench.kinds`, a file in ``cases/`` and a
resource file in ``fixtures/``. Its functions are called with what they need and know nothing of pytest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from bench.core.case import Case
from bench.core.errors import add_reason_codes
from bench.core.estimate import Estimate
from bench.core.evaluation import Evaluation, RunContext
from bench.core.options import Setting
from bench.core.page import KindView, PageRequest
from bench.core.places import Places
from bench.core.record import Body, Json, Record

Rows = list[tuple[str, ...]]


@dataclass(frozen=True)
class Section:
    """A table of the summary, with the sentences below it.

    Attributes:
        kind: of the cases in it.
        rows: the header and the rows.
        notes: sentences.
        cases: the header and a row for each case, above the rows; for a kind whose rows are groups of cases.
    """

    kind: str
    rows: Rows
    notes: list[str] = field(default_factory=list)
    cases: Rows = field(default_factory=list)


@dataclass(frozen=True)
class Finish:
    """What a kind is told when the run ends.

    Attributes:
        directory: of the run.
        records: of the kind, in their order.
        options: the kind's, resolved.
        setting: of the run.
        places: make the paths relative in what is written for others to read.
    """

    directory: Path
    records: Sequence[Record]
    options: Any
    setting: Setting
    places: Places = field(default_factory=Places)


@dataclass(frozen=True)
class ServiceRun:
    """What a service of a kind is started with, in the process that owns the run.

    Attributes:
        scratch: of the run.
        logs: folder for its log.
        number: which of its sort this is, from 1; one that died is started again when it is asked for.
        user_dirs: folders whose files register things.
        pass_env: names of environment variables that it may see besides the usual ones.
    """

    scratch: Path
    logs: Path
    number: int
    user_dirs: tuple[Path, ...]
    pass_env: tuple[str, ...]


class Service:
    """A process that a run starts when it is first asked for, and ends with itself.

    Attributes:
        address: what clients are told.
    """

    address: str

    def is_alive(self) -> bool:
        """Whether it still serves."""
        raise NotImplementedError

    def stop(self) -> None:
        """End it and wait for its end."""
        raise NotImplementedError


class NoKeys(TypedDict):
    """What a kind adds to the summary of the results that adds nothing."""


def _no_check(options: Any, cases: Sequence[Case]) -> None:
    """Accept everything."""


def _as_given(options: Any, setting: Setting) -> Any:
    return options


def _no_words(record: Record) -> str:
    return ""


def _no_markers(case: Case) -> tuple[str, ...]:
    return ()


def _no_inputs(case: Case) -> Sequence[Path]:
    return ()


def _no_finish(finish: Finish) -> None:
    """Write nothing."""


def _score_alone(record: Record) -> Mapping[str, Estimate]:
    score = record.score
    return {} if score is None or score.metric is None else {score.metric: score}


def _no_samples(request: PageRequest, record: Record) -> Mapping[str, Mapping[str, float]]:
    return {}


def _no_gaps(records: Sequence[Record]) -> Sequence[str]:
    return ()


def _no_summary(records: Sequence[Record]) -> Json:
    return {}


@dataclass(frozen=True)
class Kind:
    """A kind of case.

    Attributes:
        name: in ids, records and messages; also the folder's.
        options: dataclass whose fields are its options; see `bench.core.options`.
        make_cases: returns the cases, from resolved options. What cannot be evaluated is a case with a problem.
            Raises UsageProblem for what no case can be made of.
        evaluation: makes the evaluation of a case from the run's context and what the kind's resource fixture,
            ``<name>_resources``, gives.
        table: returns its section of the summary.
        body: type of what its records have besides the common keys.
        resolve: returns the options as the kind uses them; raises UsageProblem. Called when its cases are first asked for.
        check: refuses, by UsageProblem, options that name nothing among the cases that are run.
        headline: what was measured, in a few words.
        markers: pytest markers of a case, besides ``control``.
        marker_help: those markers, each with its meaning.
        page: returns what the page of a run shows of its cases; without it the page shows what all records have.
        finish: writes what the kind wants to leave in the run's directory.
        compared: its main estimates by name, which `compare` and `history` follow; the score where a kind does not say.
        samples: values of single samples for paired comparisons: by the name of an estimate that is their mean, and by a key
            that is the same in every run. Called with where files lie, and a record.
        columns: what a record has for the table that people share, by column; its metrics where a kind does not say.
        shown_columns: of them, those that are shown unasked.
        summarize: keys that it adds to the summary of the results, also without records.
        run_facts: what it measured once for all its cases, as keys that it adds to ``run`` in the results.
        gaps: what is missing among records of several runs that were joined, in sentences, such as a shard.
        summary_keys: their types, for the schema of the results: a TypedDict or a struct.
        shared: names of options that kinds share which apply to it.
        properties: JUnit properties, each with its path in the record's JSON.
        services: what can be started for its cases, by name.
        adopt: takes a user's file that registers nothing by itself but has the form of one of the kind's things, such as a
            dataset file; says whether it did. Called with the path of the file and its text.
        reason_codes: reason codes that only this kind uses, each with its meaning.
        hints: sentences for the end of a run, such as a folder in which nothing was found.
        inputs: files and folders that the result of a case depends on, besides those that are fields of the case. A run
            that resumes another takes over a result only if they are the same.
        is_timed: whether results depend on the machine, so that another machine's are not taken over.
        draws_inputs: whether what its cases are given follows from the run's drawn seed.
        packages: those that every one of its cases needs, by the name under which they are imported.
        extra: the extra of modelgate that brings them.
        resumes_itself: whether its evaluations take over parts of an earlier run by themselves.
    """

    name: str
    options: type
    make_cases: Callable[[Any, Setting], Sequence[Case]]
    evaluation: Callable[[Any, RunContext, Any], Evaluation[Any]]
    table: Callable[[Finish], Section]
    body: type[Body] = Body
    resolve: Callable[[Any, Setting], Any] = _as_given
    check: Callable[[Any, Sequence[Case]], None] = _no_check
    headline: Callable[[Record], str] = _no_words
    markers: Callable[[Case], tuple[str, ...]] = _no_markers
    marker_help: Mapping[str, str] = field(default_factory=dict)
    page: Callable[[PageRequest], KindView] | None = None
    finish: Callable[[Finish], None] = _no_finish
    compared: Callable[[Record], Mapping[str, Estimate]] = _score_alone
    samples: Callable[[PageRequest, Record], Mapping[str, Mapping[str, float]]] = _no_samples
    columns: Callable[[PageRequest, Record], Mapping[str, Estimate]] | None = None
    shown_columns: tuple[str, ...] = ()
    summarize: Callable[[Sequence[Record]], Json] = _no_summary
    run_facts: Callable[[Sequence[Record]], Json] = _no_summary
    summary_keys: type = NoKeys
    gaps: Callable[[Sequence[Record]], Sequence[str]] = _no_gaps
    shared: tuple[str, ...] = ()
    properties: tuple[tuple[str, tuple[str, ...]], ...] = ()
    services: Mapping[str, Callable[[ServiceRun], Service]] = field(default_factory=dict)
    adopt: Callable[[Path, str], bool] | None = None
    reason_codes: Mapping[str, str] = field(default_factory=dict)
    hints: Callable[[Any, Setting], Sequence[str]] | None = None
    packages: tuple[str, ...] = ()
    extra: str | None = None
    inputs: Callable[[Any], Sequence[Path]] = _no_inputs
    is_timed: bool = False
    draws_inputs: bool = False
    resumes_itself: bool = False

    def __post_init__(self) -> None:
        """Make its reason codes known."""
        add_reason_codes(self.reason_codes)

    def decode(self, record: Json) -> Record:
        """Return the record of a JSON object of this kind."""
        return Record.from_json(record, self.body)
