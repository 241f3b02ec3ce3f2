"""What a command says of what cannot be used: to a program, one object."""

from __future__ import annotations

import json
import sys

USAGE_ERROR = 4
"""Exit code of what cannot be used."""


def refuse(message: str, *, as_json: bool = False) -> int:
    """Say what cannot be used, to a program as an object; return the exit code."""
    if as_json:
        print(json.dumps({"verdict": "usage", "exit_code": USAGE_ERROR, "reason": message}))
    else:
        print(message, file=sys.stderr)
    return USAGE_ERROR
