"""Text metrics, by name in `TEXT_METRICS`; `bench.metrics.text.metric` says what a metric is."""

from bench.metrics.text import answers, corpus, formulas
from bench.metrics.text.metric import (
    TEXT_METRICS,
    Answer,
    CorpusMetric,
    Golds,
    GroupMetric,
    SampleMetric,
    TextMetric,
    TextMetrics,
    check_lengths,
)

__all__ = [
    "TEXT_METRICS",
    "Answer",
    "CorpusMetric",
    "Golds",
    "GroupMetric",
    "SampleMetric",
    "TextMetric",
    "TextMetrics",
    "answers",
    "check_lengths",
    "corpus",
    "formulas",
]
