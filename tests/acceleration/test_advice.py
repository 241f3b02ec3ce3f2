"""A file without a pipeline is told where it makes one, and how `pipe` comes to be it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.acceleration.arm.advice import advice

ASSIGN = "assign the pipeline to `pipe` at module level"
CASES = {
    "class Predictor(BasePredictor):\n    def setup(self):\n"
    "        self.model = StableDiffusionPipeline.from_pretrained('a').to('cpu')\n":
    "; found one that Predictor.setup() keeps as `self.model`: predictor = Predictor(); predictor.setup(); "
    "pipe = predictor.model",
    "class Handler:\n    def initialize(self, context):\n"
    "        self.pipe: DiffusionPipeline = DiffusionPipeline.from_single_file(context.file)\n":
    "; found one that Handler.initialize() keeps as `self.pipe`: handler = Handler(); handler.initialize(...); "
    "pipe = handler.pipe",
    "class Service:\n    def __init__(self, name):\n        self.pipeline = FluxPipeline.from_pretrained(name)\n":
    "; found one that Service.__init__() keeps as `self.pipeline`: pipe = Service(...).pipeline",
    "def build():\n    return AutoPipelineForText2Image.from_pretrained('a')\n":
    "; found one that build() returns: pipe = build()",
    "def start(*, name):\n    made = DiffusionPipeline.from_pretrained(name)\n    return made\n":
    "; found one that start() returns: pipe = start(...)",
    # What returns none, or makes none, is no way to one.
    "def build():\n    made = DiffusionPipeline.from_pretrained('a')\n": "",
    "class Other:\n    def setup(self):\n        self.unet = UNet2DConditionModel.from_pretrained('a')\n": "",
    "x = 1\n": "",
}  # fmt: skip


@pytest.mark.parametrize("text", CASES)
def test_what_makes_a_pipeline_is_named_with_the_way_to_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "candidate.py"
    file.write_text(text)
    assert advice({}, file, None, ()) == ASSIGN + CASES[text]


def test_a_file_that_is_gone_or_no_python_is_told_what_all_are(tmp_path: Path) -> None:
    (tmp_path / "candidate.py").write_text("x = (")
    assert advice({}, tmp_path / "candidate.py", None, ()) == ASSIGN
    assert advice({}, tmp_path / "gone.py", None, ()) == ASSIGN
