"""One reranking case from its queries to its record: score, rank, measure, judge, write."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from bench.core.errors import TuningProblem
from bench.core.evaluation import Evaluation, RunContext
from bench.core.gate import Limit, gate
from bench.core.record import Score
from bench.core.verdict import Outcome, Verdict
from bench.metrics.ranking import trec
from bench.report.export import write_table
from bench.report.metric_table import describe_gain
from bench.reranking.case import RerankingCase
from bench.reranking.library import QUERY_SETS, RANKERS
from bench.reranking.measures import Measured, Qrels, Run, join, measure
from bench.reranking.options import RerankingOptions
from bench.reranking.queries import DEFAULT_PRIMARY
from bench.reranking.record import RankingGain

GAIN = Limit(
    bound=0,
    strict=True,
    missed="baseline_not_beaten",
    undecided="gain_undecided",
    advice="see whether each score belongs to its candidate and higher is better",
    more="evaluate more queries, or take a better ranker",
)


@dataclass(frozen=True)
class RerankingResources:
    """What the run gives to each reranking case.

    Attributes:
        options: of the kind, resolved.
        tables: formats of the table of candidates.
    """

    options: RerankingOptions
    tables: tuple[str, ...]


@dataclass(frozen=True)
class _Scored:
    run: Run
    qrels: Qrels
    data: dict[str, str]


class RerankingEvaluation(Evaluation[RerankingCase]):
    """Evaluates a ranker on a query set, or a run of the user's own.

    Args:
        case: the case.
        context: of the run.
        given: the kind's options, and the formats of tables.
    """

    def __init__(self, case: RerankingCase, context: RunContext, given: RerankingResources) -> None:
        super().__init__(case, context)
        self._given = given

    def run(self) -> Outcome:
        """Score all candidates, rank and judge them, and write run, qrels and the table.

        Raises:
            TuningProblem: queries, scores or files of the user that cannot be used.
        """
        with self.recording():
            scored = self._scored()
            record, required = self.record, self.case.min_score
            record.data = scored.data
            measured = self._measured(scored)
            record.metrics, record.gain = measured.metrics, measured.gain
            record.score = msgspec.structs.replace(measured.score, required=required)
            record.body.queries, record.body.tie_rule = measured.queries, measured.tie_rule
            record.files = self._write(scored, measured)
            return self.conclude(
                {"gain": judge_gain(measured.gain), "score": _judge_score(measured.score, required)},
                measured.metrics,
            )

    def _scored(self) -> _Scored:
        case = self.case
        if case.run_file is not None and case.qrels is not None:
            return _read(case.run_file, case.qrels)
        queries = QUERY_SETS[case.dataset].load()
        data = {
            "source": queries.source,
            "hash": queries.data_hash,
            "primary": queries.primary,
            **{name: str(value) for name, value in queries.facts.items()},
        }
        self.record.data = data
        try:
            scores = RANKERS[case.ranker].score(queries)
        except TuningProblem:
            raise
        except Exception as error:  # a ranker is anybody's code
            raise TuningProblem(
                "inference_failed",
                f"ranker {case.ranker} raised {type(error).__name__}: {error}; correct it, or see whether it can rank "
                f"{case.dataset}",
            ) from error
        return _Scored(*join(queries, scores), data)

    def _measured(self, scored: _Scored) -> Measured:
        try:
            return measure(
                scored.run, scored.qrels,
                primary=scored.data["primary"], ties=self._given.options.tie_rule, seed=self.context.seed,
            )  # fmt: skip
        except ValueError as error:  # a score that is no number
            raise TuningProblem("inference_failed", str(error)) from error

    def _write(self, scored: _Scored, measured: Measured) -> dict[str, str]:
        """Write what was ranked; return the files by what they are, relative to the run's directory."""
        directory, formats = self.context.directory, self._given.tables
        # A control may have the ranker and set of a case: its files have names of their own.
        stem = directory / "results" / self.case.ranker / self.case.id
        stem.parent.mkdir(parents=True, exist_ok=True)
        files = {"run": stem.with_name(f"{stem.name}.run"), "qrels": stem.with_name(f"{stem.name}.qrels")}
        trec.write_run(files["run"], scored.run, tag=self.case.id)
        whole = _whole(scored.qrels)
        if whole is None:
            del files["qrels"]
            self.record.warnings.append(
                "relevances that are not whole numbers: TREC qrels cannot hold them, none were written"
            )
        else:
            trec.write_qrels(files["qrels"], whole)
        table = measured.table(run=directory.name, case=self.case.id, data=scored.data["hash"][:16])
        files |= dict(zip(formats, write_table(stem, table, formats), strict=True))
        return {name: path.relative_to(directory).as_posix() for name, path in files.items()}


def judge_gain(gain: RankingGain) -> Verdict:
    """Compare the gain over a random order with zero: a pass needs its whole interval above.

    Where no order is better than another nothing can be gained, and the verdict says so.
    """
    limit = GAIN
    if gain.has_interval and gain.reason is not None:
        limit = replace(GAIN, more=f"{gain.reason}; evaluate queries that have candidates to tell apart")
    return gate(gain, limit, shown=describe_gain(gain), required="above zero required")


def _judge_score(score: Score, required: float | None) -> Verdict:
    if required is None:
        return gate(score, None)
    return gate(
        score,
        Limit(
            bound=required,
            missed="score_missed",
            undecided="score_undecided",
            advice="train longer, or take a better ranker",
            more="evaluate more queries, or change the requirement",
        ),
    )


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
