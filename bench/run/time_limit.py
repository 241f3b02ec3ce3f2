"""The limit that pytest-timeout sets for a whole test, as a verdict."""

from __future__ import annotations

import re

import pytest

from bench.core.verdict import Verdict

# What its signal raises in the main thread. Its other method ends the whole process, and nothing is raised.
_MESSAGE = re.compile(r"Timeout \(?>([\d.]+)s")


def timeout_verdict(error: BaseException | None) -> Verdict | None:
    """Return the verdict that an exception means where the limit struck, also while another one was handled; else None."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # an exception may stand in its own context
        seen.add(id(error))
        found = _MESSAGE.match(str(error)) if isinstance(error, pytest.fail.Exception) else None
        if found is not None:
            return Verdict(
                "error",
                "timed_out",
                f"the test took more than {found[1]} s, the limit of pytest-timeout, and nothing is decided; raise "
                "--timeout, or leave it out: each step of a case has a limit of its own",
            )
        error = error.__cause__ or error.__context__
    return None
