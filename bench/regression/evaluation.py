"""One regression case from its task to its record: read, train, predict, measure, judge, write the table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from bench.core.estimate import Estimate
from bench.core.evaluation import Evaluation, RunContext
from bench.core.gate import Limit, gate
from bench.core.record import Score
from bench.core.verdict import Outcome, Verdict
from bench.machine.imports import importing
from bench.regression.case import RegressionCase
from bench.regression.dataset import groups_of, scores_of
from bench.regression.figures import Figures, figures
from bench.regression.one_target import MAIN_METRIC
from bench.regression.options import RegressionOptions
from bench.regression.predictions import column_of, read_predictions
from bench.regression.preparation import Rows, read_rows, with_settings
from bench.regression.record import RegressionGain, named
from bench.regression.registry import DATASETS, task_of
from bench.regression.scale import Floats, Scale
from bench.report.export import Columns, write_table
from bench.report.metric_table import signed

if TYPE_CHECKING:
    from bench.regression.fitting import Fit
    from bench.regression.task import RegressionTask
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
        self._task: RegressionTask | None = None
        self._rows: Rows | None = None
        self._fit: Fit | None = None

    def run(self) -> Outcome:
        """Train and evaluate; errors as for the two."""
        self.train()
        return self.evaluate()

    def train(self) -> Trained | None:
        """Read the rows, build the model and train it; with a table of predictions there is no model.

        With `--checkpoint` the model is loaded and not trained.

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

    def _train(self) -> Trained | None:
        options, record, seed = self._given.options, self.record, self.context.seed
        self._task = task = with_settings(task_of(self.case.task), options.training_args)
        self._rows = rows = read_rows(task, seed, is_trained=self._needs_training_rows(task))
        record.data = rows.to_record()
        record.warnings += rows.warnings()
        if self.case.predictions is not None:
            record.body.predictions = self.case.predictions.name
            return None
        return self._fit_model(task, rows)

    def _fit_model(self, task: RegressionTask, rows: Rows) -> Trained:
        with importing():
            from bench.regression.fitting import Fit  # noqa: PLC0415  imports torch and transformers

        options, record, seed = self._given.options, self.record, self.context.seed
        self._fit = fit = Fit(
            task, rows, options, self._directory, seed=seed if task.training.seed is None else task.training.seed,
            device=self.context.device, warnings=record.warnings, resources=self.resources,
        )  # fmt: skip
        record.body.training = fit.to_record(None)
        self.context.doing("training")
        trained = fit.train()
        if fit.is_trained:
            record.body.training = fit.to_record(trained)
        self._note_files({path.name: path for path in sorted(self._directory.glob("checkpoint-*"))})
        return trained

    def _needs_training_rows(self, task: RegressionTask) -> bool:
        """Whether training rows are read: to train, or to number the values of fields that a checkpoint does not know."""
        checkpoint = self._given.options.checkpoint
        if self.case.predictions is not None:
            return False
        if checkpoint is None:
            return True
        from bench.regression.weights import known_vocabularies  # noqa: PLC0415  imports torch

        return known_vocabularies(checkpoint) is None and bool(fields_of(task.dataset))

    def _evaluate(self) -> Outcome:
        task, rows = self._task, self._rows
        assert rows is not None, "evaluate() comes after train()"
        assert task is not None, "evaluate() comes after train()"
        used, scale, seed = rows.used["evaluation"], task.scale, self.context.seed
        groups, gold = groups_of(used, scale), np.array(scores_of(used, scale))
        if self.case.predictions is not None:
            prediction = read_predictions(self.case.predictions, used, scale, self.record.warnings)
            raw = scale.to_unit(prediction, groups)
        else:
            assert self._fit is not None, "evaluate() comes after train()"
            self.context.doing("predicting")
            raw = self._fit.predict()
            prediction = scale.from_unit(raw, groups)
        steps = {target: task.step_of(target) for target in scale.names}
        found = figures(scale, steps, gold, raw, groups, seed)
        self._record_figures(found, scale)
        self._write_tables(rows, scale, gold, raw, prediction, found)
        return self.conclude(_gates(found), found.metrics)

    def _record_figures(self, found: Figures, scale: Scale) -> None:
        record, weakest = self.record, found.weakest
        record.metrics = found.metrics
        record.score = Score(**msgspec.structs.asdict(found.metrics[named(weakest, MAIN_METRIC)]))
        record.gain = found.gains[weakest]
        record.body.groups = found.groups
        record.body.targets = {} if scale.is_single else found.gains

    def _write_tables(
        self, rows: Rows, scale: Scale, gold: Floats, raw: Floats, prediction: Floats, found: Figures
    ) -> None:
        used, formats = rows.used["evaluation"], self._given.tables
        columns: Columns = {
            "run": [self.context.directory.name] * len(used),
            "task": [self.case.task] * len(used),
            "data": [rows.hash] * len(used),
            "split": ["evaluation"] * len(used),
            "key": [row.key for row in used],
        }
        if scale.group_field is not None:
            columns = {**columns, "group": groups_of(used, scale)}
        for place, target in enumerate(scale.names):
            values = {
                "gold": gold, "raw": raw, "prediction": prediction, "error": prediction - gold,
            }  # fmt: skip
            columns = {
                **columns,
                **{column_of(target, name): column[:, place] for name, column in values.items()},
            }
        columns = {**columns, "text": [row.text for row in used]}
        written = write_table(self._directory / "samples", columns, formats)
        files = dict(zip(formats, written, strict=True))
        if found.groups:
            by_group = write_table(self._directory / "groups", _group_columns(found), formats)
            files |= {f"groups_{name}": path for name, path in zip(formats, by_group, strict=True)}
        self._note_files(files)

    @property
    def _directory(self) -> Path:
        return self.context.directory / "results" / self.case.id

    def _note_files(self, files: dict[str, Path]) -> None:
        named = {what: path.relative_to(self.context.directory).as_posix() for what, path in files.items()}
        self.record.files = {**(self.record.files or {}), **named}


def _gates(found: Figures) -> dict[str, Verdict]:
    """Return the gate of the weakest target first, then those of the others: each target has to gain."""
    weakest = found.weakest
    gates = {"gain": judge_gain(found.gains[weakest], found.metrics[named(weakest, MAIN_METRIC)])}
    for target, gain in found.gains.items():
        if target != weakest:
            gates[f"gain of {target}"] = judge_gain(gain, found.metrics[named(target, MAIN_METRIC)])
    return gates


def _group_columns(found: Figures) -> Columns:
    """Return a row for each group and target: its range, its rows, each metric with its interval, and the gain."""
    columns: dict[str, list[Any]] = {
        "target": [one.target for one in found.groups],
        "group": [one.group for one in found.groups],
        "low": [one.low for one in found.groups],
        "high": [one.high for one in found.groups],
        "n": [one.n for one in found.groups],
    }
    for name in dict.fromkeys(name for one in found.groups for name in one.metrics):
        for end in ("value", "low", "high"):
            columns[name if end == "value" else f"{name}_{end}"] = [
                getattr(one.metrics[name], end) if name in one.metrics else None for one in found.groups
            ]
    columns["gain"] = [None if one.gain is None else one.gain.value for one in found.groups]
    return columns


def fields_of(dataset: str) -> tuple[str, ...]:
    """Return the categorical fields that a dataset's rows have for the model; none for a name that nobody registered."""
    return tuple(getattr(DATASETS[dataset], "fields", ())) if dataset in DATASETS else ()


def judge_gain(gain: RegressionGain, rmse: Estimate) -> Verdict:
    """Compare the gain over always predicting the mean with zero: a pass needs its whole interval above.

    The interval is over evaluation rows, for the model as it was trained: it says that this model beats the mean on
    rows like these, not that another training would.
    """
    return gate(
        gain,
        GAIN,
        shown=f"{rmse.metric} {rmse.value:.4g} of {rmse.n}, {gain.mean_rmse:.4g} for {gain.over} {gain.mean:.4g}: gain "
        f"{signed(gain)}",
        required="above zero required",
    )
