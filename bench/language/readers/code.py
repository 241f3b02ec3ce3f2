"""Reads the program that a model writes, and runs it with the tests of its row."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from bench.language.readers.text import own_part

Row = Mapping[str, Any]
PASSED = "passed"
_BLOCK = re.compile(r"^[^\S\n]*```[^\S\n]*(\w*)[^\n]*\n(.*?)(?:^[^\S\n]*```|\Z)", re.DOTALL | re.MULTILINE)


def python_code(text: str, row: Row, cut: bool = False) -> str | None:
    """Return the program that a text gives: its fenced blocks of Python, or all of it; None for one that was cut.

    Of several blocks, the last one that defines the row's ``entry_point`` counts, else all of them together. A text that
    defines no entry point goes on after the row's ``prompt``.
    """
    if cut:
        return None
    blocks = [
        found[2] for found in _BLOCK.finditer(text) if found[1].lower() in ("", "python", "py", "python3")
    ]
    entry, prompt = row.get("entry_point"), row.get("prompt")
    defining = [block for block in blocks if isinstance(entry, str) and _defines(block, entry)]
    program = defining[-1] if defining else "\n".join(blocks)
    if not blocks:
        program = own_part(text) or text
    if not program.strip():
        return None
    if isinstance(entry, str) and isinstance(prompt, str) and not _defines(program, entry):
        return prompt + program
    return program


def passes_tests(program: str, row: Row) -> str:
    """Return ``passed`` if a program passes the tests of its row, run in the jail; else what became of it, in a line.

    The row has its tests in ``test``, as text that may define ``check``, which is called with the ``entry_point`` then, or
    in ``test_list``, as a list of assertions.

    Raises:
        ValueError: a row without tests.
        LanguageProblem: a system without a jail; nothing has run then.
    """
    from bench.language.programs import grading, run_program, shown  # noqa: PLC0415  only where programs are run

    with grading(row):
        return shown(run_program(program, tests_of(row)))


def tests_of(row: Row) -> str:
    """Return the tests of a row as text.

    Raises:
        ValueError: there are none.
    """
    test, listed, entry = row.get("test"), row.get("test_list"), row.get("entry_point")
    if isinstance(listed, list | tuple) and listed and all(isinstance(one, str) for one in listed):
        return "\n".join(listed)
    if isinstance(test, str) and test.strip():
        return f"{test}\ncheck({entry})" if isinstance(entry, str) and _defines(test, "check") else test
    raise ValueError(
        f"found no tests in the row (fields {', '.join(row)}), expected text in `test` or a list of assertions in "
        "`test_list`; add them in prepare()"
    )


def _defines(text: str, name: str) -> bool:
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return (
            re.search(rf"^(?:async\s+)?(?:def|class)\s+{re.escape(name)}\b", text, re.MULTILINE) is not None
        )
    return any(getattr(node, "name", None) == name for node in body)
