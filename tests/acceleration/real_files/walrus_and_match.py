"""Newer syntax all over: match, walrus, type aliases, bytes, complex numbers, an ellipsis."""

from typing import Final, Protocol, TypeAlias

from diffusers import DDIMScheduler, StableDiffusionPipeline

Settings: TypeAlias = dict[str, int | float]
MODEL: Final = "path/of/tiny-sd"
MAGIC = b"\x89PNG"
TURN = 0.5 + 2j
ALMOST_NOTHING = -1e-7
pipe = StableDiffusionPipeline.from_pretrained(MODEL)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)


class Draws(Protocol):
    def __call__(self, text: str, /, **settings: float) -> object: ...


def settings_for(quality: str) -> Settings:
    match quality.split("-"):
        case ["draft", *_]:
            return {"num_inference_steps": 2}
        case [("final" | "print") as kind] if (steps := 0x8) and len(kind) > 4:
            return {"num_inference_steps": steps, "guidance_scale": 1_5 / 2}
        case _:
            raise ValueError(quality)


if __name__ == "__main__":
    draw: Draws = pipe
    if (found := draw("a large yellow ring", **settings_for("final"))) is not ...:
        found.images[0].save("out.png")
