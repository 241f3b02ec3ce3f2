"""Loading a pipeline file, in the arm's process: run the file, find the pipeline, find how it is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.acceleration.arm.finding import find_pipe, pipe_within
from bench.acceleration.arm.given_inputs import (
    FIRST,
    arranged,
    batch_of,
    for_each,
    kept,
    parameters_of,
    prompt_name,
    require_replaceable,
    takers,
    written_count,
)
from bench.acceleration.arm.placing import move
from bench.acceleration.arm.results import outputs_of
from bench.acceleration.arm.running import MODULE_NAME, evaluate, execute, module_of
from bench.acceleration.arm.set_attributes import set_attributes
from bench.acceleration.arm.torch_state import in_state
from bench.acceleration.inputs import IMAGES
from bench.acceleration.methods import Parameters
from bench.acceleration.protocol.messages import OwnCall
from bench.acceleration.source.reading import INPUTS, EntryCall, SourceReading, is_own_generate, read_source
from bench.core.errors import SourceProblem
from bench.core.record import Json

Namespace = dict[str, Any]
"""What the file defines, by name."""

# Arguments of the file's own call that the suite replaces with its own values. Embeddings stand for a prompt.
REPLACED = (
    "prompt", "class_labels", "generator", "output_type", "num_images_per_prompt", "num_videos_per_prompt", "return_dict",
    "latents", "audio_latents", "prompt_embeds", "prompt_embeds_2", "pooled_prompt_embeds", "prompt_attention_mask",
    "prompt_embeds_mask", "prompt_attention_mask_2", "prompt_embeds_mask_2", "text_ids",
)  # fmt: skip


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
        prompt_by: the argument that takes the prompts, ``*0`` for the first by position; None where none does.
        state: what torch is set to during the call.
        of_loader: whether the pipeline is what ``load_pipe()`` returned.
        missing: images of the file's own that do not exist here, and why; samples may bring theirs.
        outer: what a library put around the pipeline, and is called in its place.
        own_prompts: how many prompts the file's own call has; None where that is not known.
        scheduler: the one that it was loaded with; None where that was not looked at.
        scheduler_set: attributes that the file set on that one, as `set_attributes` tells them.
    """

    pipe: Any
    source: SourceReading
    entry: str
    arguments: Parameters
    positional: tuple[Any, ...]
    _own_generate: Any = None
    by: str = "none"
    prompt_by: str | None = FIRST
    state: Json = field(default_factory=dict)
    of_loader: bool = False
    missing: dict[str, SourceProblem] = field(default_factory=dict)
    outer: Any = None
    own_prompts: int | None = None
    scheduler: Any = None
    scheduler_set: Parameters = field(default_factory=dict)

    def look_at_scheduler(self) -> None:
        """Remember what is set on its scheduler, before a call sets anything there."""
        self.scheduler = getattr(self.pipe, "scheduler", None)
        self.scheduler_set = set_attributes(self.scheduler)

    def generate(self, prompts: list[str], seeds: list[int], inputs: Sequence[Parameters] = ()) -> list[Any]:
        """Generate one image or video per prompt, each from its own seed, and return them.

        Args:
            prompts: the prompts; with class labels, their texts.
            seeds: as many.
            inputs: of each prompt by name, as `bench.acceleration.protocol.inputs` unpacks them; all have the same ones.
        """
        import torch

        # One CPU generator per prompt: what is made of it does not depend on its batch or on the device. The pipelines of
        # videos in diffusers take a list of generators like those of images.
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        if self._own_generate is not None:
            return outputs_of(self._generate_itself(prompts, generators, inputs))
        return self._call(*self._arguments(prompts, inputs), generator=generators)

    def generate_one(self, prompt: str, seed: int, inputs: Sequence[Parameters] = ()) -> list[Any]:
        """Generate as most files do: for a prompt and with a generator, and not for a list of either."""
        import torch

        positional, arguments = self._arguments([prompt], inputs)
        alone = {
            name: value[0] if isinstance(value, list) and len(value) == 1 else value
            for name, value in arguments.items()
        }
        positional = tuple(value[0] if value == [prompt] else value for value in positional)
        return self._call(positional, alone, generator=torch.Generator("cpu").manual_seed(seed))

    def _call(self, positional: tuple[Any, ...], arguments: Parameters, generator: Any) -> list[Any]:
        import torch

        called = self.pipe if self.outer is None else self.outer
        call = called if self.entry == "__call__" else getattr(called, self.entry)
        with in_state(self.state):
            outputs = outputs_of(call(*positional, generator=generator, **arguments))
        if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.synchronize()
        return outputs

    def replaced(self, inputs: Sequence[Parameters]) -> frozenset[str]:
        """Return the pipeline's parameters that inputs of the samples are given to, as far as that can be known.

        Raises:
            SourceProblem: an input that none of them takes.
        """
        names = _names(inputs)
        if self._own_generate is None:
            batch = batch_of(1, self._parameters(), self.prompt_by)
            return frozenset((*self._takers(names).values(), *batch))
        # What passes a control image on may call it `image`.
        return frozenset((*names, "image") if "control_image" in names else names)

    def _parameters(self) -> list[str]:
        return parameters_of(self.pipe, self.entry, self.outer)

    def _takers(self, names: Sequence[str]) -> dict[str, str]:
        return takers(self.pipe, self.entry, names, self.prompt_by, self.outer)

    def _arguments(
        self, prompts: list[str], inputs: Sequence[Parameters]
    ) -> tuple[tuple[Any, ...], Parameters]:
        """Return the arguments of a call by position and by name."""
        parameters = self._parameters()
        taken = {
            parameter: [one[name] for one in inputs]
            for name, parameter in self._takers(_names(inputs)).items()
        }
        for name, problem in self.missing.items():
            if name not in taken:
                raise problem
        arguments = for_each(self.arguments, len(prompts), parameters, self.own_prompts)
        arguments |= batch_of(len(prompts), parameters, self.prompt_by)
        positional = list(self.positional)
        if self.prompt_by is not None and self.prompt_by.startswith("*"):
            positional.insert(int(self.prompt_by[1:]), list(prompts))
        elif self.prompt_by is not None:
            arguments[self.prompt_by] = list(prompts)  # some pipelines write into it
        return arranged(positional, arguments, parameters, taken)

    def _generate_itself(
        self, prompts: list[str], generators: list[Any], inputs: Sequence[Parameters]
    ) -> Any:
        if INPUTS in _parameter_names(self._own_generate):
            given = list(inputs) or [{} for _ in prompts]
            return self._own_generate(self.pipe, prompts, generators, **{INPUTS: given})
        names = _names(inputs)
        if names:
            raise SourceProblem(
                f"defines generate(pipe, prompts, generators), which takes nothing else; found {', '.join(names)} next to "
                "each prompt, expected a fourth parameter for them; define "
                f"generate(pipe, prompts, generators, {INPUTS}), or leave them out with --prompts-inputs"
            )
        return self._own_generate(self.pipe, prompts, generators)


def load(
    file: str,
    *,
    prefer: str,
    device: str,
    call: OwnCall | None = None,
    sent: Callable[[], Parameters] = dict,
    by: str = "run",
    why: str = "",
    others: Sequence[str] = (),
) -> LoadedPipeline:
    """Run a pipeline file and return its pipeline, on the given device and ready to generate.

    Args:
        file: path of the file.
        prefer: ``pipe`` or ``load_pipe``, which of them wins when the file defines both.
        device: ``cpu`` or ``cuda``.
        call: how it is called, as it was seen; None where that is not known, so that its text has to say.
        sent: returns the arguments of that call; asked for when the file has defined its classes.
        by: how the call is known.
        why: why it was not seen, for messages.
        others: the pipelines that it calls as a script and does not define, likewise.

    Raises:
        SourceProblem: when the file defines neither, or what it defines is no pipeline, or cannot be called so.
    """
    path = Path(file)
    source = read_source(path, prefer_load_pipe=prefer == "load_pipe")
    module = module_of(path, MODULE_NAME)
    execute(path, module)
    namespace = module.__dict__
    own_call = call if by == "run" else None
    found, of_loader = find_pipe(namespace, path, prefer, own_call, others)
    pipe = pipe_within(found)
    is_beneath = own_call is not None and own_call.beneath
    outer = None if found is pipe or is_beneath else found
    move(pipe, device)
    if hasattr(pipe, "set_progress_bar_config"):
        pipe.set_progress_bar_config(disable=True)
    own_generate = namespace.get("generate")
    if _is_own_generate(own_generate):
        made = LoadedPipeline(pipe, source, "generate", {}, (), own_generate, by="generate")
    elif call is not None:
        made = _as_seen(pipe, outer, source, call, sent(), namespace, path, by)
    elif source.entry is not None:
        line = source.entry.line
        evaluated = partial(evaluate, namespace=namespace, path=path, line=line, why=why)
        made = _as_read(pipe, outer, source, source.entry, evaluated, path)
    else:
        made = LoadedPipeline(pipe, source, "__call__", {}, ())
    made.outer = outer
    made.of_loader = of_loader
    made.look_at_scheduler()
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


def _parameter_names(function: Any) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []


def _names(inputs: Sequence[Parameters]) -> list[str]:
    """Return the names of the inputs that all samples have."""
    return list(inputs[0]) if inputs else []


def _as_seen(
    pipe: Any,
    outer: Any,
    source: SourceReading,
    call: OwnCall,
    sent: Parameters,
    namespace: Namespace,
    path: Path,
    by: str,
) -> LoadedPipeline:
    _require_entry_point(pipe if outer is None else outer, call.entry_point, path, call.line)
    require_replaceable(call.given, call.prompt_name)
    arguments = {name: value for name, value in sent.items() if not name.startswith("*")}
    starred = [value for name, value in sent.items() if name.startswith("*") and name != call.prompt_name]
    if starred and call.prompt_name is not None and not call.prompt_name.startswith("*"):
        raise SourceProblem(
            f"{path.name}, line {call.line}: the generating call has more arguments by position than its entry point has "
            "names for; expected them by name; name them, or define generate(pipe, prompts, generators)"
        )
    # The text may show another call than the one that was seen.
    is_read = source.entry is not None and call.line in (None, source.entry.line)
    texts = dict(source.entry.keywords) if source.entry is not None and is_read else {}
    missing: dict[str, SourceProblem] = {}
    for name, kind in call.unsent.items():
        with _postponed(name, missing):
            if name not in texts:
                raise SourceProblem(
                    f"{path.name}, line {call.line}: the argument `{name}` of the generating call is a {kind} that only "
                    "exists there; expected one that the module has too; make it at module level, or define "
                    "generate(pipe, prompts, generators)"
                )
            arguments[name] = evaluate(texts[name], namespace, path, call.line or 0)
    return LoadedPipeline(
        pipe,
        source,
        call.entry_point,
        arguments,
        tuple(starred),
        by=by,
        prompt_by=call.prompt_name,
        state=dict(call.state),
        missing=missing,
        own_prompts=call.prompt_count,
    )


def _as_read(
    pipe: Any,
    outer: Any,
    source: SourceReading,
    entry: EntryCall,
    evaluated: Callable[[str], Any],
    path: Path,
) -> LoadedPipeline:
    attribute = entry.attribute or "__call__"
    _require_entry_point(pipe if outer is None else outer, attribute, path, entry.line)
    parameters = parameters_of(pipe, attribute, outer)
    named = tuple(zip(parameters, entry.positional, strict=False))
    if len(named) == len(entry.positional) and not dict(named).keys() & dict(entry.keywords).keys():
        # As in pipe(image, prompt): only by their names is it clear which one is replaced.
        entry = replace(entry, positional=(), keywords=(*named, *entry.keywords))
    texts: Parameters = {f"*{index}": text for index, text in enumerate(entry.positional)}
    texts |= dict(entry.keywords)
    there = {name: text for name, text in texts.items() if text != "None" and name != "**"}
    if "**" in texts:
        there |= {name: name for name in evaluated(texts["**"])}
    prompt_by = prompt_name(there, parameters)
    require_replaceable(there, prompt_by)
    missing: dict[str, SourceProblem] = {}
    replaced = {*REPLACED, *(texts.keys() - kept(texts).keys()), *filter(None, (prompt_by,))}
    arguments = _keywords(entry, evaluated, missing, replaced)
    positional = tuple(
        evaluated(text) for index, text in enumerate(entry.positional) if f"*{index}" != prompt_by
    )
    return LoadedPipeline(
        pipe,
        source,
        attribute,
        {name: value for name, value in arguments.items() if name not in replaced},
        positional,
        by="text",
        prompt_by=prompt_by,
        missing=missing,
        own_prompts=written_count(str(there.get(prompt_by or ""))),
    )


def _require_entry_point(pipe: Any, attribute: str, path: Path, line: int | None) -> None:
    if not hasattr(pipe, attribute):
        raise SourceProblem(
            f"{path.name}, line {line}: calls pipe.{attribute}(...), which the pipeline does not "
            "have; apply the method that adds it before the pipeline is returned"
        )


def _keywords(
    entry: EntryCall,
    evaluated: Callable[[str], Any],
    missing: dict[str, SourceProblem],
    replaced: Collection[str],
) -> Parameters:
    found: Parameters = {}
    for name, text in entry.keywords:
        with _postponed(name, missing):
            # A replaced argument may stand on names that only exist where the file itself generates.
            value: Any = None if name in replaced else evaluated(text)
            found |= value if name == "**" else {name: value}
    return found


@contextmanager
def _postponed(name: str, missing: dict[str, SourceProblem]) -> Iterator[None]:
    """Keep the problem of an image: whether it is needed is only known with the samples."""
    try:
        yield
    except SourceProblem as problem:
        if name not in IMAGES:
            raise
        missing[name] = problem
