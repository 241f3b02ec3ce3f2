"""A fork server that somebody keeps for many short runs, as our own tests do, instead of one for each run.

``python -m bench.acceleration.host.kept_server SOCKET [USER_DIR ...]`` serves until its parent ends. Runs whose environment
names the socket fork their arms from it, if it has imported the code that a server of their own would import.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.core.errors import CaseProblem
from bench.core.fingerprint import own_code, path_hash
from bench.core.kind import Service
from bench.core.record import Json
from bench.machine.threads import BRIEF_SPIN

VARIABLE = "MODELGATE_FORK_SERVER"
"""Names the socket."""


class KeptServer(Service):
    """A fork server that is not the run's own.

    Attributes:
        address: of its socket.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def is_alive(self) -> bool:
        """Whether it serves."""
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(self.address) == 0

    def stop(self) -> None:
        """Leave it alone: its arms have ended with their cases."""


def note_imports(address: str, user_dirs: Sequence[str]) -> None:
    """Write next to a server's socket what it has imported."""
    _note(address).write_text(json.dumps(_imported(list(map(Path, user_dirs)))), encoding="utf-8")


def kept_server(user_dirs: Sequence[Path], environment: Mapping[str, str] = os.environ) -> KeptServer | None:
    """Return the server that the environment names, None where it names none or one that has imported something else.

    Raises:
        CaseProblem: when nobody serves there.
    """
    address = environment.get(VARIABLE)
    if not address:
        return None
    server = KeptServer(address)
    try:
        imported = json.loads(_note(address).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        imported = None
    if imported is None or not server.is_alive():
        raise CaseProblem(
            "internal_error",
            f"{VARIABLE}={address}: found nobody there, expected the socket of a running fork server; start it with "
            "`python -m bench.acceleration.host.kept_server SOCKET [USER_DIR ...]`, or unset the variable",
        )
    return server if imported == _imported(user_dirs) else None


def main(address: str, user_dirs: Sequence[str] = ()) -> None:
    """Note what is imported, and serve; arguments as for `bench.acceleration.host.forkserver.main`."""
    from bench.acceleration.host import forkserver  # noqa: PLC0415  what only asks for a server needs none

    for name, value in BRIEF_SPIN.items():  # before torch is imported
        os.environ.setdefault(name, value)

    note_imports(address, user_dirs)
    forkserver.main(address, user_dirs)


def _imported(user_dirs: Sequence[Path]) -> Json:
    return {"code": own_code(), "user_dirs": [[str(folder), path_hash(folder)] for folder in user_dirs]}


def _note(address: str) -> Path:
    return Path(f"{address}.imports.json")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
