"""Post-processors of published protocols: they read an answer exactly as the protocol's own filters do."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from typing import Any

from bench.language.postprocess import POSTPROCESSORS

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_AFTER_HASHES = re.compile(r"#### (-?[0-9.,]+)")
# A run of digits, points, commas and dollars, or one digit; a sign may precede it.
_SUM = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
_FINAL_POINT = re.compile(r"\.$")


@POSTPROCESSORS.register("number_after_hashes")
def number_after_hashes(text: str, row: Mapping[str, Any]) -> str | None:
    """Return the number after the first ``####``, or None: the strict reading of GSM8K."""
    found = _AFTER_HASHES.search(text)
    return None if found is None else found[1].strip()


@POSTPROCESSORS.register("last_sum")
def last_sum(text: str, row: Mapping[str, Any]) -> str | None:
    """Return the last number or sum of money as it is written, or None: the lenient reading of GSM8K."""
    found = list(_SUM.finditer(text))
    return found[-1][0].strip() if found else None


@POSTPROCESSORS.register("plain_sum")
def plain_sum(text: str, row: Mapping[str, Any]) -> str:
    """Return a number without what stands before ``####``, commas, dollar signs and one final point."""
    _, _, number = text.replace(",", "").replace("$", "").rpartition("#### ")
    return _FINAL_POINT.sub("", number).lower()


@POSTPROCESSORS.register("no_punctuation")
def no_punctuation(text: str, row: Mapping[str, Any]) -> str:
    """Return the text without ASCII punctuation."""
    return text.translate(_PUNCTUATION)
