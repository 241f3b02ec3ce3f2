"""Runs of the scripts in benchmarks/, as a user starts them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from suites import ROOT, own_cores, own_environment

SCRIPTS = ROOT / "benchmarks"


@pytest.fixture
def run_script() -> Callable[..., str]:
    """Run a script on one core; return what it printed. Any exit code but 0 fails the test."""

    def run(name: str, *arguments: str, **environment: str) -> str:
        finished = subprocess.run(
            ["taskset", "--cpu-list", own_cores(()), sys.executable, str(SCRIPTS / name), *arguments],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=600,
            env=own_environment({"OMP_NUM_THREADS": "1", **environment}),
        )  # fmt: skip
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout

    return run


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the scripts, from which a test imports them by their names."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return SCRIPTS


# Without a model: the colours of a prompt, one around the other, with a corner drawn from the image's own generator.
PICTURES = """
import PIL.Image, PIL.ImageColor
import torch
from diffusers import DiffusionPipeline


class Painter(DiffusionPipeline):
    def __init__(self):
        super().__init__()
        self.register_to_config()  # its parts: none

    def __call__(self, prompt, generator=None):
        return [self._draw(text, one) for text, one in zip(prompt, generator)]

    def _draw(self, text, generator):
        inner, outer = [word for word in text.split() if word in PIL.ImageColor.colormap]
        image = PIL.Image.new("RGB", (32, 32), outer)
        image.paste(inner, (8, 8, END, END))
        image.putpixel((0, 0), tuple(torch.randint(256, (3,), generator=generator).tolist()))
        return image


pipe = Painter()


def generate(pipe, prompts, generators):
    return pipe(prompts, generators)
"""


@pytest.fixture
def small_tasks(tmp_path: Path) -> list[dict[str, object]]:
    """Tasks 1 and 24 without a model, whose candidates paint other images than the baseline, as their target does."""
    plain, other = tmp_path / "plain.py", tmp_path / "other.py"
    plain.write_text(PICTURES.replace("END", "24"), encoding="utf-8")
    other.write_text(PICTURES.replace("END", "23"), encoding="utf-8")
    files = {"target_file": str(other), "baseline_file": str(plain), "candidate_file": str(other)}
    task = {"difficulty": "hard", "prompt_context": "", "required_speedup": 0.01, **files}
    return [{"prompt_id": number, **task} for number in (1, 24)]
