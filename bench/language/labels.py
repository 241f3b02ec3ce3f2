"""Reads the labels of rows. A dataset file declares their form, and whatever has another one is refused, not guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

Form = Literal["zero_based", "one_based", "by_column", "letter", "boolean", "word", "listed"]
_NUMBERS = ("zero_based", "one_based", "by_column")
_DIGITS = re.compile(r"[+-]?[0-9]+", re.ASCII)
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")
_EXPECTED = {
    "zero_based": "a number that counts from 0",
    "one_based": "a number that counts from 1",
    "by_column": "a number that counts from 0 or from 1",
    "letter": "a letter from A",
    "boolean": "true or false, yes or no, 1 or 0",
}


@dataclass(frozen=True, slots=True)
class Labels:
    """The form of a dataset's labels. A label is read before ``prepare``, which then finds the index of an option, from 0.

    Attributes:
        form: ``zero_based`` and ``one_based`` numbers, as numbers or as digits; ``by_column`` for numbers whose beginning
            the whole column shows; ``letter`` (A or a is the first option); ``boolean`` (a truth value, yes or no, 1 or 0);
            ``word`` (one of ``words``); ``listed`` (one of the names that the row lists in ``options``).
        field: of the row, as the source has it.
        options: how many options there are, or the field of the row that lists them, such as ``choices.label``. None
            leaves open how many there are.
        words: for ``word``: the words of each option, in the order of the options; case does not count.
        true: for ``boolean``: the index of the option that means true.

    Raises:
        ValueError: from the constructor, for a declaration that contradicts itself.
    """

    form: Form
    field: str = "label"
    options: int | str | None = None
    words: tuple[tuple[str, ...], ...] = ()
    true: int = 1

    def __post_init__(self) -> None:
        """Refuse a declaration by which no label could be read."""
        if self.form not in get_args(Form):
            raise ValueError(
                f"found labels of the form {self.form!r}, expected one of {', '.join(get_args(Form))}"
            )
        words = [word.casefold() for option in self.words for word in option]
        if (self.form == "word") != bool(words) or len(set(words)) < len(words):
            raise ValueError(
                f"found labels of the form {self.form!r} with the words {self.words}, expected words for the form 'word' "
                "only, each of one option; correct the declaration"
            )
        if self.form == "listed" and not isinstance(self.options, str):
            raise ValueError(
                "found labels of the form 'listed' without the field that lists them; declare `options`"
            )
        if self.form == "boolean" and self.true not in (0, 1):
            raise ValueError(
                f"found true={self.true}, expected 0 or 1: the index of the option that means true"
            )

    def settled(self, rows: Iterable[Mapping[str, Any]]) -> Labels:
        """Return the declaration with the form that the whole column shows; any other form than ``by_column`` stays.

        Args:
            rows: all rows of the source, whichever of them are asked.

        Raises:
            ValueError: a column that fits both ways of counting, or none.
        """
        if self.form != "by_column":
            return self
        # Beyond the least of the numbers of options, a number has no place when one counts from 0.
        is_zero, is_one = [], []
        for number, row in enumerate(rows):
            try:
                value, count = self._number(self._cell(row)), self._count(row)
            except ValueError as error:
                raise ValueError(f"row {number}: {error}") from error
            if count is None:
                raise ValueError(
                    "found labels of the form 'by_column' without a number of options; declare `options`"
                )
            is_zero += [number] if value == 0 else []
            is_one += [number] if value == count else []
        if bool(is_zero) == bool(is_one):
            found = (
                f"row {is_zero[0]} has a 0 and row {is_one[0]} the number of options"
                if is_zero
                else "no row has a 0, and none the number of options"
            )
            raise ValueError(
                f"labels in the field {self.field!r}: {found}, so that the column shows no beginning; expected numbers that "
                "count from 0 or from 1; declare Labels('zero_based') or Labels('one_based') in the dataset's file"
            )
        return replace(self, form="zero_based" if is_zero else "one_based")

    def read(self, row: Mapping[str, Any]) -> int:
        """Return the index of the option that a row's label means, from 0.

        Raises:
            ValueError: a label of another form, or none; the message has the value.
        """
        value, count = self._cell(row), self._count(row)
        if self.form == "listed":
            return self._listed(value, row)
        if self.form == "letter":
            index = self._letter(value)
        elif self.form == "boolean":
            index = self._boolean(value)
        elif self.form == "word":
            index = self._word(value)
        else:
            index = self._number(value) - (self.form == "one_based")
        if index < 0 or (count is not None and index >= count):
            raise self._wrong(value, count)
        return index

    def _cell(self, row: Mapping[str, Any]) -> Any:
        if self.field not in row:
            raise ValueError(
                f"found no field {self.field!r} with the label, the fields are {', '.join(row)}; add it, or declare another "
                "`field` of the labels"
            )
        value = row[self.field]
        if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
            value = value.item()  # a loader's own number is the number
        if value is None or (isinstance(value, str | list | tuple) and not value):
            raise ValueError(
                f"found no label in the field {self.field!r} ({shown(value)}), expected {self._expected(None)}; a split "
                "without labels cannot be evaluated: use another one, or fill the cell"
            )
        return value

    def _count(self, row: Mapping[str, Any]) -> int | None:
        if not isinstance(self.options, str):
            return self.options
        return len(self._names(row))

    def _names(self, row: Mapping[str, Any]) -> Sequence[Any]:
        found: Any = row
        for name in str(self.options).split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        if not isinstance(found, Sequence) or isinstance(found, str) or not found:
            raise ValueError(
                f"found {shown(found)} as the options in {self.options!r}, expected a list; correct the row"
            )
        return found

    def _number(self, value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, str) and _DIGITS.fullmatch(value.strip()) and len(value) < 20:
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise self._wrong(value)

    def _letter(self, value: Any) -> int:
        letter = value.strip().upper() if isinstance(value, str) else ""
        if len(letter) != 1 or not "A" <= letter <= "Z":
            raise self._wrong(value)
        return ord(letter) - ord("A")

    def _boolean(self, value: Any) -> int:
        # A table holds truth values as 1.0 and 0.0 where one of its cells is empty.
        word = _plain_text(value).casefold() if isinstance(value, str | bool | int | float) else ""
        if word not in (*_TRUE, *_FALSE):
            raise self._wrong(value)
        return self.true if word in _TRUE else 1 - self.true

    def _word(self, value: Any) -> int:
        word = value.strip().casefold() if isinstance(value, str) else None
        for index, option in enumerate(self.words):
            if word in [known.casefold() for known in option]:
                return index
        raise self._wrong(value)

    def _listed(self, value: Any, row: Mapping[str, Any]) -> int:
        names = [_plain_text(name) for name in self._names(row)]
        places = [place for place, name in enumerate(names) if name == _plain_text(value)]
        if len(places) != 1:
            how_often = "none of them" if not places else "several of them"
            raise ValueError(
                f"found the label {shown(value)} in the field {self.field!r}, which is {how_often} in {self.options!r} "
                f"({', '.join(map(shown, names))}); expected one of these; correct the row"
            )
        return places[0]

    def _expected(self, count: int | None) -> str:
        if self.form == "word":
            return "one of " + ", ".join(word for option in self.words for word in option)
        if self.form == "listed":
            return f"one of those in {self.options!r}"
        if count is not None and self.form in ("zero_based", "one_based"):
            first = int(self.form == "one_based")
            return f"a number from {first} to {count - 1 + first}"
        if count is not None and self.form == "letter":
            return f"a letter from A to {chr(ord('A') + count - 1)}"
        return _EXPECTED[self.form]

    def _wrong(self, value: Any, count: int | None = None) -> ValueError:
        known = count if count is not None else self.options if isinstance(self.options, int) else None
        hint = ""
        if value in (-1, "-1"):
            hint = "; -1 marks a split without labels, which cannot be evaluated"
        elif self.form in _NUMBERS:
            hint = "; where the rows count from another number, declare it in a dataset file of yours"
        return ValueError(
            f"found the label {shown(value)} in the field {self.field!r}, expected {self._expected(known)}; correct the "
            f"row{hint}"
        )


def _plain_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def shown(value: Any) -> str:
    """Return a value as JSON would write it, in short: null and true are not Python's words."""
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    return f"{value!r:.60}"
