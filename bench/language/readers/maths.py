"""Reads a formula that an answer ends with. Whether two formulas are equal is decided by math-verify."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bench.language.readers.text import last_box, own_part

_SAID = re.compile(
    r"(?:\b(?i:(?:final\s+)?answers?)\b[^.\n:=]{0,60}?(?:\s(?:is|are)\b|\s*(?:\*\*)?\s*[:：])|答案(?:是|为|：|:))\s*(?:\*\*)?\s*"
)
_DENIED = re.compile(r"(?:not|never|neither|不是|并非)\b", re.IGNORECASE)
_FORMULA = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|\$([^$\n]+)\$", re.DOTALL)


def formula(text: str, row: Mapping[str, Any], cut: bool = False) -> str | None:
    r"""Return the formula that the text gives as its answer, or None.

    It is the content of the last ``\boxed{}``; without one, the formula or the rest of the line after the last "the answer
    is". Of a text that was cut at its limit, only a complete box or formula is read.
    """
    own = own_part(text)
    return (_read(own, cut) if own is not None else None) or _read(text, cut)


def _read(text: str, cut: bool) -> str | None:
    box = last_box(text)
    if box is not None:
        return box[1]
    said = [match for match in _SAID.finditer(text) if not _DENIED.match(text, match.end())]
    if not said:
        return None
    rest = text[said[-1].end() :]
    found = _FORMULA.match(rest) or _FORMULA.search(rest.split("\n\n", 1)[0])
    if found is not None:
        return next(part for part in found.groups() if part is not None).strip()
    line, ended, _ = rest.partition("\n")
    if cut and not ended:
        return None
    return re.sub(r"[.。]?\s*(?:\*\*)?\s*$", "", line).strip() or None
