"""How a file of each family calls its pipeline of videos, and what has to come of it."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

HELPERS = Path(__file__).parent
HEAD = f"""
import sys
sys.path.insert(0, {str(HELPERS)!r})
from PIL import Image
import torch
import tiny_pipelines
import tiny_videos as tiny
"""
PICTURE = "Image.linear_gradient('L').convert('RGB').resize((32, 32))"


@dataclass(frozen=True)
class Family:
    """A pipeline of videos.

    Attributes:
        class_name: of diffusers.
        build: the expression that makes it, see `tiny_videos`; a model that is made for its frames takes ``{frames}``.
        call: the arguments of its call but frames and steps.
        frames, fewer: numbers of frames, and of a candidate that makes fewer.
        frames_name: of the argument that asks for them.
        steps: of its scheduler.
        calls: how often a sample goes through each denoiser for a video.
        side: height and width in pixels.
        batch: how many prompts it takes in a call.
    """

    class_name: str
    build: str
    call: str
    calls: dict[str, float]
    frames: int = 9
    fewer: int = 5
    frames_name: str = "num_frames"
    steps: int = 3
    side: int = 32
    batch: int = 2
    head: str = ""

    def built(self, frames: int | None = None) -> str:
        """Return the expression that makes it, for so many frames."""
        return self.build.format(frames=frames or self.frames)

    def source(self, *, frames: int | None = None, steps: int | None = None, after: str = "") -> str:
        """Return a file of it.

        Args:
            frames, steps: in place of the family's.
            after: what it does to its pipeline, a line.
        """
        asked = f"{self.frames_name}={frames or self.frames}, num_inference_steps={steps or self.steps}"
        return textwrap.dedent(
            f"{HEAD}{self.head}\npipe = {self.built(frames)}\n{after}\nif __name__ == '__main__':\n"
            f"    pipe({self.call}, {asked})\n"
        )


_SIZE = "height=32, width=32, max_sequence_length=16"
_SMALL = f"'a red star', {_SIZE}"
FAMILIES = {
    "ltx": Family("LTXPipeline", "tiny.ltx()", _SMALL, {"transformer": 6.0}, frames=17, fewer=9),
    "ltx-image": Family(
        "LTXImageToVideoPipeline", "tiny.ltx('LTXImageToVideoPipeline')", f"{PICTURE}, 'a red star', {_SIZE}",
        {"transformer": 6.0}, frames=17, fewer=9, batch=1,
    ),
    "ltx-condition": Family(
        "LTXConditionPipeline", "tiny.ltx('LTXConditionPipeline')",
        f"conditions=[LTXVideoCondition(image={PICTURE}, frame_index=8)], prompt='a red star', {_SIZE}",
        {"transformer": 6.0}, frames=17, fewer=9, batch=1,
        head="from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition\n",
    ),
    "ltx-2": Family(
        "LTX2Pipeline", "tiny.ltx2()", f"{_SMALL}, spatio_temporal_guidance_blocks=[1]", {"transformer": 12.0},
        frames=17, fewer=9,
    ),
    "cogvideox": Family("CogVideoXPipeline", "tiny.cogvideox()", _SMALL, {"transformer": 6.0}, fewer=1),
    "cogvideox-image": Family(
        "CogVideoXImageToVideoPipeline", "tiny.cogvideox('CogVideoXImageToVideoPipeline')",
        f"{PICTURE}, 'a red star', {_SIZE}", {"transformer": 6.0}, fewer=1, batch=1,
    ),
    "hunyuan": Family(
        "HunyuanVideoPipeline", "tiny.hunyuan()", f"{_SMALL}, prompt_template={{'template': '{{}}', 'crop_start': 0}}",
        {"transformer": 3.0},
    ),
    "mochi": Family("MochiPipeline", "tiny.mochi()", _SMALL, {"transformer": 6.0}, frames=13, fewer=7),
    "latte": Family(
        "LattePipeline", "tiny.latte({frames})", "'a red star', height=16, width=16, clean_caption=False",
        {"transformer": 6.0}, frames=4, fewer=3, frames_name="video_length", side=16,
    ),
    "skyreels": Family(
        "SkyReelsV2DiffusionForcingPipeline", "tiny.skyreels()", _SMALL, {"transformer": 6.0}
    ),
    "kandinsky-5": Family(
        "Kandinsky5T2VPipeline", "tiny.kandinsky5()", f"{_SMALL.replace('16', '32')}, negative_prompt='dim'",
        {"transformer": 6.0},
    ),
    "wan-2.2": Family(
        "WanPipeline", "tiny_pipelines.wan()", "'a red star', height=16, width=16, max_sequence_length=16",
        {"transformer": 6.0, "transformer_2": 6.0}, frames=5, fewer=1, steps=6, side=16,
    ),
}  # fmt: skip
