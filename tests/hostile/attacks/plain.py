"""The target and the baseline: four steps of a small model, as everybody writes it."""

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

MODEL = "path/of/model"
STEPS = 4

torch.manual_seed(0)
tokenizer = CLIPTokenizer.from_pretrained(f"{MODEL}/tokenizer")
text = CLIPTextConfig(
    vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
    max_position_embeddings=tokenizer.model_max_length,
)  # fmt: skip
pipe = StableDiffusionPipeline(
    unet=UNet2DConditionModel(
        sample_size=8, layers_per_block=1, block_out_channels=(8, 16), cross_attention_dim=16, norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=2,
    ),
    vae=AutoencoderKL(
        block_out_channels=(8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3, latent_channels=4, norm_num_groups=4, sample_size=32,
    ),
    text_encoder=CLIPTextModel(text), tokenizer=tokenizer,
    scheduler=DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
    safety_checker=None, feature_extractor=None, requires_safety_checker=False,
)  # fmt: skip


def draw(pipe, prompts, generators, steps=STEPS):
    return pipe(prompts, generator=generators, num_inference_steps=steps).images


if __name__ == "__main__":
    pipe("a large yellow ring", num_inference_steps=STEPS).images[0].save("out.png")
