"""An evaluation that a training script left behind, judged like any other."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from bench.core.estimate import Estimate
from bench.core.evaluation import Evaluation
from bench.core.gate import Limit, gate
from bench.core.record import Gain
from bench.core.verdict import Outcome, Verdict
from bench.evaluated.case import EvaluatedCase
from bench.evaluated.file import StoredEvaluation, read
from bench.evaluated.record import Evaluated
from bench.report.metric_table import describe_gain

GAIN = Limit(
    bound=0,
    strict=True,
    missed="baseline_not_beaten",
    undecided="gain_undecided",
    advice="see whether each prediction belongs to its sample and higher is better",
    more="evaluate more samples, or train longer",
)


class EvaluatedEvaluation(Evaluation[EvaluatedCase]):
    """Judges one evaluation: its gain where it is known, and what ``--require`` asks for.

    A Trainer reports values without intervals. They are compared as they are, and the record warns of it.
    """

    needs_interval = False

    def run(self) -> Outcome:
        """Read the file and judge what it holds.

        Raises:
            TuningProblem: a file that cannot be used.
        """
        with self.recording():
            stored = read(self.case.file)
            asked = self._take_over(stored)
            gates = {} if stored.gain is None else {"gain": _judge_gain(stored.gain)}
            if not asked:
                gates["score"] = gate(stored.score, None)
            return self.conclude(gates, stored.metrics)

    def _take_over(self, stored: StoredEvaluation) -> list[Estimate]:
        """Fill the record; return the metrics of which something is required."""
        record, body = self.record, self.record.body
        record.data, record.metrics, record.gain = stored.data, stored.metrics, stored.gain
        body.queries, body.tie_rule = stored.queries, stored.tie_rule
        body.evaluated = Evaluated(
            file=self.case.file.name, kind=stored.kind, prefix=stored.prefix, step=stored.step, epoch=stored.epoch,
            history=stored.history,
        )  # fmt: skip
        record.score, asked = stored.score, []
        for one in self.context.requirements:
            metric = stored.metrics.get(one.metric)
            if not one.asks(self.case) or metric is None:
                continue
            asked.append(metric)
            if one.metric == stored.score.metric:
                required = one.limit(metric, needs_interval=self.needs_interval).bound
                record.score = msgspec.structs.replace(stored.score, required=required)
        if stored.left_out:
            named = ", ".join(f"{name} ({what})" for name, what in stored.left_out.items())
            record.warnings.append(f"the evaluation reported what is no number, and is not recorded: {named}")
        bare = sorted({metric.metric for metric in asked if not metric.has_interval})
        if bare:
            record.warnings.append(
                f"no interval known of {', '.join(bare)}: the bare value is compared with what is required"
            )
        return asked


def _judge_gain(gain: Gain) -> Verdict:
    """Compare the gain with zero: a pass needs its whole interval above."""
    limit = GAIN
    if gain.has_interval and gain.reason is not None:
        limit = replace(GAIN, more=f"{gain.reason}; {GAIN.more}")
    return gate(gain, limit, shown=describe_gain(gain), required="above zero required")
