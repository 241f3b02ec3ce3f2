"""Memory that is freed stays with the process."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import resource, sys
from bench.machine.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
import numpy as np
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        [np.ones(2**22, dtype=np.uint8) for _ in range(8)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


def test_pages_are_not_asked_for_again():
    """Each of the 50 rounds touches 32 MiB, which are 8,192 pages."""

    def faults(how: str) -> int:
        command = [sys.executable, "-c", SCRIPT, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert faults("kept") < 8192 < 10 * 8192 < faults("given back")
