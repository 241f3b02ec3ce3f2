"""Each recipe of diffusers' documentation for torch.compile runs in an arm as it runs alone, is found and is counted.

The compiler is left out: the backend ``eager`` runs what was traced, and a hook in the traced code would break it all the
same. The recipes stand in diffusers' guides "Accelerate inference", "Compile and offloading quantized models", "Quicktour"
and on the pages of its pipelines.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import arms
import numpy as np
import pytest
from arms import ArmStarter

from bench.acceleration.prompts import Sample

STEPS = 3
SAMPLES = [Sample("a red star", 3)]
# Of 255. Compiling may fuse and reorder, and eager code in another memory layout rounds elsewhere.
TOLERANCE = 1

STABLE_DIFFUSION = """
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel

pipe = StableDiffusionPipeline.from_pretrained({model!r})
torch.manual_seed(0)
pipe.unet = UNet2DConditionModel(
    sample_size=8, layers_per_block=1, block_out_channels=(32,), cross_attention_dim=32, attention_head_dim=2,
    down_block_types=("CrossAttnDownBlock2D",), up_block_types=("CrossAttnUpBlock2D",), norm_num_groups=8,
)
options = {{}}
"""
CONTROLLED = (
    STABLE_DIFFUSION
    + """
from diffusers import ControlNetModel, StableDiffusionControlNetPipeline
from PIL import Image

controlnet = ControlNetModel.from_unet(pipe.unet, conditioning_embedding_out_channels=(8, 16, 16))
torch.nn.init.normal_(controlnet.controlnet_mid_block.weight, std=0.1)
pipe = StableDiffusionControlNetPipeline(
    **pipe.components | {{"controlnet": controlnet}}, requires_safety_checker=False
)
options = {{"image": Image.new("RGB", (32, 32), "navy")}}
"""
)
FLUX = """
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from diffusers import StableDiffusionPipeline
from transformers import T5Config, T5EncoderModel

parts = StableDiffusionPipeline.from_pretrained({model!r}).components
torch.manual_seed(0)
pipe = FluxPipeline(
    scheduler=FlowMatchEulerDiscreteScheduler(),
    vae=AutoencoderKL(
        block_out_channels=(8,), down_block_types=("DownEncoderBlock2D",), up_block_types=("UpDecoderBlock2D",),
        latent_channels=4, norm_num_groups=4, sample_size=32, shift_factor=0.0,
    ),
    text_encoder=parts["text_encoder"], tokenizer=parts["tokenizer"], tokenizer_2=parts["tokenizer"],
    text_encoder_2=T5EncoderModel(
        T5Config(vocab_size=64, d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    ),
    transformer=FluxTransformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 4, 8),
    ),
)
options = {{"height": 16, "width": 16, "max_sequence_length": 16}}
"""
# The file says itself, as it is loaded and in each step, what is not its own on the pipeline.
CALL = """
import json
from diffusers import DiffusionPipeline


def places():
    denoiser = getattr(pipe, "unet", getattr(pipe, "transformer", None))
    modules = [
        module for part in pipe.components.values() if isinstance(part, torch.nn.Module) for module in part.modules()
    ]
    return [
        sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules),
        [name for name in ("step", "set_timesteps") if name in vars(pipe.scheduler)],
        "postprocess" in vars(pipe.image_processor),
        hasattr(type(denoiser).__call__, "__wrapped__"),
        hasattr(type(pipe).__call__, "_modelgate_original"),
        hasattr(DiffusionPipeline.__setattr__, "__wrapped__"),
    ]


def tell(*step):
    print("places", json.dumps(places()))
    return {{}}


tell()
if __name__ == "__main__":
    pipe("a red circle", num_inference_steps={steps}, callback_on_step_end=tell, **options)
"""


@dataclass(frozen=True)
class Recipe:
    """A recipe, and what is found of it.

    Attributes:
        lines: what it does to the pipeline; ``compiled`` stands for the options of each compiling call.
        modules: names of what is compiled.
        pipeline: what it is applied to.
        samples: samples in the denoiser's batches per image and step.
        denoisers: how many there are, a ControlNet among them.
    """

    lines: str
    modules: tuple[str, ...]
    pipeline: str = STABLE_DIFFUSION
    samples: int = 2
    denoisers: int = 1

    def source(self, model: Path, lines: str | None = None) -> str:
        """Return the text of a pipeline file, with other lines in place of its own where they are given."""
        applied = self.lines if lines is None else lines
        return "\n".join(
            (
                self.pipeline.format(model=str(model)),
                applied.replace("**compiled", 'backend="eager"'),
                CALL.format(steps=STEPS),
            )
        )


BLOCKS = tuple(
    f"unet.{place}.transformer_blocks.0"
    for place in (
        "down_blocks.0.attentions.0",
        "up_blocks.0.attentions.0",
        "up_blocks.0.attentions.1",
        "mid_block.attentions.0",
    )
)
REGIONS = (
    "transformer",  # as accelerate marks it; what is compiled are the parts
    *(
        f"transformer.{name}"
        for name in (
            "pos_embed", "time_text_embed", "context_embedder", "x_embedder", "transformer_blocks.0",
            "single_transformer_blocks.0", "norm_out", "proj_out",
        )
    ),
)  # fmt: skip
FLUX_RECIPE = Recipe("", ("transformer",), FLUX, samples=1)
RECIPES = {
    "wrapped": Recipe(
        "pipe.unet = torch.compile(pipe.unet, mode='reduce-overhead', fullgraph=True, **compiled)", ("unet",)
    ),
    "settings-channels_last-decode": Recipe(
        """
import torch._inductor.config
torch._inductor.config.conv_1x1_as_mm = True
torch._inductor.config.coordinate_descent_tuning = True
torch._inductor.config.epilogue_fusion = False
torch._inductor.config.coordinate_descent_check_all_directions = True
pipe.unet.to(memory_format=torch.channels_last)
pipe.vae.to(memory_format=torch.channels_last)
pipe.unet = torch.compile(pipe.unet, mode="max-autotune", fullgraph=True, **compiled)
pipe.vae.decode = torch.compile(pipe.vae.decode, mode="max-autotune", fullgraph=True, **compiled)
""",
        ("vae", "unet"),
    ),
    "decode_alone": Recipe(
        "pipe.vae.decode = torch.compile(pipe.vae.decode, fullgraph=True, **compiled)", ("vae",)
    ),
    "bound_forward": Recipe(
        "pipe.unet.forward = torch.compile(pipe.unet.forward, fullgraph=True, **compiled)", ("unet",)
    ),
    "dynamic": Recipe(
        """
import torch.fx.experimental._config
torch.fx.experimental._config.use_duck_shape = False
pipe.unet = torch.compile(pipe.unet, fullgraph=True, dynamic=True, **compiled)
""",
        ("unet",),
    ),
    "in_place": Recipe(
        """
pipe.unet.to(memory_format=torch.channels_last)
pipe.unet.compile(mode="max-autotune", fullgraph=True, **compiled)
""",
        ("unet",),
    ),
    "all_in_place": Recipe(
        """
pipe.text_encoder.compile(mode="max-autotune-no-cudagraphs", dynamic=False, **compiled)
pipe.vae.compile(mode="max-autotune-no-cudagraphs", dynamic=False, **compiled)
pipe.unet.compile(mode="max-autotune-no-cudagraphs", dynamic=False, **compiled)
""",
        ("vae", "text_encoder", "unet"),
    ),
    "text_encoder": Recipe(
        """
pipe.text_encoder = torch.compile(pipe.text_encoder, mode="reduce-overhead", fullgraph=True, **compiled)
pipe.unet = torch.compile(pipe.unet, mode="reduce-overhead", fullgraph=True, **compiled)
""",
        ("text_encoder", "unet"),
    ),
    "whole_decoder": Recipe(
        """
pipe.vae = torch.compile(pipe.vae, mode="reduce-overhead", fullgraph=True, **compiled)
pipe.unet = torch.compile(pipe.unet, mode="reduce-overhead", fullgraph=True, **compiled)
""",
        ("vae", "unet"),
    ),
    "repeated_blocks": Recipe("pipe.unet.compile_repeated_blocks(fullgraph=True, **compiled)", BLOCKS),
    "repeated_blocks-dynamic": Recipe(
        "pipe.unet.compile_repeated_blocks(fullgraph=True, dynamic=True, **compiled)", BLOCKS
    ),
    "fused_projections": Recipe(
        "pipe.fuse_qkv_projections()\npipe.unet = torch.compile(pipe.unet, fullgraph=True, **compiled)",
        ("unet",),
    ),
    "recompile_limits": Recipe(
        """
import torch._dynamo
torch._dynamo.config.recompile_limit = 96
torch._dynamo.config.accumulated_recompile_limit = 2048
torch._dynamo.config.capture_dynamic_output_shape_ops = True
pipe.unet = torch.compile(pipe.unet, **compiled)
""",
        ("unet",),
    ),
    "model_offloading": Recipe(
        """
import torch._dynamo
torch._dynamo.config.cache_size_limit = 1000
pipe.enable_model_cpu_offload(device="cpu")
pipe.unet.compile(**compiled)
""",
        ("unet",),
    ),
    "group_offloading": Recipe(
        """
import torch._dynamo
torch._dynamo.config.cache_size_limit = 1000
here = torch.device("cpu")
pipe.unet.enable_group_offload(
    onload_device=here, offload_device=here, offload_type="block_level", num_blocks_per_group=1
)
pipe.unet.compile(**compiled)
""",
        ("unet",),
    ),
    "controlnet": Recipe(
        """
pipe.unet.to(memory_format=torch.channels_last)
pipe.controlnet.to(memory_format=torch.channels_last)
pipe.unet = torch.compile(pipe.unet, mode="reduce-overhead", fullgraph=True, **compiled)
pipe.controlnet = torch.compile(pipe.controlnet, mode="reduce-overhead", fullgraph=True, **compiled)
""",
        ("unet", "controlnet"),
        CONTROLLED,
        denoisers=2,
    ),
    "transformer": replace(
        FLUX_RECIPE,
        lines="""
pipe.transformer.to(memory_format=torch.channels_last)
pipe.transformer = torch.compile(pipe.transformer, mode="max-autotune", fullgraph=True, **compiled)
""",
    ),
    "transformer_in_place": replace(
        FLUX_RECIPE,
        lines="pipe.transformer.compile(mode='max-autotune-no-cudagraphs', dynamic=True, **compiled)",
    ),
    "transformer_blocks": replace(
        FLUX_RECIPE,
        lines="pipe.transformer.compile_repeated_blocks(fullgraph=True, **compiled)",
        modules=("transformer.transformer_blocks.0", "transformer.single_transformer_blocks.0"),
    ),
    "transformer_regions": replace(
        FLUX_RECIPE,
        lines="""
from accelerate.utils import compile_regions
pipe.transformer = compile_regions(pipe.transformer, mode="reduce-overhead", fullgraph=True, **compiled)
""",
        modules=REGIONS,
    ),
}

# Tried by `make exhaustive` alone: what is compiled, and how, is tried by a recipe that is tried in every run.
EXHAUSTIVE = frozenset(
    {
        "dynamic", "settings-channels_last-decode", "fused_projections", "recompile_limits",  # wrapped
        "in_place", "text_encoder", "whole_decoder",  # all_in_place
        "repeated_blocks-dynamic",  # repeated_blocks
        "model_offloading",  # group_offloading
        "transformer", "transformer_in_place",  # transformer_blocks
    }
)  # fmt: skip


# The compiler's front takes seconds to import. Here it is imported once, and not again in the arm of each recipe.
SERVER_WITH_DYNAMO = [
    sys.executable,
    "-c",
    "import sys; from bench.acceleration.host import forkserver; usual = forkserver.preload; "
    "forkserver.preload = lambda: (usual(), __import__('torch._dynamo')); forkserver.main(sys.argv[1], sys.argv[2:])",
]


@pytest.fixture(scope="module")
def compiling_server() -> Iterator[str]:
    with arms.addressed_server(SERVER_WITH_DYNAMO) as server:
        yield server.address


@pytest.fixture
def arm_starter(compiling_server: str, tmp_path: Path) -> ArmStarter:
    return ArmStarter(compiling_server, tmp_path)


@pytest.fixture(scope="module")
def uncompiled(compiling_server: str, model: Path, tmp_path_factory: pytest.TempPathFactory):
    """Return the images of a recipe's pipeline as they are without the recipe; each pipeline is run once."""
    starter, found = ArmStarter(compiling_server, tmp_path_factory.mktemp("uncompiled")), {}

    def images(recipe: Recipe) -> list[np.ndarray]:
        if recipe.pipeline not in found:
            with starter.start(recipe.source(model, lines="")) as arm:
                arm.load()
                found[recipe.pipeline] = arm.generate(SAMPLES).outputs
        return found[recipe.pipeline]

    return images


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.exhaustive) if name in EXHAUSTIVE else name for name in RECIPES],
)
def test_recipe_runs_is_found_and_is_counted(name: str, arm_starter, model: Path, uncompiled):
    recipe = RECIPES[name]
    with arm_starter.start(recipe.source(model)) as arm:
        arm.load()
        batches = [arm.first_call(SAMPLES), arm.generate(SAMPLES), arm.generate(SAMPLES)]
        log = arm_starter.log(arm)
        again = arm.audit(SAMPLES)
    for batch in (*batches, again):
        for image, plain in zip(batch.outputs, uncompiled(recipe), strict=True):
            assert abs(image.astype(int) - plain.astype(int)).max() <= TOLERANCE

    found = arm.configuration
    assert sorted(found.methods["torch_compile"]["modules"]) == sorted(recipe.modules)
    assert found.disagreements == []
    for observed in (batches[0].observed, again.observed):
        assert (observed.num_inference_steps, observed.scheduler_steps) == (STEPS, STEPS)
        assert observed.denoiser_calls == recipe.denoisers * STEPS
        assert set(observed.calls_by_component.values()) == {recipe.samples * STEPS}
        assert observed.denoiser_calls_per_image == recipe.denoisers * recipe.samples * STEPS

    # Neither without our hooks nor with them again was anything compiled a second time.
    assert 0 < arm.compile_s < arm.first_call_s
    assert again.observed.compile_s == arm.compile_s
    assert again.observed.step_s > 0

    places = [
        json.loads(line.removeprefix("places ")) for line in log.splitlines() if line.startswith("places ")
    ]
    own, watched, unwatched = places[0], places[1 : STEPS + 1], places[STEPS + 1 :]
    assert len(unwatched) == 2 * STEPS
    assert own not in watched
    assert all(place == own for place in unwatched)
