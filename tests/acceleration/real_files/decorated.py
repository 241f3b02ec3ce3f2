"""Decorators around the loader and around the call, settings in a dataclass."""

import functools
import time
from dataclasses import asdict, dataclass

from diffusers import DDIMScheduler, StableDiffusionPipeline


@dataclass(frozen=True)
class Settings:
    num_inference_steps: int = 8
    guidance_scale: float = 15 / 2


def timed(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            print(f"{function.__name__}: {time.perf_counter() - start:.2f} s")

    return inner


@functools.cache
def load_pipe(folder: str = "path/of/tiny-sd"):
    made = StableDiffusionPipeline.from_pretrained(folder)
    made.scheduler = DDIMScheduler.from_config(made.scheduler.config)
    return made


@timed
def draw(text: str, *, settings: Settings = Settings()):
    return load_pipe()(text, **asdict(settings)).images[0]


if __name__ == "__main__":
    draw("a small red star").save("out.png")
