"""A callback that keeps what any Trainer run evaluated, for `pytest cases/test_evaluated.py --evaluated DIR`.

    RecordCallback("evaluations", Watched("eval_rerank", "reranking", model="mine", dataset="faq", metrics=metrics))

Needs transformers.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.evaluation import metric_record
from bench.core.names import safe_name
from bench.evaluated.evaluation import KINDS, SCHEMA
from bench.machine.torchvision_shim import ensure_torchvision
from bench.report.export import write_table

ensure_torchvision()

from transformers import TrainerCallback  # noqa: E402

if TYPE_CHECKING:
    from bench.reranking.compute import RerankMetrics

# What the Trainer reports beside metrics.
_NO_METRICS = ("runtime", "samples_per_second", "steps_per_second", "model_preparation_time")
_NO_INTERVAL = "a Trainer reports values without intervals"


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
    metrics: RerankMetrics | None = None

    def __post_init__(self) -> None:
        """Refuse what no record can be made of."""
        if self.kind not in KINDS:
            raise ValueError(f"found the kind {self.kind!r}, expected one of {', '.join(KINDS)}")
        if self.primary is None and self.metrics is None:
            raise ValueError(
                f"found no primary metric for {self.prefix}, expected the name of the one that is the score, such as "
                "primary='pearson'"
            )

    @property
    def name(self) -> str:
        """Name of the record's file, without its suffix."""
        return f"{safe_name(self.model)}-{safe_name(self.dataset)}"


class RecordCallback(TrainerCallback):
    """Writes a record of the latest evaluation of each kind, from the process that is world-zero.

    A file is replaced atomically. With `load_best_model_at_end`, evaluate once more after training: the record is
    then that of the model that is kept.

    Args:
        directory: made if needed.
        watched: the evaluations, each with a file of its own.

    Raises:
        ValueError: two of them with the same prefix or the same names.
    """

    def __init__(self, directory: str | Path, *watched: Watched) -> None:
        self._directory, self._watched = Path(directory), watched
        self._history: dict[str, list[dict[str, Any]]] = {one.prefix: [] for one in watched}
        names = {one.name for one in watched}
        if not watched or len(self._history) < len(watched) or len(names) < len(watched):
            raise ValueError(
                f"found {[(one.prefix, one.name) for one in watched]}, expected at least one evaluation, each with a "
                "prefix and a name of its own"
            )

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float] | None = None, **kwargs: Any
    ) -> None:
        """Write the records of the evaluations that these metrics are of."""
        if not state.is_world_process_zero:
            return
        dataset: Any = getattr(kwargs.get("eval_dataloader"), "dataset", None)
        samples = len(dataset) if hasattr(dataset, "__len__") else None
        for watched in self._watched:
            values = self._values(watched.prefix, metrics or {})
            if values:
                self._write(watched, values, samples, state)

    def _values(self, prefix: str, metrics: Mapping[str, float]) -> dict[str, float]:
        """Return the metrics of a prefix, and not those of a longer one that begins with it."""
        longer = tuple(f"{one.prefix}_" for one in self._watched if one.prefix.startswith(f"{prefix}_"))
        return {
            name.removeprefix(f"{prefix}_"): value
            for name, value in metrics.items()
            if name.startswith(f"{prefix}_")
            and not (longer and name.startswith(longer))
            and not name.endswith(_NO_METRICS)
        }

    def _write(self, watched: Watched, values: dict[str, float], samples: int | None, state: Any) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        record = _record(watched, values, samples)
        self._history[watched.prefix].append({"step": state.global_step, "value": record["score"]["value"]})
        record |= {
            "step": state.global_step,
            "epoch": None if state.epoch is None else float(state.epoch),
            "history": self._history[watched.prefix],
        }
        measured = watched.metrics.measured if watched.metrics is not None else None
        if measured is not None:
            table = measured.table(case=watched.name, data=(record["data"]["hash"] or "")[:16])
            files = write_table(self._directory / watched.name, table)
            record["files"] = {file.suffix[1:]: file.name for file in files}
        path = self._directory / f"{watched.name}.json"
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        temporary.replace(path)


def _record(watched: Watched, values: dict[str, float], samples: int | None) -> dict[str, Any]:
    """Return what is known of an evaluation, as plain builtins."""
    record: dict[str, Any] = {
        "schema": SCHEMA, "kind": watched.kind, "model": watched.model, "dataset": watched.dataset,
        "prefix": watched.prefix, "files": None, "gain": None, "queries": None, "tie_rule": None,
    }  # fmt: skip
    measured = watched.metrics.measured if watched.metrics is not None else None
    if watched.metrics is not None and measured is not None:
        queries = watched.metrics.queries
        data_hash = watched.data_hash or (queries.data_hash if queries is not None else None)
        facts = {"source": queries.source, **queries.facts} if queries is not None else {}
        known = {**measured.record, "metrics": dict(measured.record["metrics"])}
        known["metrics"] |= _plain({name: value for name, value in values.items() if name == "loss"}, samples)
        return {**record, **known, "data": {"hash": data_hash, **facts}}
    metrics = _plain(values, samples)
    primary = watched.primary or ""
    if primary not in metrics:
        metrics[primary] = {
            **_valued(None, samples), "reason": f"the evaluation reported {', '.join(values)}, and no {primary}",
        }  # fmt: skip
    score = {**metrics[primary], "metric": primary, "stderr": None, "unparsed": None, "required": None}
    return {**record, "metrics": metrics, "score": score, "data": {"hash": watched.data_hash}}


def _plain(values: Mapping[str, float], samples: int | None) -> dict[str, dict[str, Any]]:
    return {name: _valued(float(value), samples) for name, value in values.items()}


def _valued(value: float | None, samples: int | None) -> dict[str, Any]:
    known = value is not None and math.isfinite(value)
    reason = _NO_INTERVAL if known else f"the evaluation gave {value}"
    return metric_record(value if known else None, None, None, samples, reason)
