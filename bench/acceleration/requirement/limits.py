"""Limits of what can be asked for; apart from the patterns, which take long to compile."""

from __future__ import annotations

MAX_SPEEDUP = 1_000.0
