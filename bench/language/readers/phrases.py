"""Builds patterns out of phrases."""

from __future__ import annotations

import re


def any_of(phrases: str) -> str:
    """Return a pattern of phrases that are separated by ``|``; a blank is any room between words."""
    return "(?:" + "|".join(re.sub(r"\s+", r"\\s+", phrase.strip()) for phrase in phrases.split("|")) + ")"
