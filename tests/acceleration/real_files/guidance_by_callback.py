"""Guidance that is switched off halfway, by a callback."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)


def stop_guiding(pipeline, step, time, tensors):
    if step == 3:
        pipeline._guidance_scale = 0.0
        tensors["prompt_embeds"] = tensors["prompt_embeds"].chunk(2)[-1]
    return tensors


if __name__ == "__main__":
    pipe(
        "a large yellow ring",
        num_inference_steps=8,
        callback_on_step_end=stop_guiding,
        callback_on_step_end_tensor_inputs=["prompt_embeds"],
    ).images[0].save("out.png")
