"""Command-line options of the reranking cases, and what they resolve to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest

from bench.metrics.ranking import TieRule
from bench.regression.options import table_formats
from bench.run.options import local_path, words


def add_options(parser: pytest.Parser) -> None:
    """Add the options of the reranking cases to pytest's parser."""
    add = parser.getgroup("modelgate-reranking", "Modelgate: reranking").addoption
    several = {"nargs": "+", "action": "extend"}
    add("--rankers", **several, metavar="NAME", help="rankers by name (default: all that ship)")
    add("--query-sets", **several, metavar="NAME", help="query sets by name (default: all that ship)")
    add("--run-file", metavar="RUN", help="a TREC run of your own, judged by --qrels")
    add("--qrels", metavar="QRELS", help="what is relevant in --run-file, in TREC's form")
    add(
        "--tie-rule", default="pessimistic", choices=get_args(TieRule),
        help="which of equal scores goes first (docid_desc: as in trec_eval)",
    )  # fmt: skip
    add("--min-rank-score", **several, metavar="[RANKER/]SET=N", help="required score, from 0 to 1")


@dataclass(frozen=True)
class RerankingOptions:
    """Resolved options of the reranking cases.

    Attributes:
        rankers, query_sets: names; empty for all that are registered.
        run_file, qrels: of the user, both or none.
        tie_rule: which of equal scores goes first.
        min_scores: by ``set`` or ``ranker/set``.
        tables: formats of the table of candidates.
    """

    rankers: tuple[str, ...]
    query_sets: tuple[str, ...]
    run_file: Path | None
    qrels: Path | None
    tie_rule: TieRule
    min_scores: dict[str, float]
    tables: tuple[str, ...]

    def required(self, ranker: str, dataset: str) -> float | None:
        """Return the score that a combination must reach."""
        return self.min_scores.get(f"{ranker}/{dataset}", self.min_scores.get(dataset))


def resolve(config: pytest.Config) -> RerankingOptions:
    """Resolve and check the options.

    Raises:
        pytest.UsageError: when a value cannot be used, naming the option, the value and what was expected.
    """
    get = config.getoption
    run_file, qrels = (_file(config, option) for option in ("--run-file", "--qrels"))
    if (run_file is None) != (qrels is None):
        raise pytest.UsageError("--run-file and --qrels: a run is judged by its qrels; give both")
    return RerankingOptions(
        rankers=tuple(dict.fromkeys(words(get("rankers")))),
        query_sets=tuple(dict.fromkeys(words(get("query_sets")))),
        run_file=run_file,
        qrels=qrels,
        tie_rule=get("tie_rule"),
        min_scores=_min_scores(words(get("min_rank_score"))),
        tables=table_formats(config),
    )


def _file(config: pytest.Config, option: str) -> Path | None:
    value = config.getoption(option)
    if value is None:
        return None
    path = local_path(value, config)
    if not path.is_file():
        raise pytest.UsageError(f"{option} {value}: no such file")
    return path


def _min_scores(pairs: Iterable[str]) -> dict[str, float]:
    scores = {}
    for pair in pairs:
        name, _, text = pair.rpartition("=")
        try:
            scores[name] = float(text)
        except ValueError:
            name = ""
        if not name or not 0 <= scores[name] <= 1:
            raise pytest.UsageError(
                f"--min-rank-score {pair}: expected [RANKER/]SET=N with N from 0 to 1, such as digits=0.8"
            )
    return scores
