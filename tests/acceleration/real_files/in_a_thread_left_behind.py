"""A window that stays open while a thread draws; nobody waits for the thread."""

import threading

from diffusers import DDIMScheduler, StableDiffusionPipeline

MODEL = "path/of/tiny-sd"
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)


class Drawing(threading.Thread):
    def __init__(self, text):
        super().__init__()
        self.text = text

    def run(self):
        self.image = pipe(self.text, num_inference_steps=8).images[0]


if __name__ == "__main__":
    Drawing("a large yellow ring").start()
