"""A StableDiffusionPipeline with random weights that generates in milliseconds: 8 x 8 latents, 32 x 32 pixels.

What it draws is noise; it serves tests of what is in place on a pipeline and of what a pipeline does.
"""

import json
import string
from pathlib import Path
from typing import Any

import msgspec

from bench.acceleration.arm.detection import describe
from bench.acceleration.arm.loading import LoadedPipeline
from bench.acceleration.source.reading import SourceReading
from bench.machine.torchvision_shim import ensure_torchvision

PROMPT = "a red circle"
STEPS = 4


def save_pipeline(directory: Path) -> Path:
    """Build the pipeline and save it below a directory; return the model's directory."""
    ensure_torchvision()
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.set_num_threads(1)  # models this small are fastest on one thread, and other workers need the rest
    torch.manual_seed(0)
    vocabulary = ["<|startoftext|>", "<|endoftext|>", *string.ascii_lowercase]
    vocabulary += [f"{letter}</w>" for letter in string.ascii_lowercase]
    (directory / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(vocabulary)}))
    (directory / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(
        str(directory / "vocab.json"), str(directory / "merges.txt"), model_max_length=32,
        unk_token="<|endoftext|>", pad_token="<|endoftext|>",
    )  # fmt: skip
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(vocabulary), hidden_size=32, intermediate_size=32, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=32, bos_token_id=0, eos_token_id=1, pad_token_id=1,
        )
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=8, layers_per_block=2, block_out_channels=(32, 64), cross_attention_dim=32,
        down_block_types=("CrossAttnDownBlock2D",) * 2, up_block_types=("CrossAttnUpBlock2D",) * 2,
        attention_head_dim=2, norm_num_groups=8,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 16), down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3, latent_channels=4, norm_num_groups=4, sample_size=32,
    )  # fmt: skip
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False,
        set_alpha_to_one=False, steps_offset=1,
    )  # fmt: skip
    pipe = StableDiffusionPipeline(
        vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipe.save_pretrained(directory / "tiny-random")
    return directory / "tiny-random"


def loaded(pipe: Any, entry: str = "__call__", **arguments: Any) -> LoadedPipeline:
    """A pipeline as if its file had set it up, and called the entry with these arguments."""
    return LoadedPipeline(pipe, SourceReading(), entry, arguments, ())


def methods(pipe: Any, entry: str = "__call__", **arguments: Any) -> dict[str, dict]:
    """The acceleration methods that are found on a pipeline, as JSON would carry them."""
    found = msgspec.to_builtins(describe(loaded(pipe, entry, **arguments)))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found["methods"]


def load_pipeline(directory: Path, **options: Any) -> Any:
    """Load a fresh pipeline without its progress bar."""
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(directory, **options)
    pipe.set_progress_bar_config(disable=True)
    return pipe
