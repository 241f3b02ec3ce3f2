"""Tensors that are put together into a grid."""

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from torchvision.utils import make_grid

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

if __name__ == "__main__":
    generator = torch.Generator().manual_seed(1)
    (pictures, _) = pipe(
        ["a blue square"] * 3, num_inference_steps=8, generator=generator, output_type="pt", return_dict=False
    )
    torch.save(make_grid(pictures, nrow=3), "grid.pt")
