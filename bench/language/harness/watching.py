"""Refuses a null that reached what a model is asked: a prompt, a choice, a right answer, an in-context example.

lm-evaluation-harness reads a null as the word "None". What its tasks make of each row is observed while they make it, and
stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from bench.core.errors import LanguageProblem
from bench.language.harness.replacing import replaced
from bench.language.nulls import (
    Place,
    begun_at,
    culprit,
    defaulted,
    field_of,
    generators,
    may_hold,
    nulls,
    reached,
)

_Make = Callable[[Any], Any]
_WHAT = {
    "doc_to_text": "the question (doc_to_text)",
    "doc_to_choice": "the choices (doc_to_choice)",
    "doc_to_target": "the right answer (doc_to_target)",
    "doc_to_prefix": "the beginning of the answer (gen_prefix)",
    "resolve_field": "the description or the beginning of an answer",
    "construct_requests": "a request",
    "example": "an in-context example",
}
_ROLLING = "loglikelihood_rolling"


@contextmanager
def watched(made: Any, *, scores: bool = False) -> Iterator[RowWatch]:
    """Watch what a task makes of its rows.

    Args:
        made: the task's object.
        scores: whether answers are scored, which needs all that the task makes for it.

    Raises:
        LanguageProblem: inside of it, for a null that reached what is asked or scored, with its row and field.
    """
    watch = RowWatch(made, scores=scores)
    own = dict(vars(made))
    vars(made).update(watch.stand_ins())
    try:
        yield watch
    finally:
        for name in watch.stand_ins():
            vars(made).pop(name)
            if name in own:
                vars(made)[name] = own[name]


@contextmanager
def watched_first() -> Iterator[None]:
    """Watch what a task makes of its first row while the task itself is made.

    Raises:
        LanguageProblem: inside of it, as above.
    """
    from lm_eval.api.task import ConfigurableTask  # noqa: PLC0415

    names = ("doc_to_text", "doc_to_choice", "doc_to_target")
    own: dict[str, Any] = {name: getattr(ConfigurableTask, name) for name in names}

    def stand_in(name: str) -> Any:
        def made_of(task: Any, doc: Any, given: Any = None) -> Any:
            def make(row: Any) -> Any:
                return own[name](task, row, given)

            return RowWatch(task).made_of(name, make, doc)

        return made_of

    with replaced(ConfigurableTask, **{name: stand_in(name) for name in names}):
        yield


class RowWatch:
    """What a task made of its rows.

    Args:
        made: the task's object.
        scores: whether answers are scored.
    """

    def __init__(self, made: Any, *, scores: bool = False) -> None:
        self._made, self._scores = made, scores
        self._probing = False
        self._own: dict[str, Any] = {
            name: getattr(made, name)
            for name in ("doc_to_text", "doc_to_choice", "doc_to_target", "doc_to_prefix", "resolve_field")
            if hasattr(made, name)
        }
        # The harness's own needs no look: all that it asks is made by the others.
        if _has_own(made, "construct_requests"):
            self._own["construct_requests"] = made.construct_requests
        self._shown: dict[str, Any] = {}
        shots = getattr(made, "fewshot_cfg", None)
        self._processes = _process_of(made.config) is not None or _process_of(shots) is not None
        self._suspicious: dict[str, list[tuple[str, _Make]]] = {}

    def stand_ins(self) -> dict[str, Callable[..., Any]]:
        """Return what takes the place of the task's methods."""
        return {name: self._stand_in(name) for name in self._own}

    def made_of(self, name: str, make: _Make, doc: Any) -> Any:
        """Return what a task makes of a row that is evaluated.

        Raises:
            LanguageProblem: a null that reached it and is used.
        """
        if self._probing or not isinstance(doc, Mapping):
            return make(doc)
        has_nulls, state, made = self._tried(name, make, doc)
        if self._is_used(name, made):
            self._judge(name, make, doc, made, state, has_nulls=has_nulls)
        return made

    def follow_processing(self) -> None:
        """Look at what the task's own ``process_docs`` made of nulls.

        Raises:
            LanguageProblem: a null of a row as it was read that reached what is asked.
        """
        if not self._suspicious:
            return
        config, shots = self._made.config, getattr(self._made, "fewshot_cfg", None)
        asked = config.test_split if self._made.has_test_docs() else config.validation_split
        self._follow(asked, _process_of(config), getattr(self._made, "task_docs", []))
        shown, process = getattr(shots, "split", None), _process_of(shots)
        if shown is None:
            shown, process = config.training_split or config.validation_split, _process_of(config)
        self._follow(shown, process, getattr(getattr(self._made, "sampler", None), "df", []))

    # -- while a task makes it ---------------------------------------------------------------------

    def _stand_in(self, name: str) -> Callable[..., Any]:
        own = self._own[name]
        if name == "construct_requests":

            def requests(doc: Any, ctx: Any, **named: Any) -> Any:
                found: list[Any] = []

                def make(row: Any) -> Any:
                    found.append(own(doc=row, ctx=ctx, **named))
                    made = found[-1]
                    return [one.args for one in (made if isinstance(made, list) else [made])]

                self.made_of(name, make, doc)
                return found[0]

            return requests

        def made_of(doc: Any, *given: Any, **named: Any) -> Any:
            def make(row: Any) -> Any:
                return own(row, *given, **named)

            # The harness gives an in-context example its own templates.
            if name != "resolve_field" and (given or named):
                return self._of_example(name, make, doc)
            return self.made_of(name, make, doc)

        return made_of

    def _tried(self, name: str, make: _Make, doc: Any) -> tuple[bool, Any, Any]:
        """Return whether a row has nulls, the state of the generators before, and what was made of it."""
        has_nulls = next(nulls(doc), None) is not None
        state = generators() if has_nulls else None
        try:
            return has_nulls, state, make(doc)
        except LanguageProblem:
            raise
        except Exception as error:
            place = self._found(culprit, doc, make, state) if has_nulls else None
            if place is None:
                raise
            raise self._refused(name, doc, place) from error

    def _judge(self, name: str, make: _Make, doc: Any, made: Any, state: Any, *, has_nulls: bool) -> None:
        searches = (reached, defaulted) if name == "doc_to_target" else (reached,)
        for search in searches if has_nulls else ():
            if (place := self._found(search, doc, make, made, state)) is not None:
                raise self._refused(name, doc, place)
        if self._processes and not self._scores and may_hold(made):
            self._suspicious.setdefault(repr(doc), []).append((name, make))

    def _found(self, search: Callable[..., Place | None], *values: Any) -> Place | None:
        before, self._probing = self._probing, True
        try:
            return search(*values)
        finally:
            self._probing = before

    def _is_used(self, name: str, made: Any) -> bool:
        """Whether what was made of an evaluated row is asked or scored: the harness makes more than that."""
        kind = getattr(self._made, "OUTPUT_TYPE", None)
        if name in ("doc_to_prefix", "resolve_field"):
            return kind != _ROLLING and isinstance(made, str)  # without a text there is none
        if self._scores or name == "construct_requests":
            return True
        if name == "doc_to_text":
            return kind != _ROLLING
        is_scored = self._made.config.process_results is None and not _has_own(self._made, "process_results")
        is_scored = is_scored and kind in ("multiple_choice", "generate_until")
        if getattr(self._made, "multiple_input", 0):
            return True
        if name == "doc_to_choice":
            return is_scored or kind == "multiple_choice"
        return is_scored or kind in ("loglikelihood", _ROLLING)

    def _of_example(self, name: str, make: _Make, doc: Any) -> Any:
        """Return what a task makes of an in-context example, whose answer is made last."""
        if self._probing or not isinstance(doc, Mapping):
            return make(doc)
        has_nulls, state, made = self._tried("example", make, doc)
        if name == "doc_to_text":
            self._shown = {"state": state, "doc_to_choice": None}
        self._shown[name] = made
        if name != "doc_to_target" or not (has_nulls or self._processes) or "doc_to_text" not in self._shown:
            return made
        if has_nulls and (place := self._found(defaulted, doc, make, made, state)) is not None:
            raise self._refused(name, doc, place, is_example=True)
        values = [self._shown[part] for part in ("doc_to_text", "doc_to_choice", "doc_to_target")]
        _, _, shown = self._tried(
            "example", lambda row: self._visible(*values) if row is doc else self._example(row), doc
        )
        self._judge("example", self._example, doc, shown, self._shown["state"], has_nulls=has_nulls)
        return made

    def _example(self, doc: Any) -> Any:
        shots, own = self._made.fewshot_cfg, self._own
        text = own["doc_to_text"](doc, shots.doc_to_text)
        choices = own["doc_to_choice"](doc, shots.doc_to_choice) if shots.doc_to_choice else None
        return self._visible(text, choices, own["doc_to_target"](doc, shots.doc_to_target))

    def _visible(self, text: Any, choices: Any, answer: Any) -> tuple[Any, Any]:
        """Return what a prompt shows of an example: of its choices the right one alone."""
        if getattr(self._made, "multiple_input", 0):
            text, choices = choices[text], None
        if choices and isinstance(answer, int):
            return text, choices[answer]
        return text, answer[0] if isinstance(answer, list) and answer else answer

    # -- what the task's own function made of the rows before ---------------------------------------

    def _follow(self, split: str | None, process: Callable[..., Any] | None, docs: Any) -> None:
        dataset = self._made.dataset
        if split is None or process is None or split not in dataset:
            return
        rows, docs = dataset[split], [repr(doc) for doc in docs]
        is_aligned = len(rows) == len(docs)
        for number, row in enumerate(rows):
            if (is_aligned and docs[number] not in self._suspicious) or next(nulls(row), None) is None:
                continue
            state = generators()
            with begun_at(state):
                alone = _processed(process, row)
            known = [docs[number]] if is_aligned else [repr(doc) for doc in alone]
            for name, make in [one for doc in known for one in self._suspicious.get(doc, [])]:
                self._follow_row(split, number, row, name, partial(_processed_and_made, process, make), state)

    def _follow_row(self, split: str, number: int, row: Any, name: str, make: _Make, state: Any) -> None:
        before, self._probing = self._probing, True
        try:
            with begun_at(state):
                made = make(row)
        except Exception:  # a function that needs the other rows as well
            return
        finally:
            self._probing = before
        place = self._found(reached, row, make, made, state)
        if place is not None:
            raise _refusal(self._made, f"row {number} of the split {split}", name, place)

    # -- messages ----------------------------------------------------------------------------------

    def _refused(self, name: str, doc: Any, place: Place, *, is_example: bool = False) -> LanguageProblem:
        row = self._row(doc, is_example=is_example or name == "example")
        return _refusal(self._made, row, name, place)

    def _row(self, doc: Any, *, is_example: bool) -> str:
        """Return which row a document is: of a split as it was read, or as the task made it."""
        made, text = self._made, repr(doc)
        config, shots = made.config, getattr(made, "fewshot_cfg", None)
        first = (getattr(shots, "split", None), config.training_split, config.validation_split)
        asked = (config.test_split, config.validation_split)
        dataset = getattr(made, "dataset", {})
        splits = [*first, *asked] if is_example else [*asked, *first]
        for split in dict.fromkeys(one for one in splits if one is not None and one in dataset):
            for number, row in enumerate(dataset[split]):
                if repr(row) == text:
                    return f"row {number} of the split {split}"
        examples = ("in-context example", getattr(getattr(made, "sampler", None), "df", []))
        documents = ("document", getattr(made, "task_docs", []))
        for word, docs in (examples, documents) if is_example else (documents, examples):
            for number, one in enumerate(docs):
                if repr(one) == text:
                    return f"{word} {number}"
        return f"the document {text[:80]}"


def _processed(process: Callable[..., Any], row: Any) -> list[Any]:
    import datasets  # noqa: PLC0415  slow to import

    try:
        return list(process(datasets.Dataset.from_list([dict(row)])))
    except Exception:  # a function that needs the other rows as well
        return []


def _processed_and_made(process: Callable[..., Any], make: _Make, row: Any) -> list[Any]:
    return [make(doc) for doc in _processed(process, row)]


def _process_of(config: Any) -> Callable[..., Any] | None:
    found: Callable[..., Any] | None = getattr(config, "process_docs", None)
    return found


def _has_own(made: Any, name: str) -> bool:
    """Whether a task in Python has a method of its own."""
    from lm_eval.api.task import ConfigurableTask  # noqa: PLC0415

    return getattr(type(made), name, None) is not getattr(ConfigurableTask, name)


def _refusal(made: Any, row: str, name: str, place: Place) -> LanguageProblem:
    field = field_of(place)
    ways = ["fill the cell", "leave the row out", f"let the template test it ({{{{ {place[0]} or '' }}}})"]
    if len(place) == 1:
        ways.append(
            f"declare metadata: {{optional: [{field}]}} in the task's YAML file, which reads it as an empty text"
        )
    return LanguageProblem(
        "data_failed",
        f"{made.config.task}: {row}: found no value (null) in the field {field!r}, expected one: {_WHAT[name]} is made of "
        f"it; {', '.join(ways[:-1])}, or {ways[-1]}{_of_table(made)}",
    )


def _of_table(made: Any) -> str:
    """Return what a reader of a CSV file should know: the harness's library reads more than empty cells as none."""
    rows = next(iter(getattr(made, "dataset", {}).values()), None)
    if getattr(getattr(rows, "info", None), "builder_name", None) != "csv":
        return ""
    return " (words such as None, NA and null in a CSV file are read as no value: where they are meant, write .jsonl)"
