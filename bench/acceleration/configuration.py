"""The configuration of a pipeline, observed and as its source says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bench.acceleration.detectors.shipped import METHODS
from bench.acceleration.methods import Parameters
from bench.acceleration.protocol.messages import OF_ITS_OWN, Described, Observed, Part, json_value
from bench.acceleration.source.reading import SourceReading
from bench.core.record import Json

if TYPE_CHECKING:
    import numpy as np


class Disagreement(msgspec.Struct, kw_only=True, frozen=True):
    """A field in which the text of a file differs from the object that it makes, with both values."""

    field: str
    source: Any
    observed: Any


class Said(msgspec.Struct, kw_only=True, frozen=True):
    """What the text of a file says; None is not said."""

    pipeline_class: str | None = None
    model_id: str | None = None
    scheduler_class: str | None = None
    num_inference_steps: int | None = None
    methods: dict[str, Parameters] = msgspec.field(default_factory=dict)


class CallTaken(msgspec.Struct, kw_only=True, frozen=True):
    """How a pipeline is called.

    Attributes:
        by: how that is known: ``generate`` is the file's own function, ``run`` was seen while the file ran as a script,
            ``text`` is read in its text, ``target`` is the call of the target, ``none`` where the file makes no call.
        line: of the file, from which the call was reached.
        arguments: what it is given besides prompts and generators.
        state: what torch is set to during the call and is not set to otherwise.
        why: why the call was not seen.
    """

    by: str = "none"
    line: int | None = None
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)
    state: dict[str, Any] = msgspec.field(default_factory=dict)
    why: str = ""


class OutputShape(msgspec.Struct, kw_only=True, frozen=True):
    """What came out for a prompt.

    Attributes:
        frames: of a video; None for an image.
        height, width: in pixels, of every frame.
    """

    frames: int | None = None
    height: int
    width: int

    @classmethod
    def of(cls, output: np.ndarray) -> OutputShape:
        """Return the shape of an image [height, width, 3] or a video [frames, height, width, 3]."""
        *frames, height, width, _ = output.shape
        return cls(frames=frames[0] if frames else None, height=height, width=width)


class Configuration(msgspec.Struct, kw_only=True, frozen=True):
    """What one arm is, and what it did in its first call.

    Attributes:
        pipeline_class, model_id, scheduler_class: observed on the loaded object.
        num_inference_steps: what the scheduler was asked for while generating.
        scheduler_steps: steps that the scheduler took in one call; more than asked for with
            multi-step starts such as PNDM's.
        entry_point: ``__call__``, ``generate``, ``tgate``, ...
        call: how it is called; None in records of earlier versions.
        methods: acceleration methods found on the object, each with its parameters.
        dtypes: parameter dtype of each component.
        denoiser_calls_per_image: samples that went through all denoisers per image; guidance counts twice.
        calls_by_component: the same for each of them, such as ``transformer_2`` or ``controlnet``.
        denoiser_layer_calls: executions of the denoisers' layers in the first call, None if not countable.
        layers_per_call: the same for one call of the denoiser.
        idle_layers: those that were not executed at all, likewise.
        texts: a hash of all tokens that text encoders read in that call; None where none did, or was not looked at.
        arguments: what the pipeline was given in its first call besides prompts and generators, defaults included.
        output: what came out for the first prompt of that call; None in records of earlier versions.
        scheduler: configuration of the scheduler.
        parts: what the components are, with samples of their weights until the record is written.
        source: the same as the text of the file says.
        disagreements: fields in which the source and the object differ.
    """

    pipeline_class: str | None = None
    model_id: str | None = None
    scheduler_class: str | None = None
    num_inference_steps: int | None = None
    scheduler_steps: int | None = None
    entry_point: str = "__call__"
    call: CallTaken | None = None
    methods: dict[str, Parameters] = msgspec.field(default_factory=dict)
    dtypes: dict[str, str] = msgspec.field(default_factory=dict)
    denoiser_calls_per_image: float | None = None
    calls_by_component: dict[str, float] | None = None
    denoiser_layer_calls: int | None = None
    layers_per_call: float | None = None
    idle_layers: list[str] | None = None
    texts: str | None = None
    arguments: dict[str, Any] | None = None
    output: OutputShape | None = None
    scheduler: dict[str, Any] | None = None
    parts: dict[str, Part] | None = None
    source: Said = msgspec.field(default_factory=Said)
    disagreements: list[Disagreement] = msgspec.field(default_factory=list)

    def without_weights(self) -> Configuration:
        """Return it as records hold it: parts by class and size."""
        if self.parts is None:
            return self
        parts = {
            name: Part(class_name=part.class_name, parameters=part.parameters, weight_bytes=part.weight_bytes)
            for name, part in self.parts.items()
        }
        return msgspec.structs.replace(self, parts=parts)

    def to_json(self) -> Json:
        """Return all fields as plain builtins."""
        plain: Json = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_json(cls, data: Json) -> Configuration:
        """Return the configuration of plain builtins."""
        return msgspec.convert(data, cls)


def combine(
    described: Described,
    observed: Observed,
    source: SourceReading,
    call: CallTaken | None = None,
    output: OutputShape | None = None,
) -> Configuration:
    """Put together what the arm reported of its object and of its first call, what came out, and the reading of its text."""
    said = Said(
        pipeline_class=source.pipeline_class,
        model_id=_resolved(source.model_id),
        scheduler_class=source.scheduler_class,
        num_inference_steps=source.num_inference_steps,
        methods=json_value(source.methods),
    )
    steps = observed.num_inference_steps
    line = None if call is None else call.line
    return Configuration(
        pipeline_class=described.pipeline_class,
        model_id=described.model_id,
        scheduler_class=described.scheduler_class,
        # A pipeline without a scheduler of diffusers shows no steps; then the text is all there is.
        num_inference_steps=steps if steps is not None else source.num_inference_steps,
        scheduler_steps=observed.scheduler_steps or None,
        entry_point=described.entry_point,
        call=call,
        methods=described.methods,
        dtypes=described.dtypes,
        denoiser_calls_per_image=observed.denoiser_calls_per_image or None,
        calls_by_component=observed.calls_by_component or None,
        denoiser_layer_calls=observed.denoiser_layer_calls,
        layers_per_call=_layers_per_call(observed),
        idle_layers=observed.idle_layers,
        texts=observed.texts,
        arguments=observed.arguments,
        output=output,
        scheduler=described.scheduler,
        parts=described.parts,
        source=said,
        disagreements=[
            entry
            for entry in _disagreements(said, described, steps)
            if not _is_left_open(entry, source, line)
        ],
    )


def _layers_per_call(observed: Observed) -> float | None:
    if observed.denoiser_layer_calls is None or not observed.denoiser_calls:
        return None
    return observed.denoiser_layer_calls / observed.denoiser_calls


def _disagreements(said: Said, described: Described, steps: int | None) -> list[Disagreement]:
    found = []
    for name in ("pipeline_class", "model_id", "scheduler_class", "num_inference_steps"):
        source = getattr(said, name)
        observed = steps if name == "num_inference_steps" else getattr(described, name)
        # What the text does not say, or says through an Auto class, contradicts nothing.
        unsaid = source is None or (
            name == "pipeline_class" and str(source).startswith(("Auto", "DiffusionPipeline"))
        )
        is_same = observed in (source, f"{source}{OF_ITS_OWN}") or (
            name == "model_id" and _is_below(source, described.model_id)
        )
        if not unsaid and not is_same:
            found.append(Disagreement(field=name, source=source, observed=observed))
    for name in sorted(said.methods.keys() ^ described.methods.keys()):
        # Replaced code that no method accounts for is in no text.
        if name in METHODS and METHODS[name].is_in_source:
            in_source = name in said.methods
            found.append(Disagreement(field=f"methods.{name}", source=in_source, observed=not in_source))
    return found


def _is_left_open(entry: Disagreement, source: SourceReading, line: int | None) -> bool:
    """Whether a text does not say what it seems to disagree on.

    Args:
        entry: what seems to be a disagreement.
        source: the reading.
        line: of the call that was seen; None where none was.
    """
    if (
        entry.field == "num_inference_steps"
        and source.entry is not None
        and line not in (None, source.entry.line)
    ):
        return True  # the text shows several calls, and another one was seen
    is_unnamed = entry.field.startswith("methods.") and entry.observed is True
    return entry.field in source.unsure or (is_unnamed and source.may_hide_methods)


def _is_below(written: str | None, resolved: str | None) -> bool:
    """Whether a folder is one that a text writes relative to the directory in which it runs."""
    if written is None or resolved is None or not Path(resolved).is_absolute():
        return False
    parts = Path(written).parts
    return bool(parts) and Path(resolved).parts[-len(parts) :] == parts


def _resolved(model_id: str | None) -> str | None:
    if model_id and Path(model_id).is_dir():
        return str(Path(model_id).resolve())
    return model_id
