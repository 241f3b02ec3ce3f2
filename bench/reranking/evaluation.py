"""One reranking case from its queries to its record: score, rank, measure, judge, write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from bench.core.errors import TuningProblem
from bench.core.estimate import Estimate
from bench.core.evaluation import Evaluation, RunContext
from bench.core.gate import Limit, gate
from bench.core.raised import told
from bench.core.record import Score
from bench.core.verdict import Outcome, Verdict
from bench.metrics.ranking import trec
from bench.report.export import write_table
from bench.report.metric_table import describe_gain
from bench.reranking.base import GAIN_OVER_BASE, GAIN_OVER_RANDOM, OverBase, over_base
from bench.reranking.case import RerankingCase
from bench.reranking.given import Given, negative_grades, read_given, read_scores, refuse_negative
from bench.reranking.library import QUERY_SETS, RANKERS
from bench.reranking.measures import Measured, Qrels, join, measure
from bench.reranking.options import RerankingOptions
from bench.reranking.record import RankingGain

METRIC_TABLE = "metric"
"""Name of the table with a row for each query."""
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


class RerankingEvaluation(Evaluation[RerankingCase]):
    """Evaluates a ranker on a query set, or a run or table of the user's own.

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
            given = self._scored()
            record, required = self.record, self.case.min_score
            record.data = given.data
            record.warnings += given.notes
            self._check_grades(given.qrels)
            measured = self._measured(given)
            record.metrics, record.gain = measured.metrics, measured.gain
            record.score = msgspec.structs.replace(measured.score, required=required)
            record.body.queries, record.body.tie_rule = measured.queries, measured.tie_rule
            base = self._base(given, measured)
            record.files = self._write(given, measured, base)
            return self.conclude(
                {"gain": judge_gain(measured.gain), "score": _judge_score(measured.score, required)},
                self._estimates(measured, base),
            )

    def _scored(self) -> Given:
        case = self.case
        if case.run_file is not None or case.predictions is not None:
            return read_given(run_file=case.run_file, table=case.predictions, qrels_file=case.qrels)
        queries = QUERY_SETS[case.dataset].load()
        data = {
            "source": queries.source,
            "hash": queries.data_hash,
            "primary": queries.primary,
            **{name: str(value) for name, value in queries.facts.items()},
        }
        self.record.data = data
        self.context.doing("ranking")
        try:
            scores = RANKERS[case.ranker].score(queries)
        except TuningProblem:
            raise
        except Exception as error:  # a ranker is anybody's code
            raise TuningProblem(
                "inference_failed",
                f"ranker {case.ranker} raised {told(error)}; correct it, or see whether it can rank "
                f"{case.dataset}",
            ) from error
        return Given(*join(queries, scores), data)

    def _check_grades(self, qrels: Qrels) -> None:
        """Apply the rule for grades under 0, and say how many there are."""
        if self._given.options.negative_grades == "refuse":
            refuse_negative(qrels)
        count = negative_grades(qrels)
        if count:
            self.record.body.negative_grades = count
            self.record.warnings.append(
                f"{count} negative {'grade is' if count == 1 else 'grades are'} taken for not relevant (--negative-grades)"
            )

    def _measured(self, given: Given) -> Measured:
        asked = [name for _, name in self.case.asked]
        try:
            return measure(
                given.run, given.qrels, primary=self.case.primary or given.data["primary"],
                ties=self._given.options.tie_rule, seed=self.context.seed, more=asked, negative="zero",
            )  # fmt: skip
        except ValueError as error:  # a score that is no number
            raise TuningProblem("inference_failed", str(error)) from error

    def _base(self, given: Given, measured: Measured) -> OverBase | None:
        """Measure the gain over the base run, if there is one."""
        path = self.case.base_run
        if path is None:
            return None
        record = self.record
        scores, _, notes = read_scores(path)
        found = over_base(
            measured, scores, given.qrels, name=path.name, negative="zero", seed=self.context.seed
        )
        record.warnings += notes
        if found.absent:
            record.warnings.append(
                f"{path.name}: {found.absent} of {measured.scores.n} scored queries are not in it and count as 0 there"
            )
        record.body.base = found.gain
        record.metrics = {**measured.metrics, **found.gains}
        return found

    def _estimates(self, measured: Measured, base: OverBase | None) -> dict[str, Estimate]:
        """Return all that can be required, by name; a metric also by the name that it was asked for by."""
        metrics = self.record.metrics or {}
        gains = {GAIN_OVER_RANDOM: measured.gain} | ({} if base is None else {GAIN_OVER_BASE: base.gain})
        estimates = {**metrics}
        estimates |= {name: msgspec.structs.replace(gain, metric=name) for name, gain in gains.items()}
        return estimates | {text: metrics[name] for text, name in self.case.asked}

    def _write(self, given: Given, measured: Measured, base: OverBase | None) -> dict[str, str]:
        """Write what was ranked; return the files by what they are, relative to the run's directory."""
        directory, formats = self.context.directory, self._given.tables
        # A control may have the ranker and set of a case: its files have names of their own.
        stem = directory / "results" / self.case.ranker / self.case.id
        stem.parent.mkdir(parents=True, exist_ok=True)
        files = self._write_trec(stem, given)
        constant = {"run": directory.name, "case": self.case.id, "data": given.data["hash"][:16]}
        files |= dict(zip(formats, write_table(stem, measured.table(**constant), formats), strict=True))
        by_query = measured.query_table(base=None if base is None else base.values, **constant)
        kept = tuple(dict.fromkeys(("csv", *formats)))
        tables = write_table(stem / METRIC_TABLE, by_query, kept)
        files |= {f"{METRIC_TABLE}_{name}": path for name, path in zip(kept, tables, strict=True)}
        return {name: path.relative_to(directory).as_posix() for name, path in files.items()}

    def _write_trec(self, stem: Path, given: Given) -> dict[str, Path]:
        """Write run and qrels in TREC's form, unless it cannot hold them; the record says why."""
        files = {"run": stem.with_name(f"{stem.name}.run"), "qrels": stem.with_name(f"{stem.name}.qrels")}
        whole = _whole(given.qrels)
        if whole is None:
            del files["qrels"]
            self.record.warnings.append(
                "relevances that are not whole numbers: TREC qrels cannot hold them, none were written"
            )
        try:
            trec.write_run(files["run"], given.run, tag=self.case.id)
            if whole is not None:
                trec.write_qrels(files["qrels"], whole)
        except ValueError as error:  # names with blanks
            self.record.warnings.append(f"TREC files cannot hold what was ranked, none were written: {error}")
            for path in files.values():
                path.unlink(missing_ok=True)
            return {}
        return files


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


def _whole(qrels: Qrels) -> dict[str, dict[str, int]] | None:
    if any(value != int(value) for of_query in qrels.values() for value in of_query.values()):
        return None
    return {
        query: {document: int(value) for document, value in of_query.items()}
        for query, of_query in qrels.items()
    }
