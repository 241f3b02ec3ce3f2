"""Evaluations that a training script left behind, as cases: its records read, and judged like any other."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bench.core.case import RegressionCase, RerankingCase
from bench.core.errors import TuningProblem, UsageProblem
from bench.core.evaluation import RecordedEvaluation
from bench.core.gate import judge_gain, judge_limit
from bench.core.record import Verdict, worst
from bench.core.registry import no_such
from bench.run.options import local_path, words

SCHEMA = "modelgate-evaluation-1"
KINDS = ("regression", "reranking")
_TAKEN_OVER = ("data", "queries", "tie_rule", "score", "metrics", "gain")
_NEEDED = ("kind", "model", "dataset", "prefix", "step", "score", "metrics", "data")
_REQUIREMENT = re.compile(r"(?:(?P<record>.+?):)?(?P<metric>[^:<>=]+)(?P<sign>>=|<=)(?P<limit>[^<>=]+)")


@dataclass(frozen=True)
class Requirement:
    """What ``--require [RECORD:]METRIC>=N`` asks for.

    Attributes:
        record: the name of one evaluation; None is all that have the metric.
        metric: its name.
        limit: as the metric is reported.
        at_most: whether it is an upper limit.
    """

    record: str | None
    metric: str
    limit: float
    at_most: bool


@dataclass(frozen=True)
class EvaluatedOptions:
    """Where evaluations are, and what they must reach."""

    directories: tuple[Path, ...]
    requirements: tuple[Requirement, ...]


def add_options(parser: pytest.Parser) -> None:
    """Add the options to pytest's parser."""
    add = parser.getgroup("modelgate-evaluated", "Modelgate: evaluations of training scripts").addoption
    several = {"nargs": "+", "action": "extend"}
    add("--evaluated", **several, metavar="DIR", help="folders that a RecordCallback wrote to")
    add(
        "--require", **several, metavar="[RECORD:]METRIC>=N",
        help="what an evaluation of --evaluated must reach, such as 'mrr@10>=0.6' or 'rmse<=3'",
    )  # fmt: skip


def resolve(config: pytest.Config) -> EvaluatedOptions:
    """Resolve and check the options.

    Raises:
        pytest.UsageError: when a value cannot be used, naming the option, the value and what was expected.
    """
    directories = tuple(local_path(name, config) for name in words(config.getoption("evaluated")))
    for directory in directories:
        if not any(directory.glob("*.json")):
            raise pytest.UsageError(
                f"--evaluated {directory}: found no evaluations (*.json), expected a folder that "
                "bench.evaluated.callback.RecordCallback wrote to"
            )
    requirements = tuple(_requirement(text) for text in words(config.getoption("require")))
    if requirements and not directories:
        raise pytest.UsageError(
            "--require: expected evaluations that it is asked of; name them with --evaluated"
        )
    return EvaluatedOptions(directories, requirements)


def _requirement(text: str) -> Requirement:
    found = _REQUIREMENT.fullmatch(text)
    try:
        limit = float(found["limit"]) if found else float("nan")
    except ValueError:
        limit = float("nan")
    if found is None or not math.isfinite(limit):
        raise pytest.UsageError(
            f"--require {text}: expected [RECORD:]METRIC>=N or METRIC<=N, such as 'mrr@10>=0.6' (quoted: > and < "
            "mean something to a shell)"
        )
    return Requirement(found["record"], found["metric"], limit, found["sign"] == "<=")


def make_cases(options: EvaluatedOptions) -> dict[str, tuple[RegressionCase | RerankingCase, Path]]:
    """Return a case for each evaluation with its file, by id; one that cannot be read is a case with a problem.

    Raises:
        UsageProblem: when something is required of which no evaluation says anything.
    """
    known: set[tuple[str, str]] = set()
    cases: dict[str, tuple[RegressionCase | RerankingCase, Path]] = {}
    for file in (file for directory in options.directories for file in sorted(directory.glob("*.json"))):
        identity = f"evaluated-{file.stem.lower()}"
        while identity in cases:  # the same names in two folders
            identity += "-again"
        try:
            record = read(file)
            case = _case(identity, record)
            known |= {(file.stem, metric) for metric in record["metrics"]}
        except TuningProblem as problem:
            case = RerankingCase(identity, file.stem, "-", problem=str(problem))
        # After the cases that ship, whose order counts from 0.
        cases[identity] = (replace(case, order=1000 + len(cases)), file)
    for one in options.requirements:
        if not any(one.metric == metric and one.record in (None, name) for name, metric in known):
            asked = one.metric if one.record is None else f"{one.record}:{one.metric}"
            names = {metric if one.record is None else f"{name}:{metric}" for name, metric in known}
            raise UsageProblem(
                f"--require {asked}: {no_such('metric of an evaluation', asked, sorted(names))}"
            )
    return cases


def _case(identity: str, record: dict[str, Any]) -> RegressionCase | RerankingCase:
    if record["kind"] == RegressionCase.kind:
        return RegressionCase(identity, f"{record['model']}-{record['dataset']}")
    return RerankingCase(identity, record["model"], record["dataset"])


def read(file: Path) -> dict[str, Any]:
    """Return the record of an evaluation.

    Raises:
        TuningProblem: a file that is none.
    """
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TuningProblem(
            "data_failed", f"{file}: {error}; expected the record of an evaluation; evaluate again"
        ) from error
    schema = record.get("schema") if isinstance(record, dict) else None
    missing = [name for name in _NEEDED if schema == SCHEMA and name not in record]
    if schema != SCHEMA or missing or record["kind"] not in KINDS:
        raise TuningProblem(
            "data_failed",
            f"{file}: found the schema {schema!r}{f' without {missing}' if missing else ''}, expected {SCHEMA!r} as "
            "RecordCallback writes it; evaluate again with this version",
        )
    return dict(record)


class StoredEvaluation(RecordedEvaluation):
    """Judges one evaluation that was read.

    Args:
        case: its case.
        file: where it is.
        requirements: those of the run; what names no record is asked of every one that has the metric.
            `make_cases` has seen to it that none is asked of nobody.
    """

    def __init__(
        self, case: RegressionCase | RerankingCase, file: Path, requirements: Iterable[Requirement]
    ) -> None:
        super().__init__(case)
        self._file, self._requirements = file, tuple(requirements)

    def judge(self) -> Verdict:
        """Return the verdict of the gain, where it is known, and of what is required.

        Raises:
            TuningProblem: when the file cannot be used.
        """
        with self._recording():
            verdict = self._judge()
            self._settle(verdict)
            return verdict

    def _judge(self) -> Verdict:
        stored = read(self._file)
        self.record.update({name: stored[name] for name in _TAKEN_OVER if stored.get(name) is not None})
        self.record["evaluated"] = {
            "file": self._file.name, **{name: stored.get(name) for name in ("prefix", "step", "epoch", "history")},
        }  # fmt: skip
        metrics, primary = stored["metrics"], stored["score"]["metric"]
        gates = [] if not stored.get("gain") else [judge_gain(stored["gain"])]
        asked = [
            one
            for one in self._requirements
            if one.record in (None, self._file.stem) and one.metric in metrics
        ]
        for one in asked:
            if one.metric == primary:
                self.record["score"]["required"] = one.limit
            gates.append(judge_limit(one.metric, metrics[one.metric], one.limit, at_most=one.at_most))
        if not asked:
            gates.append(judge_limit(primary, stored["score"], None))
        return worst(gates)
