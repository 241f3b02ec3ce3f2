"""Loading a pipeline file, in the arm's process: run the file, find the pipeline, find how it is called."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.acceleration.methods import Parameters
from bench.acceleration.source.reading import EntryCall, SourceReading, read_source
from bench.core.errors import SourceProblem

MODULE_NAME = "modelgate_pipeline_file"
Namespace = dict[str, Any]
"""What the file defines, by name."""

# Keywords of the file's own call that the suite replaces with its own values.
REPLACED = ("prompt", "generator", "output_type", "num_images_per_prompt", "return_dict", "latents")


@dataclass
class LoadedPipeline:
    """A pipeline as its file set it up.

    Attributes:
        pipe: the diffusers pipeline.
        source: what the file's text says.
        entry: name of the entry point: ``__call__``, ``tgate``, ... or ``generate`` for the file's own.
        arguments: keyword arguments of that call, evaluated; empty for the file's own ``generate``.
        positional: its positional arguments but the prompt, evaluated.
        prompt_by_keyword: whether the prompt is handed over as ``prompt=``.
    """

    pipe: Any
    source: SourceReading
    entry: str
    arguments: Parameters
    positional: tuple[Any, ...]
    _own_generate: Any = None
    prompt_by_keyword: bool = False

    def generate(self, prompts: list[str], seeds: list[int]) -> list[Any]:
        """Generate one image per prompt, each from its own seed, and return the images."""
        import torch

        # One CPU generator per image: the image does not depend on its batch or on the device.
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        if self._own_generate is not None:
            return list(self._own_generate(self.pipe, prompts, generators))
        call = self.pipe if self.entry == "__call__" else getattr(self.pipe, self.entry)
        arguments = dict(self.arguments)
        # diffusers wants the negative prompt in the form of the prompt: a list next to a list.
        if isinstance(arguments.get("negative_prompt"), str):
            arguments["negative_prompt"] = [arguments["negative_prompt"]] * len(prompts)
        if self.prompt_by_keyword:
            arguments["prompt"] = prompts
        first = () if self.prompt_by_keyword else (prompts,)
        result = call(*first, *self.positional, generator=generators, **arguments)
        images = getattr(result, "images", result)
        if images is None or isinstance(images, (str, bytes)):
            raise TypeError(f"the pipeline returned a {type(result).__name__} without images")
        if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.synchronize()
        return list(images)


def load(file: str, *, prefer: str, device: str) -> LoadedPipeline:
    """Run a pipeline file and return its pipeline, on the given device and ready to generate.

    Args:
        file: path of the file.
        prefer: ``pipe`` or ``load_pipe``, which of them wins when the file defines both.
        device: ``cpu`` or ``cuda``.

    Raises:
        SourceProblem: when the file defines neither, or what it defines is no pipeline.
    """
    path = Path(file)
    source = read_source(path, prefer_load_pipe=prefer == "load_pipe")
    namespace = _run(path)
    pipe = _find_pipe(namespace, path, prefer)
    _move(pipe, device)
    if hasattr(pipe, "set_progress_bar_config"):
        pipe.set_progress_bar_config(disable=True)
    own_generate = namespace.get("generate")
    if callable(own_generate):
        return LoadedPipeline(pipe, source, "generate", {}, (), own_generate)
    entry = source.entry
    if entry is None:
        return LoadedPipeline(pipe, source, "__call__", {}, ())
    attribute = entry.attribute or "__call__"
    if not hasattr(pipe, attribute):
        raise SourceProblem(
            f"{path.name}, line {entry.line}: calls pipe.{attribute}(...), which the pipeline does not "
            "have; apply the method that adds it before the pipeline is returned"
        )
    arguments = _keywords(entry, namespace, path)
    by_keyword = not entry.positional or "prompt" in arguments
    # The first positional argument is the file's own prompt, which the suite replaces.
    positional = tuple(
        _evaluate(text, namespace, path, entry.line) for text in entry.positional[0 if by_keyword else 1 :]
    )
    kept = {name: value for name, value in arguments.items() if name not in REPLACED}
    return LoadedPipeline(pipe, source, attribute, kept, positional, prompt_by_keyword=by_keyword)


def _keywords(entry: EntryCall, namespace: Namespace, path: Path) -> Parameters:
    found: Parameters = {}
    for name, text in entry.keywords:
        # A replaced argument may stand on names that only exist where the file itself generates.
        value: Any = None if name in REPLACED else _evaluate(text, namespace, path, entry.line)
        found |= value if name == "**" else {name: value}
    return found


def _run(path: Path) -> Namespace:
    module = types.ModuleType(MODULE_NAME)
    module.__file__ = str(path)
    # Pickles, dataclasses and torch.compile look classes and globals up through sys.modules.
    sys.modules[MODULE_NAME] = module
    sys.path.insert(0, str(path.parent))
    # This module's own __future__ imports do not belong to the file.
    code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    exec(code, module.__dict__)
    return module.__dict__


def _find_pipe(namespace: Namespace, path: Path, prefer: str) -> Any:
    load_pipe: Any = namespace.get("load_pipe")
    has_loader = callable(load_pipe)
    if "pipe" not in namespace and not has_loader:
        raise SourceProblem(
            f"{path.name} defines neither `pipe` nor `load_pipe()`; assign the pipeline to `pipe` at module level"
        )
    if has_loader and (prefer == "load_pipe" or "pipe" not in namespace):
        pipe, spelled = load_pipe(), "load_pipe()"
    else:
        pipe, spelled = namespace["pipe"], "pipe"
    from diffusers import DiffusionPipeline

    if isinstance(pipe, DiffusionPipeline):
        return pipe
    found = "None" if pipe is None else f"a {type(pipe).__module__}.{type(pipe).__qualname__}"
    raise SourceProblem(
        f"{path.name}: `{spelled}` is {found}, but a diffusers pipeline was expected; "
        "assign or return the object that StableDiffusionPipeline.from_pretrained(...) gives"
    )


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
