"""Which training rows a question may be shown as examples: all of them, or those of its own subject."""

from __future__ import annotations

from collections.abc import Sequence

from bench.core.errors import LanguageProblem
from bench.language.nulls import is_null
from bench.language.retrieve import Retriever, make_retriever
from bench.language.spec import Examples, Row


class ExamplePools:
    """Chooses the training rows that are the examples of a question.

    Args:
        examples: what the dataset declares.
        prepared: training rows, shape (rows,).
        queries: their texts, shape (rows,).
        seed: of the run.

    Raises:
        LanguageProblem: more examples than there are training rows, or rows without the field that they share.
    """

    def __init__(
        self, examples: Examples, prepared: Sequence[Row], queries: Sequence[str], seed: int
    ) -> None:
        self._examples, self._queries, self._seed = examples, queries, seed
        self._rows: dict[str | None, list[int]] = {}
        for number, fields in enumerate(prepared):
            self._rows.setdefault(self._shared(fields, number), []).append(number)
        self._retrievers: dict[str | None, Retriever] = {}
        if examples.within is None or not prepared:
            self._retriever(None)

    def chosen(self, index: int, query: str, fields: Row) -> list[int]:
        """Return training rows, in their order before the question.

        Args:
            index: of the question in the whole dataset.
            query: its text.
            fields: its prepared row.

        Raises:
            LanguageProblem: a question that shares its field with too few rows, or has none.
        """
        shared = self._shared(fields, index)
        rows = self._rows.get(shared, [])
        return [rows[place] for place in self._retriever(shared).indices(index, query)]

    def _shared(self, fields: Row, index: int) -> str | None:
        """Return what a row shares with others of its part of the dataset."""
        name = self._examples.within
        if name is None:
            return None
        if is_null(fields.get(name)):
            raise LanguageProblem(
                "data_failed",
                f"row {index}: found the fields {', '.join(fields)}, expected {name}, which in-context examples share with "
                "the question; add it to the row, or in prepare()",
            )
        return str(fields[name])

    def _retriever(self, shared: str | None) -> Retriever:
        """Return the retriever of a part, made when it is first needed: a part that is not asked may have few rows."""
        if shared not in self._retrievers:
            texts = [self._queries[row] for row in self._rows.get(shared, [])]
            try:
                self._retrievers[shared] = make_retriever(self._examples, texts, self._seed)
            except ValueError as error:
                of = "" if shared is None else f" with {shared!r} as {self._examples.within}"
                raise LanguageProblem("data_failed", f"in-context examples{of}: {error}") from error
        return self._retrievers[shared]
