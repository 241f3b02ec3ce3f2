"""Which parameters of an entry point take the inputs of samples, and what stays of the file's own arguments next to them."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from typing import Any

from bench.acceleration.arm.content import is_image
from bench.acceleration.inputs import CLASS_LABEL, IMAGES
from bench.acceleration.methods import Parameters
from bench.core.errors import SourceProblem

CLASS_LABELS = "class_labels"
PROMPTS = ("prompt", CLASS_LABELS)
_PARAMETERS = {**{name: name for name in IMAGES}, CLASS_LABEL: CLASS_LABELS}
_WORDS = {CLASS_LABEL: "a class label"}
# Their `**kwargs` take old names of arguments, and ignore all others.
_LIBRARY = "diffusers"


def prompt_name(parameters: Sequence[str]) -> str | None:
    """Return which of an entry point's parameters takes the prompts, or the class labels."""
    return next((name for name in PROMPTS if name in parameters), next(iter(parameters), None))


def parameters_of(pipe: Any, entry: str) -> list[str]:
    """Return the names of an entry point's parameters; of one that hands ``**options`` on, those of who takes them too.

    Empty where Python cannot tell them.
    """
    found: dict[str, None] = {}
    for function, is_bound in _functions(pipe, entry):
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            break
        named = parameters if is_bound else parameters[1:]  # without self
        found |= {p.name: None for p in named if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        if _is_of_library(function) or all(p.kind is not p.VAR_KEYWORD for p in named):
            break
    return list(found)


def _functions(pipe: Any, entry: str) -> list[tuple[Any, bool]]:
    """Return an entry point and what stands behind it, its bases' or the pipeline's call; each with whether it is bound."""
    bases = [vars(owner)[entry] for owner in type(pipe).__mro__ if entry in vars(owner)]
    calls = [vars(owner)["__call__"] for owner in type(pipe).__mro__ if "__call__" in vars(owner)]
    own = [(getattr(pipe, entry), True)] if entry in vars(pipe) or not bases else []
    unbound = [*bases, *(calls if entry != "__call__" else [])]
    return [*own, *((function, False) for function in unbound)]


def _is_of_library(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).partition(".")[0] == _LIBRARY


def takers(pipe: Any, entry: str, names: Collection[str], prompt_by: str | None) -> dict[str, str]:
    """Return which parameter takes each input, by the input's name.

    Args:
        pipe: the pipeline.
        entry: its entry point.
        names: the inputs that the samples have.
        prompt_by: the parameter that takes the prompts; None for the first one.

    Raises:
        SourceProblem: an input that no parameter takes, or prompts where class labels or images are expected.
    """
    parameters = parameters_of(pipe, entry)
    called = type(pipe).__name__ if entry == "__call__" else f"{type(pipe).__name__}.{entry}"
    found = {}
    for name in names:
        parameter = _PARAMETERS[name]
        if name == "control_image" and name not in parameters and "image" not in names:
            parameter = "image"  # as the ControlNet pipelines of Stable Diffusion call it
        if parameters and parameter not in parameters:
            raise SourceProblem(
                f"calls {called}, which has no parameter `{parameter}`; found {_WORDS.get(name, f'`{name}`')} next to each "
                f"prompt, expected only what it takes ({', '.join(parameters[:8])}); give it to a pipeline that takes it, "
                "or leave it out with --prompts-inputs"
            )
        found[name] = parameter
    if "control_image" in found and hasattr(getattr(pipe, "controlnet", None), "nets"):
        raise SourceProblem(
            f"calls {called} with several ControlNets; found one control image for each prompt, expected one for each of "
            "them; use one ControlNet, or define generate(pipe, prompts, generators, inputs)"
        )
    first = prompt_by or next(iter(parameters), None)
    if first in (CLASS_LABELS, "image") and first not in found.values():
        raise SourceProblem(
            f"calls {called}, which takes `{first}` in place of prompts; found prompts alone, expected a column {first} "
            "next to them; add it to the file of --prompts"
        )
    return found


def arranged(
    positional: Sequence[Any], arguments: Parameters, parameters: Sequence[str], taken: Parameters
) -> tuple[tuple[Any, ...], Parameters]:
    """Return the arguments by position and by name of a call, with the inputs in their place.

    Args:
        positional: arguments by position, the prompts first.
        arguments: arguments by name.
        parameters: names of the entry point's parameters, in order.
        taken: the inputs, by parameter.
    """
    names = list(parameters[: len(positional)])
    if not taken.keys() & set(names):
        return tuple(positional), {**arguments, **taken}
    return (), {**dict(zip(names, positional, strict=True)), **arguments, **taken}


def for_each(arguments: Parameters, count: int, parameters: Sequence[str] = ()) -> Parameters:
    """Return the arguments of one call in the form that a list of so many prompts needs next to it.

    A single image of the file's own goes to each prompt. Of several ones, which belonged to the file's own prompts, each
    prompt gets the next one in turn.

    Args:
        arguments: by name.
        count: of prompts.
        parameters: names of the entry point's parameters.
    """
    found = dict(arguments)
    # diffusers repeats a single image too, but first adds noise to it, or encodes it, with the generator of the first prompt
    # alone: then an image would depend on its batch. Without noise, a list may mean several images for each prompt.
    is_noised = "strength" in parameters and arguments.get("padding_mask_crop") is None
    for name, value in arguments.items():
        if name in IMAGES:
            if _is_several(value):
                found[name] = _in_turn(value, count)
            elif is_noised and is_image(value):
                found[name] = [value] * count
        elif not name.startswith("negative_"):
            continue
        elif isinstance(value, str):
            found[name] = [value] * count
        elif _are_texts(value) or (hasattr(value, "shape") and len(value)):  # texts or their embeddings
            found[name] = value if len(value) == count else _in_turn(value, count)
    return found


def _in_turn(values: Any, count: int) -> Any:
    indices = [index % len(values) for index in range(count)]
    return values[indices] if hasattr(values, "shape") else [values[index] for index in indices]


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(item, str) for item in value)


def _is_several(value: Any) -> bool:
    if hasattr(value, "shape"):
        return len(value.shape) == 4 and len(value) > 1
    # A list of lists belongs to several ControlNets.
    return isinstance(value, list | tuple) and len(value) > 1 and not isinstance(value[0], list | tuple)
