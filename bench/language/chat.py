"""What chat and reasoning models add to a text: turns, and thoughts that are not the answer. Imports no framework."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

Message = dict[str, str]


@dataclass(frozen=True, slots=True)
class Marks:
    """What a thought begins and ends with."""

    opening: str = "<think>"
    closing: str = "</think>"


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a chat model is asked, turn by turn; the last turn is the user's.

    Attributes:
        turns: role (``system``, ``user``, ``assistant``) and content of each.
    """

    turns: tuple[tuple[str, str], ...]

    def messages(self) -> list[Message]:
        """Return the turns as chat templates and servers take them."""
        return [{"role": role, "content": content} for role, content in self.turns]


@dataclass(frozen=True, slots=True)
class ChatStyle:
    """How a chat model is asked.

    Attributes:
        system: its system prompt; None is none.
        turns: whether in-context examples are turns of their own.
    """

    system: str | None = None
    turns: bool = True


Prompt = str | Conversation
"""A text that a base model continues, or one turn of a user; or a whole conversation."""


def conversation_of(prompt: Prompt, system: str | None = None) -> Conversation:
    """Return a prompt as a conversation; a text is one turn of the user, after a system prompt if there is one."""
    if isinstance(prompt, Conversation):
        return prompt
    before = (("system", system),) if system is not None else ()
    return Conversation((*before, ("user", prompt)))


def continued(prompt: Prompt, text: str) -> Prompt:
    """Return a prompt with a text at the end of what is asked: of a conversation, at the end of its last turn."""
    if isinstance(prompt, str):
        return prompt + text
    *before, (role, content) = prompt.turns
    return Conversation((*before, (role, content + text)))


class WrittenText(str):
    """The answer that a model wrote: a text, without the thought, that knows how it came about.

    Args:
        text: the answer.
        thought: what the model thought before; None if it did not.
        unclosed: whether the thought did not end, so that there is no answer.
        cut: whether the limit of its length ended it.
    """

    thought: str | None
    unclosed: bool
    cut: bool

    def __new__(
        cls, text: str = "", thought: str | None = None, unclosed: bool = False, cut: bool = False
    ) -> WrittenText:
        """Return the text with what is known of it."""
        made = super().__new__(cls, text)
        made.thought, made.unclosed, made.cut = thought, unclosed, cut
        return made


@dataclass(frozen=True, slots=True)
class Parted:
    """A text in its two parts; the answer is None if a thought does not end."""

    thought: str | None
    answer: str | None


def parted(text: str, marks: Marks | None, begun: bool = False) -> Parted:
    """Return thought and answer of a text.

    Args:
        text: that a model wrote.
        marks: of thoughts; None is a model that has none.
        begun: whether the prompt ended inside a thought. A text with a closing mark and no opening one began there too.

    Example:
        >>> parted("<think>5? No.</think> 6", Marks())
        Parted(thought='5? No.', answer='6')
    """
    spans = thought_spans(text, marks, begun)
    if not spans:
        return Parted(None, text)
    answer, at, thoughts = [], 0, []
    for start, end in spans:
        answer.append(text[at:start])
        inside = text[start:end].strip()
        if marks is not None:
            inside = inside.removeprefix(marks.opening).removesuffix(marks.closing)
        thoughts.append(inside.strip())
        at = len(text) if end is None else end
    answer.append(text[at:])
    return Parted("\n".join(thoughts), None if spans[-1][1] is None else "".join(answer))


def thought_spans(text: str, marks: Marks | None, begun: bool = False) -> list[tuple[int, int | None]]:
    """Return where the thoughts of a text begin and end, blanks after them included; no end for one that does not end."""
    if marks is None:
        return []
    spans: list[tuple[int, int | None]] = []
    start = 0 if begun else None
    for found in re.finditer(f"{re.escape(marks.opening)}|{re.escape(marks.closing)}", text):
        opens = found[0] == marks.opening and (start is None or marks.opening != marks.closing)
        if opens:
            start = found.start() if start is None else start
            continue
        if start is None:  # nothing opened it: all that is before is thought
            spans, start = [], 0
        blanks = len(text) - len(text[found.end() :].lstrip())
        spans.append((start, max(found.end(), blanks)))
        start = None
    if start is not None:
        spans.append((start, None))
    return spans


def stop_place(
    text: str, stops: Sequence[str], marks: Marks | None = None, begun: bool = False
) -> int | None:
    """Return where the first stop string outside all thoughts begins; None if there is none."""
    wanted = [stop for stop in stops if stop]
    if not any(stop in text for stop in wanted):
        return None
    spans = thought_spans(text, marks, begun)
    at = 0
    for start, end in [*spans, (len(text), len(text))]:
        places = [place for stop in wanted if (place := text.find(stop, at)) >= 0 and place < start]
        if places:
            return min(places)
        if end is None:
            return None
        at = end
    return None


def written(
    text: str, *, stops: Sequence[str] = (), marks: Marks | None = None, begun: bool = False, cut: bool = False
) -> WrittenText:  # fmt: skip
    """Return what a model wrote, before its first stop string and without its thought.

    Args:
        text: as the model wrote it.
        stops: strings at which the answer ends.
        marks: of thoughts.
        begun: whether the prompt ended inside a thought.
        cut: whether the limit ended the text. A text with a stop string ended there.
    """
    place = stop_place(text, stops, marks, begun)
    if place is not None:
        text, cut = text[:place], False
    parts = parted(text, marks, begun)
    return WrittenText(parts.answer or "", parts.thought, parts.answer is None, cut)
