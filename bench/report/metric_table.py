"""The tables of regression and reranking cases: a row per case, a column per metric."""

from __future__ import annotations

from typing import Any

from bench.report.figures import score_text

Records = list[dict[str, Any]]

# What the table has room for; all metrics are in the JSON.
SHOWN = (
    "pearson", "spearman", "mae", "rmse", "qwk",
    "mrr@10", "ndcg@10", "recall@1", "recall@10", "map",
)  # fmt: skip


def tuning_rows(records: Records) -> list[tuple[str, ...]]:
    """Return the table: its header first. A case that failed has marked cells, never empty ones."""
    found = {name for record in records for name in record["metrics"] or ()}
    names = [name for name in SHOWN if name in found]
    return [
        ("case", "verdict", "n", *names, "gain over the trivial"),
        *(_row(record, names) for record in records),
    ]


def _row(record: dict[str, Any], names: list[str]) -> tuple[str, ...]:
    metrics, gain, verdict = record["metrics"], record["gain"], record["verdict"]
    if not metrics:
        marked = f"{verdict.upper()}: {record['reason_code']}"
        return (record["id"], verdict, "-", *(marked for _ in names), marked)
    if record["control"] is not None and verdict == "pass":
        verdict = "pass (rejected)"
    cells = (score_text(metrics[name]) if name in metrics else "not asked" for name in names)
    return (record["id"], verdict, str(record["score"]["n"]), *cells, score_text(gain) if gain else "-")
