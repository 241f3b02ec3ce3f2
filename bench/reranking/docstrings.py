"""Docstrings of the running interpreter's standard library: summaries, and the bodies below them.

Sources are read as text and parsed; nothing is imported or run, and nothing is kept on disk. A hash of a
module's name puts about a fifth of the modules aside: no model of the zoo is trained on them.
"""

from __future__ import annotations

import ast
import hashlib
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import TuningProblem

HELD_OUT_ONE_IN = 5
# Folders whose modules are no library: tests, applications, what was installed beside it.
_LEFT_OUT = frozenset(
    {"__pycache__", "ensurepip", "idlelib", "lib2to3", "site-packages", "dist-packages", "test", "tests", "turtledemo"}
)  # fmt: skip
_LEAST_WORDS = {"summary": 4, "body": 8}
_MOST_WORDS = 40  # of a body; the rest is cut
_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Docstring:
    """A docstring in two parts, blanks and line ends as single blanks.

    Attributes:
        name: where it stands: ``argparse.ArgumentParser.parse_args``.
        summary: its first paragraph.
        body: the rest, cut to a length that a small model can read.
    """

    name: str
    summary: str
    body: str

    @property
    def module(self) -> str:
        """The module, or the package, at the top."""
        return self.name.partition(".")[0]


def number_of(text: str) -> int:
    """Return a number that depends on the text alone, unlike Python's salted `hash`."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def is_held_out(module: str) -> bool:
    """Whether a module at the top of the library belongs to the evaluation split."""
    return number_of(module) % HELD_OUT_ONE_IN == 0


def read_docstrings(
    *, held_out: bool, at_least: int | None = None, root: Path | None = None
) -> list[Docstring]:
    """Return the docstrings that have a summary and a body of some words, of one split.

    Summaries and bodies that stand in several docstrings are left out: they would be relevant to each other.

    Args:
        held_out: the evaluation split, or the one that models may be trained on.
        at_least: read modules, in the order of a hash of their names, until there are so many; parsing all takes
            seconds. Left out, all are read.
        root: folder of the library; left out, that of the running interpreter.

    Raises:
        TuningProblem: when there is none, as where the library is shipped without its sources.
    """
    folder = Path(sysconfig.get_paths()["stdlib"]) if root is None else root
    modules: dict[str, list[tuple[str, ...]]] = {}
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder).parts
        module = parts[0].removesuffix(".py")
        if _is_library(parts) and is_held_out(module) == held_out:
            modules.setdefault(module, []).append(parts)
    found: list[Docstring] = []
    for module in sorted(modules, key=number_of):
        if at_least is None or len(found) < at_least:
            found += [one for parts in modules[module] for one in _docstrings_of(folder, parts)]
    summaries, bodies = (Counter(getattr(one, part) for one in found) for part in ("summary", "body"))
    distinct = [one for one in found if summaries[one.summary] == bodies[one.body] == 1]
    if not distinct:
        raise TuningProblem(
            "data_failed",
            f"found no docstrings with a summary and a body in the Python files below {folder}, expected those of the "
            "standard library; use an interpreter that is installed with its sources",
        )
    return distinct


def _is_library(parts: tuple[str, ...]) -> bool:
    return not _LEFT_OUT.intersection(parts) and parts[0].removesuffix(".py").isidentifier()


def _docstrings_of(folder: Path, parts: tuple[str, ...]) -> Iterator[Docstring]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old escapes in the library are not ours to mend
            tree = ast.parse(folder.joinpath(*parts).read_bytes())
    except (SyntaxError, ValueError):  # a file for another version of Python
        return
    module = ".".join(parts).removesuffix(".py").removesuffix(".__init__")
    used: Counter[str] = Counter()
    for name, node in _documented(tree, module):
        summary, _, body = (ast.get_docstring(node) or "").partition("\n\n")
        words = {"summary": summary.split(), "body": body.split()[:_MOST_WORDS]}
        if all(len(words[part]) >= least for part, least in _LEAST_WORDS.items()):
            used[name] += 1  # a property's getter and setter, or a function that is defined in two branches
            label = name if used[name] == 1 else f"{name}#{used[name]}"
            yield Docstring(label, " ".join(words["summary"]), " ".join(words["body"]))


def _documented(node: ast.AST, name: str) -> Iterator[tuple[str, _Documented]]:
    """Yield everything that can have a docstring, with its qualified name, from the top down."""
    if isinstance(node, _Documented):
        yield name, node
    for child in ast.iter_child_nodes(node):
        own = f"{name}.{child.name}" if isinstance(child, _Documented) and hasattr(child, "name") else name
        yield from _documented(child, own)
