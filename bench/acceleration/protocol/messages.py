"""What an arm says of its pipeline and of a call; plain values on the way between the two processes.

All fields are untrusted on the evaluator's side: they come from a process that runs somebody else's file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from bench.acceleration.methods import Parameters


class Part(msgspec.Struct, kw_only=True, frozen=True):
    """What a component with weights is.

    Attributes:
        class_name: of the model.
        settings: its configuration without what names a place, a version or a precision.
        parameters: how many there are.
        weight_bytes: what they take, packed or quantized ones included.
        weights: a few values of a few of them, by name.
    """

    class_name: str
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    parameters: int = 0
    weight_bytes: int = 0
    weights: dict[str, list[float]] = msgspec.field(default_factory=dict)


class Described(msgspec.Struct, kw_only=True):
    """A loaded pipeline, as the arm sees it.

    Attributes:
        pipeline_class, scheduler_class: names of the classes.
        model_id: hub name, or resolved local directory.
        scheduler: configuration of the scheduler.
        entry_point: ``__call__``, ``generate``, ``tgate``, ...
        methods: acceleration methods in place, each with its parameters.
        dtypes: parameter dtype of each component.
        parts: what its components are; None where that was not looked at.
    """

    pipeline_class: str | None = None
    model_id: str | None = None
    scheduler_class: str | None = None
    parts: dict[str, Part] | None = None
    scheduler: dict[str, Any] | None = None
    entry_point: str = "__call__"
    methods: dict[str, Parameters] = msgspec.field(default_factory=dict)
    dtypes: dict[str, str] = msgspec.field(default_factory=dict)


SET, NOW, AS_MADE = "set", "now", "as_made"
"""Setting of a scheduler with what was set on the object after it was made, each with its value and the one before."""
FREE_U = "freeu"
"""Setting of a part with the factors of FreeU."""
OF_ITS_OWN = ", a class of its own"
"""Stands behind the name of a class that diffusers has too, where it is another one."""

UNKNOWN = "**"
"""Stands before the name of an argument that an entry point has no parameter for."""


class OwnCall(msgspec.Struct, kw_only=True, frozen=True):
    """The call with which a file generates, as it was seen while the file ran as a script.

    Attributes:
        entry_point: ``__call__``, ``tgate``, ...
        prompt_name: the argument that takes the prompts, or the class labels; ``*0`` is the first by position where there
            are no names, None says that nothing takes them.
        given: the names of all arguments that are not None.
        arguments: what else it is given, by the names of its parameters, as a reader sees it.
        unsent: arguments that another process cannot be given, with the names of their types.
        state: what torch was set to and is not set to in a fresh process, such as ``autocast.cpu``.
        line: of the file, from which the call was reached; None where none is.
        known_as: how the file knows the pipeline: ``pipe``, ``load_pipe``, or both.
        prompt_count: how many prompts it is given; None where they are no texts.
        beneath: whether it is one on the pipeline itself, though the file has put something around it.
    """

    entry_point: str = "__call__"
    prompt_name: str | None = "prompt"
    given: tuple[str, ...] = ()
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)
    unsent: dict[str, str] = msgspec.field(default_factory=dict)
    state: dict[str, Any] = msgspec.field(default_factory=dict)
    line: int | None = None
    known_as: tuple[str, ...] = ()
    prompt_count: int | None = None
    beneath: bool = False


class Probed(msgspec.Struct, kw_only=True, frozen=True):
    """What came of running a file as a script.

    Attributes:
        call: its first call on its own pipeline, or None.
        described: its pipeline at that moment.
        why: why there is no call.
        pipelines: the other pipelines that it called before, by class and line.
        chained: the one whose output goes into another call; empty where none does.
        into: that call.
        own_steps: where the file went through the steps itself, outside of any pipeline; empty where it did not.
    """

    call: OwnCall | None = None
    described: Described | None = None
    why: str = ""
    pipelines: list[str] = msgspec.field(default_factory=list)
    chained: str = ""
    into: str = "`pipe`"
    own_steps: str = ""


class Observed(msgspec.Struct, kw_only=True):
    """What was counted in one call.

    Attributes:
        num_inference_steps: what the scheduler was asked for.
        scheduler_steps: steps that it took for each image: those of one run, and fewer where a run made fewer images than
            were returned. A file may run it once for each image.
        denoiser_calls: calls of all denoisers: of both stages, of priors, of ControlNets, of a refiner.
        denoiser_calls_per_image: samples in all their batches over images; guidance in a doubled batch counts twice.
        calls_by_component: the same for each of them.
        denoiser_layer_calls: executions of their parameterised layers in the whole call, None where not counted.
        idle_layers: names of those that were not executed at all, likewise.
        texts: a hash of all tokens that text encoders read; None where none did, or where layers were not counted.
        arguments: what the pipeline was given besides prompts and generators, defaults included; None where it was not
            called.
        not_finite: whether the images held NaN or infinity before they were made.
        step_s: median seconds between two successive steps of the scheduler; None where layers were counted, so that
            nothing was timed, or where there was no second step.
        part_s: seconds of the whole call by sort of part (text encoder, denoiser, decoder, rest), likewise.
        compile_s: seconds that torch had compiled in this process until then; None where it had compiled nothing.
    """

    num_inference_steps: int | None = None
    scheduler_steps: int = 0
    denoiser_calls: int = 0
    denoiser_calls_per_image: float = 0.0
    calls_by_component: dict[str, float] = msgspec.field(default_factory=dict)
    denoiser_layer_calls: int | None = None
    idle_layers: list[str] | None = None
    texts: str | None = None
    arguments: dict[str, Any] | None = None
    not_finite: bool = False
    step_s: float | None = None
    part_s: dict[str, float] | None = None
    compile_s: float | None = None


class GpuMemory(msgspec.Struct, kw_only=True, frozen=True):
    """Memory of a GPU that a process took.

    Attributes:
        allocated_bytes: highest size of all its tensors, as its torch says.
        reserved_bytes: highest size of what its torch held for them, likewise.
        driver_bytes: what the driver says that it holds at the moment, with what torch does not count; None where it does
            not say.
    """

    allocated_bytes: int | None = None
    reserved_bytes: int | None = None
    driver_bytes: int | None = None


def set_on(scheduler: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return what was set on a scheduler after it was made; of what an arm says otherwise, nothing."""
    found = (scheduler or {}).get(SET)
    return {
        str(name): dict(values)
        for name, values in (found.items() if isinstance(found, Mapping) else ())
        if isinstance(values, Mapping) and values.keys() == {NOW, AS_MADE}
    }


def json_value(value: Any, other: Callable[[Any], Any] = str) -> Any:
    """Return a value as something JSON can hold; of what it cannot, what `other` makes of it: its text."""
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple, set)):
        return [json_value(item, other) for item in value]
    if isinstance(value, Mapping):
        return {str(key): json_value(item, other) for key, item in value.items()}
    return other(value)
