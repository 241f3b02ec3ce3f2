"""Behind a coroutine, as a server has it."""

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

import asyncio  # noqa: E402


class Service:
    def __init__(self, pipeline):
        self.pipeline = pipeline

    async def answer(self, text):
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, lambda: self.pipeline(text, num_inference_steps=8))


if __name__ == "__main__":
    asyncio.run(Service(pipe).answer("a blue square")).images[0].save("out.png")
