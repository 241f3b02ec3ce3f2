"""What `--rank-metrics` asks for: names of ranking metrics at any cut-off, as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import UsageProblem
from bench.core.registry import no_such
from bench.core.requirement import Requirement
from bench.metrics import ranking
from bench.metrics.ranking.random_order import EXPECTATIONS

EXAMPLE = "ndcg@10, recall@1000, map or p@5"
_ALIASES = {
    "p": "precision",
    "prec": "precision",
    "r": "recall",
    "rr": "mrr",
    "recip_rank": "mrr",
    "hit": "hit_rate",
    "hits": "hit_rate",
    "hr": "hit_rate",
    "success": "hit_rate",
    "ap": "map",
    "map_cut": "map",
    "ndcg_cut": "ndcg",
}
"""Other words for a metric, those of trec_eval among them."""
_FORM = re.compile(r"(?P<name>[^@.\s]*?)(?:[@._](?P<k>\d+))?", re.ASCII)


def metric_of(text: str) -> str:
    """Return the name by which records have a metric, such as ``precision@5`` for ``P_5``.

    Raises:
        UsageProblem: no such metric, no cut-off of at least 1, or none where one is needed; with the nearest names.

    Example:
        >>> metric_of("nDCG@10"), metric_of("P_5"), metric_of("recip_rank"), metric_of("MAP")
        ('ndcg@10', 'precision@5', 'mrr', 'map')
    """
    flag, registry = f"--rank-metrics {text}", ranking.RANKING_METRICS
    form = _FORM.fullmatch(text)
    word = form["name"] if form else text.partition("@")[0]
    # Names of users' metrics may have capitals.
    name = next(
        (one for one in (word, word.lower(), _ALIASES.get(word.lower(), "")) if one in registry), None
    )
    if name is None:
        known = sorted({*registry, *_ALIASES})
        raise UsageProblem(
            f"{flag}: {no_such('ranking metric', word, known)}; name one, with its cut-off, such as {EXAMPLE}"
        )
    if form is None or (form["k"] is not None and int(form["k"]) < 1):
        raise UsageProblem(
            f"{flag}: expected a whole number of at least 1 after @, such as {name}@10; correct it"
        )
    if form["k"] is None and not registry[name].whole_list:
        raise UsageProblem(
            f"{flag}: found no cut-off, and {name} has no value over whole lists; add one, such as {name}@10"
        )
    return name if form["k"] is None else f"{name}@{int(form['k'])}"


def asked_metrics(texts: Iterable[str]) -> dict[str, str]:
    """Return the name in records of each text; the first one is the score.

    Raises:
        UsageProblem: as for `metric_of`; or the value of the first one in a random order is not known.
    """
    asked = {text: metric_of(text) for text in texts}
    for text, name in list(asked.items())[:1]:
        if name.partition("@")[0] not in EXPECTATIONS:
            raise UsageProblem(
                f"--rank-metrics {text}: the first one is the score, whose value in a random order must be known, and that "
                f"of {name} is not; name {', '.join(sorted(EXPECTATIONS))} first, or register it with EXPECTATIONS"
            )
    return asked


def required_metrics(requirements: Iterable[Requirement]) -> dict[str, str]:
    """Return likewise the metrics that ``--require`` names, so that each is measured; other names are left out."""
    asked = {}
    for one in requirements:
        with suppress(UsageProblem):
            asked[one.metric] = metric_of(one.metric)
    return asked


def values_of(ranked: ranking.Ranked, names: Iterable[str]) -> dict[str, NDArray[np.float64]]:
    """Return the values of metrics query by query, each of shape (scored queries,).

    Args:
        ranked: the candidates in their order.
        names: as `metric_of` returns them.
    """
    names = tuple(names)
    if not names:
        return {}
    parts = [name.partition("@") for name in names]
    stems = tuple(dict.fromkeys(stem for stem, _, _ in parts))
    ks = tuple(dict.fromkeys(int(k) for _, _, k in parts if k)) or (1,)
    values = ranking.evaluate(ranked, stems, ks).values
    return {name: values[name] for name in names}


def short_names(asked: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names in records, each once, in the order in which they were asked for."""
    return tuple(dict.fromkeys(asked.values()))
