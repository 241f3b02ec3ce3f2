"""A callback that keeps what any Trainer evaluated, for `pytest cases/test_evaluated.py --evaluated DIR`.

    RecordCallback("evaluations", Watched("eval_rerank", "reranking", model="mine", dataset="faq", metrics=metrics))

Needs transformers.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, Protocol

import msgspec

from bench.core.estimate import Estimate
from bench.core.names import safe_name
from bench.core.record import Gain, Score
from bench.evaluated.file import KINDS, SCHEMA, Point, StoredEvaluation, StoredGain
from bench.machine.torchvision_shim import ensure_torchvision
from bench.report.export import Columns, write_table

ensure_torchvision()

from transformers import TrainerCallback  # noqa: E402

# What the Trainer reports besides metrics.
_NO_METRICS = ("runtime", "samples_per_second", "steps_per_second", "model_preparation_time")
_LOGGER = logging.getLogger(__name__)
_NO_INTERVAL = "a Trainer reports values without intervals"


class MeasuredRanking(Protocol):
    """What metrics have to say besides values; `bench.reranking.measures.Measured` is one."""

    @property
    def metrics(self) -> Mapping[str, Estimate]:
        """All metrics by name, with intervals."""

    @property
    def score(self) -> Score:
        """The primary metric."""

    @property
    def gain(self) -> Gain:
        """Over a random order."""

    @property
    def queries(self) -> object:
        """Counts, as a struct."""

    @property
    def tie_rule(self) -> str:
        """Which of equal scores went first."""

    def table(self, **constant: str) -> Columns:
        """Return a row for each query and candidate."""


class EvaluatedSet(Protocol):
    """What is evaluated; `bench.reranking.queries.QuerySet` is one."""

    @property
    def data_hash(self) -> str:
        """Identifies it by its content."""

    @property
    def source(self) -> str:
        """Where it is from, in words."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What else it depends on."""


class KeptMetrics(Protocol):
    """What computes metrics and keeps what it found; `bench.reranking.compute.RerankMetrics` is one."""

    @property
    def queries(self) -> EvaluatedSet | None:
        """What is evaluated, where it is known."""

    @property
    def measured(self) -> MeasuredRanking | None:
        """What the latest evaluation found."""


@dataclass(frozen=True)
class Watched:
    """One of the evaluations of a training run.

    Attributes:
        prefix: of its metrics: ``eval``, ``eval_rerank``, ``eval_<name>`` for one of several sets.
        kind: ``regression`` or ``reranking``.
        model, dataset: names of your own.
        data_hash: of what is evaluated; left out, that of the set that `metrics` knows.
        primary: the metric that is the score; left out, that of `metrics`.
        metrics: what computed them, where it has more to say than values: intervals, the gain over a random
            order, a row for each candidate.
    """

    prefix: str
    kind: str
    model: str
    dataset: str
    data_hash: str | None = None
    primary: str | None = None
    metrics: KeptMetrics | None = None

    def __post_init__(self) -> None:
        """Refuse what no record can be made of."""
        if self.kind not in KINDS:
            raise ValueError(f"found the kind {self.kind!r}, expected one of {', '.join(KINDS)}; correct it")
        if self.primary is None and self.metrics is None:
            raise ValueError(
                f"found no primary metric for {self.prefix}, expected the name of the metric that is the score; give it, "
                "such as primary='pearson'"
            )

    @property
    def name(self) -> str:
        """Name of the record's file, without its suffix."""
        return f"{safe_name(self.model)}-{safe_name(self.dataset)}"


class RecordCallback(TrainerCallback):
    """Writes down the latest of each of the watched evaluations, from the process that is world-zero.

    A file is replaced as a whole. With `load_best_model_at_end`, evaluate once more after training, so that the file is
    about the model that is kept.

    Training goes on whatever happens here. A metric that is no plain number is left out, and the file names it. What cannot
    be written is logged as a warning.

    Args:
        directory: made if needed.
        watched: the evaluations, each with a file of its own.

    Raises:
        ValueError: none of them, or two with the same prefix or the same names.
    """

    def __init__(self, directory: str | Path, *watched: Watched) -> None:
        self._directory, self._watched = Path(directory), watched
        self._history: dict[str, list[Point]] = {one.prefix: [] for one in watched}
        names = {one.name for one in watched}
        if not watched or len(self._history) < len(watched) or len(names) < len(watched):
            raise ValueError(
                f"found {[(one.prefix, one.name) for one in watched]}, expected at least one evaluation, each with a "
                "prefix and a name of its own; rename one"
            )

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Write the evaluations that these metrics are of."""
        try:
            if not state.is_world_process_zero:
                return
            samples = _samples_of(kwargs.get("eval_dataloader"))
        except Exception as error:  # a state of another Trainer
            _LOGGER.warning("nothing is recorded of an evaluation: %s: %s", type(error).__name__, error)
            return
        for watched in self._watched:
            try:
                values, left_out = self._values(watched.prefix, metrics or {})
                if values or left_out:
                    self._write(watched, values, left_out, samples, state)
            except Exception as error:  # the disk, or metrics with code of their own
                _LOGGER.warning(
                    "%s is not recorded: %s: %s; training goes on", watched.name, type(error).__name__, error
                )

    def _values(self, prefix: str, metrics: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
        """Return the metrics of a prefix, and not those of a longer one that begins with it; and what is no number."""
        longer = tuple(f"{one.prefix}_" for one in self._watched if one.prefix.startswith(f"{prefix}_"))
        values, left_out = dict[str, float](), dict[str, str]()
        for name, value in metrics.items():
            if (
                not isinstance(name, str)
                or not name.startswith(f"{prefix}_")
                or (longer and name.startswith(longer))
                or name.endswith(_NO_METRICS)
            ):
                continue
            number, short = plain_number(value), name.removeprefix(f"{prefix}_")
            if number is None:
                left_out[short] = described(value)
            else:
                values[short] = number
        return values, left_out

    def _write(
        self,
        watched: Watched,
        values: dict[str, float],
        left_out: dict[str, str],
        samples: int | None,
        state: Any,
    ) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        history = self._history[watched.prefix]
        metrics, score = _metrics(watched, values, left_out, samples)
        history.append(Point(step=state.global_step, value=score.value))
        stored = StoredEvaluation(
            schema=SCHEMA,
            kind=watched.kind,
            model=watched.model,
            dataset=watched.dataset,
            prefix=watched.prefix,
            step=state.global_step,
            epoch=None if state.epoch is None else float(state.epoch),
            history=history,
            data=_data(watched),
            score=score,
            metrics=metrics,
            left_out=left_out,
        )
        measured = _measured(watched)
        if measured is not None:
            stored.gain = msgspec.convert(measured.gain, StoredGain, from_attributes=True)
            stored.queries, stored.tie_rule = msgspec.to_builtins(measured.queries), measured.tie_rule
            table = measured.table(case=watched.name, data=(stored.data["hash"] or "")[:16])
            files = write_table(self._directory / watched.name, table)
            stored.files = {file.suffix[1:]: file.name for file in files}
        stored.write(self._directory / f"{watched.name}.json")


def plain_number(value: Any) -> float | None:
    """Return a number, also one of NumPy or torch, as a float; None for a truth value, a list, an array and anything else.

    An array without dimensions is a number. One of a single value in a list is not.
    """
    if isinstance(value, bool):
        return None
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        return float(value)
    except (OverflowError, ValueError):
        return None


def described(value: Any) -> str:
    """Return what a value is that is no number, in a few words."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"an array of shape {tuple(int(size) for size in shape)}"
    words = {
        type(None): "None", bool: "a truth value", str: "a text", list: "a list", tuple: "a tuple", dict: "a dictionary",
    }  # fmt: skip
    word = words.get(type(value), f"a value of type {type(value).__name__}")
    return f"{word} of {len(value)}" if isinstance(value, list | tuple | dict) else word


def _samples_of(dataloader: Any) -> int | None:
    """Return how many samples are evaluated; None where the dataset does not say."""
    try:
        return len(dataloader.dataset)
    except Exception:  # a stream has no length, and a dataset may have code of its own
        return None


def _measured(watched: Watched) -> MeasuredRanking | None:
    return None if watched.metrics is None else watched.metrics.measured


def _data(watched: Watched) -> dict[str, str | None]:
    """Return the hash of what was evaluated, and what else is known of it."""
    queries = (
        watched.metrics.queries if _measured(watched) is not None and watched.metrics is not None else None
    )
    if queries is None:
        return {"hash": watched.data_hash}
    return {"hash": watched.data_hash or queries.data_hash, "source": queries.source, **queries.facts}


def _metrics(
    watched: Watched, values: Mapping[str, float], left_out: Mapping[str, str], samples: int | None
) -> tuple[dict[str, Estimate], Score]:
    """Return all metrics, and the one that is the score."""
    measured, metrics = _measured(watched), _plain(values, samples)
    if measured is not None:
        loss = {name: metric for name, metric in metrics.items() if name == "loss"}
        return {**measured.metrics, **loss}, measured.score
    primary = watched.primary or ""
    if primary not in metrics:
        reason = f"the evaluation reported {', '.join(values) or 'no numbers'}, and no {primary}"
        if primary in left_out:
            reason = f"the evaluation reported {left_out[primary]} as {primary}, which is no number"
        metrics[primary] = Estimate(metric=primary, n=samples, reason=reason)
    return metrics, Score(**msgspec.structs.asdict(metrics[primary]))


def _plain(values: Mapping[str, float], samples: int | None) -> dict[str, Estimate]:
    return {name: _valued(name, float(value), samples) for name, value in values.items()}


def _valued(name: str, value: float, samples: int | None) -> Estimate:
    if not math.isfinite(value):
        return Estimate(metric=name, n=samples, reason=f"the evaluation gave {value}")
    return Estimate(metric=name, value=value, n=samples, reason=_NO_INTERVAL)
