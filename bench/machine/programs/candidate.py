"""The process in which a program runs. It never holds the tests: it is forked before they arrive, and is asked by them."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from typing import Any, NoReturn

from bench.machine.programs.talking import EVERYTHING, Peer, Served


def run(connection: socket.socket) -> NoReturn:
    """Answer the questions of the tests until they have ended; the process ends with that.

    Args:
        connection: to the tests. Their first question is to run the program.
    """
    namespace: dict[str, Any] = {}

    def compiled(text: str) -> str | None:
        """Return what is wrong with the syntax of the program; None if nothing is."""
        try:
            namespace["program"] = compile(text, "<program>", "exec", dont_inherit=True)
        except SyntaxError as error:
            return f"line {error.lineno}: {error.msg}"
        except ValueError as error:
            return f"{error}"
        return None

    def executed() -> None:
        # As `code_eval` does: without a name of the module, so that nothing below `if __name__ == "__main__"` runs.
        exec(namespace.pop("program"), namespace)

    def looked_up(name: str) -> Any:
        return namespace[name]

    def names() -> list[str]:
        return [name for name in namespace if isinstance(name, str)]

    with suppress(BaseException):
        sys.setrecursionlimit(1000)
        asked: Served = {"compile": compiled, "execute": executed, "global": looked_up, "names": names}
        Peer(connection, {**EVERYTHING, **asked}, trusts=True).serve()
    os._exit(0)
