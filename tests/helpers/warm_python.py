"""Stands for a Python: ``python warm_python.py SOCKET ARGUMENTS...`` has them run by a process that `warm_process` forks.

So execnet starts the workers of a run that is warm itself. It imports little, since each of them pays for it.
"""

from __future__ import annotations

import array
import json
import os
import socket
import sys
from typing import Any


def ask(client: socket.socket, request: dict[str, Any], descriptors: list[int]) -> None:
    """Send a request to the warm process, with what is to be its stdin, stdout and stderr."""
    text = json.dumps(request).encode() + b"\n"
    sent = client.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])
    client.sendall(text[sent:])


def _stand_for_python(address: str, arguments: list[str]) -> None:
    """Have a program run with what this process has, and end as it does."""
    request = {
        "arguments": arguments, "cwd": os.getcwd(), "environment": dict(os.environ),
        "cores": sorted(os.sched_getaffinity(0)),
    }  # fmt: skip
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(address)
        ask(client, request, [0, 1, 2])
        with client.makefile() as answers:
            answers.readline()
            code = int(answers.readline())
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    _stand_for_python(sys.argv[1], sys.argv[2:])
