"""One regression case from its task to its record: read, train, predict, measure, judge, write the table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bench.core.estimate import Estimate
from bench.core.evaluation import Evaluation, RunContext
from bench.core.gate import Limit, gate
from bench.core.record import Score
from bench.core.verdict import Outcome, Verdict
from bench.regression.case import RegressionCase
from bench.regression.measures import MAIN_METRIC, gain_over_mean, measure
from bench.regression.options import RegressionOptions
from bench.regression.preparation import Rows, read_rows, with_settings
from bench.regression.record import RegressionGain
from bench.regression.registry import task_of
from bench.regression.scale import Floats
from bench.report.export import Columns, write_table
from bench.report.metric_table import signed

if TYPE_CHECKING:
    from bench.regression.fitting import Fit
    from bench.regression.training import Trained

GAIN = Limit(
    bound=0,
    strict=True,
    missed="baseline_not_beaten",
    undecided="gain_undecided",
    advice="train longer or with other settings, or see whether the scores follow from the texts",
    more="evaluate more rows, or train longer",
)


@dataclass(frozen=True)
class RegressionResources:
    """What the run gives to each regression case.

    Attributes:
        options: of the kind, resolved.
        tables: formats of the table of samples.
    """

    options: RegressionOptions
    tables: tuple[str, ...]


class RegressionEvaluation(Evaluation[RegressionCase]):
    """Trains the model of a task and evaluates it on the range of the task's scores.

    Args:
        case: the case.
        context: of the run.
        given: the kind's options, and the formats of tables.
    """

    def __init__(self, case: RegressionCase, context: RunContext, given: RegressionResources) -> None:
        super().__init__(case, context)
        self._given = given
        self._rows: Rows | None = None
        self._fit: Fit | None = None

    def run(self) -> Outcome:
        """Train and evaluate; errors as for the two."""
        self.train()
        return self.evaluate()

    def train(self) -> Trained:
        """Read the rows, build the model and train it.

        Raises:
            TuningProblem: rows, model or training that cannot be used.
        """
        with self.recording():
            return self._train()

    def evaluate(self) -> Outcome:
        """Predict the scores of the evaluation rows, measure, judge, and write the table of samples.

        Raises:
            TuningProblem: predictions that are no numbers.
        """
        with self.recording():
            return self._evaluate()

    def _train(self) -> Trained:
        from bench.regression.fitting import Fit  # noqa: PLC0415  imports torch and transformers

        options, record, seed = self._given.options, self.record, self.context.seed
        task = with_settings(task_of(self.case.task), options.training_args)
        self._rows = rows = read_rows(task, seed)
        record.data = rows.to_record()
        record.warnings += rows.warnings()
        self._fit = fit = Fit(
            task, rows, options, self._directory, seed=seed if task.training.seed is None else task.training.seed,
            device=self.context.device, warnings=record.warnings,
        )  # fmt: skip
        record.body.training = fit.to_record(None)
        trained = fit.train()
        record.body.training = fit.to_record(trained)
        self._note_files({path.name: path for path in sorted(self._directory.glob("checkpoint-*"))})
        return trained

    def _evaluate(self) -> Outcome:
        task, rows, fit = task_of(self.case.task), self._rows, self._fit
        assert rows is not None, "evaluate() comes after train()"
        assert fit is not None, "evaluate() comes after train()"
        raw = fit.predict()
        prediction = task.scores.from_unit(raw)
        gold = np.array([row.score for row in rows.used["evaluation"]])
        seed = self.context.seed
        estimates = measure(gold, prediction, task.scores, task.label_step, seed)
        gain = gain_over_mean(gold, prediction, seed)
        main = estimates[MAIN_METRIC]
        self.record.metrics = estimates
        self.record.score = Score(**msgspec.structs.asdict(main))
        self.record.gain = gain
        self._write_table(rows, gold, raw, prediction)
        return self.conclude({"gain": judge_gain(gain, main)}, estimates)

    def _write_table(self, rows: Rows, gold: Floats, raw: Floats, prediction: Floats) -> None:
        used, formats = rows.used["evaluation"], self._given.tables
        columns: Columns = {
            "run": [self.context.directory.name] * len(used),
            "task": [self.case.task] * len(used),
            "data": [rows.hash] * len(used),
            "split": ["evaluation"] * len(used),
            "key": [row.key for row in used],
            "gold": gold,
            "raw": raw,
            "prediction": prediction,
            "error": prediction - gold,
            "text": [row.text for row in used],
        }
        written = write_table(self._directory / "samples", columns, formats)
        self._note_files(dict(zip(formats, written, strict=True)))

    @property
    def _directory(self) -> Path:
        return self.context.directory / "results" / self.case.id

    def _note_files(self, files: dict[str, Path]) -> None:
        named = {what: path.relative_to(self.context.directory).as_posix() for what, path in files.items()}
        self.record.files = {**(self.record.files or {}), **named}


def judge_gain(gain: RegressionGain, rmse: Estimate) -> Verdict:
    """Compare the gain over always predicting the mean with zero: a pass needs its whole interval above.

    The interval is over evaluation rows, for the model as it was trained: it says that this model beats the mean on
    rows like these, not that another training would.
    """
    return gate(
        gain,
        GAIN,
        shown=f"rmse {rmse.value:.4g} of {rmse.n}, {gain.mean_rmse:.4g} for the mean {gain.mean:.4g}: gain {signed(gain)}",
        required="above zero required",
    )
