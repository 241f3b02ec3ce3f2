"""A denoising loop over parts that were loaded one by one, without any pipeline."""

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

MODEL = "path/of/tiny-sd"
tokenizer = CLIPTokenizer.from_pretrained(MODEL, subfolder="tokenizer")
text_encoder = CLIPTextModel.from_pretrained(MODEL, subfolder="text_encoder")
unet = UNet2DConditionModel.from_pretrained(MODEL, subfolder="unet")
vae = AutoencoderKL.from_pretrained(MODEL, subfolder="vae")
scheduler = DDIMScheduler.from_pretrained(MODEL, subfolder="scheduler")


@torch.no_grad()
def draw(prompt, steps=8):
    tokens = tokenizer([prompt], padding="max_length", truncation=True, return_tensors="pt")
    states = text_encoder(tokens.input_ids)[0]
    latents = torch.randn(1, unet.config.in_channels, unet.config.sample_size, unet.config.sample_size)
    scheduler.set_timesteps(steps)
    for step in scheduler.timesteps:
        noise = unet(scheduler.scale_model_input(latents, step), step, encoder_hidden_states=states).sample
        latents = scheduler.step(noise, step, latents).prev_sample
    return vae.decode(latents / vae.config.scaling_factor).sample


if __name__ == "__main__":
    torch.save(draw("a large yellow ring"), "image.pt")
