"""CLIP models by name or local directory, and their embeddings. Needs torch and open_clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import UsageProblem
from bench.metrics.clip_names import SOURCES, check_clip


class ClipModel:
    """An open_clip model with its preprocessing and tokenizer, in evaluation mode.

    Args:
        name: ``MODEL:PRETRAINED`` as open_clip lists them (``ViT-B-32:laion2b_s34b_b79k``), a hub
            name (``hf-hub:...``), or a local directory with ``open_clip_config.json`` and the weights.
        device: where to compute.

    Raises:
        UsageProblem: an unknown name, or a directory that open_clip cannot load.
    """

    def __init__(self, name: str, device: str = "cpu") -> None:
        from bench.machine.imports import without  # noqa: PLC0415
        from bench.machine.torchvision_shim import ensure_torchvision  # noqa: PLC0415

        ensure_torchvision()
        # Through timm it would import the client of a service that draws training curves: as slow as all the rest.
        with without("wandb"):
            import open_clip  # noqa: PLC0415

        architecture, pretrained = resolve(name, open_clip)
        try:
            # Unlike create_model_and_transforms() it refuses to go on with random weights.
            model, preprocess = open_clip.create_model_from_pretrained(
                architecture, pretrained=pretrained, device=device
            )
            self._tokenizer = open_clip.get_tokenizer(architecture)
        except Exception as error:  # open_clip lets errors of transformers, safetensors and the hub through
            raise UsageProblem(
                f"--clip {name}: open_clip could not load it ({type(error).__name__}: {error}); "
                "give MODEL:PRETRAINED with weights at hand, or a local directory"
            ) from error
        one, other = self._tokenizer(["a red circle", "two blue squares"]).tolist()
        if one == other:  # what transformers makes of a tokenizer whose vocabulary is missing
            raise UsageProblem(
                f"--clip {name}: its tokenizer gives every text the same tokens, expected different ones; "
                "put the tokenizer's files (tokenizer.json) next to the weights"
            )
        self.name, self.device = name, device
        self._model, self._preprocess = model.eval(), preprocess

    def embed_images(self, images: Sequence[np.ndarray], batch_size: int = 32) -> np.ndarray:
        """Embed 8-bit RGB images of shape [height, width, 3]; returns unit vectors [n, width], float32."""
        import PIL.Image  # noqa: PLC0415
        import torch  # noqa: PLC0415

        def encode(chunk: Sequence[np.ndarray]) -> Any:
            pixels = [self._preprocess(PIL.Image.fromarray(image)) for image in chunk]
            return self._model.encode_image(torch.stack(pixels).to(self.device), normalize=True)

        return self._embed(images, batch_size, encode)

    def embed_texts(self, texts: Sequence[str], batch_size: int = 64) -> np.ndarray:
        """Embed texts; returns unit vectors [n, width], float32."""
        return self._embed(
            texts,
            batch_size,
            lambda chunk: self._model.encode_text(
                self._tokenizer(list(chunk)).to(self.device), normalize=True
            ),
        )

    def _embed(self, items: Sequence[Any], batch_size: int, encode: Any) -> np.ndarray:
        import torch  # noqa: PLC0415

        with torch.inference_mode():
            chunks = [
                encode(items[start : start + batch_size]).float().cpu().numpy()
                for start in range(0, len(items), batch_size)
            ]
        return np.concatenate(chunks).astype(np.float32)


def resolve(name: str, open_clip: Any) -> tuple[str, str | None]:
    """Return open_clip's own ``(architecture, pretrained)`` for a name of ``--clip``."""
    check_clip(name)
    directory = Path(name)
    if directory.is_dir():
        return f"local-dir:{directory.resolve()}", None
    if name.startswith(SOURCES):
        return name, None
    architecture, _, pretrained = name.partition(":")
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if pretrained not in tags and not Path(pretrained).is_file():
        raise UsageProblem(
            f"--clip {name}: {architecture} has no weights {pretrained!r}; give one of "
            f"{', '.join(tags) or 'a file'}"
        )
    return architecture, pretrained
