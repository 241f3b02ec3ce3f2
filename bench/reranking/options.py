"""Options of the reranking cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from bench.core.case import Case
from bench.core.errors import UsageProblem
from bench.core.options import Setting, option
from bench.core.registry import no_such
from bench.metrics.ties import TieRule
from bench.reranking.case import RerankingCase

NegativeGrades = Literal["not-relevant", "refuse"]


@dataclass(frozen=True)
class RerankingOptions:
    """Options of the reranking cases."""

    rankers: tuple[str, ...] = option(
        "rankers by name (default: all that are registered)", (), metavar="NAME", neutral=True
    )
    query_sets: tuple[str, ...] = option(
        "query sets by name (default: all that are registered)", (), metavar="NAME", neutral=True
    )
    run_file: Path | None = option(
        "a run of your own in TREC's form, judged by --qrels", metavar="RUN", neutral=True
    )
    qrels: Path | None = option(
        "the relevant documents for --run-file or --predictions, in TREC's or BEIR's form",
        metavar="QRELS",
        neutral=True,
    )
    base_run: Path | None = option(
        "a first-stage run, over which the gain of --run-file or --predictions is measured, query by query",
        metavar="RUN",
        neutral=True,
    )
    negative_grades: NegativeGrades = option(
        "what a grade under 0 in the qrels is", "not-relevant", choices=get_args(NegativeGrades)
    )
    rank_metrics: tuple[str, ...] = option(
        "metrics to measure and show besides those that always are; the first one is the score", (),
        metavar="METRIC[@K]", example="ndcg@10 recall@1000 map",
    )  # fmt: skip
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
        neutral=True,
    )

    def required(self, ranker: str, dataset: str) -> float | None:
        """Return the score that a combination must reach."""
        return self.min_rank_score.get(f"{ranker}/{dataset}", self.min_rank_score.get(dataset))


def predictions_of(setting: Setting) -> Path | None:
    """Return the table that ``--predictions`` names."""
    found: Path | None = getattr(getattr(setting, "run", None), "predictions", None)
    return found


def resolve(options: RerankingOptions, setting: Setting) -> RerankingOptions:
    """Check the options against each other and against the disk.

    Raises:
        UsageProblem: one of two files that belong together, two of which one is judged, a file that does not exist, a
            score above 1.
    """
    table = predictions_of(setting)
    files = {
        "--run-file": (options.run_file, "one in TREC's form"),
        "--qrels": (options.qrels, "one in TREC's form"),
        "--base-run": (options.base_run, "a run in TREC's form, or a table"),
        "--predictions": (table, "a table with the columns query, candidate and score"),
    }
    given = {flag: path for flag, (path, _) in files.items() if path is not None}
    for flag, path in given.items():
        if not path.is_file():
            found = "this is a folder" if path.is_dir() else "no such file"
            raise UsageProblem(f"{flag} {path}: {found}; expected {files[flag][1]}; correct the path")
    if table is not None and options.run_file is not None:
        raise UsageProblem(
            "--predictions: found --run-file next to it, expected one of them; judge each in a run of its own"
        )
    if table is None and (options.run_file is None) != (options.qrels is None):
        raise UsageProblem(
            f"{'--qrels' if options.run_file is None else '--run-file'}: found one of --run-file and --qrels, expected "
            "both; a run is judged by its qrels"
        )
    if options.base_run is not None and table is None and options.run_file is None:
        raise UsageProblem(
            f"--base-run {options.base_run}: found nothing to compare with it, expected --run-file or --predictions too; "
            "name one"
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
