"""Writes the tables of docs/metrics.md from the registries of metrics: ``python docs/make_metrics.py``.

What stands above the mark in the page is written by hand and stays. A test holds the page equal to the code.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.acceleration.known_metrics import known_metrics  # noqa: E402
from bench.acceleration.safeguards import SAFEGUARDS  # noqa: E402
from bench.metrics.distributions import DISTRIBUTIONS  # noqa: E402
from bench.metrics.extra_metrics import EXTRAS  # noqa: E402
from bench.metrics.shipped_images import IMAGE_METRICS  # noqa: E402

PAGE = ROOT / "docs" / "metrics.md"
MARK = "<!-- Written by `python docs/make_metrics.py` from here on. -->"
FORMS = {"pair": "image and baseline's", "image": "one image", "set": "all images"}
OF_CLIP = {
    "clip_score": ("image and prompt", True, "Hessel et al. 2021, EMNLP, times 100, without weight and clipping; --clip"),
    "clip_image_cosine": ("image and baseline's", True, "cosine of the embeddings of --clip; no LPIPS"),
    "temporal_difference": ("two videos", False, "see [statistics.md](statistics.md#videos)"),
}  # fmt: skip


def page() -> str:
    """Return the page."""
    head = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    facts = known_metrics()
    header = ("metric", "looks at", "range", "equal images", "better", "source")
    shipped = [
        _row(name, FORMS[metric.form], facts[name], metric.higher_is_better, metric.source)
        for name, metric in IMAGE_METRICS.items()
    ]
    of_clip = [
        _row(name, looks, facts[name], better, source) for name, (looks, better, source) in OF_CLIP.items()
    ]
    of_sets = [_row(name, "both sets", facts[name], False, source) for name, source in DISTRIBUTIONS.items()]
    extras = [
        (*_row(name, FORMS[extra.form], facts[name], extra.higher_is_better, extra.source), extra.install)
        for name, extra in EXTRAS.items()
    ]
    guards = [
        (
            f"`{one.metric}`",
            f"{100 * one.lower:g} %",
            f"{100 * one.upper:g} %",
            f"{one.least:g}",
            " or ".join(one.sign),
        )
        for one in SAFEGUARDS
    ]
    parts = [
        f"{head}{MARK}\n",
        "## Metrics that ship\n",
        _table([header, *of_clip, *shipped, *of_sets]),
        "## Metrics of other packages\n",
        _table([(*header, "packages"), *extras]),
        "## The safeguards\n",
        _table([("metric", "downwards", "upwards", "at least", "what it rejects"), *guards]),
    ]
    return "\n".join(parts)


def _row(name: str, looks: str, facts: object, better: bool | None, source: str) -> tuple[str, ...]:
    low, high = getattr(facts, "low"), getattr(facts, "high")  # noqa: B009
    same = getattr(facts, "same")  # noqa: B009
    ends = " to ".join("any" if math.isinf(end) else f"{end:g}" for end in (low, high))
    word = {True: "higher", False: "lower", None: "as the baseline"}[better]
    return f"`{name}`", looks, ends, "-" if same is None else f"{same:g}", word, source


def _table(rows: list[tuple[str, ...]]) -> str:
    lines = [rows[0], tuple("---" for _ in rows[0]), *rows[1:]]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
