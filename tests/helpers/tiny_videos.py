"""Pipelines of videos, of sound and of edited images with random weights, built from configurations as in `tiny_pipelines`.

What they make is noise: it serves tests of how they are called, of what is counted, and of what is judged.
"""

from __future__ import annotations

from typing import Any

from tiny_pipelines import (
    WIDTH,
    WORDS,
    autoencoder,
    begin,
    clip_text,
    clip_tokenizer,
    letter_tokenizer,
    ready,
    t5_text,
)

LATENTS = 4


def ltx_parts() -> dict[str, Any]:
    """The components of LTX-Video: 8 pixels and 8 frames for each latent one."""
    begin()
    from diffusers import (
        AutoencoderKLLTXVideo,
        FlowMatchEulerDiscreteScheduler,
        LTXVideoTransformer3DModel,
    )

    transformer = LTXVideoTransformer3DModel(
        in_channels=LATENTS, out_channels=LATENTS, num_attention_heads=2, attention_head_dim=8, cross_attention_dim=16,
        num_layers=1, caption_channels=WIDTH,
    )  # fmt: skip
    vae = AutoencoderKLLTXVideo(
        latent_channels=LATENTS, block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4, layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 5, spatio_temporal_scaling=(True, True, True, False),
        decoder_spatio_temporal_scaling=(True, True, True, False), patch_size=1,
    )  # fmt: skip
    return {
        "transformer": transformer, "vae": vae, "scheduler": FlowMatchEulerDiscreteScheduler(),
        "text_encoder": t5_text(), "tokenizer": letter_tokenizer(),
    }  # fmt: skip


def ltx(kind: str = "LTXPipeline") -> Any:
    """An LTX-Video, from a text, from an image, or from conditions at some frames."""
    import diffusers

    return ready(getattr(diffusers, kind)(**ltx_parts()))


def ltx_upsampler(vae: Any) -> Any:
    """What doubles the size of LTX's latents, between the two halves of a chain."""
    from diffusers import LTXLatentUpsamplePipeline
    from diffusers.pipelines.ltx.modeling_latent_upsampler import LTXLatentUpsamplerModel

    model = LTXLatentUpsamplerModel(in_channels=LATENTS, mid_channels=32, num_blocks_per_stage=1)
    return ready(LTXLatentUpsamplePipeline(vae, model))


def ltx_modular() -> Any:
    """The same LTX-Video, put together from blocks."""
    from diffusers.modular_pipelines import LTXAutoBlocks

    pipe = LTXAutoBlocks().init_pipeline()
    pipe.update_components(**ltx_parts())
    return ready(pipe)


def ltx2(kind: str = "LTX2Pipeline") -> Any:
    """An LTX-2, which makes sound too, and steps a copy of its scheduler for it."""
    begin()
    import diffusers
    from diffusers import (
        AutoencoderKLLTX2Audio,
        AutoencoderKLLTX2Video,
        FlowMatchEulerDiscreteScheduler,
        LTX2VideoTransformer3DModel,
    )
    from diffusers.pipelines.ltx2 import LTX2TextConnectors, LTX2Vocoder
    from transformers import Gemma3TextConfig, Gemma3TextModel

    encoder = Gemma3TextModel(
        Gemma3TextConfig(
            vocab_size=len(WORDS), hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, head_dim=16, pad_token_id=0, bos_token_id=1, eos_token_id=1,
        )
    )  # fmt: skip
    connectors = LTX2TextConnectors(
        caption_channels=WIDTH, text_proj_in_factor=3, video_connector_num_attention_heads=2,
        video_connector_attention_head_dim=16, video_connector_num_layers=1, video_connector_num_learnable_registers=8,
        audio_connector_num_attention_heads=2, audio_connector_attention_head_dim=16, audio_connector_num_layers=1,
        audio_connector_num_learnable_registers=8, connector_rope_base_seq_len=32, rope_double_precision=False,
    )  # fmt: skip
    transformer = LTX2VideoTransformer3DModel(
        in_channels=LATENTS, out_channels=LATENTS, num_attention_heads=2, attention_head_dim=16, cross_attention_dim=32,
        audio_in_channels=8, audio_out_channels=8, audio_num_attention_heads=2, audio_attention_head_dim=8,
        audio_cross_attention_dim=16, num_layers=2, caption_channels=WIDTH, rope_double_precision=False,
        vae_scale_factors=(8, 8, 8), perturbed_attn=True,
    )  # fmt: skip
    vae = AutoencoderKLLTX2Video(
        latent_channels=LATENTS, block_out_channels=(8, 16, 32, 64), decoder_block_out_channels=(8, 16, 32),
        layers_per_block=(1,) * 5, decoder_layers_per_block=(1,) * 4, patch_size=1, spatial_compression_ratio=8,
        temporal_compression_ratio=8,
    )  # fmt: skip
    audio = AutoencoderKLLTX2Audio(
        base_channels=8, ch_mult=(1, 1, 1), num_res_blocks=1, latent_channels=2, mel_bins=16, resolution=32
    )
    vocoder = LTX2Vocoder(
        in_channels=32, hidden_channels=16, upsample_kernel_sizes=[4, 4], upsample_factors=[2, 2], resnet_kernel_sizes=[3],
        resnet_dilations=[[1]], output_sampling_rate=16000,
    )  # fmt: skip
    return ready(getattr(diffusers, kind)(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae, audio_vae=audio, text_encoder=encoder,
        tokenizer=letter_tokenizer(), connectors=connectors, transformer=transformer, vocoder=vocoder,
    ))  # fmt: skip


def cogvideox(kind: str = "CogVideoXPipeline") -> Any:
    """A CogVideoX; the one that begins with an image steps as the large model does, with the step before in hand."""
    begin()
    import diffusers
    from diffusers import (
        AutoencoderKLCogVideoX,
        CogVideoXDDIMScheduler,
        CogVideoXDPMScheduler,
        CogVideoXTransformer3DModel,
    )

    is_of_image = kind == "CogVideoXImageToVideoPipeline"
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=LATENTS * (2 if is_of_image else 1), out_channels=LATENTS,
        time_embed_dim=8, text_embed_dim=WIDTH, num_layers=1, sample_width=4, sample_height=4, sample_frames=9,
        max_text_seq_length=16, use_rotary_positional_embeddings=True,
    )  # fmt: skip
    vae = AutoencoderKLCogVideoX(
        block_out_channels=(8,) * 4, latent_channels=LATENTS, layers_per_block=1, norm_num_groups=2, sample_height=32,
        sample_width=32,
    )  # fmt: skip
    scheduler = CogVideoXDPMScheduler() if is_of_image else CogVideoXDDIMScheduler()
    return ready(getattr(diffusers, kind)(letter_tokenizer(), t5_text(), vae, transformer, scheduler))


def hunyuan_vae() -> Any:
    """The autoencoder of HunyuanVideo: 8 pixels and 4 frames for each latent one."""
    from diffusers import AutoencoderKLHunyuanVideo

    return AutoencoderKLHunyuanVideo(
        latent_channels=LATENTS, block_out_channels=(8,) * 4, layers_per_block=1, norm_num_groups=4
    )


def hunyuan() -> Any:
    """A HunyuanVideo, of two text encoders."""
    begin()
    from diffusers import (
        FlowMatchEulerDiscreteScheduler,
        HunyuanVideoPipeline,
        HunyuanVideoTransformer3DModel,
    )
    from transformers import LlamaConfig, LlamaModel

    encoder = LlamaModel(
        LlamaConfig(
            vocab_size=len(WORDS), hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=2, num_attention_heads=2,
            pad_token_id=0,
        )
    )  # fmt: skip
    transformer = HunyuanVideoTransformer3DModel(
        in_channels=LATENTS, out_channels=LATENTS, num_attention_heads=2, attention_head_dim=12, num_layers=1,
        num_single_layers=1, num_refiner_layers=1, patch_size=1, text_embed_dim=WIDTH, pooled_projection_dim=WIDTH,
        rope_axes_dim=(4, 4, 4),
    )  # fmt: skip
    return ready(HunyuanVideoPipeline(
        text_encoder=encoder, tokenizer=letter_tokenizer(), transformer=transformer, vae=hunyuan_vae(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0), text_encoder_2=clip_text(positions=77),
        tokenizer_2=clip_tokenizer(),
    ))  # fmt: skip


def mochi() -> Any:
    """A Mochi: 8 pixels and 6 frames for each latent one."""
    begin()
    from diffusers import (
        AutoencoderKLMochi,
        FlowMatchEulerDiscreteScheduler,
        MochiPipeline,
        MochiTransformer3DModel,
    )

    transformer = MochiTransformer3DModel(
        num_attention_heads=2, attention_head_dim=8, num_layers=2, pooled_projection_dim=16, in_channels=12,
        text_embed_dim=WIDTH, time_embed_dim=8, max_sequence_length=16,
    )  # fmt: skip
    vae = AutoencoderKLMochi(
        latent_channels=12, encoder_block_out_channels=(32,) * 4, decoder_block_out_channels=(32,) * 4,
        layers_per_block=(1,) * 5,
    )  # fmt: skip
    return ready(
        MochiPipeline(FlowMatchEulerDiscreteScheduler(), vae, t5_text(), letter_tokenizer(), transformer)
    )


def latte(frames: int) -> Any:
    """A Latte of so many frames, which says `video_length` where others say `num_frames`."""
    begin()
    from diffusers import DDIMScheduler, LattePipeline, LatteTransformer3DModel

    transformer = LatteTransformer3DModel(
        num_attention_heads=2, attention_head_dim=8, in_channels=LATENTS, out_channels=2 * LATENTS, cross_attention_dim=16,
        attention_bias=True, sample_size=8, patch_size=2, num_embeds_ada_norm=1000, norm_type="ada_norm_single",
        norm_elementwise_affine=False, caption_channels=WIDTH, video_length=frames,
    )  # fmt: skip
    return ready(
        LattePipeline(letter_tokenizer(), t5_text(), autoencoder(4, 2), transformer, DDIMScheduler())
    )


def wan_vae() -> Any:
    """The autoencoder of Wan: 8 pixels and 4 frames for each latent one."""
    from diffusers import AutoencoderKLWan

    return AutoencoderKLWan(
        base_dim=4, z_dim=LATENTS, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True],
        latents_mean=[0.0] * LATENTS, latents_std=[1.0] * LATENTS,
    )  # fmt: skip


def skyreels() -> Any:
    """A SkyReels-V2 of diffusion forcing, which steps a copy of its scheduler for each latent frame."""
    begin()
    from diffusers import (
        SkyReelsV2DiffusionForcingPipeline,
        SkyReelsV2Transformer3DModel,
        UniPCMultistepScheduler,
    )

    transformer = SkyReelsV2Transformer3DModel(
        num_attention_heads=2, attention_head_dim=12, in_channels=LATENTS, out_channels=LATENTS, text_dim=WIDTH, freq_dim=16,
        ffn_dim=WIDTH, num_layers=1, cross_attn_norm=True, rope_max_seq_len=32,
    )  # fmt: skip
    scheduler = UniPCMultistepScheduler(
        flow_shift=8.0, use_flow_sigmas=True, prediction_type="flow_prediction"
    )
    return ready(
        SkyReelsV2DiffusionForcingPipeline(
            letter_tokenizer(), t5_text(multilingual=True), transformer, wan_vae(), scheduler
        )
    )


def kandinsky5() -> Any:
    """A Kandinsky 5, whose transformer takes its frames last in the row of dimensions."""
    begin()
    from diffusers import (
        FlowMatchEulerDiscreteScheduler,
        Kandinsky5T2VPipeline,
        Kandinsky5Transformer3DModel,
    )
    from transformers import Qwen3Config, Qwen3Model

    class Processor:
        """Takes texts next to no images, as the processor of Qwen does."""

        def __init__(self) -> None:
            self.tokenizer = letter_tokenizer()

        def __call__(self, text: list[str], images: None = None, videos: None = None, **options: Any) -> Any:
            return self.tokenizer(text, **options)

        def decode(self, tokens: Any) -> str:
            return str(self.tokenizer.decode(tokens))

    encoder = Qwen3Model(
        Qwen3Config(
            vocab_size=len(WORDS), hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=2, head_dim=16,
        )
    )  # fmt: skip
    transformer = Kandinsky5Transformer3DModel(
        in_visual_dim=LATENTS, out_visual_dim=LATENTS, in_text_dim=WIDTH, in_text_dim2=WIDTH, time_dim=16, model_dim=24,
        ff_dim=WIDTH, num_text_blocks=1, num_visual_blocks=1, axes_dims=(4, 4, 4),
    )  # fmt: skip
    pipe = Kandinsky5T2VPipeline(
        transformer=transformer, vae=hunyuan_vae(), text_encoder=encoder, tokenizer=Processor(),
        text_encoder_2=clip_text(positions=77), tokenizer_2=clip_tokenizer(), scheduler=FlowMatchEulerDiscreteScheduler(),
    )  # fmt: skip
    pipe.prompt_template, pipe.prompt_template_encode_start_idx = "{}", 0
    return ready(pipe)


# Not videos


def stable_audio() -> Any:
    """A pipeline of sound."""
    begin()
    from diffusers import (
        AutoencoderOobleck,
        DPMSolverMultistepScheduler,
        StableAudioDiTModel,
        StableAudioPipeline,
        StableAudioProjectionModel,
    )

    transformer = StableAudioDiTModel(
        sample_size=4, in_channels=3, num_layers=1, attention_head_dim=16, num_attention_heads=2,
        num_key_value_attention_heads=2, out_channels=3, cross_attention_dim=WIDTH, time_proj_dim=8,
        global_states_input_dim=2 * WIDTH, cross_attention_input_dim=WIDTH,
    )  # fmt: skip
    vae = AutoencoderOobleck(
        encoder_hidden_size=6, downsampling_ratios=[1, 2], decoder_channels=3, decoder_input_channels=3,
        channel_multiples=[2, 4], sampling_rate=4,
    )  # fmt: skip
    return ready(StableAudioPipeline(
        vae=vae, text_encoder=t5_text(), projection_model=StableAudioProjectionModel(WIDTH, WIDTH, 0, 32),
        tokenizer=letter_tokenizer(), transformer=transformer, scheduler=DPMSolverMultistepScheduler(solver_order=2),
    ))  # fmt: skip


def flux2_klein() -> Any:
    """A Flux 2 klein, which edits several images by one text."""
    begin()
    from diffusers import (
        AutoencoderKLFlux2,
        FlowMatchEulerDiscreteScheduler,
        Flux2KleinPipeline,
        Flux2Transformer2DModel,
    )
    from transformers import Qwen3Config, Qwen3ForCausalLM

    encoder = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(WORDS), hidden_size=16, intermediate_size=16, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=2, head_dim=8,
        )
    )  # fmt: skip
    transformer = Flux2Transformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=48, timestep_guidance_channels=16, axes_dims_rope=(4, 4, 4, 4), guidance_embeds=False,
    )  # fmt: skip
    vae = AutoencoderKLFlux2(
        down_block_types=("DownEncoderBlock2D",), up_block_types=("UpDecoderBlock2D",), block_out_channels=(8,),
        layers_per_block=1, latent_channels=4, norm_num_groups=4, sample_size=16,
    )  # fmt: skip
    return ready(Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae, text_encoder=encoder, tokenizer=letter_tokenizer(),
        transformer=transformer,
    ))  # fmt: skip


def _unet(**more: Any) -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=8, layers_per_block=1, block_out_channels=(8, 16), norm_num_groups=4, out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4, cross_attention_dim=WIDTH, **more,
    )  # fmt: skip


def upscaler() -> Any:
    """A Stable Diffusion that makes an image four times as large, and adds noise to it before."""
    begin()
    from diffusers import DDIMScheduler, DDPMScheduler, StableDiffusionUpscalePipeline

    return ready(StableDiffusionUpscalePipeline(
        vae=autoencoder(4, 4), text_encoder=clip_text(), tokenizer=clip_tokenizer(),
        unet=_unet(in_channels=7, num_class_embeds=1000), low_res_scheduler=DDPMScheduler(), scheduler=DDIMScheduler(),
    ))  # fmt: skip


def inpainting() -> Any:
    """A Stable Diffusion that fills in what a mask leaves out."""
    begin()
    from diffusers import DDIMScheduler, StableDiffusionInpaintPipeline

    return ready(StableDiffusionInpaintPipeline(
        vae=autoencoder(4, 2), text_encoder=clip_text(), tokenizer=clip_tokenizer(), unet=_unet(in_channels=9),
        scheduler=DDIMScheduler(), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    ))  # fmt: skip
