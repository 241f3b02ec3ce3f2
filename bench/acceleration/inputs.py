"""What an image is made from besides its prompt and seed: an image, a mask, a control image, a class label."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.core.fingerprint import path_hash
from bench.core.record import Json

IMAGES = ("image", "mask_image", "control_image")
CLASS_LABEL = "class_label"
NAMES = (*IMAGES, CLASS_LABEL)
#: Columns of each input, whatever the case of their letters; the first that exists counts.
COLUMNS = {
    "image": ("image", "init_image", "input_image", "source_image"),
    "mask_image": ("mask_image", "mask"),
    "control_image": ("control_image", "conditioning_image"),
    CLASS_LABEL: ("class_labels", "class_label", "label"),
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of one sample; None is not given.

    Attributes:
        image, mask_image, control_image: absolute paths.
        class_label: the class, from 0.
    """

    image: str | None = None
    mask_image: str | None = None
    control_image: str | None = None
    class_label: int | None = None

    def images(self) -> dict[str, str]:
        """Return the paths of those that are images, by name."""
        paths = {name: getattr(self, name) for name in IMAGES}
        return {name: path for name, path in paths.items() if path is not None}

    def shown(self) -> Json:
        """Return what a reader recognizes them by: names of files, and the label."""
        return self._with_label({name: Path(path).name for name, path in self.images().items()})

    def identity(self) -> Json:
        """Return what determines them: hashes of the files' contents, and the label."""
        return self._with_label({name: path_hash(Path(path)) for name, path in self.images().items()})

    def _with_label(self, found: Json) -> Json:
        return found if self.class_label is None else {**found, CLASS_LABEL: self.class_label}
