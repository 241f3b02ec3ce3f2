"""Switches on what is listed, and tries numbers of steps until one is good."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
SAVING_MEMORY = False
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

for part in (pipe.vae,) if SAVING_MEMORY else ():
    part.enable_tiling()
for switch in ["enable_slicing"]:
    getattr(pipe.vae, switch)()
try:
    pipe.enable_xformers_memory_efficient_attention()
except Exception as error:
    print("no xformers:", error)

if __name__ == "__main__":
    for steps in (8, 20, 50):
        picture = pipe("a small white moon", num_inference_steps=steps).images[0]
        picture.save(f"moon-{steps}.png")
