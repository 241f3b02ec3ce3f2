"""Images of the page: WebP in base64, each stored once under a hash of its bytes, within a size for each case."""

from __future__ import annotations

import base64
import hashlib
import io
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

CASE_CHARACTERS = 120_000
"""Characters of base64 that a case may take, on a page of few cases."""
PAGE_CHARACTERS = 18_000_000
"""Characters of base64 that all cases may take together."""
_SIZES = ((384, 82), (256, 78), (192, 72), (128, 66), (96, 60))  # longest side in pixels, quality
_SHARE = 4  # an image may take this part of what its case may take
_LONGEST_FILE = 64_000_000


@dataclass(frozen=True)
class Stored:
    """An image on the page.

    Attributes:
        key: under which its bytes are stored.
        width, height: in pixels, as it is stored.
    """

    key: str
    width: int
    height: int


@dataclass
class ImageStore:
    """Takes images until the room for their case is used up.

    Args:
        cases: on the page.

    Attributes:
        images: base64 of WebP by key.
    """

    cases: int
    images: dict[str, str] = field(default_factory=dict)
    _left: int = 0

    @property
    def room(self) -> int:
        """Characters that a case may take."""
        return min(CASE_CHARACTERS, PAGE_CHARACTERS // max(1, self.cases))

    def begin_case(self) -> None:
        """Give the next case its room."""
        self._left = self.room

    def pair(self, left: Path, right: Path) -> tuple[Stored, Stored] | None:
        """Return two images as they are stored, None where one cannot be read, or no room is left for both."""
        made = [self._encoded(path) for path in (left, right)]
        if made[0] is None or made[1] is None:
            return None
        new = {
            stored.key: text
            for stored, text in (found for found in made if found is not None)
            if stored.key not in self.images
        }
        size = sum(map(len, new.values()))
        if size > self._left:
            return None
        self._left -= size
        self.images |= new
        return made[0][0], made[1][0]

    def _encoded(self, path: Path) -> tuple[Stored, str] | None:
        with suppress(OSError, ValueError, SyntaxError):  # what Pillow raises of a file that is no image
            if path.stat().st_size <= _LONGEST_FILE:
                return _small(path.read_bytes(), self.room // _SHARE)
        return None


def _small(data: bytes, most: int) -> tuple[Stored, str] | None:
    """Return an image in at most so many characters, made smaller until it fits; None where it never does."""
    import PIL.Image  # noqa: PLC0415  only a page with images needs it

    image = PIL.Image.open(io.BytesIO(data))
    if image.format == "WEBP" and 4 * len(data) <= 3 * most and max(image.size) <= _SIZES[0][0]:
        return _stored(data, image.size)
    image.seek(0)  # of a video that is too large, the first frame
    frame = image.convert("RGB")
    for side, quality in _SIZES:
        scaled = frame.copy()
        scaled.thumbnail((side, side))
        file = io.BytesIO()
        scaled.save(file, "WEBP", quality=quality, method=4)
        if 4 * file.tell() <= 3 * most:
            return _stored(file.getvalue(), scaled.size)
    return None


def _stored(data: bytes, size: tuple[int, int]) -> tuple[Stored, str]:
    key = hashlib.sha256(data).hexdigest()[:20]
    return Stored(key, *size), base64.b64encode(data).decode("ascii")
