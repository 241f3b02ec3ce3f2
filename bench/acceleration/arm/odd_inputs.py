"""What a sample asks for and a pipeline does not have: it is the fault of a row of the prompts, and not of the file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from bench.acceleration.arm.loading import LoadedPipeline
from bench.acceleration.inputs import CLASS_LABEL, IMAGES
from bench.acceleration.methods import Parameters
from bench.core.errors import InputProblem

Asked = tuple[list[str], list[int], Sequence[Parameters]]
"""Prompts, seeds, and the inputs of each prompt."""

_PLAIN_PROMPT = "a photo"
# Sides of an image that every pipeline takes are multiples of it.
_STEP = 64
_SHOWN = 200


def classes_of(pipe: Any) -> Collection[int] | None:
    """Return the classes that a pipeline has: those that it has names for, or else the rows of its table of classes.

    None where it has neither.
    """
    names = getattr(pipe, "labels", None)  # a DiTPipeline's classes by their names
    if isinstance(names, dict) and names and all(type(number) is int for number in names.values()):
        return frozenset(names.values())
    counts = [
        count
        for part in getattr(pipe, "components", {}).values()
        for count in _tables(part)
        if isinstance(count, int)
    ]
    return range(min(counts)) if counts else None


def _tables(part: Any) -> Iterator[Any]:
    """Yield the number of classes of each table of classes in a component."""
    if not hasattr(part, "named_modules"):
        return
    for name, module in part.named_modules():
        # LabelEmbedding has a row more, for no class at all.
        if hasattr(module, "embedding_table"):
            yield getattr(module, "num_classes", None)
        elif name.rpartition(".")[2] == "class_embedding":
            yield getattr(module, "num_embeddings", None)


def require_classes(classes: Collection[int] | None, inputs: Sequence[Parameters]) -> None:
    """Refuse class labels that a pipeline does not have.

    Raises:
        InputProblem: the first of them.
    """
    if classes is None:
        return
    for index, one in enumerate(inputs):
        label = one.get(CLASS_LABEL)
        if label is not None and label not in classes:
            span = f"from {min(classes)} to {max(classes)}"
            raise InputProblem(
                f"has no class {label}: found the class label {label}, expected one of its {len(classes)} classes, {span}; "
                "correct the row",
                index,
            )


def sample_at_fault(pipeline: LoadedPipeline, asked: Asked, what: str) -> InputProblem | None:
    """Return which sample a call fails because of: it fails alone, and works with a plain prompt, image or label instead.

    Args:
        pipeline: whose call failed.
        asked: what it was asked for.
        what: the failure in words.
    """
    prompts, seeds, inputs = asked
    for index, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True)):
        own = dict(inputs[index]) if inputs else {}
        if _works(pipeline, prompt, seed, own):
            continue
        for piece, plain_prompt, plain in _with_one_thing_plain(prompt, own):
            if _works(pipeline, plain_prompt, seed, plain):
                return InputProblem(
                    f"raised {what} with {piece}, and nothing with another in its place; expected one that the pipeline "
                    "takes; correct the row, or let the file take it",
                    index,
                )
        return None  # it fails whatever it is asked for
    return None


def _with_one_thing_plain(prompt: str, own: Parameters) -> Iterator[tuple[str, str, Parameters]]:
    """Yield what is replaced, in words, and a prompt and inputs in which it is."""
    if CLASS_LABEL in own:
        yield f"the class label {own[CLASS_LABEL]}", prompt, {**own, CLASS_LABEL: 0}
    else:
        yield f"the prompt {_shortened(prompt)}", _PLAIN_PROMPT, own
    images = {name: own[name] for name in IMAGES if name in own}
    if images:
        sizes = " and ".join(f"`{name}` of {one.width} x {one.height} pixels" for name, one in images.items())
        yield sizes, prompt, {**own, **{name: _plain_image(one) for name, one in images.items()}}


def _shortened(prompt: str) -> str:
    if len(prompt) <= _SHOWN:
        return repr(prompt)
    return f"{prompt[:_SHOWN]!r}... of {len(prompt)} characters"


def _plain_image(image: Any) -> Any:
    import PIL.Image

    size = tuple(max(_STEP, side // _STEP * _STEP) for side in image.size)
    return PIL.Image.new(image.mode, size, 128 if image.mode == "L" else (128, 128, 128))


def _works(pipeline: LoadedPipeline, prompt: str, seed: int, own: Parameters) -> bool:
    try:
        pipeline.generate([prompt], [seed], [own] if own else [])
    except Exception:
        return False
    return True
