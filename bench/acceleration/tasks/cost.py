"""How long a case will take compared with others, so that the longest can start first.

Only the order matters. So the steps are searched in the text and not read from its syntax tree, which would take longer
than the rest of the collection.
"""

from __future__ import annotations

import re
from pathlib import Path

DEFAULT_STEPS = 50
MAX_STEPS = 1_000
READ_BYTES = 65_536
# A control that is rejected for one of these is rejected before anything is timed.
REJECTED_EARLY = frozenset(
    {"config_mismatch", "load_failed", "generation_failed", "crashed", "degenerate_output", "out_of_memory",
     "output_flood"}
)  # fmt: skip
EARLY_SHARE = 0.1
# A compiler takes a minute on one core, whatever is then generated.
COMPILING = 3.0
_STEPS = re.compile(r"num_inference_steps[\"']?\s{0,9}[=:]\s{0,9}(\w{1,60})")


class Costs:
    """Estimates costs; 1.0 is a pair of 50 steps each. Every file is read once."""

    def __init__(self) -> None:
        self._steps: dict[Path | None, int] = {None: DEFAULT_STEPS}

    def of(
        self, baseline: Path | None, candidate: Path | None, expect: str | None, *, compiles: bool = False
    ) -> float:
        """Return the cost of a case, from the steps of both files, a compiler, and what a control is rejected for."""
        cost = (self.steps(baseline) + self.steps(candidate)) / (2 * DEFAULT_STEPS) + COMPILING * compiles
        return cost * EARLY_SHARE if expect in REJECTED_EARLY else cost

    def steps(self, file: Path | None) -> int:
        """Return the inference steps that a file names last, directly or through a constant."""
        if file not in self._steps:
            self._steps[file] = _search_steps(file) if file is not None else DEFAULT_STEPS
        return self._steps[file]


def _search_steps(file: Path) -> int:
    try:
        with file.open("rb") as stream:
            text = stream.read(READ_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return DEFAULT_STEPS
    written = _STEPS.findall(text)
    if not written:
        return DEFAULT_STEPS
    value = written[-1]
    if not value.isdecimal():
        constants = re.findall(rf"^\s*{re.escape(value)}\s*(?::[^=\n]*)?=\s*(\d+)", text, re.MULTILINE)
        value = constants[-1] if constants else str(DEFAULT_STEPS)
    return min(int(value[:9]), MAX_STEPS) or DEFAULT_STEPS
