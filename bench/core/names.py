"""What identifies things: names for ids and folders, hashes of content."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any


def safe_name(text: str) -> str:
    """Make a model's name out of any text: what is no letter, digit, ``_`` or ``.`` becomes ``_``."""
    name = re.sub(r"[^a-z0-9_.]+", "_", text.lower()).strip("_.")
    # Inserting a letter, since removing the word could join its halves into another one.
    return name.replace("hard", "ha_rd") or "model"


def content_hash(value: Any) -> str:
    """Return what identifies plain values by their content: rows, settings, parts of a declaration."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]
