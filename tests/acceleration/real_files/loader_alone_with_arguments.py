"""Only a loader, and it needs to be told what."""

from diffusers import StableDiffusionPipeline


def load_pipe(folder):
    return StableDiffusionPipeline.from_pretrained(folder)


if __name__ == "__main__":
    load_pipe("path/of/tiny-sd")("a large yellow ring", num_inference_steps=8).images[0].save("out.png")
