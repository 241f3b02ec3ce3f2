"""The stochastic form of the solver."""

from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("path/of/tiny-sd")
pipe.scheduler = DPMSolverMultistepScheduler.from_config(
    pipe.scheduler.config, algorithm_type="sde-dpmsolver++", use_karras_sigmas=True
)

if __name__ == "__main__":
    pipe("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
