"""A script that does everything in one function."""

from diffusers import DDIMScheduler, StableDiffusionPipeline


def main(steps=8):
    """Draw one image."""
    drawing = StableDiffusionPipeline.from_pretrained("path/of/tiny-sd")
    drawing.scheduler = DDIMScheduler.from_config(drawing.scheduler.config)
    prompt = "a large yellow ring"
    image = drawing(prompt, num_inference_steps=steps).images[0]
    image.save("out.png")


if __name__ == "__main__":
    main()
