"""The acceleration methods by name: how each is found on a pipeline, and which calls apply it in source text.

A method is one registration, in a file of ours or of a user's::

    @acceleration_method(
        "free_u", switched_on={"enable_freeu": ("s1", "s2", "b1", "b2")}, switched_off=("disable_freeu",)
    )
    def free_u(loaded):
        block = loaded.pipe.unet.up_blocks[0]
        return None if getattr(block, "b1", None) is None else {"b1": block.b1, "b2": block.b2}

The name is then one that a task may ask for in ``methods``. Collecting imports this module, so a file that registers a
method imports torch and diffusers only inside of its functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from bench.core.registry import Registry, caller_place

Parameters = dict[str, Any]
"""Parameters of one method by name."""
LIBRARIES = frozenset({"torch", "diffusers", "transformers", "accelerate"})
"""Packages whose code every pipeline is made of; methods name their own packages."""


class SourceMethods(Protocol):
    """What a detector may know of the text of a pipeline file."""

    @property
    def methods(self) -> Mapping[str, Parameters]:
        """The methods that the text applies, with the parameters written there."""


class Loaded(Protocol):
    """A pipeline as its file set it up; `bench.acceleration.arm.loading.LoadedPipeline` is one.

    Attributes:
        pipe: the diffusers pipeline.
        entry: name of the entry point: ``__call__``, ``tgate``, ... or ``generate`` for the file's own.
        arguments: keyword arguments of that call.
    """

    pipe: Any
    entry: str
    arguments: Parameters

    @property
    def source(self) -> SourceMethods:
        """What the file's text says."""


Detector = Callable[[Any], Mapping[str, object] | None]
"""Returns the parameters of a method that is in place on a `Loaded` pipeline, None where it is not."""
D = TypeVar("D", bound=Detector)
Change = Literal["weights", "dtypes", "denoiser_calls", "layers", "idle_layers", "vae"]
"""What a method changes on purpose, besides what is computed: such a difference is as free as the method itself."""
Shows = Literal["work", "anything", "nothing"]
"""Where it shows that a method has an effect; see `acceleration_method`."""


@dataclass(frozen=True, slots=True)
class Method:
    """An acceleration method; see `acceleration_method`."""

    detect: Detector
    switched_on: Mapping[str, tuple[str, ...]]
    switched_off: tuple[str, ...]
    applied_by: tuple[str, ...]
    configured_by: tuple[str, ...]
    packages: tuple[str, ...]
    is_in_source: bool
    changes: frozenset[Change]
    shows: Shows
    only_told: frozenset[str]
    hidden_by: str | None


METHODS: Registry[Method] = Registry(
    "acceleration method", "register it with @acceleration_method in a file of a --user-dir folder"
)


def acceleration_method(
    name: str,
    *,
    switched_on: Mapping[str, tuple[str, ...]] | tuple[str, ...] = (),
    switched_off: tuple[str, ...] = (),
    applied_by: tuple[str, ...] = (),
    configured_by: tuple[str, ...] = (),
    packages: tuple[str, ...] = (),
    is_in_source: bool | None = None,
    changes: Iterable[Change] = ("denoiser_calls", "layers"),
    shows: Shows = "anything",
    only_told: tuple[str, ...] = (),
    hidden_by: str | None = None,
) -> Callable[[D], D]:
    """Return a decorator that registers a detector as an acceleration method.

    A call is known by the last part of its name, whatever it is called on.

    Args:
        name: of the method, as tasks ask for it.
        switched_on: calls that apply it, such as ``pipe.enable_freeu(...)``; each with the names of its positional
            parameters, an empty name for one that is no parameter of the method.
        switched_off: calls that take it back.
        applied_by: functions such as ``apply_faster_cache(module, config)``.
        configured_by: classes of configurations, given to such a function or to ``enable_cache(config)``.
        packages: packages whose code it puts in place. Replaced code of any other package is reported.
        is_in_source: whether the text of a file shows it, so that text and object can disagree; left out, whether any
            call is named here.
        changes: what it changes on purpose: the model's ``weights``, their ``dtypes``, how many ``denoiser_calls`` an
            image takes, which ``layers`` they execute, which ``vae`` decodes. A task that frees the method frees these.
        shows: where its effect shows against the same pipeline without it. ``work`` is a method that skips denoiser
            calls or layers, so that one without any skipped has no effect; ``anything`` may show in the images alone;
            ``nothing`` need not show, such as a compiled module or a smaller peak of memory. A task that asks for a
            method is failed where it shows nowhere.
        only_told: parameters that are recorded and not compared, such as where a LoRA was loaded from.
        hidden_by: a parameter with which the others cannot be seen any more, such as that a LoRA is fused: where one of two
            pipelines has it, weights and images are compared, and not the parameters.

    Raises:
        ValueError: when the name is taken; the message names both places.
    """
    place = caller_place()
    calls = switched_on if isinstance(switched_on, Mapping) else dict.fromkeys(switched_on, ())
    described = bool(calls or applied_by or configured_by)

    def register(detect: D) -> D:
        method = Method(
            detect=detect,
            switched_on=calls,
            switched_off=switched_off,
            applied_by=applied_by,
            configured_by=configured_by,
            packages=packages,
            is_in_source=described if is_in_source is None else is_in_source,
            changes=frozenset(changes),
            shows=shows,
            only_told=frozenset(only_told),
            hidden_by=hidden_by,
        )
        METHODS.add(name, method, place=place)
        return detect

    return register
