"""Images of the page: WebP in base64, each stored once under a hash of its bytes, within a size for each case."""

from __future__ import annotations

import base64
import hashlib
import io
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import PIL.Image

CASE_CHARACTERS = 120_000
"""Characters of base64 that a case may take, on a page of few cases."""
PAGE_CHARACTERS = 17_000_000
"""Characters of base64 that all cases may take together."""
STILL_BYTES = 10_000
"""Bytes of an image, so that a case has room for some. A run keeps its images so, and the page takes them as they are."""
_SIZES = ((320, 82), (320, 68), (256, 68), (192, 64), (128, 60), (96, 50))  # longest side in pixels, quality
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
        left_out: pairs of the case for which there was no room.
    """

    cases: int
    images: dict[str, str] = field(default_factory=dict)
    _left: int = 0
    _is_full: bool = False
    left_out: int = 0

    @property
    def room(self) -> int:
        """Characters that a case may take."""
        return min(CASE_CHARACTERS, PAGE_CHARACTERS // max(1, self.cases))

    def begin_case(self) -> None:
        """Give the next case its room."""
        self._left, self._is_full, self.left_out = self.room, False, 0

    def pair(self, left: Path, right: Path) -> tuple[Stored, Stored] | None:
        """Return two images as they are stored, None where one cannot be read, or no room is left for both."""
        if self._is_full:  # what would not be shown need not be encoded
            self.left_out += 1
            return None
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
            self._is_full = True
            self.left_out += 1
            return None
        self._left -= size
        self.images |= new
        return made[0][0], made[1][0]

    def _encoded(self, path: Path) -> tuple[Stored, str] | None:
        with suppress(OSError, ValueError, SyntaxError):  # what Pillow raises of a file that is no image
            if path.stat().st_size <= _LONGEST_FILE:
                return self._stored(path.read_bytes())
        return None

    def _stored(self, data: bytes) -> tuple[Stored, str]:
        import PIL.Image  # noqa: PLC0415  only a page with images needs it

        image = PIL.Image.open(io.BytesIO(data))
        if image.format != "WEBP" or len(data) > STILL_BYTES:
            image.seek(0)  # of a video that is too large, the first frame
            data = small_webp(image)
            image = PIL.Image.open(io.BytesIO(data))
        key = hashlib.sha256(data).hexdigest()[:20]
        return Stored(key, *image.size), base64.b64encode(data).decode("ascii")


def small_webp(image: PIL.Image.Image) -> bytes:
    """Return an image as WebP of at most `STILL_BYTES`, made smaller until it is; noise alone may be a little larger."""
    frame = image.convert("RGB")
    data = b""
    for side, quality in _SIZES:
        scaled = frame.copy()
        scaled.thumbnail((side, side))
        file = io.BytesIO()
        scaled.save(file, "WEBP", quality=quality, method=3)
        data = file.getvalue()
        if len(data) <= STILL_BYTES:
            break
    return data
