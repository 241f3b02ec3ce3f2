"""Twelve ways in which images can go wrong, each in four strengths, for benchmarks/power.py.

Eight change pixels. For the others a pipeline computes something else, or makes images of other prompts; they take the place
of some images of a set.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Images = Sequence[Image]
STRENGTHS = 4


@dataclass(frozen=True)
class Corruption:
    """A way in which a set of images goes wrong.

    Attributes:
        name: of it.
        strengths: as they are printed, from weak to strong.
        apply: from a pool, the number of the strength, the chosen indices and a source of chance to the images of the set.
    """

    name: str
    strengths: tuple[str, ...]
    apply: Callable[[Mapping[str, Images], int, Sequence[int], random.Random], list[Image]]


def of_pixels(
    name: str, strengths: Sequence[float], unit: str, change: Callable[[Image, float], Image]
) -> Corruption:
    """Return a corruption that changes every image."""

    def apply(pool: Mapping[str, Images], level: int, chosen: Sequence[int], _: random.Random) -> list[Image]:
        return [change(pool["base"][index], strengths[level]) for index in chosen]

    return Corruption(name, tuple(f"{strength:g}{unit}" for strength in strengths), apply)


def of_share(
    name: str, replace: Callable[[Mapping[str, Images], Sequence[int], int, random.Random], Image]
) -> Corruption:
    """Return a corruption that replaces a share of the images: a quarter, half, three quarters, all."""

    def apply(
        pool: Mapping[str, Images], level: int, chosen: Sequence[int], chance: random.Random
    ) -> list[Image]:
        images = [pool["base"][index] for index in chosen]
        for place in chance.sample(range(len(chosen)), (level + 1) * len(chosen) // STRENGTHS):
            images[place] = replace(pool, chosen, place, chance)
        return images

    return Corruption(name, ("25 %", "50 %", "75 %", "100 %"), apply)


def blur(image: Image, sigma: float) -> Image:
    """Blur an image by a Gaussian of so many pixels."""
    from scipy.ndimage import gaussian_filter  # noqa: PLC0415

    blurred: Image = gaussian_filter(image, (sigma, sigma, 0))
    return blurred


def black_frame(image: Image, share: float) -> Image:
    """Paint a frame black that is a share of the side wide."""
    width = max(1, round(share * min(image.shape[:2])))
    framed = np.zeros_like(image)
    framed[width:-width, width:-width] = image[width:-width, width:-width]
    return framed


def noise(image: Image, sd: float) -> Image:
    """Add white noise of so many grey levels; the same noise to the same image."""
    rng = np.random.default_rng(int(image.sum()))
    return _rounded(image + rng.normal(0, sd, image.shape))


def colour_shift(image: Image, degrees: float) -> Image:
    """Turn all hues by an angle."""
    hsv = np.asarray(PIL.Image.fromarray(image).convert("HSV")).copy()
    hsv[..., 0] = (hsv[..., 0].astype(int) + round(degrees / 360 * 256)) % 256
    return np.asarray(PIL.Image.fromarray(hsv, "HSV").convert("RGB"))


def contrast(image: Image, factor: float) -> Image:
    """Bring all values nearer to the middle grey."""
    return _rounded(128 + factor * (image.astype(float) - 128))


def half_resolution(image: Image, factor: float) -> Image:
    """Scale an image down by a factor and up again."""
    height, width = image.shape[:2]
    small = PIL.Image.fromarray(image).resize(
        (max(1, round(width * factor)), max(1, round(height * factor))), PIL.Image.Resampling.BICUBIC
    )
    return np.asarray(small.resize((width, height), PIL.Image.Resampling.BICUBIC))


def jpeg(image: Image, quality: float) -> Image:
    """Pack and unpack an image as JPEG."""
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "JPEG", quality=round(quality))
    return np.asarray(PIL.Image.open(file).convert("RGB"))


def shifted_crop(image: Image, share: float) -> Image:
    """Shift an image to the right and down by a share of its side; the edges are repeated."""
    moved = max(1, round(share * min(image.shape[:2])))
    return np.pad(image, ((moved, 0), (moved, 0), (0, 0)), "edge")[: image.shape[0], : image.shape[1]]


def _other_prompt(
    pool: Mapping[str, Images], chosen: Sequence[int], place: int, chance: random.Random
) -> Image:
    others = [index for index in range(len(pool["base"])) if index not in chosen]
    return pool["base"][chance.choice(others)]


def _repeated(pool: Mapping[str, Images], chosen: Sequence[int], place: int, chance: random.Random) -> Image:
    """Return the first image with one grey level changed: an exact copy is found without any statistics."""
    copy = pool["base"][chosen[0]].copy()
    copy[place % copy.shape[0], 0] ^= 1
    return copy


def _reused(pool: Mapping[str, Images], chosen: Sequence[int], place: int, chance: random.Random) -> Image:
    return pool["one seed"][chosen[place]]


def _late_guidance(
    pool: Mapping[str, Images], level: int, chosen: Sequence[int], _: random.Random
) -> list[Image]:
    return [pool[f"guidance {level}"][index] for index in chosen]


def _rounded(values: NDArray[np.float64]) -> Image:
    return values.round().clip(0, 255).astype(np.uint8)


WITHOUT_GUIDANCE = (0.25, 0.5, 0.75, 1.0)
"""Share of the last steps that are made without guidance."""
CORRUPTIONS: tuple[Corruption, ...] = (
    of_pixels("blur", (0.3, 0.5, 0.8, 1.5), " px", blur),
    of_pixels("black frame", (0.03, 0.06, 0.12, 0.25), " of side", black_frame),
    of_pixels("noise", (2, 5, 10, 25), " levels", noise),
    of_pixels("colour shift", (10, 25, 60, 150), " deg", colour_shift),
    of_pixels("contrast", (0.95, 0.85, 0.7, 0.4), "x", contrast),
    of_share("prompt swapped", _other_prompt),
    Corruption("guidance dropped late", tuple(f"{100 * share:g} %" for share in WITHOUT_GUIDANCE), _late_guidance),
    of_pixels("half resolution", (0.9, 0.75, 0.5, 0.25), "x", half_resolution),
    of_pixels("JPEG", (90, 60, 30, 10), " q", jpeg),
    of_pixels("shifted crop", (0.03, 0.06, 0.12, 0.25), " of side", shifted_crop),
    of_share("one repeated image", _repeated),
    of_share("latents reused", _reused),
)  # fmt: skip
"""All twelve; strengths go from weak to strong."""
