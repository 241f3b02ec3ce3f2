"""One reranking case from its queries to its record: score, rank, measure, judge, write."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.case import RerankingCase
from bench.core.errors import TuningProblem
from bench.core.evaluation import RecordedEvaluation
from bench.core.gate import judge_gain, judge_limit
from bench.core.record import Verdict, verdict_of, worst
from bench.metrics.ranking import TieRule, trec
from bench.report.export import write_table
from bench.reranking.library import QUERY_SETS, RANKERS
from bench.reranking.measures import DEFAULT_TIES, Measured, Qrels, Run, join, measure
from bench.reranking.queries import DEFAULT_PRIMARY


@dataclass(frozen=True)
class RankingSettings:
    """What all reranking cases of a run share.

    Attributes:
        directory: of the run.
        seed: of the run.
        tie_rule: which of equal scores goes first.
        tables: formats of the table of candidates.
        run_file, qrels: of the user, for the case that has no registered ranker.
    """

    directory: Path
    seed: int = 0
    tie_rule: TieRule = DEFAULT_TIES
    tables: tuple[str, ...] = ("parquet", "csv")
    run_file: Path | None = None
    qrels: Path | None = None


@dataclass
class Outcome:
    """What a case comes to."""

    gain: Verdict
    score: Verdict

    @property
    def verdict(self) -> Verdict:
        """The verdict that decides the case."""
        return worst([self.gain, self.score])

    @property
    def reason(self) -> str:
        """Why the case ends as it does."""
        return self.verdict.reason


@dataclass(frozen=True)
class _Scored:
    run: Run
    qrels: Qrels
    data: dict[str, Any]


class RankingEvaluation(RecordedEvaluation):
    """Evaluates a ranker on a query set, or a run of the user's own.

    Args:
        case: the case.
        settings: of the run.
    """

    def __init__(self, case: RerankingCase, settings: RankingSettings) -> None:
        super().__init__(case)
        self.case, self._settings = case, settings

    def rank(self) -> Outcome:
        """Score all candidates, rank and judge them, and write run, qrels and the table.

        Raises:
            TuningProblem: when queries, scores or the user's files cannot be used.
        """
        with self._recording():
            scored = self._scored()
            self.record["data"] = scored.data
            measured = self._measured(scored)
            self.record.update(measured.record)
            self.record["score"]["required"] = self.case.min_score
            self.record["files"] = self._write(scored, measured)
            score = judge_limit(measured.primary, self.record["score"], self.case.min_score)
            outcome = Outcome(judge_gain(self.record["gain"]), score)
            self._settle(outcome.verdict)
            return outcome

    def verdict(self) -> Verdict:
        """Return what was found, an error as the verdict that it means: what a control is asked for."""
        try:
            return self.rank().verdict
        except TuningProblem as problem:
            return verdict_of(problem)

    def _scored(self) -> _Scored:
        run_file, qrels = self._settings.run_file, self._settings.qrels
        if run_file is not None and qrels is not None:
            return _read(run_file, qrels)
        queries = QUERY_SETS[self.case.dataset].load()
        data = {
            "source": queries.source,
            "hash": queries.data_hash,
            "primary": queries.primary,
            **{name: str(value) for name, value in queries.facts.items()},
        }
        self.record["data"] = data
        try:
            scores = RANKERS[self.case.ranker].score(queries)
        except TuningProblem:
            raise
        except Exception as error:  # a ranker is anybody's code
            raise TuningProblem(
                "inference_failed",
                f"ranker {self.case.ranker} raised {type(error).__name__}: {error}; mend it, or see whether it can "
                f"rank {self.case.dataset}",
            ) from error
        return _Scored(*join(queries, scores), data)

    def _measured(self, scored: _Scored) -> Measured:
        try:
            return measure(
                scored.run, scored.qrels,
                primary=scored.data["primary"], ties=self._settings.tie_rule, seed=self._settings.seed,
            )  # fmt: skip
        except ValueError as error:  # a score that is no finite number, with its query
            raise TuningProblem("inference_failed", str(error)) from error

    def _write(self, scored: _Scored, measured: Measured) -> dict[str, str]:
        """Write what was ranked; return the files by what they are, relative to the run's directory."""
        directory = self._settings.directory
        # A control may have the ranker and set of a case: its files have names of their own.
        stem = directory / "results" / self.case.ranker / self.case.id
        stem.parent.mkdir(parents=True, exist_ok=True)
        files = {"run": stem.with_name(f"{stem.name}.run"), "qrels": stem.with_name(f"{stem.name}.qrels")}
        trec.write_run(files["run"], scored.run, tag=self.case.id)
        whole = _whole(scored.qrels)
        if whole is None:
            del files["qrels"]
            self.record["warnings"].append(
                "relevances that are not whole numbers: TREC qrels cannot hold them, none were written"
            )
        else:
            trec.write_qrels(files["qrels"], whole)
        table = measured.table(run=directory.name, case=self.case.id, data=scored.data["hash"][:16])
        written = write_table(stem, table, self._settings.tables)
        files |= dict(zip(self._settings.tables, written, strict=True))
        return {name: str(path.relative_to(directory)) for name, path in files.items()}


def _read(run_file: Path, qrels: Path) -> _Scored:
    digest = hashlib.sha256(run_file.read_bytes() + b"\0" + qrels.read_bytes()).hexdigest()
    try:
        run, judged = trec.read_run(run_file), trec.read_qrels(qrels)
    except ValueError as error:
        raise TuningProblem("data_failed", str(error)) from error
    data = {
        "source": f"TREC files {run_file.name}, {qrels.name}",
        "hash": digest,
        "primary": DEFAULT_PRIMARY,
    }
    return _Scored(run, {query: dict(documents) for query, documents in judged.items()}, data)


def _whole(qrels: Qrels) -> dict[str, dict[str, int]] | None:
    if any(value != int(value) for of_query in qrels.values() for value in of_query.values()):
        return None
    return {
        query: {document: int(value) for document, value in of_query.items()}
        for query, of_query in qrels.items()
    }
