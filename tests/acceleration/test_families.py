"""Pipelines of many families are called as their files call them, or refused in words that say what to do."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import same_process
import tiny_pipelines
from arms import ArmStarter
from PIL import Image

from bench.acceleration.arm.blank import blank_output, maker_of
from bench.acceleration.arm.finding import pipe_within
from bench.acceleration.arm.given_inputs import for_each, kept, prompt_name, require_replaceable
from bench.acceleration.arm.recorder import RecordedCall
from bench.acceleration.configuration import Configuration
from bench.acceleration.host.own_call import see_call
from bench.acceleration.host.pipeline_arm import Batch, PipelineArm
from bench.acceleration.inputs import Inputs
from bench.acceleration.prompts import Sample
from bench.core.errors import ArmProblem, SourceProblem

# What libraries warn of is no error in an arm.
pytestmark = pytest.mark.filterwarnings("ignore")

HELPERS = Path(__file__).parents[1] / "helpers"
HEAD = f"""
import sys
sys.path.insert(0, {str(HELPERS)!r})
import copy
import PIL.Image
import torch
import tiny_pipelines as tiny
"""
MAIN = "if __name__ == '__main__':\n"
SAMPLES = [Sample("a red star", 1), Sample("a blue circle", 2)]
SMALL = "height=8, width=8, num_inference_steps=2, max_sequence_length=16"


def written(text: str) -> str:
    return HEAD + textwrap.dedent(text)


def generated(
    folder: Path,
    text: str,
    samples: list[Sample] | None = None,
    *,
    run: bool = True,
    role: str = "candidate",
) -> tuple[Batch, Configuration]:
    """Return the images of a file, and its configuration; `run` says whether its call is seen or read in its text.

    In this process: an arm of its own takes several times as long.
    """
    samples = samples or SAMPLES
    file = folder / "pipeline.py"
    file.write_text(written(text))
    arm, batch = same_process.made(file, samples, role, run=run)
    return _with_a_second_call(arm, batch, samples)


def generated_in_an_arm(starter: ArmStarter, text: str) -> tuple[Batch, Configuration]:
    """Return the same of an arm in a process of its own."""
    file = starter.write(written(text))
    factory = starter.factory()
    seen = see_call(factory, file, "candidate", file.parent.name)
    with factory.start("candidate", file.parent.name) as process:
        arm = PipelineArm(process, file, factory.device, 120.0)
        arm.load(seen)
        return _with_a_second_call(arm, arm.first_call(SAMPLES), SAMPLES)


def _with_a_second_call(arm: PipelineArm, batch: Batch, samples: list[Sample]) -> tuple[Batch, Configuration]:
    again = arm.generate(samples)
    assert len(batch.outputs) == len(samples)
    np.testing.assert_array_equal(again.outputs, batch.outputs)
    assert arm.configuration is not None
    return batch, arm.configuration


def drawn(pipe: Any, seeds: tuple[int, ...] = (1, 2), **options: Any) -> list[np.ndarray]:
    """Return what diffusers makes, called here."""
    import torch

    pipe.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return [np.asarray(image) for image in pipe(generator=generators, **options).images]


def assert_same(images: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for one, other in zip(images, expected, strict=True):
        np.testing.assert_allclose(one.astype(int), other.astype(int), atol=1)


# What is replaced


KONTEXT = f"""
pipe = tiny.flux("FluxKontextPipeline")
if __name__ == '__main__':
    picture = PIL.Image.open(__file__.replace("pipeline.py", "input.png"))
    pipe(picture, "make it a ring", {SMALL}, _auto_resize=False, max_area=64)
"""


def test_an_image_that_comes_first_and_is_opened_in_the_main_part_is_the_files_own(
    tmp_path: Path,
) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8))
    picture.save(tmp_path / "input.png")
    batch, configuration = generated(tmp_path, KONTEXT)
    options = {"height": 8, "width": 8, "num_inference_steps": 2, "max_sequence_length": 16, "max_area": 64}
    pipe = tiny_pipelines.flux("FluxKontextPipeline")
    prompts = [sample.prompt for sample in SAMPLES]
    assert_same(batch.outputs, drawn(pipe, image=picture, prompt=prompts, _auto_resize=False, **options))
    assert configuration.call is not None
    assert configuration.call.arguments["image"]["size"] == [8, 8]


def test_a_second_prompt_of_the_files_own_goes_to_each_prompt(tmp_path: Path) -> None:
    options = {"height": 8, "width": 8, "num_inference_steps": 2, "max_sequence_length": 16}
    prompts = [sample.prompt for sample in SAMPLES]
    pipe = tiny_pipelines.flux()
    for second, expected in (("'in oil'", ["in oil"] * 2), ("'a ring'", None)):
        call = f"pipe('a ring', prompt_2={second}, {SMALL})"
        want = drawn(pipe, prompt=prompts, prompt_2=expected, **options)
        for run in (True, False):
            batch, _ = generated(tmp_path, f"pipe = tiny.flux()\n{MAIN}    {call}\n", run=run)
            assert_same(batch.outputs, want)


def test_a_pipeline_without_prompts_varies_its_seeds(tmp_path: Path) -> None:
    text = f"pipe = tiny.ddpm()\n{MAIN}    pipe(num_inference_steps=2)\n"
    want = drawn(tiny_pipelines.ddpm(), batch_size=2, num_inference_steps=2)
    several = text.replace("pipe(num", "pipe(4, num")
    for call, run in ((text, True), (several, True), (several, False)):
        batch, configuration = generated(tmp_path, call, run=run)
        assert_same(batch.outputs, want)
        assert configuration.arguments is not None
        assert "batch_size" not in configuration.arguments
    with pytest.raises(ArmProblem, match="calls DDPMPipeline, which has no parameter `class_labels`"):
        generated(tmp_path, text, [Sample("class 1", 1, Inputs(class_label=1))])


def test_class_labels_by_name_or_position_are_the_samples(tmp_path: Path) -> None:
    samples = [Sample(f"class {label}", label, Inputs(class_label=label)) for label in (3, 4)]
    want = drawn(tiny_pipelines.dit(), (3, 4), class_labels=[3, 4], num_inference_steps=2)
    for labels in ("[207]", "class_labels=[207]"):
        text = f"pipe = tiny.dit()\n{MAIN}    pipe({labels}, num_inference_steps=2)\n"
        assert_same(generated(tmp_path, text, samples)[0].outputs, want)


def test_prompts_that_a_pipeline_writes_into_are_the_same_in_the_next_call(tmp_path: Path) -> None:
    call = "pipe('a ring', negative_prompt=['dim', 'ugly'], height=16, width=16, guidance_scale=4.0, num_inference_steps=2, "
    text = f"pipe = tiny.z_image()\npipe.tokenizer.chat_template += 'x'\n{MAIN}    {call}max_sequence_length=16)\n"
    generated(tmp_path, text)


# Several pipelines


REFUSED = {
    "embeddings": (
        f"pipe = tiny.flux()\n{MAIN}    words, pooled, _ = pipe.encode_prompt('a', None, max_sequence_length=16)\n"
        f"    pipe(prompt_embeds=words, pooled_prompt_embeds=pooled, {SMALL})\n",
        r"cannot be called this way: found `prompt_embeds` and no prompt.*in generate\(pipe, prompts, generators\)",
    ),
    "a prior and a decoder": (
        "from diffusers import KandinskyV22PriorPipeline, KandinskyV22Pipeline\nfirst, second = tiny.kandinsky_parts()\n"
        f"prior = KandinskyV22PriorPipeline(**first)\npipe = KandinskyV22Pipeline(**second)\n{MAIN}"
        "    embeddings, negative = prior('a ring').to_tuple()\n"
        "    pipe(image_embeds=embeddings, negative_image_embeds=negative, height=16, width=16, num_inference_steps=2)\n",
        r"with several pipelines, one after the other: what KandinskyV22PriorPipeline in line \d+ makes goes into `pipe`.*"
        r"a chain of pipelines belongs into generate\(pipe, prompts, generators\)",
    ),
    "a base and its refiner": (
        "from diffusers import StableDiffusionXLImg2ImgPipeline\nbase = tiny.sdxl()\n"
        f"pipe = StableDiffusionXLImg2ImgPipeline(**base.components)\n{MAIN}"
        "    first = base('a ring', num_inference_steps=2).images[0].resize((16, 16))\n"
        "    pipe('a ring', image=first, strength=0.9, num_inference_steps=2)\n",
        r"what StableDiffusionXLPipeline in line \d+ makes goes into `pipe`",
    ),
    "a base that stops early": (
        f"pipe = tiny.sdxl()\n{MAIN}    pipe('a', num_inference_steps=2, denoising_end=0.5, output_type='latent')\n",
        r"cannot be called this way: found `denoising_end`.*a chain of pipelines belongs into generate",
    ),
    "a prior alone": (
        "from diffusers import KandinskyV22PriorPipeline\n"
        f"pipe = KandinskyV22PriorPipeline(**tiny.kandinsky_parts()[0])\n{MAIN}    pipe('a', num_inference_steps=2)\n",
        r"without images \(KandinskyPriorPipelineOutput\).*the first of several pipelines, define generate",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_called_with_prompts_is_refused_with_the_way_out(tmp_path: Path, what: str) -> None:
    text, message = REFUSED[what]
    with pytest.raises(ArmProblem, match=message) as refused:
        generated(tmp_path, text, role="target")
    assert not refused.value.is_of_file


def test_a_comparison_with_another_pipeline_is_no_chain(tmp_path: Path) -> None:
    text = (
        "slow, pipe = tiny.flux(), tiny.flux()\n"
        f"{MAIN}    before = slow('a ring', {SMALL.replace('=2', '=4')}).images[0]\n"
        f"    after = pipe('a ring', {SMALL}).images[0]\n"
    )
    _, configuration = generated(tmp_path, text)
    assert configuration.num_inference_steps == 2
    assert configuration.call is not None
    assert configuration.call.line == len(written(text).splitlines())


# Where pipelines come from


MADE = {
    "from components": (
        "from diffusers import StableDiffusionXLPipeline\npipe = StableDiffusionXLPipeline(**tiny.sdxl_parts())\n"
    ),
    "from another pipeline": (
        "from diffusers import AutoPipelineForText2Image, StableDiffusionXLImg2ImgPipeline\n"
        "pipe = AutoPipelineForText2Image.from_pipe(StableDiffusionXLImg2ImgPipeline(**tiny.sdxl_parts()))\n"
    ),
    "modular": (
        "from diffusers import ModularPipeline\nfrom diffusers.modular_pipelines import StableDiffusionXLAutoBlocks\n"
        "pipe = StableDiffusionXLAutoBlocks().init_pipeline()\nparts = tiny.sdxl_parts()\n"
        "pipe.update_components(**parts)\n"
    ),
    "within a wrapper": (
        "class Engine:\n    def __init__(self, module):\n        self.module = module\n"
        "    def __getattr__(self, name):\n        return getattr(self.module, name)\n"
        "    def __call__(self, *args, **options):\n        self.calls = getattr(self, 'calls', 0) + 1\n"
        "        print('through the engine', self.calls)\n        return self.module(*args, **options)\n"
        "pipe = Engine(tiny.sdxl())\n"
    ),
    "within a partial": "import functools\npipe = functools.partial(tiny.sdxl(), guidance_scale=5.0)\n",
}  # fmt: skip


# The transformer comes from one file, all else from a folder, as files for other programs are loaded.
SINGLE_FILE = f"""
import tempfile
from diffusers import FluxPipeline

folder = tempfile.mkdtemp()
tiny.flux().save_pretrained(folder)
others = FluxPipeline.from_pretrained(folder).components
weights = folder + "/transformer/diffusion_pytorch_model.safetensors"
del others["transformer"]
others = {{name: part for name, part in others.items() if part is not None}}
pipe = FluxPipeline.from_single_file(weights, config=folder, local_files_only=True, **others)
if __name__ == "__main__":
    pipe("a ring", {SMALL})
"""


@pytest.mark.parametrize("run", [True, False], ids=["seen", "read"])
def test_a_pipeline_from_a_single_file_is_called_like_any_other(tmp_path: Path, run: bool) -> None:
    batch, configuration = generated(tmp_path, SINGLE_FILE, run=run)
    assert configuration.num_inference_steps == 2
    assert configuration.pipeline_class == "FluxPipeline"
    assert configuration.calls_by_component == {"transformer": 2.0}
    options = {"height": 8, "width": 8, "num_inference_steps": 2, "max_sequence_length": 16}
    prompts = [sample.prompt for sample in SAMPLES]
    assert_same(batch.outputs, drawn(tiny_pipelines.flux(), prompt=prompts, **options))


@pytest.mark.parametrize("way", MADE)
def test_wherever_a_pipeline_comes_from_its_call_is_seen(
    arm_starter: ArmStarter, tmp_path: Path, way: str
) -> None:
    more = ", output='images'" if way == "modular" else ""
    first = "prompt='a ring'" if way == "modular" else "'a ring'"
    text = f"{MADE[way]}{MAIN}    pipe({first}, num_inference_steps=2, height=16, width=16{more})\n"
    if way == "within a wrapper":
        batch, configuration = generated_in_an_arm(arm_starter, text)
    else:
        batch, configuration = generated(tmp_path, text)
    assert configuration.num_inference_steps == 2
    assert configuration.calls_by_component == {"unet": 4.0}
    if way != "modular":
        prompts = [sample.prompt for sample in SAMPLES]
        assert_same(
            batch.outputs,
            drawn(tiny_pipelines.sdxl(), prompt=prompts, num_inference_steps=2, height=16, width=16),
        )
    if way == "within a wrapper":
        assert "through the engine 2" in "".join(file.read_text() for file in arm_starter.logs.iterdir())


# Whose fault it is


ODD = """
from diffusers import DiffusionPipeline
class Odd(DiffusionPipeline):
    def __init__(self):
        super().__init__()
        self.register_to_config()
    def __call__(self, prompt{more}):
        {body}
        return [PIL.Image.new("RGB", (8, 8)) for _ in ([prompt] if isinstance(prompt, str) else prompt)]
pipe = Odd()
if __name__ == '__main__':
    pipe("a ring")
"""
BLAMED = {
    "no generator": (
        "", "pass", "generation_failed", False,
        r"cannot be called this way: found TypeError: .*unexpected keyword.*generator'",
    ),
    "no lists": (
        ", generator=None", "prompt.upper()", "generation_failed", False,
        r"cannot be called this way: found AttributeError: .* with lists of 2 prompts and as many generators",
    ),
    "its own": (", generator=None", "1 / 0", "generation_failed", True, r"raised during generate: ZeroDivisionError"),
    "watched": (
        ", generator=None", "assert not hasattr(type(self).__call__, '_modelgate_original'), 'seen'", "internal_error",
        False, r"failed because it was watched, and works when it is not \(AssertionError: seen\); please report it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BLAMED)
def test_what_fails_in_how_it_is_called_is_not_the_files_fault(tmp_path: Path, what: str) -> None:
    more, body, code, is_of_file, message = BLAMED[what]
    with pytest.raises(ArmProblem, match=message) as failed:
        generated(tmp_path, ODD.format(more=more, body=body), role="target")
    assert (failed.value.reason_code, failed.value.is_of_file) == (code, is_of_file)


# Without a process


def test_the_prompt_is_what_was_given_as_one() -> None:
    assert prompt_name({"image": 1, "prompt": "a"}, ["image", "prompt"]) == "prompt"
    assert prompt_name({"class_labels": [1]}, ["class_labels"]) == "class_labels"
    assert prompt_name({"text": "a", "output_type": "np"}, ["text"]) == "text"
    assert prompt_name({"image": 1, "caption": ["a"]}, ["image", "caption", "steps"]) == "caption"
    assert prompt_name({"*0": 1, "*1": "a"}, []) == "*1"
    for given in ({"prompt": None, "prompt_embeds": 1}, {"output_type": "np"}, {"image": "a.png"}, {}):
        assert prompt_name(given, ["prompt", *given]) is None


def test_embeddings_next_to_a_prompt_stay() -> None:
    require_replaceable({"prompt": "a", "ip_adapter_image_embeds": 1}, "prompt")
    require_replaceable({"negative_prompt_embeds": 1}, None)
    with pytest.raises(SourceProblem, match="found `image_embeds` and no prompt"):
        require_replaceable({"image_embeds": 1}, None)


def test_prompts_that_repeat_the_first_one_go_and_others_stand_next_to_each() -> None:
    assert kept({"prompt": "a", "prompt_2": "a", "prompt_3": "b", "steps": 1}) == {
        "prompt": "a",
        "prompt_3": "b",
        "steps": 1,
    }
    assert kept({"prompt": ["a", "b"], "prompt_2": ["a", "b"]}) == {"prompt": ["a", "b"]}
    own = ["x", "y"]
    found = for_each({"prompt_3": "b", "negative_prompt_2": own, "system_prompt": "s"}, 2)
    assert found == {"prompt_3": ["b", "b"], "negative_prompt_2": own, "system_prompt": "s"}
    assert found["negative_prompt_2"] is not own  # some pipelines write into it


def test_what_was_not_made_is_known_again_in_whatever_form() -> None:
    call = RecordedCall(None, "__call__", {"prompt": ["a", "b"], "width": 16}, (), {})
    output = blank_output(call, "Prior in line 3")
    assert [image.size for image in output.images] == [(16, 64)] * 2
    first, second = output.to_tuple()
    forms = [
        output.images[0].resize((4, 4)).convert("L"), [output.images], output["images"], output[0], output, first * 2,
        {"a": (1, second[:, 0].cpu())}, output.image_embeds,
    ]  # fmt: skip
    assert [maker_of(form) for form in forms] == ["Prior in line 3"] * len(forms)
    latents = blank_output(RecordedCall(None, "__call__", {"output_type": "latent"}, (), {}), "Base").images
    assert maker_of(latents / 0.18) == "Base"
    assert maker_of([Image.new("RGB", (4, 4)), "a", None]) is None


def test_only_what_holds_a_pipeline_and_can_be_called_stands_for_one() -> None:
    class Holding:
        def __init__(self, pipe: Any) -> None:
            self.pipe = pipe

    class Calling(Holding):
        def __call__(self) -> None: ...

    pipe = tiny_pipelines.ddpm()
    assert pipe_within(pipe) is pipe
    assert pipe_within(Calling(Calling(pipe))) is pipe
    for other in (Holding(pipe), Calling(None), Calling, "pipe", lambda: pipe):
        assert pipe_within(other) is None
