"""What a user gives to be judged without a ranker: runs, qrels and tables of predictions, read and joined."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import TuningProblem
from bench.metrics.ranking import trec_read
from bench.reranking import predictions
from bench.reranking.measures import Qrels, Run
from bench.reranking.queries import DEFAULT_PRIMARY


@dataclass(frozen=True)
class Given:
    """Scores and relevances by the names of queries and candidates.

    Attributes:
        run: score of each candidate of each query.
        qrels: relevance of each judged candidate of each query.
        data: where they are from, with a hash; `primary` is the metric that is the score.
        notes: sentences for a reader.
    """

    run: Run
    qrels: Qrels
    data: dict[str, str]
    notes: tuple[str, ...] = ()


def read_given(
    *, run_file: Path | None = None, table: Path | None = None, qrels_file: Path | None = None
) -> Given:
    """Return what files hold.

    Args:
        run_file: a TREC run; or else
        table: a table of predictions.
        qrels_file: relevances; a table may have its own.

    Raises:
        TuningProblem: ``data_failed``: a file that cannot be read or has no relevances. The message names file and line.
    """
    files = [path for path in (run_file, table, qrels_file) if path is not None]
    run, own, notes = read_scores(table if run_file is None else run_file)
    qrels: Qrels | None = own
    if qrels_file is not None:
        read = _read_qrels(qrels_file)
        notes += _repeated(qrels_file, read.repeated)
        qrels = {
            query: {name: float(value) for name, value in judged.items()}
            for query, judged in read.values.items()
        }
        if own is not None:
            _check_same(files[0], own, qrels_file, qrels)
    if qrels is None:
        raise TuningProblem(
            "data_failed",
            f"{files[0]}: found no column of relevances, expected one, or --qrels; add either",
        )
    data = {
        "source": f"{'TREC files' if table is None else 'files'} {', '.join(path.name for path in files)}",
        "hash": _hash(files),
        "primary": DEFAULT_PRIMARY,
    }
    return Given(run, qrels, data, tuple(notes))


def read_scores(path: Path | None) -> tuple[Run, Qrels | None, list[str]]:
    """Return the scores of a run or of a table, its relevances where it has them, and what to say of it.

    Raises:
        TuningProblem: ``data_failed``: it cannot be read. The message names file and line.
    """
    if path is None:
        raise ValueError("found neither a run nor a table, expected one of them; give one")
    if path.suffix.lower() in predictions.SUFFIXES:
        table = predictions.read_predictions(path)
        return table.scores, table.relevances, _repeated(path, table.repeated)
    try:
        read = trec_read.read_run_file(path)
    except (ValueError, OSError) as error:
        raise TuningProblem("data_failed", _said(path, error)) from error
    return read.values, None, _repeated(path, read.repeated)


def negative_grades(qrels: Qrels) -> int:
    """Return how many relevances are under 0."""
    return sum(value < 0 for judged in qrels.values() for value in judged.values())


def refuse_negative(qrels: Qrels) -> None:
    """Refuse relevances under 0.

    Raises:
        TuningProblem: ``data_failed``, with the first one.
    """
    for query, judged in qrels.items():
        for candidate, value in judged.items():
            if value < 0:
                raise TuningProblem(
                    "data_failed",
                    f"found a relevance of {value:g} for document {candidate!r} of query {query!r}, expected 0 or more, as "
                    "--negative-grades refuse demands; correct it, or take negative grades for not relevant",
                )


def _read_qrels(path: Path) -> trec_read.Read[int]:
    try:
        return trec_read.read_qrels_file(path)
    except (ValueError, OSError) as error:
        raise TuningProblem("data_failed", _said(path, error)) from error


def _said(path: Path, error: Exception) -> str:
    return f"{path}: {error.strerror}; correct the path" if isinstance(error, OSError) else str(error)


def _repeated(path: Path, count: int) -> list[str]:
    if not count:
        return []
    lines = "1 line repeats an earlier one" if count == 1 else f"{count} lines repeat earlier ones"
    return [f"{path.name}: {lines}; each is counted once"]


def _check_same(table: Path, own: Qrels, qrels_file: Path, qrels: Mapping[str, Mapping[str, float]]) -> None:
    """Refuse relevances of a table that the qrels contradict; what the qrels do not name is 0 there."""
    for query, judged in own.items():
        for candidate, value in judged.items():
            other = qrels.get(query, {}).get(candidate, 0.0)
            if max(value, 0.0) != max(other, 0.0):
                raise TuningProblem(
                    "data_failed",
                    f"{table}: found a relevance of {value:g} for candidate {candidate!r} of query {query!r}, and {other:g} "
                    f"in {qrels_file}, expected the same; drop the column, or leave --qrels out",
                )


def _hash(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for number, path in enumerate(files):
        digest.update(b"\0" if number else b"")
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
