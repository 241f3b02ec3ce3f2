"""What all readers do with a text first: plain characters, no markup, and no question that the model goes on with."""

from __future__ import annotations

import re

# Full-width forms of ASCII, and spaces and quotes that mean the same as plain ones.
_PLAIN = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {
    0x3000: " ", 0x00A0: " ", 0x202F: " ", 0x2019: "'", 0x2018: "'", 0x201C: '"', 0x201D: '"', 0x3010: "[", 0x3011: "]",
    0x300C: '"', 0x300D: '"',
}  # fmt: skip
_ANOTHER_QUESTION = re.compile(
    r"\n[^\S\n]*(?:\W{0,4}(?:Question|Problem|Exercise|问题|题目)|Q)[^\S\n]*[0-9]*[^\S\n]*(?:\*\*)?[:：]"
    # "Q2: C" answers a second question.
    r"(?![^\S\n]*[*(\[]*\w{1,2}[)\]*.]*[^\S\n]*(?:\n|\Z))"
)
_FONTS = re.compile(r"\\(?:text(?:bf|it|rm|normal)?|math(?:rm|bf|sf|it)|mbox|bf|rm)\s*\{([^{}]*)\}")


def plain_characters(text: str) -> str:
    """Return the text with ASCII in place of full-width forms, typographic quotes and unusual spaces."""
    return text.translate(_PLAIN)


def without_fonts(text: str) -> str:
    r"""Return the text without LaTeX's fonts: ``\textbf{(B)}`` is ``(B)``. Two levels of them are unwrapped."""
    return _FONTS.sub(r" \1 ", _FONTS.sub(r" \1 ", text))


def own_part(text: str) -> str | None:
    """Return the text before a new "Question:" that a base model goes on with; None if it starts none."""
    another = _ANOTHER_QUESTION.search(text)
    return text[: another.start()] if another else None


def last_box(text: str) -> tuple[int, str] | None:
    r"""Return place and content of the last ``\boxed{...}`` whose braces balance; None if there is none with content."""
    last = (-1, "")
    open_braces: list[int] = []  # where the text of a box begins; -1 for any other brace
    # An escaped brace belongs to the formula, not to LaTeX.
    for found in re.finditer(r"(\\f?boxed\s*\{)|\\.|[{}]", text, flags=re.DOTALL):
        if found[1] or found[0] == "{":
            open_braces.append(found.end() if found[1] else -1)
        elif found[0] == "}" and open_braces and (start := open_braces.pop()) >= 0:
            last = max(last, (start, text[start : found.start()].strip()))
    return last if last[1] else None
