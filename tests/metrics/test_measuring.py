"""What metrics import is there before they are asked, where there was time for it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from suites import ROOT

from bench.metrics import measuring

MEASURES = """
import sys
import numpy as np
from bench.metrics.measuring import import_ahead, measured
from bench.statistics.bootstrap import mean_intervals
import_ahead()
before = set(sys.modules)
images = list(np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8))
for name in ("ssim", "psnr_db", "red_green", "sharpness", "diversity", "shift_x"):
    measured(name, images[:2], images[2:])
mean_intervals([[1.0], [2.0]], 0)
print(sorted({name.partition(".")[0] for name in set(sys.modules) - before} & {"scipy", "PIL", "packaging"}))
"""


def test_metrics_of_the_evaluator_find_their_libraries_imported():
    done = subprocess.run(
        [sys.executable, "-c", MEASURES], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_what_is_missing_is_left_to_the_metric_that_needs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "skimage.color", None)
    measuring.import_ahead("nothing_of_this_name")
    assert "skimage.transform" in sys.modules, "the next one is imported all the same"
