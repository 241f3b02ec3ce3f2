"""One regression case from its task to its record: read, train, predict, measure, judge, write the table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.case import RegressionCase
from bench.core.errors import TuningProblem
from bench.core.evaluation import RecordedEvaluation, metric_record
from bench.core.record import Verdict, verdict_of
from bench.metrics.regression import Estimate
from bench.regression.judge import judge_gain
from bench.regression.measures import MAIN_METRIC, gain_over_mean, measure
from bench.regression.options import TuningOptions
from bench.regression.preparation import Rows, read_rows, with_settings
from bench.regression.registry import task_of
from bench.regression.scale import Floats
from bench.report.export import Columns, write_table

if TYPE_CHECKING:
    from bench.regression.fitting import Fit
    from bench.regression.training import Trained


@dataclass(frozen=True)
class RunSettings:
    """What all regression cases of a run share.

    Attributes:
        directory: of the run; its name is the run's.
        seed: of the run.
        device: ``cpu`` or ``cuda``.
        options: of the command line.
    """

    directory: Path
    seed: int
    device: str
    options: TuningOptions


@dataclass(frozen=True)
class Outcome:
    """What a case comes to."""

    gain: Verdict

    @property
    def reason(self) -> str:
        """Why the case ends as it does."""
        return self.gain.reason


class TaskEvaluation(RecordedEvaluation):
    """Trains the model of a task and evaluates it on the range of the task's scores.

    Args:
        case: the case.
        settings: of the run.
    """

    def __init__(self, case: RegressionCase, settings: RunSettings) -> None:
        super().__init__(case)
        self.case, self._settings = case, settings
        self._rows: Rows | None = None
        self._fit: Fit | None = None

    def train(self) -> Trained:
        """Read the rows, build the model and train it.

        Raises:
            TuningProblem: when rows, model or training cannot be used.
        """
        with self._recording():
            return self._train()

    def evaluate(self) -> Outcome:
        """Predict the scores of the evaluation rows, measure, judge, and write the table of samples.

        Raises:
            TuningProblem: when predictions are no numbers.
        """
        with self._recording():
            outcome = self._evaluate()
            self._settle(outcome.gain)
            return outcome

    def verdict(self) -> Verdict:
        """Train and evaluate without raising for what task, model and data do; for controls."""
        try:
            self.train()
            return self.evaluate().gain
        except TuningProblem as problem:
            return verdict_of(problem)

    # -- what is done ------------------------------------------------------------------------------

    def _train(self) -> Trained:
        from bench.regression.fitting import Fit  # noqa: PLC0415  imports torch and transformers

        settings = self._settings
        task = with_settings(task_of(self.case.task), settings.options.training_args)
        self._rows = rows = read_rows(task, settings.seed)
        self.record["data"] = rows.to_record()
        self.record["warnings"] += rows.warnings()
        seed = settings.seed if task.training.seed is None else task.training.seed
        self._fit = fit = Fit(
            task, rows, settings.options, self._directory, seed=seed, device=settings.device,
            warnings=self.record["warnings"],
        )  # fmt: skip
        self.record["training"] = fit.to_record(None)
        trained = fit.train()
        self.record["training"] = fit.to_record(trained)
        self._note_files(*sorted(self._directory.glob("checkpoint-*")))
        return trained

    def _evaluate(self) -> Outcome:
        task, rows, fit = task_of(self.case.task), self._rows, self._fit
        assert rows is not None, "evaluate() comes after train()"
        assert fit is not None, "evaluate() comes after train()"
        raw = fit.predict()
        prediction = task.scores.from_unit(raw)
        gold = np.array([row.score for row in rows.used["evaluation"]])
        seed = self._settings.seed
        estimates = measure(gold, prediction, task.scores, task.label_step, seed)
        gain = gain_over_mean(gold, prediction, seed)
        main = estimates[MAIN_METRIC]
        self.record["metrics"] = {name: _metric(estimate) for name, estimate in estimates.items()}
        self.record["score"] |= {"metric": MAIN_METRIC} | _metric(main)
        self.record["gain"] = gain.to_record()
        self._write_table(rows, gold, raw, prediction)
        return Outcome(judge_gain(gain, main))

    def _write_table(self, rows: Rows, gold: Floats, raw: Floats, prediction: Floats) -> None:
        used = rows.used["evaluation"]
        columns: Columns = {
            "run": [self._settings.directory.name] * len(used),
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
        self._note_files(*write_table(self._directory / "samples", columns, self._settings.options.tables))

    # -- the record --------------------------------------------------------------------------------

    @property
    def _directory(self) -> Path:
        return self._settings.directory / "results" / self.case.id

    def _note_files(self, *files: Path) -> None:
        named = [file.relative_to(self._settings.directory).as_posix() for file in files]
        self.record["files"] = [*(self.record["files"] or []), *named]


def _metric(estimate: Estimate) -> dict[str, Any]:
    return metric_record(estimate.value, estimate.low, estimate.high, estimate.n, estimate.reason)
