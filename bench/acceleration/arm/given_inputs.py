"""Which parameters of an entry point take the inputs of samples, and what stays of the file's own arguments next to them."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Collection, Sequence
from typing import Any

from bench.acceleration.arm.content import is_image
from bench.acceleration.inputs import CLASS_LABEL, IMAGES
from bench.acceleration.methods import Parameters
from bench.core.errors import InputProblem, SourceProblem

CLASS_LABELS = "class_labels"
PROMPTS = ("prompt", CLASS_LABELS)
FIRST = "*0"
"""Stands for the first argument by position of an entry point whose parameters have no names."""

_FURTHER_PROMPT = re.compile(r"prompt_\d+")
# What a first argument may be that is a text, such as a path, and no prompt.
_NO_PROMPT = re.compile(
    r"image|video|audio|mask|latent|embed|batch|type|negative|steps|generator|scale|seed|size|height|width"
)
_BATCH = "batch_size"
_PARAMETERS = {**{name: name for name in IMAGES}, CLASS_LABEL: CLASS_LABELS}
_WORDS = {CLASS_LABEL: "a class label"}
# Their `**kwargs` take old names of arguments, and ignore all others.
_LIBRARY = "diffusers"


def prompt_name(given: Parameters, parameters: Sequence[str]) -> str | None:
    """Return which argument of a call is the prompt, or the class labels; None where none of them is.

    Args:
        given: the arguments by name, those by position that have none as ``*0``, ``*1``, ...; a value may be a text of the
            file that was not evaluated.
        parameters: names of the entry point's parameters, in order.
    """
    there = {name: value for name, value in given.items() if value is not None}
    named = next((name for name in PROMPTS if name in there), None)
    if named is not None:
        return named
    # A class of the file's own may call it as it likes, and may take an image before it.
    first = [*parameters[:2], *sorted(name for name in there if name.startswith("*"))]
    return next(
        (name for name in first if _is_text(there.get(name)) and _NO_PROMPT.search(name) is None), None
    )


def count_of_prompts(prompt: Any) -> int | None:
    """Return how many prompts an argument holds: a text is one; None where it holds none.

    Args:
        prompt: the argument's value.
    """
    if isinstance(prompt, str):
        return 1
    return len(prompt) if _are_texts(prompt) else None


def written_count(text: str) -> int | None:
    """Return how many prompts an expression of a file holds, as far as that can be read.

    >>> written_count("'a ring'"), written_count("['a', other]"), written_count("prompts")
    (1, 2, None)
    """
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError:
        return None
    if isinstance(node, ast.List | ast.Tuple):
        return None if any(isinstance(item, ast.Starred) for item in node.elts) else len(node.elts)
    is_text = isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return 1 if is_text else None


def kept(given: Parameters) -> Parameters:
    """Return the arguments without a second and third prompt that only repeat the first one."""
    prompt = given.get("prompt")
    return {
        name: value
        for name, value in given.items()
        if _FURTHER_PROMPT.fullmatch(name) is None or not _is_text(value) or not _is_same_text(value, prompt)
    }


def require_replaceable(given: Collection[str], prompt_by: str | None) -> None:
    """Refuse a call into which the prompts of a run cannot be put.

    Args:
        given: names of its arguments that are not None.
        prompt_by: which of them takes the prompts.

    Raises:
        SourceProblem: embeddings in place of a prompt; a call that leaves the end to another pipeline.
    """
    embeddings = [name for name in given if "embed" in name and not name.startswith("negative_")]
    if prompt_by is None and embeddings:
        raise SourceProblem(
            f"cannot be called this way: found `{embeddings[0]}` and no prompt in its call, expected a prompt, in place of "
            "which the run's prompts are given; make the embeddings of each prompt in generate(pipe, prompts, generators)"
        )
    if "denoising_end" in given:
        raise SourceProblem(
            "cannot be called this way: found `denoising_end` in its call, which leaves the last steps to another pipeline, "
            "expected one call that makes the images; a chain of pipelines belongs into generate(pipe, prompts, generators)"
        )


def parameters_of(pipe: Any, entry: str, outer: Any = None) -> list[str]:
    """Return the names of an entry point's parameters; of one that hands ``**options`` on, those of who takes them too.

    Empty where Python cannot tell them.

    Args:
        pipe: the pipeline.
        entry: its entry point.
        outer: what stands around the pipeline, and has the entry point.
    """
    found: dict[str, None] = {}
    functions = _functions(pipe, "__call__" if outer is not None else entry)
    for function, is_bound in [*([] if outer is None else _functions(outer, entry)), *functions]:
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            break
        named = parameters if is_bound else parameters[1:]  # without self
        found |= {p.name: None for p in named if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        if _is_of_library(function) or all(p.kind is not p.VAR_KEYWORD for p in named):
            break
    if hasattr(pipe, "default_call_parameters"):  # of a modular pipeline, its blocks say what it takes
        found |= {name: None for name in pipe.default_call_parameters if name is not None}
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


def takers(
    pipe: Any, entry: str, names: Collection[str], prompt_by: str | None, outer: Any = None
) -> dict[str, str]:
    """Return which parameter takes each input, by the input's name.

    Args:
        pipe: the pipeline.
        entry: its entry point.
        names: the inputs that the samples have.
        prompt_by: the argument that takes the prompts, None where there is none.
        outer: what stands around the pipeline, and has the entry point.

    Raises:
        InputProblem: an input that no parameter takes, or prompts where class labels or images are expected.
        SourceProblem: several ControlNets.
    """
    parameters = parameters_of(pipe, entry, outer)
    called = type(pipe).__name__ if entry == "__call__" else f"{type(pipe).__name__}.{entry}"
    found = {}
    for name in names:
        parameter = _PARAMETERS[name]
        if name == "control_image" and name not in parameters and "image" not in names:
            parameter = "image"  # as the ControlNet pipelines of Stable Diffusion call it
        if parameters and parameter not in parameters:
            raise InputProblem(
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
    first = next(iter(parameters), None) if prompt_by == FIRST else prompt_by
    if first in (CLASS_LABELS, "image") and first not in found.values():
        raise InputProblem(
            f"calls {called}, which takes `{first}` in place of prompts; found prompts alone, expected a column {first} "
            "next to them; add it to the file of --prompts, or give the task a prompts_file that has it"
        )
    return found


def arranged(
    positional: Sequence[Any], arguments: Parameters, parameters: Sequence[str], taken: Parameters
) -> tuple[tuple[Any, ...], Parameters]:
    """Return the arguments by position and by name of a call, with the inputs in their place.

    Args:
        positional: arguments by position.
        arguments: arguments by name.
        parameters: names of the entry point's parameters, in order.
        taken: the inputs, by parameter.
    """
    names = list(parameters[: len(positional)])
    if not taken.keys() & set(names):
        return tuple(positional), {**arguments, **taken}
    return (), {**dict(zip(names, positional, strict=True)), **arguments, **taken}


def batch_of(count: int, parameters: Sequence[str], prompt_by: str | None) -> Parameters:
    """Return what tells a pipeline how many images to make whose prompts do not: it takes none, or takes class labels."""
    takes = _BATCH in parameters and prompt_by in (None, CLASS_LABELS)
    return {_BATCH: count} if takes else {}


def for_each(
    arguments: Parameters, count: int, parameters: Sequence[str] = (), own_prompts: int | None = None
) -> Parameters:
    """Return the arguments of one call in the form that a list of so many prompts needs next to it.

    A single image of the file's own goes to each prompt, and so does a negative, second or third prompt. Of several ones,
    which belonged to the file's own prompts, each prompt gets the next one in turn. Several images next to a single prompt
    of the file's own are all of that prompt's, such as the two that an editing pipeline puts together: they stay.

    Args:
        arguments: by name.
        count: of prompts.
        parameters: names of the entry point's parameters.
        own_prompts: how many prompts the file's own call has; None where that is not known.
    """
    found = dict(arguments)
    # diffusers repeats a single image too, but first adds noise to it, or encodes it, with the generator of the first prompt
    # alone: then an image would depend on its batch. Without noise, a list may mean several images for each prompt.
    is_noised = (
        bool({"strength", "noise_level"} & set(parameters)) and arguments.get("padding_mask_crop") is None
    )
    for name, value in arguments.items():
        if name in IMAGES:
            if _is_several(value) and own_prompts == 1:
                continue
            if _is_several(value):
                found[name] = _in_turn(value, count)
            elif is_noised and is_image(value):
                found[name] = [value] * count
        elif not name.startswith("negative_") and _FURTHER_PROMPT.fullmatch(name) is None:
            continue
        elif isinstance(value, str):
            found[name] = [value] * count
        elif _are_texts(value) or (hasattr(value, "shape") and len(value)):  # texts or their embeddings
            found[name] = _in_turn(value, count)  # a new list: some pipelines write into it
    return found


def _in_turn(values: Any, count: int) -> Any:
    indices = [index % len(values) for index in range(count)]
    return values[indices] if hasattr(values, "shape") else [values[index] for index in indices]


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(item, str) for item in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or _are_texts(value)


def _is_same_text(value: Any, other: Any) -> bool:
    one, another = ([text] if isinstance(text, str) else list(text or ()) for text in (value, other))
    return one == another


def _is_several(value: Any) -> bool:
    if hasattr(value, "shape"):
        return len(value.shape) == 4 and len(value) > 1
    # A list of lists belongs to several ControlNets.
    return isinstance(value, list | tuple) and len(value) > 1 and not isinstance(value[0], list | tuple)
