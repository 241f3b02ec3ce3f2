"""Constants that are written over, by hand and by the environment."""

import os

from diffusers import DDIMScheduler, EulerDiscreteScheduler, StableDiffusionPipeline

STEPS = 50
STEPS = 8
MODEL = "someone/other-model"
MODEL = "path/of/tiny-sd"
Scheduler = EulerDiscreteScheduler
Scheduler = DDIMScheduler
if os.environ.get("QUICK_LOOK"):
    STEPS = 2
    Scheduler = EulerDiscreteScheduler

pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = Scheduler.from_config(pipe.scheduler.config)


def main(steps=None):
    steps = steps or STEPS
    pipe("a large yellow ring", num_inference_steps=steps).images[0].save("out.png")


if __name__ == "__main__":
    main()
