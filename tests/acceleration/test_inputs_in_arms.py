"""Inputs of samples reach the pipeline: images, masks and control images by their parameters, class labels as prompts."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
import same_process
import tiny_pipeline
from arms import ArmStarter
from PIL import Image
from pyarrow import parquet
from suites import BASELINE, MODEL, Suite

from bench.acceleration.arm.content import described
from bench.acceleration.arm.given_inputs import parameters_of, takers
from bench.acceleration.comparison import differences
from bench.acceleration.configuration import Configuration
from bench.acceleration.host.own_call import see_call
from bench.acceleration.host.pipeline_arm import Batch, PipelineArm
from bench.acceleration.inputs import Inputs
from bench.acceleration.prompts import Sample
from bench.core.errors import ArmProblem, SourceProblem

# What libraries warn of is no error in an arm.
pytestmark = pytest.mark.filterwarnings("ignore")

SIDE, STEPS = 32, 2
FILES = ("image", "mask_image", "control_image")


@pytest.fixture(scope="session")
def models(model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of small pipelines with random weights, by the names of their classes."""
    import torch
    from diffusers import (
        ControlNetModel,
        DDIMScheduler,
        DiTPipeline,
        DiTTransformer2DModel,
        StableDiffusionControlNetPipeline,
        StableDiffusionImg2ImgPipeline,
        StableDiffusionInpaintPipeline,
    )

    base = tiny_pipeline.load_pipeline(model)
    parts: dict[str, Any] = {**base.components, "requires_safety_checker": False}
    torch.manual_seed(0)
    control = ControlNetModel.from_unet(base.unet, conditioning_embedding_out_channels=(8, 8, 16))
    for block in (*control.controlnet_down_blocks, control.controlnet_mid_block):
        torch.nn.init.normal_(block.weight)  # they begin with zeros, which no control image would change
    transformer = DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=2, sample_size=8,
        num_embeds_ada_norm=1000,
    )  # fmt: skip
    made = [
        StableDiffusionImg2ImgPipeline(**parts),
        StableDiffusionInpaintPipeline(**parts),
        StableDiffusionControlNetPipeline(**parts, controlnet=control),
        DiTPipeline(transformer=transformer, vae=base.vae, scheduler=DDIMScheduler()),
    ]
    found = {"StableDiffusionPipeline": model}
    for pipe in made:
        found[type(pipe).__name__] = tmp_path_factory.mktemp("models") / type(pipe).__name__
        pipe.save_pretrained(found[type(pipe).__name__])
    return found


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, list[str]]:
    """Four images for each kind of input."""
    found: dict[str, list[str]] = {}
    for kind, name in enumerate(FILES):
        for number in range(4):
            file = tmp_path / f"{name}{number}.png"
            pixels = np.random.default_rng(10 * kind + number).integers(
                0, 256, (SIDE, SIDE, 3), dtype=np.uint8
            )
            Image.fromarray(pixels).save(file)
            found.setdefault(name, []).append(str(file))
    return found


def script(models: dict[str, Path], kind: str, call: str, head: str = "") -> str:
    """Return a file that loads a pipeline and makes this call when it is run."""
    steps = f"num_inference_steps={STEPS}, guidance_scale=1.0"
    return (
        f"import PIL.Image\nfrom diffusers import {kind}\n"
        f"pipe = {kind}.from_pretrained({str(models[kind])!r})\n{head}\n"
        f"if __name__ == '__main__':\n    {call.replace('STEPS', steps)}\n"
    )


def samples_of(pictures: dict[str, list[str]], *names: str, count: int = 4) -> list[Sample]:
    return [
        Sample("a red star", number, Inputs(**{name: pictures[name][number] for name in names}))
        for number in range(count)
    ]


def labelled(*labels: int) -> list[Sample]:
    return [Sample(f"class {label}", label, Inputs(class_label=label)) for label in labels]


def generated(
    folder: Path, source: str, samples: list[Sample], *, run: bool = True
) -> tuple[Batch, Configuration]:
    """Return the images of a file, and its configuration; `run` says whether its call is seen or read in its text.

    In this process, with what comes over the wire as it comes over it: an arm of its own takes three times as long.
    """
    file = folder / "pipeline.py"
    file.write_text(source)
    arm, batch = same_process.made(file, samples, run=run)
    return _with_a_second_call(arm, batch, samples)


def generated_in_an_arm(
    starter: ArmStarter, source: str, samples: list[Sample]
) -> tuple[Batch, Configuration]:
    """Return the same of an arm in a process of its own."""
    file = starter.write(source)
    factory = starter.factory()
    seen = see_call(factory, file, "candidate", file.parent.name)
    with factory.start("candidate", file.parent.name) as process:
        arm = PipelineArm(process, file, factory.device, 120.0)
        arm.load(seen)
        return _with_a_second_call(arm, arm.first_call(samples), samples)


def _with_a_second_call(arm: PipelineArm, batch: Batch, samples: list[Sample]) -> tuple[Batch, Configuration]:
    again = arm.generate(samples)
    np.testing.assert_array_equal(again.outputs, batch.outputs)
    assert arm.configuration is not None
    return batch, arm.configuration


def are_apart(images: list[np.ndarray], others: list[np.ndarray]) -> bool:
    return all((one != other).any() for one, other in zip(images, others, strict=True))


IMAGE = "PIL.Image.new('RGB', (32, 32), 'red')"
KINDS = {
    "StableDiffusionImg2ImgPipeline": (f"pipe('a', image={IMAGE}, strength=0.9, STEPS)", ("image",)),
    "StableDiffusionInpaintPipeline": (
        f"pipe('a', image={IMAGE}, mask_image=PIL.Image.new('L', (32, 32), 255), STEPS)", ("image", "mask_image"),
    ),
    "StableDiffusionControlNetPipeline": (f"pipe('a', {IMAGE}, STEPS)", ("control_image",)),
}  # fmt: skip


def without_the_suite(folder: Path, sample: Sample, files: dict[str, str], **more: Any) -> np.ndarray:
    """Return what diffusers makes of a sample and files, called here."""
    import diffusers
    import torch

    pipe = getattr(diffusers, folder.name).from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    opened = {name: Image.open(file) for name, file in files.items()}
    result = pipe(
        sample.prompt, generator=torch.Generator().manual_seed(sample.seed), num_inference_steps=STEPS,
        guidance_scale=1.0, **opened, **more,
    )  # fmt: skip
    return np.asarray(result.images[0])


@pytest.mark.parametrize("kind", KINDS)
def test_samples_replace_the_files_own_images(
    arm_starter: ArmStarter,
    tmp_path: Path,
    models: dict[str, Path],
    pictures: dict[str, list[str]],
    kind: str,
) -> None:
    call, names = KINDS[kind]
    source = script(models, kind, call)
    samples = samples_of(pictures, *names)
    batch, configuration = generated_in_an_arm(arm_starter, source, samples)
    assert configuration.arguments is not None
    assert not {"image", "mask_image"} & configuration.arguments.keys()  # they are not the file's own
    strength = {"strength": 0.9} if "Img2Img" in kind else {}
    for number in (0, 3):
        files = samples[number].inputs.images()
        files = {"image" if name == "control_image" else name: file for name, file in files.items()}
        expected = without_the_suite(models[kind], samples[number], files, **strength)
        np.testing.assert_allclose(batch.outputs[number].astype(int), expected.astype(int), atol=1)
    alone, _ = generated(tmp_path, source, samples[:1])
    np.testing.assert_allclose(alone.outputs[0].astype(int), batch.outputs[0].astype(int), atol=1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_image_of_the_file_goes_to_each_prompt_and_is_compared_by_its_content(
    tmp_path: Path, models: dict[str, Path], pictures: dict[str, list[str]], kind: str
) -> None:
    call, _ = KINDS[kind]
    samples = samples_of(pictures)
    batch, configuration = generated(tmp_path, script(models, kind, call), samples)
    last, alone = generated(tmp_path, script(models, kind, call), samples[3:])
    np.testing.assert_allclose(last.outputs[0].astype(int), batch.outputs[3].astype(int), atol=1)
    assert differences(configuration, alone) == []  # as large a batch as it may be
    assert configuration.call is not None
    seen = configuration.call.arguments["image"]
    assert (seen["size"], seen["mode"]) == ([SIDE, SIDE], "RGB")
    _, other = generated(tmp_path, script(models, kind, call.replace("'red'", "'blue'")), samples)
    assert [found.field for found in differences(configuration, other)] == ["arguments.image"]


def test_several_images_of_the_file_go_to_the_prompts_in_turn(
    tmp_path: Path, models: dict[str, Path], pictures: dict[str, list[str]]
) -> None:
    kind = "StableDiffusionImg2ImgPipeline"
    several = f"[{IMAGE}, {IMAGE.replace('red', 'blue')}]"
    source = script(models, kind, f"pipe(['a', 'b'], image={several}, strength=0.9, STEPS)")
    batch, _ = generated(tmp_path, source, samples_of(pictures, count=3))
    single, _ = generated(tmp_path, script(models, kind, KINDS[kind][0]), samples_of(pictures, count=3))
    is_same = [bool((one == other).all()) for one, other in zip(batch.outputs, single.outputs, strict=True)]
    assert is_same == [True, False, True]


def test_an_image_that_only_the_author_has_is_no_problem_where_samples_bring_theirs(
    tmp_path: Path, models: dict[str, Path], pictures: dict[str, list[str]]
) -> None:
    kind = "StableDiffusionImg2ImgPipeline"
    source = script(models, kind, "pipe('a', image=PIL.Image.open('input.png'), strength=0.9, STEPS)")
    samples = samples_of(pictures, "image")
    expected, _ = generated(tmp_path, script(models, kind, KINDS[kind][0]), samples)
    for text in (source, script(models, kind, f"pipe('a', {IMAGE}, 0.9, STEPS)")):
        batch, _ = generated(tmp_path, text, samples, run=False)
        np.testing.assert_array_equal(batch.outputs, expected.outputs)
    with pytest.raises(
        ArmProblem, match=r"the argument `PIL\.Image\.open\('input\.png'\)`.*FileNotFoundError"
    ):
        generated(tmp_path, source, samples_of(pictures), run=False)


def test_class_labels_stand_in_place_of_prompts(tmp_path: Path, models: dict[str, Path]) -> None:
    source = script(models, "DiTPipeline", "pipe(class_labels=[207], STEPS)")
    batch, configuration = generated(tmp_path, source, labelled(3, 4))
    assert configuration.entry_point == "__call__"
    for call, run in (
        ("pipe([207], STEPS)", True), ("pipe([207], STEPS)", False), ("pipe(class_labels=[207], STEPS)", False),
    ):  # fmt: skip
        other, _ = generated(tmp_path, script(models, "DiTPipeline", call), labelled(3, 4), run=run)
        np.testing.assert_array_equal(other.outputs, batch.outputs)
    moved = [Sample("class 9", sample.seed, Inputs(class_label=9)) for sample in labelled(3, 4)]
    assert are_apart(generated(tmp_path, source, moved)[0].outputs, batch.outputs)


REFUSED = {
    "prompts for classes": (
        "DiTPipeline", "pipe([207], STEPS)", [Sample("a star", 1)],
        r"calls DiTPipeline, which takes `class_labels` in place of prompts; found prompts alone, expected a column "
        "class_labels",
    ),
    "classes for prompts": (
        "StableDiffusionPipeline", "pipe('a', STEPS)", labelled(3),
        r"calls StableDiffusionPipeline, which has no parameter `class_labels`; found a class label next to each prompt",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_labels_and_prompts_are_not_taken_for_each_other(
    tmp_path: Path, models: dict[str, Path], what: str
) -> None:
    kind, call, samples, message = REFUSED[what]
    with pytest.raises(ArmProblem, match=message) as refused:
        generated(tmp_path, script(models, kind, call), samples)
    assert refused.value.reason_code == "generation_failed"


@pytest.mark.parametrize(
    ("kind", "names", "parameter"),
    [
        ("StableDiffusionPipeline", ("image",), "image"),
        ("StableDiffusionImg2ImgPipeline", ("image", "mask_image"), "mask_image"),
        ("StableDiffusionImg2ImgPipeline", ("image", "control_image"), "control_image"),
    ],
)
def test_an_input_that_no_parameter_takes_is_refused_by_its_name(
    tmp_path: Path, models: dict[str, Path], pictures: dict[str, list[str]], kind: str,
    names: tuple[str, ...], parameter: str,
) -> None:  # fmt: skip
    call = KINDS[kind][0] if kind in KINDS else "pipe('a', STEPS)"
    message = rf"calls {kind}, which has no parameter `{parameter}`; found `{parameter}` next to each prompt"
    with pytest.raises(ArmProblem, match=message) as refused:
        generated(tmp_path, script(models, kind, call), samples_of(pictures, *names))
    assert "leave it out with --prompts-inputs" in str(refused.value)


OWN = """
def generate(pipe, prompts, generators{more}):
    images = {images}
    return pipe(prompts, image=images, strength=0.9, num_inference_steps=2, guidance_scale=1.0, generator=generators).images
"""


@pytest.mark.parametrize("more", [", inputs", ", inputs=()", ", *, inputs"])
def test_a_generate_of_the_file_gets_the_inputs_of_each_prompt(
    tmp_path: Path, models: dict[str, Path], pictures: dict[str, list[str]], more: str
) -> None:
    kind = "StableDiffusionImg2ImgPipeline"
    own = OWN.format(more=more, images="[one['image'] for one in inputs]")
    samples = samples_of(pictures, "image")
    batch, configuration = generated(tmp_path, script(models, kind, "pass", own), samples)
    assert configuration.call is not None
    assert configuration.call.by == "generate"
    expected, target = generated(tmp_path, script(models, kind, KINDS[kind][0]), samples)
    np.testing.assert_array_equal(batch.outputs, expected.outputs)
    assert differences(target, configuration) == []


def test_a_generate_without_inputs_is_refused_where_there_are_some(
    tmp_path: Path, models: dict[str, Path], pictures: dict[str, list[str]]
) -> None:
    kind = "StableDiffusionImg2ImgPipeline"
    source = script(models, kind, "pass", OWN.format(more="", images=f"[{IMAGE}] * len(prompts)"))
    assert len(generated(tmp_path, source, samples_of(pictures))[0].outputs) == 4
    message = r"takes nothing else; found image next to each prompt.*define generate\(pipe, prompts, generators, inputs\)"
    with pytest.raises(ArmProblem, match=message):
        generated(tmp_path, source, samples_of(pictures, "image"))


# A whole run


IMAGE_TO_IMAGE = f"""
from diffusers import DDIMScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
parts = StableDiffusionPipeline.from_pretrained({str(MODEL)!r}).components
pipe = StableDiffusionImg2ImgPipeline(**parts, requires_safety_checker=False)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
if __name__ == "__main__":
    import PIL.Image
    pipe("a small red star", image=PIL.Image.new("RGB", (64, 64)), strength=0.5, num_inference_steps=8)
"""


def test_a_run_judges_an_image_to_image_pair_on_the_images_in_its_rows(tmp_path: Path) -> None:
    prompts = [f"a small {colour} star" for colour in ("red", "blue", "green", "yellow")]
    images = []
    for prompt in prompts:
        buffer = io.BytesIO()
        Image.new("RGB", (64, 64), prompt.split()[2]).save(buffer, "PNG")
        images.append({"bytes": buffer.getvalue(), "path": None})
    parquet.write_table(pyarrow.table({"prompt": prompts, "image": images}), tmp_path / "pairs.parquet")
    suite = Suite(tmp_path)
    suite.write("baseline.py", IMAGE_TO_IMAGE)
    suite.add(1, IMAGE_TO_IMAGE)
    # A pipeline that takes no image, with prompts of its own; and prompts of which there are too few.
    own = ["a large green ring", "a large red ring", "a large blue ring", "a large white ring"]
    (tmp_path / "own.txt").write_text("\n".join(own))
    (tmp_path / "few.txt").write_text("a black ring")
    suite.write("plain.py", BASELINE)
    plain = {"target_file": "plain.py", "baseline_file": "plain.py"}
    suite.add(2, BASELINE, **plain, prompts_file="own.txt")
    suite.add(3, BASELINE, **plain, prompts_file="few.txt")
    (tmp_path / "semicolons.csv").write_text("Caption;class_label\na ring;0\n")
    suite.add(4, BASELINE, **plain, prompts_file="semicolons.csv")
    finished = suite.run(
        "--prompts", str(tmp_path / "pairs.parquet"), "--num-samples", "4", "--batch-size", "4", "--time-budget", "0"
    )  # fmt: skip
    record = finished.record(1)
    assert record["verdict"] == "pass", record["reason"]
    assert record["fidelity"]["identical_images"] == 4
    assert "image" not in record["config"]["candidate"]["arguments"]
    rows = (finished.directory / record["files"]["predictions"]).read_text().splitlines()
    named = {row["prompt"]: row["image"] for row in map(json.loads, rows)}
    assert sorted(named) == sorted(prompts)
    assert len(set(named.values())) == 4
    record = finished.record(2)
    assert record["verdict"] == "pass", record["reason"]
    rows = (finished.directory / record["files"]["predictions"]).read_text().splitlines()
    assert sorted(row["prompt"] for row in map(json.loads, rows)) == sorted(own)
    record = finished.record(3)
    assert record["reason_code"] == "task_invalid"
    assert "prompts_file: " in record["reason"]
    assert "the prompts have only 1 rows" in record["reason"]
    assert "the header 'Caption;class_label' with semicolons" in finished.record(4)["reason"]
    assert finished.record(4)["reason"].endswith("; save it with commas")


# Which parameter, and what is compared


class ImageFirst:
    def __call__(self, image: Any = None, prompt: Any = None, generator: Any = None) -> None: ...


class Forwarding(ImageFirst):
    def __call__(self, *args: Any, **options: Any) -> None: ...

    def sample(self, prompt: Any, **options: Any) -> None: ...


class Controlled:
    def __call__(self, prompt: Any, image: Any, control_image: Any) -> None: ...


def test_parameters_are_those_of_whoever_takes_what_is_handed_on() -> None:
    assert parameters_of(ImageFirst(), "__call__") == ["image", "prompt", "generator"]
    assert parameters_of(Forwarding(), "__call__") == ["image", "prompt", "generator"]
    assert parameters_of(Forwarding(), "sample") == ["prompt", "image", "generator"]


def test_a_control_image_goes_to_image_only_where_nothing_else_does() -> None:
    assert takers(Controlled(), "__call__", ["image", "control_image"], "prompt") == {
        "image": "image",
        "control_image": "control_image",
    }
    assert takers(ImageFirst(), "__call__", ["control_image"], "prompt") == {"control_image": "image"}
    with pytest.raises(SourceProblem, match="no parameter `control_image`"):
        takers(ImageFirst(), "__call__", ["image", "control_image"], "prompt")


def test_several_controlnets_are_refused() -> None:
    pipe = ImageFirst()
    pipe.controlnet = type("Several", (), {"nets": ()})()  # type: ignore[attr-defined]
    with pytest.raises(
        SourceProblem, match="with several ControlNets; found one control image for each prompt"
    ):
        takers(pipe, "__call__", ["control_image"], "prompt")


def test_a_pipeline_of_images_alone_asks_for_them() -> None:
    with pytest.raises(SourceProblem, match="takes `image` in place of prompts; found prompts alone"):
        takers(ImageFirst(), "__call__", [], "image")
    assert takers(ImageFirst(), "__call__", ["image"], "image") == {"image": "image"}


def test_images_and_arrays_are_equal_when_their_content_is() -> None:
    red, blue = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    assert described(red) == described(red.copy()) == described([red, red]) != described(blue)
    assert described(red) != described(red.convert("RGBA"))
    assert described([red, blue]) != described([blue, red])
    one = red.convert("P", palette=Image.Palette.ADAPTIVE)
    assert described(one) != described(blue.convert("P", palette=Image.Palette.ADAPTIVE))
    assert described(np.ones((2, 2))) == described(np.ones((2, 2))) != described(np.zeros((2, 2)))
    json.dumps(described({"image": red, "arrays": [np.ones(2)]}))
