"""Loading a pipeline file, in the arm's process: run the file, find the pipeline, find how it is called."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.acceleration.arm.results import images_of
from bench.acceleration.arm.torch_state import in_state
from bench.acceleration.methods import Parameters
from bench.acceleration.protocol.messages import OwnCall
from bench.acceleration.source.reading import EntryCall, SourceReading, is_own_generate, read_source
from bench.core.errors import SourceProblem
from bench.core.record import Json

MODULE_NAME = "modelgate_pipeline_file"
Namespace = dict[str, Any]
"""What the file defines, by name."""

# Arguments of the file's own call that the suite replaces with its own values. Embeddings stand for a prompt.
REPLACED = (
    "prompt", "prompt_2", "prompt_3", "class_labels", "generator", "output_type", "num_images_per_prompt", "return_dict",
    "latents", "prompt_embeds", "prompt_embeds_2", "pooled_prompt_embeds", "prompt_attention_mask", "prompt_embeds_mask",
    "prompt_attention_mask_2", "text_ids",
)  # fmt: skip
_PROMPTS = ("prompt", "class_labels")


@dataclass
class LoadedPipeline:
    """A pipeline as its file set it up.

    Attributes:
        pipe: the diffusers pipeline.
        source: what the file's text says.
        entry: name of the entry point: ``__call__``, ``tgate``, ... or ``generate`` for the file's own.
        arguments: keyword arguments of that call; empty for the file's own ``generate``.
        positional: its positional arguments but the prompt.
        by: how the call is known: ``generate`` is the file's own, ``run`` was seen while the file ran as a script, ``text``
            is read in its text, ``target`` is the target's call, ``none`` where the file has no call.
        prompt_by: the parameter that takes the prompts; None for the first positional one.
        state: what torch is set to during the call.
        of_loader: whether the pipeline is what ``load_pipe()`` returned.
    """

    pipe: Any
    source: SourceReading
    entry: str
    arguments: Parameters
    positional: tuple[Any, ...]
    _own_generate: Any = None
    by: str = "none"
    prompt_by: str | None = None
    state: Json = field(default_factory=dict)
    of_loader: bool = False

    def generate(self, prompts: list[str], seeds: list[int]) -> list[Any]:
        """Generate one image per prompt, each from its own seed, and return the images."""
        import torch

        # One CPU generator per image: the image does not depend on its batch or on the device.
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        if self._own_generate is not None:
            return images_of(self._own_generate(self.pipe, prompts, generators))
        call = self.pipe if self.entry == "__call__" else getattr(self.pipe, self.entry)
        arguments = _for_each(self.arguments, len(prompts))
        if self.prompt_by is not None:
            arguments[self.prompt_by] = prompts
        first = () if self.prompt_by is not None else (prompts,)
        with in_state(self.state):
            images = images_of(call(*first, *self.positional, generator=generators, **arguments))
        if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.synchronize()
        return images


def load(
    file: str,
    *,
    prefer: str,
    device: str,
    call: OwnCall | None = None,
    sent: Callable[[], Parameters] = dict,
    by: str = "run",
) -> LoadedPipeline:
    """Run a pipeline file and return its pipeline, on the given device and ready to generate.

    Args:
        file: path of the file.
        prefer: ``pipe`` or ``load_pipe``, which of them wins when the file defines both.
        device: ``cpu`` or ``cuda``.
        call: how it is called, as it was seen; None where that is not known, so that its text has to say.
        sent: returns the arguments of that call; asked for when the file has defined its classes.
        by: how the call is known.

    Raises:
        SourceProblem: when the file defines neither, or what it defines is no pipeline, or cannot be called so.
    """
    path = Path(file)
    source = read_source(path, prefer_load_pipe=prefer == "load_pipe")
    module = module_of(path, MODULE_NAME)
    execute(path, module)
    namespace = module.__dict__
    pipe, of_loader = _find_pipe(namespace, path, prefer)
    _move(pipe, device)
    if hasattr(pipe, "set_progress_bar_config"):
        pipe.set_progress_bar_config(disable=True)
    own_generate = namespace.get("generate")
    if _is_own_generate(own_generate):
        made = LoadedPipeline(pipe, source, "generate", {}, (), own_generate, by="generate")
    elif call is not None:
        made = _as_seen(pipe, source, call, sent(), namespace, path, by)
    elif source.entry is not None:
        made = _as_read(pipe, source, source.entry, namespace, path)
    else:
        made = LoadedPipeline(pipe, source, "__call__", {}, ())
    made.of_loader = of_loader
    return made


def _is_own_generate(function: Any) -> bool:
    if not callable(function):
        return False
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    by_position = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return is_own_generate([p.name for p in by_position if p.default is p.empty])


def prompt_name(parameters: Sequence[str]) -> str | None:
    """Return which of an entry point's parameters takes the prompts, or the class labels."""
    return next((name for name in _PROMPTS if name in parameters), next(iter(parameters), None))


def _as_seen(
    pipe: Any,
    source: SourceReading,
    call: OwnCall,
    sent: Parameters,
    namespace: Namespace,
    path: Path,
    by: str,
) -> LoadedPipeline:
    _require_entry_point(pipe, call.entry_point, path, call.line)
    arguments = {name: value for name, value in sent.items() if not name.startswith("*")}
    starred = [value for name, value in sent.items() if name.startswith("*")]
    if starred and call.prompt_name is not None:
        raise SourceProblem(
            f"{path.name}, line {call.line}: the generating call has more arguments by position than its entry point has "
            "names for; expected them by name; name them, or define generate(pipe, prompts, generators)"
        )
    # The text may show another call than the one that was seen.
    is_read = source.entry is not None and call.line in (None, source.entry.line)
    texts = dict(source.entry.keywords) if source.entry is not None and is_read else {}
    for name, kind in call.unsent.items():
        if name not in texts:
            raise SourceProblem(
                f"{path.name}, line {call.line}: the argument `{name}` of the generating call is a {kind} that only exists "
                "there; expected one that the module has too; make it at module level, or define "
                "generate(pipe, prompts, generators)"
            )
        arguments[name] = _evaluate(texts[name], namespace, path, call.line or 0)
    return LoadedPipeline(
        pipe,
        source,
        call.entry_point,
        arguments,
        tuple(starred[1:]),  # without the prompt
        by=by,
        prompt_by=call.prompt_name,
        state=dict(call.state),
    )


def _as_read(
    pipe: Any, source: SourceReading, entry: EntryCall, namespace: Namespace, path: Path
) -> LoadedPipeline:
    attribute = entry.attribute or "__call__"
    _require_entry_point(pipe, attribute, path, entry.line)
    arguments = _keywords(entry, namespace, path)
    by_keyword = not entry.positional or "prompt" in arguments
    # The first positional argument is the file's own prompt, which the suite replaces.
    positional = tuple(
        _evaluate(text, namespace, path, entry.line) for text in entry.positional[0 if by_keyword else 1 :]
    )
    kept = {name: value for name, value in arguments.items() if name not in REPLACED}
    name = "prompt" if by_keyword else None
    return LoadedPipeline(pipe, source, attribute, kept, positional, by="text", prompt_by=name)


def _require_entry_point(pipe: Any, attribute: str, path: Path, line: int | None) -> None:
    if not hasattr(pipe, attribute):
        raise SourceProblem(
            f"{path.name}, line {line}: calls pipe.{attribute}(...), which the pipeline does not "
            "have; apply the method that adds it before the pipeline is returned"
        )


def _for_each(arguments: Parameters, count: int) -> Parameters:
    """Return the arguments of one call in the form that a list of so many prompts needs next to it."""
    found = dict(arguments)
    for name, value in arguments.items():
        if not name.startswith("negative_"):
            continue
        if isinstance(value, str):
            found[name] = [value] * count
        elif isinstance(value, list | tuple) and value and all(isinstance(item, str) for item in value):
            found[name] = [value[index % len(value)] for index in range(count)]
        elif hasattr(value, "shape") and len(value) and len(value) != count:  # embeddings
            found[name] = value[[index % len(value) for index in range(count)]]
    return found


def _keywords(entry: EntryCall, namespace: Namespace, path: Path) -> Parameters:
    found: Parameters = {}
    for name, text in entry.keywords:
        # A replaced argument may stand on names that only exist where the file itself generates.
        value: Any = None if name in REPLACED else _evaluate(text, namespace, path, entry.line)
        found |= value if name == "**" else {name: value}
    return found


def module_of(path: Path, name: str) -> types.ModuleType:
    """Return an empty module for a file, under a name, and let the file see itself and its neighbours as it would alone."""
    sys.argv = [str(path)]  # and not the fork server's, which a parser in the file would read
    module = types.ModuleType(name)
    module.__file__ = str(path)
    # Pickles, dataclasses and torch.compile look classes and globals up through sys.modules.
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    return module


def execute(path: Path, module: types.ModuleType) -> None:
    """Run a file in its module."""
    # This module's own __future__ imports do not belong to the file.
    exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), module.__dict__)


def _find_pipe(namespace: Namespace, path: Path, prefer: str) -> tuple[Any, bool]:
    """Return the pipeline, and whether ``load_pipe()`` made it."""
    from diffusers import DiffusionPipeline

    load_pipe: Any = namespace.get("load_pipe")
    needed = _needed_arguments(load_pipe)
    has_loader = needed == []
    if "pipe" not in namespace and not has_loader:
        if needed:
            raise SourceProblem(
                f"{path.name}: load_pipe() needs arguments ({', '.join(needed)}); expected a loader that is called without; "
                "give them defaults, or assign the pipeline to `pipe` at module level"
            )
        named = [name for name, value in namespace.items() if isinstance(value, DiffusionPipeline)]
        found = f"; found a pipeline in `{named[0]}`: name it `pipe`" if named else ""
        raise SourceProblem(
            f"{path.name} defines neither `pipe` nor `load_pipe()`; assign the pipeline to `pipe` at module level{found}"
        )
    of_loader = has_loader and (prefer == "load_pipe" or "pipe" not in namespace)
    pipe, spelled = (load_pipe(), "load_pipe()") if of_loader else (namespace["pipe"], "pipe")
    if isinstance(pipe, DiffusionPipeline):
        return pipe, of_loader
    shown = "None" if pipe is None else f"a {type(pipe).__module__}.{type(pipe).__qualname__}"
    raise SourceProblem(
        f"{path.name}: `{spelled}` is {shown}, but a diffusers pipeline was expected; "
        "assign or return the object that StableDiffusionPipeline.from_pretrained(...) gives"
    )


def _needed_arguments(load_pipe: Any) -> list[str] | None:
    """Return the arguments without which a loader cannot be called; None where there is no loader."""
    if not callable(load_pipe):
        return None
    try:
        parameters = inspect.signature(load_pipe).parameters.values()
    except (TypeError, ValueError):
        return []
    starred = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in starred]


def _move(pipe: Any, device: str) -> None:
    # Offloading hooks place the parts themselves, and .to() would undo that.
    offloaded = any(hasattr(part, "_hf_hook") for part in pipe.components.values())
    if pipe.device.type != device and not offloaded:
        pipe.to(device)


def _evaluate(text: str, namespace: Namespace, path: Path, line: int) -> Any:
    try:
        return eval(text, namespace)
    except Exception as error:
        raise SourceProblem(
            f"{path.name}, line {line}: the argument `{text}` of the generating call could not be evaluated at "
            f"module level ({type(error).__name__}: {error}); use constants defined at module level, or "
            "define generate(pipe, prompts, generators)"
        ) from error
