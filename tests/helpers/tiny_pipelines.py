"""Pipelines of many families with random weights, built from configurations: one or two layers, 8 to 32 channels.

What they draw is noise. They serve tests of how pipelines are called and of what is counted while they run.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from bench.machine.torchvision_shim import ensure_torchvision

WIDTH = 32
TOKENIZER = Path(__file__).resolve().parents[2] / "fixtures/zoo/tiny-sd/tokenizer"
WORDS = ["<pad>", "</s>", "<unk>", *"abcdefghijklmnopqrstuvwxyz"]
CHAT = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def begin() -> None:
    """Make what is built next the same each time."""
    ensure_torchvision()
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)


def ready(pipe: Any) -> Any:
    """A pipeline as loading leaves it: its models drop nothing out."""
    for part in pipe.components.values():
        if hasattr(part, "eval"):
            part.eval()
    return pipe


def clip_tokenizer() -> Any:
    """The tokenizer of the zoo's Stable Diffusion."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(TOKENIZER)


def letter_tokenizer() -> Any:
    """A tokenizer whose tokens are letters, in place of T5's and Qwen's."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    plain.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=16
    )
    tokenizer.chat_template = CHAT
    return tokenizer


def clip_text(projected: bool = False, positions: int | None = None) -> Any:
    """A CLIP text encoder of one layer, of as many positions as its tokenizer gives unless a pipeline asks for more."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    tokenizer = clip_tokenizer()
    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=positions or tokenizer.model_max_length, projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return CLIPTextModelWithProjection(config) if projected else CLIPTextModel(config)


def t5_text(multilingual: bool = False) -> Any:
    """A T5 encoder, or a multilingual one, of one layer."""
    from transformers import T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

    sizes = {
        "vocab_size": len(WORDS), "d_model": WIDTH, "d_kv": 8, "d_ff": WIDTH, "num_layers": 1, "num_heads": 2,
        "pad_token_id": 0, "eos_token_id": 1,
    }  # fmt: skip
    return UMT5EncoderModel(UMT5Config(**sizes)) if multilingual else T5EncoderModel(T5Config(**sizes))


def autoencoder(channels: int = 4, scale: int = 1, **more: Any) -> Any:
    """An autoencoder whose latents are so many times smaller than the image."""
    from diffusers import AutoencoderKL

    blocks = scale.bit_length()
    return AutoencoderKL(
        block_out_channels=(8,) * blocks, down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks, latent_channels=channels, norm_num_groups=4, sample_size=16, **more,
    )  # fmt: skip


def flux(kind: str = "FluxPipeline") -> Any:
    """A Flux pipeline of images of 8 x 8 pixels; ``FluxKontextPipeline`` takes an image first."""
    begin()
    import diffusers
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel

    transformer = FluxTransformer2DModel(
        in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH, axes_dims_rope=(4, 4, 8),
    )  # fmt: skip
    return ready(getattr(diffusers, kind)(
        scheduler=FlowMatchEulerDiscreteScheduler(), transformer=transformer,
        vae=autoencoder(1, shift_factor=0.1, scaling_factor=1.5, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=clip_text(), tokenizer=clip_tokenizer(), text_encoder_2=t5_text(), tokenizer_2=letter_tokenizer(),
    ))  # fmt: skip


def sdxl_parts() -> dict[str, Any]:
    """The components of Stable Diffusion XL, as its base and its refiner take them."""
    begin()
    from diffusers import EulerDiscreteScheduler, UNet2DConditionModel

    unet = UNet2DConditionModel(
        sample_size=8, layers_per_block=1, block_out_channels=(8, 16), norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4), use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=8,
        transformer_layers_per_block=1, projection_class_embeddings_input_dim=6 * 8 + WIDTH, cross_attention_dim=2 * WIDTH,
    )  # fmt: skip
    return {
        "unet": unet, "vae": autoencoder(4, 2), "scheduler": EulerDiscreteScheduler(),
        "text_encoder": clip_text(), "tokenizer": clip_tokenizer(),
        "text_encoder_2": clip_text(projected=True), "tokenizer_2": clip_tokenizer(),
    }  # fmt: skip


def sdxl() -> Any:
    """A Stable Diffusion XL of images of 16 x 16 pixels."""
    from diffusers import StableDiffusionXLPipeline

    return ready(StableDiffusionXLPipeline(**sdxl_parts()))


def dit() -> Any:
    """A pipeline of class labels."""
    begin()
    from diffusers import DDIMScheduler, DiTPipeline, DiTTransformer2DModel

    transformer = DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=1, sample_size=8,
        num_embeds_ada_norm=1000,
    )  # fmt: skip
    return ready(DiTPipeline(transformer=transformer, vae=autoencoder(), scheduler=DDIMScheduler()))


def ddpm() -> Any:
    """A pipeline that takes no prompt at all."""
    begin()
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    unet = UNet2DModel(
        sample_size=8, layers_per_block=1, block_out_channels=(8, 16), norm_num_groups=4,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2,
    )  # fmt: skip
    return ready(DDPMPipeline(unet, DDPMScheduler()))


def z_image() -> Any:
    """A Z-Image, which hands its transformer a list of samples."""
    begin()
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    encoder = Qwen3Model(
        Qwen3Config(
            vocab_size=len(WORDS), hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=2, head_dim=16,
        )
    )  # fmt: skip
    transformer = ZImageTransformer2DModel(
        in_channels=4, dim=WIDTH, n_layers=1, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=WIDTH,
        axes_dims=[8, 4, 4], axes_lens=[256, 32, 32],
    )  # fmt: skip
    return ready(ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=autoencoder(4, 2, shift_factor=0.1), text_encoder=encoder,
        tokenizer=letter_tokenizer(), transformer=transformer,
    ))  # fmt: skip


def wan() -> Any:
    """A Wan 2.2, whose first steps another transformer takes than its last ones."""
    begin()
    from diffusers import (
        AutoencoderKLWan,
        FlowMatchEulerDiscreteScheduler,
        WanPipeline,
        WanTransformer3DModel,
    )

    first, second = (
        WanTransformer3DModel(
            num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4, text_dim=WIDTH, freq_dim=16,
            ffn_dim=WIDTH, num_layers=1, cross_attn_norm=True, rope_max_seq_len=32,
        )
        for _ in range(2)
    )  # fmt: skip
    vae = AutoencoderKLWan(
        base_dim=4, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True],
        latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
    )  # fmt: skip
    return ready(
        WanPipeline(
            letter_tokenizer(),
            t5_text(multilingual=True),
            vae,
            FlowMatchEulerDiscreteScheduler(shift=7.0),
            first,
            second,
            0.9,
        )
    )


def kandinsky_parts() -> tuple[dict[str, Any], dict[str, Any]]:
    """The components of Kandinsky 2.2's prior, and those of its decoder."""
    begin()
    import torch
    from diffusers import DDIMScheduler, PriorTransformer, UnCLIPScheduler, UNet2DConditionModel, VQModel
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    tokenizer = clip_tokenizer()
    prior = PriorTransformer(
        num_attention_heads=2, attention_head_dim=8, embedding_dim=WIDTH, num_layers=1,
        num_embeddings=tokenizer.model_max_length,
    )  # fmt: skip
    prior.clip_std = torch.nn.Parameter(torch.ones_like(prior.clip_std))  # it begins with zeros
    vision = CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=8,
        projection_dim=WIDTH,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=8, layers_per_block=1, block_out_channels=(8, 16), norm_num_groups=4, in_channels=4, out_channels=8,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"), mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        addition_embed_type="image", encoder_hid_dim=WIDTH, encoder_hid_dim_type="image_proj", cross_attention_dim=WIDTH,
        attention_head_dim=4, resnet_time_scale_shift="scale_shift",
    )  # fmt: skip
    movq = VQModel(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2, latent_channels=4, norm_num_groups=4,
        up_block_types=("UpDecoderBlock2D",) * 2, num_vq_embeddings=12, vq_embed_dim=4,
    )  # fmt: skip
    first = {
        "prior": prior, "image_encoder": CLIPVisionModelWithProjection(vision), "text_encoder": clip_text(projected=True),
        "tokenizer": tokenizer, "image_processor": CLIPImageProcessor(crop_size=16, size={"shortest_edge": 16}),
        "scheduler": UnCLIPScheduler(
            variance_type="fixed_small_log", prediction_type="sample", clip_sample=True, clip_sample_range=5.0
        ),
    }  # fmt: skip
    return first, {"unet": unet, "movq": movq, "scheduler": DDIMScheduler(clip_sample=False)}


def kandinsky() -> Any:
    """A Kandinsky 2.2 with both stages in one pipeline."""
    from diffusers import KandinskyV22CombinedPipeline

    first, second = kandinsky_parts()
    return ready(
        KandinskyV22CombinedPipeline(**second, **{f"prior_{name}": part for name, part in first.items()})
    )


def copying() -> Any:
    """A pipeline that steps a copy of its scheduler next to its own, as LTX-2 does for its sound."""
    from diffusers import StableDiffusionXLPipeline

    class TwoTracks(StableDiffusionXLPipeline):  # type: ignore[misc]
        def __call__(self, *args: Any, **options: Any) -> Any:
            import torch

            def step(pipe: Any, index: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
                if index == 0:
                    self.other = copy.deepcopy(self.scheduler)
                    self.other.set_timesteps(len(self.scheduler.timesteps))
                    self.sound = torch.ones(1, 2, 2, 2)
                at = self.other.timesteps[index]
                self.sound = self.other.step(torch.zeros_like(self.sound), at, self.sound).prev_sample
                return tensors

            return super().__call__(*args, callback_on_step_end=step, **options)

    return ready(TwoTracks(**sdxl_parts()))
