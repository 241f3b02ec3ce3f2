"""A row that asks for what a pipeline does not have is named with its file, and no pipeline file is to be fixed for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from arms import PAINTER, ArmStarter
from PIL import Image
from suites import BASELINE, ROOT, Finished, Suite

from bench.acceleration.arm.odd_inputs import classes_of, require_classes
from bench.acceleration.inputs import Inputs
from bench.acceleration.prompts import Sample
from bench.acceleration.references import as_reference_failure
from bench.core.errors import ArmProblem, InputProblem

ZOO = ROOT / "fixtures/zoo"

# Classes


class Parts:
    """A pipeline with these components, and maybe names of classes."""

    def __init__(self, labels: dict[str, int] | None = None, **components: Any) -> None:
        self.components = components
        if labels is not None:
            self.labels = labels


def test_classes_are_those_with_names_or_the_rows_of_the_table() -> None:
    import torch
    from diffusers import DiTTransformer2DModel, UNet2DModel

    torch.manual_seed(0)
    transformer = DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=1, sample_size=4,
        num_embeds_ada_norm=12,
    )  # fmt: skip
    unet = UNet2DModel(
        sample_size=8, block_out_channels=(8,), down_block_types=("DownBlock2D",), norm_num_groups=4,
        up_block_types=("UpBlock2D",), layers_per_block=1, num_class_embeds=7,
    )  # fmt: skip
    assert classes_of(Parts(transformer=transformer)) == range(12)  # and none for the row of no class
    assert classes_of(Parts(unet=unet)) == range(7)
    assert classes_of(Parts({"ring": 0, "round ring": 0, "star": 4}, transformer=transformer)) == {0, 4}
    assert classes_of(Parts({}, unet=unet, scheduler=object())) == range(7)
    assert classes_of(Parts(scheduler=object())) is None
    assert classes_of(object()) is None


@pytest.mark.parametrize("label", [12, 1500, -1])
def test_a_class_that_is_not_there_is_refused_with_its_place(label: int) -> None:
    inputs = [{"class_label": 11}, {"class_label": label}, {"class_label": 99}]
    with pytest.raises(InputProblem) as refused:
        require_classes(range(12), inputs)
    assert str(refused.value) == (
        f"has no class {label}: found the class label {label}, expected one of its 12 classes, from 0 to 11; correct the row"
    )
    assert refused.value.index == 1
    require_classes(range(12), inputs[:1])
    require_classes(None, inputs)
    require_classes(range(12), [{}, {}])


# One process of a file

CHOOSY = f"""{PAINTER}

def generate(pipe, prompts, generators, inputs):
    for prompt, one in zip(prompts, inputs):
        if "~" in prompt:
            raise ValueError("no such token")
        if "image" in one and one["image"].width % 8:
            raise ValueError("sides of the image must be multiples of 8")
    return pipe(prompts, generators)
"""


def failure(starter: ArmStarter, source: str, samples: list[Sample], role: str = "target") -> ArmProblem:
    with starter.start(source, role=role) as arm:
        arm.load()
        with pytest.raises(ArmProblem) as failed, as_reference_failure(role):
            arm.first_call(samples)
    return failed.value


def failure_of_candidate(starter: ArmStarter, source: str, samples: list[Sample]) -> ArmProblem:
    with starter.start(source) as arm:
        arm.load()
        with pytest.raises(ArmProblem) as failed:
            arm.generate(samples)
    return failed.value


def from_rows(*samples: tuple[str, Inputs]) -> list[Sample]:
    return [Sample(prompt, row, inputs, "rows.csv", row + 3) for row, (prompt, inputs) in enumerate(samples)]


def test_a_prompt_that_a_pipeline_does_not_take_is_named(arm_starter: ArmStarter) -> None:
    samples = from_rows(("a star", Inputs()), ("a ~ ring", Inputs()))
    problem = failure(arm_starter, CHOOSY, samples)
    assert problem.reason_code == "task_invalid"
    assert str(problem).startswith(
        "rows.csv, row 4: the target raised ValueError: no such token with the prompt 'a ~ ring'"
    )
    assert "correct the row" in str(problem)
    assert "fix the target" not in str(problem)
    # A candidate is judged by what its target takes: there the file is at fault, and still the row is named.
    problem = failure_of_candidate(arm_starter, CHOOSY, samples)
    assert problem.reason_code == "generation_failed"
    assert "rows.csv, row 4: the candidate raised" in str(problem)


def test_an_image_that_a_pipeline_does_not_take_is_named(arm_starter: ArmStarter, tmp_path: Path) -> None:
    inputs = []
    for side in (70, 64):
        Image.new("RGB", (side, side)).save(tmp_path / f"{side}.png")
        inputs.append(Inputs(image=str(tmp_path / f"{side}.png")))
    problem = failure(arm_starter, CHOOSY, from_rows(("a star", inputs[0]), ("a ring", inputs[1])))
    assert problem.reason_code == "task_invalid"
    assert "rows.csv, row 3: the target raised ValueError: sides of the image" in str(problem)
    assert "`image` of 70 x 70 pixels" in str(problem)


def test_a_file_that_fails_on_everything_is_at_fault_itself(arm_starter: ArmStarter) -> None:
    source = f"{PAINTER}\n\ndef generate(pipe, prompts, generators):\n    raise ValueError('no such token')\n"
    problem = failure(arm_starter, source, from_rows(("a star", Inputs()), ("a ~ ring", Inputs())))
    assert problem.reason_code == "reference_failed"
    assert str(problem).endswith("; fix the target")
    assert "row" not in str(problem)


# A whole run

DIT = f"""
from diffusers import DiTPipeline
pipe = DiTPipeline.from_pretrained({str(ZOO / "tiny-dit")!r})
if __name__ == "__main__":
    pipe(class_labels=[0], num_inference_steps=2)
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run of tasks whose prompts ask for what their pipelines do not have."""
    directory = tmp_path_factory.mktemp("odd")
    suite = Suite(directory)
    suite.write("dit.py", DIT)
    dit = {"target_file": "dit.py", "baseline_file": "dit.py"}
    captions = ["a red star", "a blue star", "a green star", "a white star"]
    for side, name in ((32, "small.png"), (64, "large.png")):
        Image.new("RGB", (side, side)).save(directory / name)
    (directory / "torn.png").write_bytes((directory / "large.png").read_bytes()[:60])
    rows: dict[str, dict[str, list[Any]]] = {
        "classes": {"class_label": [0, 1, 1500, 3]},
        "negative": {"class_label": [0, 1, -2, 3]},
        "unnamed": {"class_label": [0, 500, 2, 3]},
        "labels_for_texts": {"class_label": [0, 1, 2, 3]},
        "texts_for_labels": {},
        "torn_mask": {"image": ["large.png"] * 4, "mask_image": ["large.png"] * 3 + ["torn.png"]},
        "small_control": {"image": ["large.png"] * 4, "control_image": ["large.png"] * 3 + ["small.png"]},
    }
    for number, (name, columns) in enumerate(rows.items()):
        file = directory / f"{name}.jsonl"
        table = [
            {"caption": caption} | {column: values[row] for column, values in columns.items()}
            for row, caption in enumerate(captions)
        ]
        file.write_text("".join(f"{json.dumps(row)}\n" for row in table))
        plain = number >= 5 or name == "labels_for_texts"
        suite.add(name, BASELINE if plain else DIT, **({} if plain else dit), prompts_file=file.name)
    return suite.run("--time-budget", "0")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "classes",
            "classes.jsonl, row 2: the {} has no class 1500: found the class label 1500, expected one of its 297",
        ),
        (
            "unnamed",
            "unnamed.jsonl, row 1: the {} has no class 500: found the class label 500, expected one of its 297",
        ),
        (
            "negative",
            "negative.jsonl: row 2: found -2 in column 'class_label', expected the number of a class, from 0",
        ),
        (
            "labels_for_texts",
            "labels_for_texts.jsonl: the {} calls StableDiffusionPipeline, which has no parameter",
        ),
        (
            "texts_for_labels",
            "texts_for_labels.jsonl: the {} calls DiTPipeline, which takes `class_labels` in place of",
        ),
        ("torn_mask", "torn_mask.jsonl: row 3: found the file"),
        (
            "small_control",
            "small_control.jsonl: row 3: found image of 64 x 64 pixels, control_image of 32 x 32 pixels",
        ),
    ],
)
def test_a_task_whose_rows_ask_for_what_is_not_there_is_invalid(
    finished: Finished, name: str, words: str
) -> None:
    record = finished.record(name)
    assert record["reason_code"] == "task_invalid", record["reason"]
    assert any(words.format(role) in record["reason"] for role in ("target", "baseline")), record["reason"]
    assert "fix the" not in record["reason"]


def test_a_row_that_an_arm_makes_up_is_not_named(arm_starter: ArmStarter) -> None:
    lie = (
        f"{PAINTER}\n\nclass InputProblem(ValueError):\n    index = 7\n\nInputProblem.__module__ = 'bench.core.errors'\n\n"
        "def generate(pipe, prompts, generators):\n    raise InputProblem('is unwilling')\n"
    )
    problem = failure_of_candidate(arm_starter, lie, from_rows(("a star", Inputs())))
    assert problem.reason_code == "generation_failed"
    assert str(problem).startswith("rows.csv: the candidate is unwilling")
