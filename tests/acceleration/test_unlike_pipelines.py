"""Pipelines unlike those of one text and one image end in the right configuration, or in words that say what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import same_process
import tiny_videos as tiny
from PIL import Image
from video_families import FAMILIES, HEAD

from bench.acceleration.arm.content import described
from bench.acceleration.arm.given_inputs import count_of_prompts, for_each, written_count
from bench.acceleration.arm.results import outputs_of
from bench.acceleration.comparison import differences
from bench.acceleration.configuration import Configuration
from bench.acceleration.inputs import Inputs
from bench.acceleration.prompts import Sample
from bench.core.errors import ArmProblem, SourceProblem

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SAMPLES = [Sample("a red star", 1), Sample("a blue circle", 2)]
MAIN = "\nif __name__ == '__main__':\n"
PICTURE = Image.linear_gradient("L").convert("RGB")


def observed(
    folder: Path, text: str, samples: list[Sample] | None = None, *, run: bool = True
) -> tuple[Configuration, list[np.ndarray]]:
    """Return the configuration of a file and what it makes."""
    file = folder / "pipeline.py"
    file.write_text(HEAD + text)
    arm, batch = same_process.made(file, samples or SAMPLES, run=run)
    assert arm.configuration is not None
    return arm.configuration, batch.outputs


def drawn(pipe: Any, seed: int, **options: Any) -> np.ndarray:
    """Return what diffusers makes of one prompt, called here."""
    import torch

    pipe.set_progress_bar_config(disable=True)
    return np.asarray(pipe(generator=torch.Generator().manual_seed(seed), **options).images[0]).astype(int)


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found.astype(int), expected, atol=1)


# Several images next to one prompt


KLEIN = (
    "height=16, width=16, num_inference_steps=2, max_sequence_length=16, text_encoder_out_layers=(1, 2, 3)"
)
PAIR = "[Image.linear_gradient('L').convert('RGB').resize((64, 64)), Image.new('RGB', (64, 64), 'red')]"


@pytest.mark.parametrize("run", [True, False], ids=["seen", "read"])
def test_two_images_that_are_edited_together_go_to_each_prompt_together(tmp_path: Path, run: bool) -> None:
    text = f"pipe = tiny.flux2_klein(){MAIN}    pipe(image={PAIR}, prompt='both', {KLEIN})\n"
    options = {"height": 16, "width": 16, "num_inference_steps": 2, "max_sequence_length": 16}
    images = [PICTURE.resize((64, 64)), Image.new("RGB", (64, 64), "red")]
    pipe = tiny.flux2_klein()
    for samples in (SAMPLES, SAMPLES[:1]):  # however many prompts there are in a batch
        found, outputs = observed(tmp_path, text, samples, run=run)
        assert found.arguments is not None
        assert [image["size"] for image in found.arguments["image"]] == [[64, 64], [64, 64]]
        for sample, output in zip(samples, outputs, strict=True):
            both = drawn(
                pipe,
                sample.seed,
                image=images,
                prompt=sample.prompt,
                text_encoder_out_layers=(1, 2, 3),
                **options,
            )
            assert_close(output, both)


def test_one_image_of_two_is_another_configuration(tmp_path: Path) -> None:
    two = f"pipe = tiny.flux2_klein(){MAIN}    pipe(image={PAIR}, prompt='both', {KLEIN})\n"
    one = two.replace(f"image={PAIR}", f"image={PAIR}[:1]")
    target, candidate = (observed(tmp_path, text)[0] for text in (two, one))
    assert "arguments.image" in [entry.field for entry in differences(target, candidate)]


def test_how_many_prompts_a_file_has_says_whose_its_images_are() -> None:
    one, two = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    for count in (1, 2, 3):
        assert for_each({"image": [one, two]}, count, (), 1)["image"] == [one, two]
    assert for_each({"image": [one, two]}, 3, (), 2)["image"] == [one, two, one]
    assert for_each({"image": [one, two]}, 1, ())["image"] == [one]
    assert [count_of_prompts(value) for value in ("a", ["a", "b"], [1], None)] == [1, 2, None, None]
    assert written_count("['a', 'b']") == 2
    assert written_count("f'a {colour} ring'") == 1
    assert [written_count(text) for text in ("prompts", "['a'] * 4", "[*prompts, 'a']", "None", "1 +")] == [
        None
    ] * 5


# An image of the file's own that is noised, or cut out


@pytest.mark.parametrize("first", ["", "prompt="], ids=["by position", "by name"])
def test_what_an_upscaler_adds_noise_to_is_its_own_for_each_prompt(tmp_path: Path, first: str) -> None:
    picture = "Image.linear_gradient('L').convert('RGB').resize((8, 8))"
    text = f"pipe = tiny.upscaler(){MAIN}    pipe({first}'a ring', image={picture}, num_inference_steps=2)\n"
    found, outputs = observed(tmp_path, text)
    assert found.output is not None
    assert (found.output.height, found.output.width) == (32, 32)
    assert found.calls_by_component == {"unet": 4.0}
    pipe = tiny.upscaler()
    for sample, output in zip(SAMPLES, outputs, strict=True):
        alone = drawn(
            pipe, sample.seed, prompt=sample.prompt, image=PICTURE.resize((8, 8)), num_inference_steps=2
        )
        assert_close(output, alone)


def test_a_part_that_is_painted_by_itself_is_put_back_for_each_prompt(tmp_path: Path) -> None:
    import torch

    made = (
        "picture = Image.linear_gradient('L').convert('RGB').resize((32, 32))\n"
        "mask = Image.new('L', (32, 32))\nmask.paste(255, (10, 10, 18, 18))\n"
    )
    call = "image=picture, mask_image=mask, padding_mask_crop=4, height=16, width=16, num_inference_steps=2"
    found, outputs = observed(tmp_path, f"pipe = tiny.inpainting()\n{made}{MAIN}    pipe('a ring', {call})\n")
    assert found.arguments is not None
    assert found.arguments["padding_mask_crop"] == 4
    names: dict[str, Any] = {"Image": Image}
    exec(made, names)
    pipe = tiny.inpainting()
    pipe.set_progress_bar_config(disable=True)
    # diffusers takes one image there, and draws what it adds for all prompts of a batch from the first one's generator.
    together = pipe(
        [sample.prompt for sample in SAMPLES], image=names["picture"], mask_image=names["mask"], padding_mask_crop=4,
        height=16, width=16, num_inference_steps=2,
        generator=[torch.Generator().manual_seed(sample.seed) for sample in SAMPLES],
    ).images  # fmt: skip
    for output, expected in zip(outputs, together, strict=True):
        assert_close(output, np.asarray(expected).astype(int))
        np.testing.assert_array_equal(output[:4], np.asarray(names["picture"])[:4])
    assert np.abs(outputs[0].astype(int) - outputs[1]).max() > 1


# Modular


@pytest.mark.parametrize("output", [", output='videos'", ""], ids=["asked for", "in the whole state"])
def test_a_modular_pipeline_makes_videos_as_the_plain_one_does(tmp_path: Path, output: str) -> None:
    ltx = FAMILIES["ltx"]
    plain, expected = observed(tmp_path, ltx.source().removeprefix(HEAD))
    text = f"pipe = tiny.ltx_modular(){MAIN}    pipe(prompt='a red star', height=32, width=32, max_sequence_length=16, "
    found, outputs = observed(tmp_path, f"{text}num_frames=17, num_inference_steps=3{output})\n")
    assert found.output == plain.output
    assert found.num_inference_steps == 3
    assert found.calls_by_component == plain.calls_by_component
    assert [one.shape for one in outputs] == [one.shape for one in expected]


def test_what_guides_a_modular_pipeline_is_part_of_its_configuration(tmp_path: Path) -> None:
    from bench.acceleration.freedom import split

    call = "prompt='a red star', height=32, width=32, max_sequence_length=16, num_frames=9, num_inference_steps=2"
    text = (
        "pipe = tiny.ltx_modular()\nfrom diffusers import ClassifierFreeGuidance\n{}"
        + f"{MAIN}    pipe({call})\n"
    )
    ways = {
        "another scale": "pipe.update_components(guider=ClassifierFreeGuidance(guidance_scale=7.0))",
        "another attribute": "pipe.guider.guidance_scale = 7.0",
    }
    target, _ = observed(tmp_path, text.format(""))
    for way, line in ways.items():
        candidate, _ = observed(tmp_path, text.format(line))
        listed = {entry.field: entry.candidate for entry in differences(target, candidate)}
        assert listed == {"guider.guidance_scale": 7.0}, way
        assert split(differences(target, candidate), ["guidance"])[0] == []


# Chains


LATENT = "latents = pipe('a red star', height=32, width=32, num_frames=17, num_inference_steps=2, output_type='latent')"
CHAINS = {
    "into an upscaler": f"    {LATENT}.frames\n    larger(latents=latents, output_type='latent')\n",
    "into itself": f"    {LATENT}.frames\n    pipe('a red star', latents=latents, num_inference_steps=1)\n",
    "as a tuple": f"    {LATENT[:-1]}, return_dict=False)[0]\n    larger(latents=latents)\n",
}


@pytest.mark.parametrize("way", CHAINS)
def test_latents_that_go_into_another_call_are_a_chain(tmp_path: Path, way: str) -> None:
    text = f"pipe = tiny.ltx()\nlarger = tiny.ltx_upsampler(pipe.vae){MAIN}{CHAINS[way]}"
    into = "LTXPipeline" if way == "into itself" else "LTXLatentUpsamplePipeline"
    with pytest.raises(
        ArmProblem,
        match=rf"what `pipe` in line \d+ makes goes into {into} in line \d+.*belongs into generate",
    ) as refused:
        observed(tmp_path, text)
    assert not refused.value.is_of_file


@pytest.mark.parametrize(
    "after",
    [
        "",
        "    pipe.vae.decode(latents.frames)\n",
        "    larger(latents=torch.zeros(1, 4, 3, 4, 4))\n",
        "    pipe('a red star', num_inference_steps=1)\n",
    ],
)
def test_latents_that_go_nowhere_else_are_decoded_as_all_are(tmp_path: Path, after: str) -> None:
    text = f"pipe = tiny.ltx()\nlarger = tiny.ltx_upsampler(pipe.vae){MAIN}    {LATENT}\n{after}"
    found, outputs = observed(tmp_path, text)
    assert found.num_inference_steps == 2
    assert [output.shape for output in outputs] == [(17, 32, 32, 3)] * 2


# In words


def test_sound_is_refused_in_words_that_say_so(tmp_path: Path) -> None:
    text = f"pipe = tiny.stable_audio(){MAIN}    pipe('rain', num_inference_steps=2, audio_end_in_s=2.0)\n"
    with pytest.raises(
        ArmProblem, match=r"returned sound and no images \(AudioPipelineOutput\); expected one image or video"
    ) as refused:
        observed(tmp_path, text)
    assert not refused.value.is_of_file


@pytest.mark.parametrize(
    ("result", "what"),
    [
        ({"audios": [1]}, "sound"), ({"texts": ["a"]}, "text"), ({"prediction": np.zeros((1, 8, 8, 1))}, "a prediction"),
        ({"latents": np.zeros(3)}, "latents"),
    ],
)  # fmt: skip
def test_what_else_pipelines_return_is_named(result: dict[str, Any], what: str) -> None:
    with pytest.raises(SourceProblem, match=f"returned {what}.* and no images"):
        outputs_of(result)


@pytest.mark.parametrize("family", ["ltx-image", "ltx-condition", "cogvideox-image"])
def test_a_pipeline_that_takes_its_image_for_one_prompt_alone_is_told_with_the_way_out(
    tmp_path: Path, family: str
) -> None:
    with pytest.raises(ArmProblem, match=r"with 2 prompts and as many generators.*--batch-size 1") as refused:
        observed(tmp_path, FAMILIES[family].source().removeprefix(HEAD))
    assert not refused.value.is_of_file


@pytest.mark.parametrize("family", ["ltx-image", "cogvideox-image"])
def test_images_next_to_the_prompts_go_with_them_in_a_batch(tmp_path: Path, family: str) -> None:
    samples = []
    for sample, colour in zip(SAMPLES, ("red", "blue"), strict=True):
        picture = tmp_path / f"{colour}.png"
        Image.new("RGB", (32, 32), colour).save(picture)
        samples.append(Sample(sample.prompt, sample.seed, Inputs(image=str(picture))))
    text = FAMILIES[family].source().removeprefix(HEAD)
    _, together = observed(tmp_path, text, samples)
    for index, sample in enumerate(samples):
        _, (alone,) = observed(tmp_path, text, [sample])
        assert np.abs(together[index].astype(int) - alone.astype(int)).max() <= 1
        assert np.abs(together[1 - index].astype(int) - alone.astype(int)).mean() > 1


# Conditions


def test_conditions_are_compared_by_what_is_in_them(tmp_path: Path) -> None:
    family = FAMILIES["ltx-condition"]
    text = family.source().removeprefix(HEAD)
    changed = (text.replace("frame_index=8", "frame_index=0"), text.replace("linear", "radial"))
    target, *others = (observed(tmp_path, source, SAMPLES[:1])[0] for source in (text, *changed))
    for other in others:
        assert "arguments.conditions" in [entry.field for entry in differences(target, other)]


def test_a_dataclass_is_described_by_its_fields() -> None:
    from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

    first, second = (described(LTXVideoCondition(image=PICTURE, frame_index=index)) for index in (0, 8))
    assert first["class"] == "LTXVideoCondition"
    assert first["image"]["size"] == list(PICTURE.size)
    assert (first["frame_index"], second["frame_index"]) == (0, 8)
    assert {**first, "frame_index": 8} == second
