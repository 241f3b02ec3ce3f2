"""The kinds of case, in the order of their options and tables. A new kind is one line here."""

from importlib import import_module

from bench.core.kind import Kind

NAMES = (
    "acceleration",
    "language",
    "regression",
    "reranking",
    "evaluated",
)

KINDS: dict[str, Kind] = {name: import_module(f"bench.{name}.kind").KIND for name in NAMES}
