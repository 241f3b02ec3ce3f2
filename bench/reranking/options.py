"""Options of the reranking cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from bench.core.case import Case
from bench.core.errors import UsageProblem
from bench.core.options import Setting, option
from bench.core.registry import no_such
from bench.metrics.ranking.order import TieRule
from bench.reranking.case import RerankingCase


@dataclass(frozen=True)
class RerankingOptions:
    """Options of the reranking cases."""

    rankers: tuple[str, ...] = option(
        "rankers by name (default: all that are registered)", (), metavar="NAME", selects=True
    )
    query_sets: tuple[str, ...] = option(
        "query sets by name (default: all that are registered)", (), metavar="NAME", selects=True
    )
    run_file: Path | None = option("a TREC run of your own, judged by --qrels", metavar="RUN", selects=True)
    qrels: Path | None = option(
        "the relevant documents for --run-file, in TREC's form", metavar="QRELS", selects=True
    )
    tie_rule: TieRule = option(
        "which of equal scores goes first (docid_desc: as in trec_eval)",
        "pessimistic",
        choices=get_args(TieRule),
    )
    min_rank_score: dict[str, float] = option(
        "required score, from 0 to 1",
        {},
        metavar="[RANKER/]SET=N",
        least=0,
        example="digits=0.8",
        selects=True,
    )

    def required(self, ranker: str, dataset: str) -> float | None:
        """Return the score that a combination must reach."""
        return self.min_rank_score.get(f"{ranker}/{dataset}", self.min_rank_score.get(dataset))


def resolve(options: RerankingOptions, setting: Setting) -> RerankingOptions:
    """Check the options against each other and against the disk.

    Raises:
        UsageProblem: one of two files that belong together, a file that does not exist, a score above 1.
    """
    files = {"--run-file": options.run_file, "--qrels": options.qrels}
    given = {flag: path for flag, path in files.items() if path is not None}
    for flag, path in given.items():
        if not path.is_file():
            raise UsageProblem(f"{flag} {path}: no such file; expected one in TREC's form; correct the path")
    if len(given) == 1:
        raise UsageProblem(
            f"{next(iter(given))}: found one of --run-file and --qrels, expected both; a run is judged by its qrels"
        )
    for name, score in options.min_rank_score.items():
        if score > 1:
            raise UsageProblem(
                f"--min-rank-score {name}={score:g}: expected [RANKER/]SET=N with N from 0 to 1, such as {name}=0.8"
            )
    return options


def check(options: RerankingOptions, cases: Sequence[Case]) -> None:
    """Refuse a required score of something that is not run.

    Raises:
        UsageProblem: with the nearest names.
    """
    judged = [case for case in cases if isinstance(case, RerankingCase) and not case.is_control]
    known = {name for case in judged for name in (case.dataset, f"{case.ranker}/{case.dataset}")}
    for name, score in options.min_rank_score.items():
        if name not in known:
            raise UsageProblem(
                f"--min-rank-score {name}={score:g}: {no_such('query set that is run', name, sorted(known))}; "
                "name a set, or a ranker and a set, of a case that is run"
            )
