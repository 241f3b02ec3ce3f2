"""What a model server loads: a class with a setup, which nothing in this file makes."""

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline


class Predictor:
    def setup(self):
        self.model = StableDiffusionPipeline.from_pretrained("path/of/tiny-sd").to("cpu")
        self.model.scheduler = DDIMScheduler.from_config(self.model.scheduler.config)

    @torch.inference_mode()
    def predict(self, prompt: str, steps: int = 8, seed: int = 0) -> str:
        generator = torch.Generator().manual_seed(seed)
        self.model(prompt, num_inference_steps=steps, generator=generator).images[0].save("out.png")
        return "out.png"
