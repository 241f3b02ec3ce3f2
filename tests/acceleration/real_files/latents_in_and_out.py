"""Noise of its own goes in, latents come out and are decoded by hand."""

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)


def main():
    size = pipe.unet.config.sample_size
    noise = torch.randn((2, 4, size, size), generator=torch.manual_seed(0))
    texts = ["a large yellow ring", "a blue square"]
    latents = pipe(texts, latents=noise, num_inference_steps=8, output_type="latent").images
    with torch.no_grad():
        decoded = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
    for number, picture in enumerate(pipe.image_processor.postprocess(decoded, output_type="pil")):
        picture.save(f"{number}.png")


if __name__ == "__main__":
    main()
