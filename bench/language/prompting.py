"""Turns rows into questions: the prompt with its in-context examples, the choices, the right answer."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from bench.core.errors import LanguageProblem
from bench.core.names import content_hash, listed
from bench.core.raised import told
from bench.language.cells import Cells, NullCell, fill, plain, with_empty
from bench.language.chat import ChatStyle, Conversation, Prompt
from bench.language.labels import shown
from bench.language.nulls import field_of, nulls, reached
from bench.language.pools import ExamplePools
from bench.language.rows import Rows
from bench.language.spec import Cloze, Dataset, PartialLogLikelihood, Row

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Question:
    """One thing that a model is asked.

    Attributes:
        key: unique in its dataset: the row's number, and the rotation of its options if there are several.
        index: number of the row in the whole dataset.
        fields: the prepared row.
        instruction, examples, query: parts of the prompt.
        separator: between the parts.
        choices: texts that may follow the prompt, separator included; empty for a generation.
        ending: text after each choice, which is scored in place of the choice; empty if there is none.
        labels: the choices without what separates them from the prompt.
        golds: the index of the right choice, or the right texts.
        source: the row as the source has it; its content identifies the question in another run.
        turns: the examples as turns of a chat: what is asked, and the answer.
        sample: which of several drawn answers this asks for, from 0.
    """

    key: str
    index: int
    fields: Row
    instruction: str
    examples: tuple[str, ...]
    query: str
    separator: str
    choices: tuple[str, ...]
    labels: tuple[str, ...]
    golds: tuple[Any, ...]
    ending: str = ""
    source: Row = field(default_factory=dict, repr=False)
    turns: tuple[tuple[str, str], ...] = ()
    sample: int = 0

    @cached_property
    def row(self) -> str:
        """Hash of the row; empty without one."""
        return content_hash(self.source) if self.source else ""

    @cached_property
    def asked(self) -> str:
        """Hash of the words of the question: instruction, examples, query and choices."""
        return content_hash(
            [self.instruction, self.examples, self.separator, self.query, self.choices, self.ending]
        )

    def prompt(self, examples: int | None = None) -> str:
        """Return the text before the answer, with all examples or only the first ones."""
        kept = self.examples if examples is None else self.examples[:examples]
        body = self.separator.join([*kept, self.query])
        return f"{self.instruction}{body}"

    def asked_in(self, chat: ChatStyle | None, examples: int | None = None) -> Prompt:
        """Return what a model is asked, with all examples or only the first ones; of a chat, examples may be turns."""
        if chat is None or not chat.turns:
            return self.prompt(examples)
        kept = self.turns if examples is None else self.turns[:examples]
        asked = [text for pair in kept for text in pair] + [self.query]
        asked[0] = f"{self.instruction}{asked[0]}"
        turns = [(("user", "assistant")[place % 2], text) for place, text in enumerate(asked)]
        return Conversation((*((("system", chat.system),) if chat.system is not None else ()), *turns))

    def fitting(
        self, limit: int, length: Callable[[Any], int], chat: ChatStyle | None = None
    ) -> tuple[Prompt, int]:
        """Return the longest prompt within a limit, and how many examples were dropped from the end.

        Args:
            limit: length at most.
            length: of a prompt, in the unit of the limit.
            chat: how a chat model is asked; None is a base model.
        """
        for kept in range(len(self.examples), 0, -1):
            prompt = self.asked_in(chat, kept)
            if length(prompt) <= limit:
                return prompt, len(self.examples) - kept
        return self.asked_in(chat, 0), len(self.examples)


class QuestionBuilder:
    """Turns rows into questions.

    Args:
        dataset: what is asked.
        training: rows for in-context examples.
        seed: of the run.

    Raises:
        LanguageProblem: a row without the form that the dataset's file declares.
    """

    def __init__(self, dataset: Dataset, training: Rows, seed: int) -> None:
        self._dataset = self._settled(dataset, training) if training else dataset
        examples = dataset.examples
        self._texts: list[str] = []
        self._turns: list[tuple[str, str]] = []
        if examples.retriever != "zero":
            prepared = [self._prepared(row, number) for number, row in enumerate(training)]
            self._texts = [self._example(fields, number) for number, fields in enumerate(prepared)]
            for number, (row, fields) in enumerate(zip(training, prepared, strict=True)):
                self._refuse_written(row, number, self._example, fields)
            queries = [self._filled(dataset.prompt, fields, number) for number, fields in enumerate(prepared)]
            self._turns = [
                (query, text.removeprefix(query).strip())
                for query, text in zip(queries, self._texts, strict=True)
            ]
        else:
            prepared, queries = [], []
        self._pools = ExamplePools(examples, prepared, queries, seed)

    def build(self, rows: Rows, first: int = 0) -> list[Question]:
        """Return the questions of rows, the first of which is row number ``first`` of the dataset."""
        return self.build_numbered(enumerate(rows, first))

    def build_numbered(self, rows: Iterable[tuple[int, Row]]) -> list[Question]:
        """Return the questions of rows, each with its number in the dataset."""
        rows, questions = list(rows), []
        self._dataset = self._settled(self._dataset, (row for _, row in rows))
        for index, row in rows:
            fields = self._prepared(row, index)
            self._refuse_written(row, index, self._asked, fields)
            turned = self._turned(fields, index) if self._dataset.circular else [fields]
            for number, rotated in enumerate(turned):
                key = f"{index}r{number}" if len(turned) > 1 else str(index)
                questions.append(replace(self._question(key, index, rotated), source=row))
        return questions

    def _settled(self, dataset: Dataset, rows: Iterable[Row]) -> Dataset:
        """Return the dataset with labels of a known form; only the whole column shows the form `by_column`."""
        if dataset.labels is None:
            return dataset
        try:
            return replace(dataset, labels=dataset.labels.settled(rows))
        except ValueError as error:
            raise LanguageProblem("data_failed", str(error)) from error

    def _turned(self, fields: Row, index: int) -> list[Row]:
        try:
            return rotations(fields, self._dataset.gold)
        except LanguageProblem as problem:
            raise LanguageProblem("data_failed", f"row {index}: {problem}") from problem

    def _question(self, key: str, index: int, fields: Row) -> Question:
        dataset = self._dataset
        query = self._filled(dataset.prompt, fields, index)
        choices, labels = self._choices(fields, index)
        chosen = self._pools.chosen(index, query, fields)
        return Question(
            key=key,
            index=index,
            fields=fields,
            instruction=self._filled(dataset.examples.instruction, fields, index),
            examples=tuple(self._texts[row] for row in chosen),
            turns=tuple(self._turns[row] for row in chosen),
            query=query,
            separator=dataset.examples.separator,
            choices=choices,
            labels=labels,
            golds=self._golds(fields, labels, index),
            ending=self._ending(fields, index),
        )

    def _asked(self, fields: Row, index: int) -> tuple[Any, ...]:
        """Return all that a question has of its row."""
        choices, labels = self._choices(fields, index)
        query = self._filled(self._dataset.prompt, fields, index)
        instruction = self._filled(self._dataset.examples.instruction, fields, index)
        return query, choices, instruction, self._golds(fields, labels, index), self._ending(fields, index)

    def _refuse_written(self, row: Row, index: int, make: Callable[[Row, int], Any], fields: Row) -> None:
        """Refuse a null that ``prepare`` has written down as a word, in a way that cells cannot notice.

        Args:
            row: as it was read.
            index: of the row.
            make: makes something of a prepared row and its index.
            fields: the row as it was prepared.
        """
        row = with_empty(row, self._dataset.optional)
        if self._dataset.prepare is None or next(nulls(row), None) is None:
            return
        place = reached(row, lambda marked: make(self._prepared(marked, index), index), make(fields, index))
        if place is not None:
            raise LanguageProblem("data_failed", f"row {index}: {NullCell(field_of(place))}")

    def _ending(self, fields: Row, index: int) -> str:
        """Return the text after each choice, where that is what is scored."""
        inference = self._dataset.inference
        if not isinstance(inference, PartialLogLikelihood):
            return ""
        ending = self._filled(inference.ending, fields, index)
        if not ending.strip():
            raise LanguageProblem(
                "data_failed", f"row {index}: found no text after the choices, expected some; correct the row"
            )
        return ending

    def _prepared(self, row: Row, index: int) -> Row:
        dataset = self._dataset
        row = with_empty(row, dataset.optional)
        try:
            if dataset.labels is not None:
                row = {**row, dataset.labels.field: dataset.labels.read(row)}
            if dataset.prepare is None:
                return row
            fields: Row = plain(dict(dataset.prepare(Cells(row))))
            return fields
        except NullCell as error:
            raise LanguageProblem("data_failed", f"row {index}: {error}") from error
        except Exception as error:
            if isinstance(error, ValueError) and str(error).startswith("found "):
                raise LanguageProblem("data_failed", f"row {index}: {error}") from error
            raise LanguageProblem(
                "data_failed",
                f"row {index}: prepare() raised {told(error)}; found the columns "
                f"{listed(row)}; correct the rows or the dataset's file",
            ) from error

    def _filled(self, template: str, fields: Row, index: int) -> str:
        try:
            return fill(template, fields)
        except NullCell as error:
            raise LanguageProblem("data_failed", f"row {index}: {error}") from error
        except (KeyError, IndexError, AttributeError, ValueError) as error:
            raise LanguageProblem(
                "data_failed",
                f"row {index}: the template {template[:60]!r} asks for {error}, found the fields {', '.join(fields)}; "
                "correct the template or the rows",
            ) from error

    def _choices(self, fields: Row, index: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        declared = self._dataset.choices
        if isinstance(declared, str):
            if declared not in fields:
                raise LanguageProblem(
                    "data_failed",
                    f"row {index}: found no field {declared!r} of choices, the fields are {', '.join(fields)}; add it, "
                    "or correct `choices` of the dataset",
                )
            found = fields[declared]
            if found is None or (isinstance(found, list | tuple) and None in found):
                place = "" if found is None else f"[{list(found).index(None)}]"
                raise LanguageProblem("data_failed", f"row {index}: {NullCell(declared + place)}")
            if (
                not isinstance(found, Sequence)
                or isinstance(found, str)
                or not all(isinstance(c, str) for c in found)
            ):
                raise LanguageProblem(
                    "data_failed",
                    f"row {index}: found {found!r} as {declared}, expected a list of texts; correct the row",
                )
            labels = tuple(found)
            choices = tuple(f"{self._dataset.separator}{label}" for label in labels)
        else:
            choices = tuple(self._filled(template, fields, index) for template in declared)
            labels = tuple(choice.lstrip() for choice in choices)
        if declared and (len(choices) < 2 or not all(labels)):
            raise LanguageProblem(
                "data_failed",
                f"row {index}: found the choices {list(labels)}, expected at least two, none empty; correct the row",
            )
        return choices, labels

    def _golds(self, fields: Row, labels: tuple[str, ...], index: int) -> tuple[Any, ...]:
        gold = fields.get(self._dataset.gold)
        if labels:
            return (self._index(gold, len(labels), index),)
        if gold is None and not self._dataset.metrics:
            return ()  # a judge alone needs no right answer
        golds = tuple(gold) if isinstance(gold, list | tuple) else (gold,)
        if not golds or not all(map(_is_text, golds)):
            raise LanguageProblem(
                "data_failed",
                f"row {index}: found {gold!r} as {self._dataset.gold}, expected a text or a list of texts; correct the row",
            )
        if isinstance(self._dataset.inference, Cloze) and len(golds) > 1:
            raise LanguageProblem(
                "data_failed",
                f"row {index}: found {len(golds)} right answers, expected one, whose log-likelihood is asked for; correct "
                "the row, or use inference by generation",
            )
        return tuple(str(text) for text in golds)

    def _index(self, gold: Any, count: int, index: int) -> int:
        """Return the index of the right choice; a number in a text is read, anything else is refused."""
        if isinstance(gold, str) and re.fullmatch(r"[0-9]{1,9}", gold.strip(), re.ASCII):
            gold = int(gold)
        if isinstance(gold, int) and not isinstance(gold, bool) and 0 <= gold < count:
            return gold
        advice = "a split without labels cannot be evaluated"
        if gold is not None and gold not in (-1, "-1", ""):
            advice = "correct the row, or declare the form of its labels: `labels=Labels(...)` in the dataset's file"
        raise LanguageProblem(
            "data_failed",
            f"row {index}: found {shown(gold)} as {self._dataset.gold}, expected the index of one of {count} choices, from "
            f"0; {advice}",
        )

    def _example(self, fields: Row, index: int) -> str:
        """Return a training row with its answer."""
        dataset = self._dataset
        if dataset.examples.template is not None:
            return self._filled(dataset.examples.template, fields, index)
        prompt = self._filled(dataset.prompt, fields, index)
        choices, labels = self._choices(fields, index)
        golds = self._golds(fields, labels, index)
        if dataset.answer is not None:
            answer = self._filled(dataset.answer, fields, index)
            return f"{prompt}{'' if answer[:1].isspace() else dataset.separator}{answer}"
        if not golds:
            raise LanguageProblem(
                "data_failed",
                f"training row {index}: found no right answer in {dataset.gold}, expected one for an in-context example; "
                "declare `answer`, or leave the examples out",
            )
        return prompt + (choices[golds[0]] if choices else f"{dataset.separator}{golds[0]}")


def _is_text(value: Any) -> bool:
    """Whether a value is a right text; a truth value is none: in Python's words, no model would say it."""
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        return False
    return isinstance(value, str | int | float) and bool(str(value).strip())


def repeated(questions: Sequence[Question], times: int) -> list[Question]:
    """Return each question as often as an answer to it is drawn; the first one keeps its key, so that more can follow."""
    return [
        replace(question, key=f"{question.key}s{sample}" if sample else question.key, sample=sample)
        for question in questions
        for sample in range(times)
    ]


def rotations(fields: Row, gold: str) -> list[Row]:
    """Return the row once for each rotation of its ``options``; the right answer, an index or a letter, moves along.

    Raises:
        LanguageProblem: no options to rotate, or an answer that is neither.
    """
    options, answer = fields.get("options"), fields.get(gold)
    if not isinstance(options, list | tuple) or len(options) < 2:
        raise LanguageProblem(
            "data_failed",
            f"found {options!r} as options, expected a list of at least two to rotate; correct the rows",
        )
    letter = isinstance(answer, str) and len(answer) == 1 and answer in _LETTERS
    place = _LETTERS.index(str(answer)) if letter else answer
    if not isinstance(place, int) or isinstance(place, bool) or not 0 <= place < len(options):
        raise LanguageProblem(
            "data_failed",
            f"found the answer {shown(answer)}, expected the index, from 0, or the letter of one of {len(options)} options; "
            "correct the rows",
        )
    turned = []
    for shift in range(len(options)):
        moved = (place + shift) % len(options)
        rotated = [options[(i - shift) % len(options)] for i in range(len(options))]
        turned.append({**fields, "options": rotated, gold: _LETTERS[moved] if letter else moved})
    return turned
