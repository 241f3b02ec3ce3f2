"""A deeper U-Net in the place of the model's own."""

from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel

MODEL = "path/of/tiny-sd"
settings = UNet2DConditionModel.load_config(MODEL, subfolder="unet")
unet = UNet2DConditionModel.from_config(settings, layers_per_block=2)
pipe = StableDiffusionPipeline.from_pretrained(MODEL, unet=unet)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

if __name__ == "__main__":
    pipe("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
