"""Reranking in a Trainer of your own: metrics, and a second pass at every evaluation. Needs torch, transformers.

    queries = QuerySet(...)
    metrics = RerankMetrics(queries)
    trainer = RerankTrainer(
        model=CrossEncoder(encoder), args=args, train_dataset=..., eval_dataset=..., data_collator=...,
        rerank_dataset=rerank_rows(queries, tokenizer), rerank_metrics=metrics,
    )

Each evaluation of `eval_dataset` is followed by one of the reranking set, with its own DataLoader, collator and
metrics, under the prefix ``eval_rerank``. So ``metric_for_best_model="eval_rerank_mrr@10"`` works, and everything that
`report_to` names gets the values. Where `eval_dataset` is itself such rows, `compute_metrics=RerankMetrics(queries)`
with `label_names=LABEL_NAMES` does the same on the Trainer's own DataLoader.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.core.errors import TuningProblem, UsageProblem
from bench.core.registry import no_such
from bench.machine.torchvision_shim import ensure_torchvision
from bench.report.export import WRITERS, write_table
from bench.reranking.batches import RerankCollator, Row
from bench.reranking.compute import LABEL_NAMES, RerankMetrics
from bench.reranking.early_stopping import stop_early_by_its_metric

ensure_torchvision()

from transformers import Trainer  # noqa: E402

METRIC_FILE = "metric.csv"
# What the Trainer itself reports of each pass.
_OF_EVERY_PASS = ("loss", "runtime", "samples_per_second", "steps_per_second")


class RerankMixin:
    """Lets a Trainer evaluate a reranking set after every evaluation. It overrides `evaluate` and nothing else.

    The model takes what the collator gives, and returns ``logits`` of shape (queries, candidates).

    Args:
        rerank_dataset: rows of `rerank_rows`; None leaves the Trainer as it is.
        rerank_metrics: a `RerankMetrics` of the same set.
        rerank_collator: left out, a `RerankCollator` with the padding of `processing_class`. A `ContentCollator` of
            `bench.reranking.contents` is for images and other contents.
        rerank_metric_file: table with a row per query, written by world-zero after each evaluation of the set; relative to
            ``output_dir``. None writes none.

    Raises:
        UsageProblem: a `metric_for_best_model` that no evaluation will report, with the nearest names, or
            `remove_unused_columns`, which would remove the rows' own columns, or a metric file of no known form.
    """

    def __init__(
        self,
        *args: Any,
        rerank_dataset: Sequence[Row] | None = None,
        rerank_metrics: RerankMetrics | None = None,
        rerank_collator: Any = None,
        rerank_metric_file: str | Path | None = METRIC_FILE,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        stop_early_by_its_metric(self)
        self.rerank_dataset = rerank_dataset
        self.rerank_metrics = rerank_metrics or RerankMetrics()
        padding = getattr(getattr(self, "processing_class", None), "pad_token_id", None)
        self.rerank_collator = rerank_collator or RerankCollator(padding or 0)
        if rerank_metric_file is not None and _form(rerank_metric_file) not in WRITERS:
            raise UsageProblem(
                f"rerank_metric_file={str(rerank_metric_file)!r}: expected a name that ends in "
                f"{', '.join(f'.{name}' for name in WRITERS)}; rename it"
            )
        self.rerank_metric_file = rerank_metric_file
        self._rerank_dataloaders: dict[str, object] = {}
        if rerank_dataset is None:
            return
        if self.args.remove_unused_columns:  # type: ignore[attr-defined]
            raise UsageProblem(
                "found remove_unused_columns=True, expected False: the Trainer would remove row_id and relevances "
                "before they are batched; set it in TrainingArguments"
            )
        _check_best_metric(self)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Evaluate as the Trainer does, then the reranking set unless a dataset is given; return all metrics.

        Raises:
            TuningProblem: the reranking set gave no metrics, which the Trainer would ignore.
        """
        evaluate = super().evaluate  # type: ignore[misc]
        alone = eval_dataset is None and self.eval_dataset is None and self.rerank_dataset is not None  # type: ignore[attr-defined]
        metrics = {} if alone else evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        if eval_dataset is not None or self.rerank_dataset is None:
            return metrics
        return {**metrics, **self.rerank_evaluate(ignore_keys, f"{metric_key_prefix}_rerank")}

    def rerank_evaluate(
        self, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval_rerank"
    ) -> dict[str, float]:
        """Evaluate the reranking set alone; return its metrics.

        Raises:
            UsageProblem: there is no reranking set.
            TuningProblem: it gave no metrics, which the Trainer would ignore.
        """
        dataset = self._rerank_set()
        with self._reranking():
            reranked: dict[str, float] = super().evaluate(dataset, ignore_keys, metric_key_prefix)  # type: ignore[misc]
        wanted = f"{metric_key_prefix}_{self.rerank_metrics.primary}"
        if wanted not in reranked:
            raise TuningProblem(
                "inference_failed",
                f"found no {wanted} after the reranking set was evaluated, only {', '.join(reranked)}: the Trainer skips "
                f"metrics where a label is None; give a collator that returns {', '.join(LABEL_NAMES)}",
            )
        self._write_metric_file()
        return reranked

    def get_rerank_eval_dataloader(self) -> Any:
        """Return the DataLoader of the reranking set, with its collator.

        Raises:
            UsageProblem: there is no reranking set.
        """
        dataset = self._rerank_set()
        with self._reranking():
            return self.get_eval_dataloader(dataset)  # type: ignore[attr-defined]

    def _rerank_set(self) -> Sequence[Row]:
        if self.rerank_dataset is None:
            raise UsageProblem(
                "found no rerank_dataset, expected rows of rerank_rows; give it to the Trainer"
            )
        return self.rerank_dataset

    def _write_metric_file(self) -> None:
        measured = getattr(self.rerank_metrics, "measured", None)  # a plain function keeps nothing
        if self.rerank_metric_file is None or measured is None or not self.is_world_process_zero():  # type: ignore[attr-defined]
            return
        path = Path(self.args.output_dir) / self.rerank_metric_file  # type: ignore[attr-defined]
        step = str(self.state.global_step)  # type: ignore[attr-defined]
        write_table(path, measured.query_table(step=step), (_form(path),))

    @contextmanager
    def _reranking(self) -> Iterator[None]:
        """Let the Trainer evaluate reranking rows, and restore everything afterwards."""
        own = {
            "data_collator": self.rerank_collator,
            "compute_metrics": self.rerank_metrics,
            "label_names": list(LABEL_NAMES),
            "preprocess_logits_for_metrics": None,
            "label_smoother": None,
            "compute_loss_func": None,
            # With persistent workers the Trainer would use the DataLoader of its own evaluation again.
            "_eval_dataloaders": self._rerank_dataloaders,
        }
        of_arguments = {
            "batch_eval_metrics": False,
            "prediction_loss_only": False,
            "eval_do_concat_batches": True,
            "include_for_metrics": [],
        }
        arguments = self.args  # type: ignore[attr-defined]
        swapped = [(self, name, value) for name, value in own.items()]
        swapped += [(arguments, name, value) for name, value in of_arguments.items()]
        absent = object()
        before = [(owner, name, vars(owner).get(name, absent)) for owner, name, _ in swapped]
        try:
            for owner, name, value in swapped:
                setattr(owner, name, value)
            yield
        finally:
            for owner, name, value in before:
                if value is absent:
                    delattr(owner, name)
                else:
                    setattr(owner, name, value)


def _form(file: str | Path) -> str:
    return Path(file).suffix.lower().removeprefix(".")


def _check_best_metric(trainer: Any) -> None:
    """Refuse a metric for the best model that no evaluation will report, before time is spent on training."""
    asked = trainer.args.metric_for_best_model
    if asked is None:
        return
    wanted = asked if asked.startswith("eval_") else f"eval_{asked}"
    known = [f"eval_rerank_{name}" for name in (*trainer.rerank_metrics.names, *_OF_EVERY_PASS)]
    shared = trainer.compute_metrics
    sets = trainer.eval_dataset
    prefixes = [f"eval_{name}" for name in sets] if isinstance(sets, dict) else ["eval"]
    names = getattr(shared, "names", ())
    known += [f"{prefix}_{name}" for prefix in prefixes for name in (*names, *_OF_EVERY_PASS)]
    # The names that a function of the user's returns are not known before it is called.
    unknowable = shared is not None and not names and not wanted.startswith("eval_rerank_")
    if wanted not in known and not unknowable:
        raise UsageProblem(
            f"metric_for_best_model={asked!r}: {no_such('metric of an evaluation', wanted, known)}; set one that is reported"
        )


class RerankTrainer(RerankMixin, Trainer):
    """A Trainer that also evaluates a reranking set; see `RerankMixin`."""
