"""Reads what a model says in an answer of a server: a text or its parts, and a thought that is kept apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.core.errors import ModelProblem

# Fields of a message that hold a thought, in this order.
_APART = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
_TEXTS = ("text", "output_text", "input_text", "refusal", "")
_THOUGHTS = ("thinking", "thought", "summary_text", "redacted_thinking")
_CALLS = ("tool_use", "tool_call", "tool_calls", "function", "function_call")
_INNER = ("text", "value", "content", "summary", "thinking", "thought", "reasoning", "refusal")


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a model says.

    Attributes:
        answer: its text; empty if it gave none in words.
        thought: what the server keeps apart from the answer; None if it keeps nothing apart.
    """

    answer: str
    thought: str | None = None


def said_in(content: Any, url: str) -> Spoken:
    """Return what a text says, or the parts of a text.

    Parts of text are joined as they stand; a refusal is what the model answers. Parts of a thought are kept apart. Calls of
    tools are no words.

    Args:
        content: a text, a part, or a list of them: ``[{"type": "text", "text": "12"}]``.
        url: for messages.

    Raises:
        ModelProblem: something else, or a part of another kind, such as an image.
    """
    if isinstance(content, str):
        return Spoken(content)
    pieces = list(_pieces(content, False, content, url))
    thought = "".join(text for text, is_thought in pieces if is_thought)
    return Spoken("".join(text for text, is_thought in pieces if not is_thought), thought or None)


def message_of(message: Any, url: str) -> Spoken:
    """Return what the message of a chat says; a thought may be among its parts, or in a field of its own.

    A message without content, or with null, is an answer: a model that was cut off while thinking has no words yet.

    Raises:
        ModelProblem: no message, or content as for :func:`said_in`.
    """
    if not isinstance(message, dict) or not message.keys() & {"content", "role"}:
        raise ModelProblem(
            f"{url}: found a choice with the message {message!r:.200}; expected one with content; "
            "use a server with chat completions"
        )
    said = said_in(message.get("content") or message.get("refusal") or "", url)
    apart = next((message[name] for name in _APART if _is_said(message.get(name))), "")
    own = "".join(text for text, _ in _pieces(apart, True, apart, url))
    # Some servers give a thought twice: in its field and among the parts.
    thoughts = [text for text in dict.fromkeys((own, said.thought)) if text]
    return Spoken(said.answer, "\n".join(thoughts) or None)


def _pieces(part: Any, is_thought: bool, whole: Any, url: str) -> Iterator[tuple[str, bool]]:
    """Yield the texts of a part and of all within it, each with whether it belongs to a thought."""
    if isinstance(part, str):
        yield part, is_thought
        return
    if isinstance(part, list):
        for one in part:
            yield from _pieces(one, is_thought, whole, url)
        return
    if not isinstance(part, Mapping) or not isinstance(part.get("type", ""), str):
        raise ModelProblem(
            f"{url}: found {whole!r:.200} as the text of a choice; expected a string, or parts such as "
            '{"type": "text", "text": "..."}; use a server with OpenAI\'s completions'
        )
    kind = part.get("type", "").lower()
    is_thought = is_thought or _is_thought(kind) or part.get("thought") is True
    if kind in _CALLS:
        return
    inner = next((part[name] for name in _INNER if _is_said(part.get(name))), None)
    # What was thought may be given in a sealed form alone, and a text may be empty.
    is_known = is_thought or (kind in _TEXTS and any(part.get(name, 0) in ("", None, []) for name in _INNER))
    if inner is None and is_known:
        return
    if inner is None or not (is_thought or kind in _TEXTS):
        named = f"the kind {part['type']!r}" if kind else f"no kind (fields {', '.join(map(str, part))})"
        raise ModelProblem(
            f"{url}: found a part of {named} in an answer; expected parts of text, of a thought or of a refusal, since "
            "answers are read as text; ask the server for text alone, by --generation-kwargs, or use another model"
        )
    yield from _pieces(inner, is_thought, whole, url)


def _is_said(value: Any) -> bool:
    return isinstance(value, str | list | dict) and bool(value)


def _is_thought(kind: str) -> bool:
    return kind.startswith("reasoning") or kind in _THOUGHTS
