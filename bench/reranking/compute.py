"""`compute_metrics` for a Trainer: from gathered scores and labels to metrics by name. Needs no framework."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.core.errors import TuningProblem
from bench.metrics.ranking import TieRule
from bench.reranking.measures import (
    DEFAULT_TIES,
    Measured,
    Qrels,
    Run,
    check_metric,
    join,
    measure,
    metric_names,
)
from bench.reranking.queries import DEFAULT_PRIMARY, QuerySet

LABEL_NAMES = ("labels", "candidate_mask", "row_id")
"""What `TrainingArguments(label_names=...)` needs: relevances, which entries are candidates, which query it is."""
_COUNTED = ("total", "without_relevant", "without_candidates", "tied_candidates")


class RerankMetrics:
    """A `compute_metrics` for scores of shape (queries, candidates), with the labels of `LABEL_NAMES`.

    Rows are joined to queries by `row_id`, so neither the order of evaluation nor the number of processes matters.
    Padding is left out by its mask; its scores do not matter.

    Args:
        queries: the set that is evaluated; left out, queries and candidates are named by their numbers.
        primary: the metric that is the score; left out, that of the set.
        ties: which of equal scores goes first; see `bench.metrics.ranking`.
        seed: of the bootstrap of intervals.

    Attributes:
        names: of all values that a call returns.
        measured: what the latest call found, with intervals, the gain over a random order and a row for each
            candidate; None before the first call.

    Raises:
        TuningProblem: an unknown primary metric, with the nearest names.
    """

    def __init__(
        self,
        queries: QuerySet | None = None,
        *,
        primary: str | None = None,
        ties: TieRule = DEFAULT_TIES,
        seed: int = 0,
    ) -> None:
        self.queries = queries
        self.primary = check_metric(primary or (queries.primary if queries is not None else DEFAULT_PRIMARY))
        self.names = (*metric_names(), *(f"queries_{name}" for name in _COUNTED))
        self.measured: Measured | None = None
        self._ties, self._seed = ties, seed

    def __call__(self, prediction: Any) -> dict[str, float]:
        """Return all metrics and counts by name.

        Args:
            prediction: the Trainer's `EvalPrediction`.

        Raises:
            TuningProblem: labels other than those of `LABEL_NAMES`, shapes that do not fit, rows that are missing or
                repeated.
            ValueError: a score that is no finite number. The message names the query.
        """
        scores, relevances, mask, row_ids = _arrays(prediction)
        rows = np.argsort(row_ids, kind="stable")
        self._check_rows(row_ids[rows])
        lists = [scores[row, mask[row]] for row in rows]
        if self.queries is not None:
            run, qrels = join(self.queries, lists)
        else:
            run, qrels = _numbered(row_ids[rows], lists, [relevances[row, mask[row]] for row in rows])
        self.measured = measure(run, qrels, primary=self.primary, ties=self._ties, seed=self._seed)
        counts = self.measured.queries
        return {
            **self.measured.values(),
            **{f"queries_{name}": float(getattr(counts, name)) for name in _COUNTED},
        }

    def _check_rows(self, row_ids: np.ndarray) -> None:
        repeated = row_ids[1:][row_ids[1:] == row_ids[:-1]]
        if len(repeated):
            raise TuningProblem(
                "inference_failed",
                f"found row_id {repeated[0]} twice, expected every query once; see whether gathering over processes "
                "repeated rows",
            )
        if self.queries is not None and not np.array_equal(row_ids, np.arange(len(self.queries))):
            lost = sorted(set(range(len(self.queries))) - set(row_ids.tolist()))
            raise TuningProblem(
                "inference_failed",
                f"found {len(row_ids)} rows, expected those of {len(self.queries)} queries"
                f"{f', the first missing one is {self.queries.ids[lost[0]]!r}' if lost else ''}; evaluate the rows that "
                "rerank_rows made of this set, with dimension 0 the queries",
            )


def _arrays(prediction: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return scores, relevances, the mask as booleans, and row ids."""
    labels, scores = prediction.label_ids, prediction.predictions
    if isinstance(labels, list) or isinstance(scores, list):
        batches = len(scores if isinstance(scores, list) else labels)
        raise TuningProblem(
            "inference_failed",
            f"found scores and labels as lists of {batches} batches, expected arrays; set eval_do_concat_batches=True in "
            "TrainingArguments",
        )
    if isinstance(scores, tuple | dict):
        raise TuningProblem(
            "inference_failed",
            f"found scores that are nested ({len(scores)} outputs), expected one array; return `loss` and `logits` "
            "alone from "
            "the model, or choose one with preprocess_logits_for_metrics",
        )
    if not isinstance(labels, tuple) or len(labels) != len(LABEL_NAMES):
        found = len(labels) if isinstance(labels, tuple) else "none" if labels is None else 1
        raise TuningProblem(
            "data_failed",
            f"found {found} of the labels {', '.join(LABEL_NAMES)}, expected all of them; set label_names=LABEL_NAMES of "
            "bench.reranking.compute in TrainingArguments, and batch with RerankCollator",
        )
    relevances, mask, row_ids = labels
    shapes = [getattr(array, "shape", None) for array in (scores, relevances, mask)]
    if shapes[0] is None or len(shapes[0]) != 2 or len(set(shapes)) > 1:
        raise TuningProblem(
            "inference_failed",
            f"found scores, relevances and mask of shapes {shapes}, expected (queries, candidates) for each; return one "
            "score for each candidate, and leave eval_do_concat_batches on",
        )
    return scores, relevances, np.asarray(mask) == 1, np.asarray(row_ids)


def _numbered(row_ids: np.ndarray, scores: Sequence[Any], relevances: Sequence[Any]) -> tuple[Run, Qrels]:
    run, qrels = (
        {
            str(row): {str(place): value for place, value in enumerate(of_row.tolist())}
            for row, of_row in zip(row_ids, lists, strict=True)
        }
        for lists in (scores, relevances)
    )
    return run, qrels
