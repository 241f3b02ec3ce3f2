"""Counting, in the arm, the steps of schedulers, the calls of denoisers and what text encoders read.

All are counted from outside, by their classes and keyed by instance: a copy that a pipeline makes of its scheduler steps by
itself, and what is compiled holds no hook.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import re
import statistics
import types
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from bench.acceleration.arm.patching import put
from bench.acceleration.detectors.adapters import added_names
from bench.acceleration.detectors.attention import is_stood_in_for
from bench.acceleration.detectors.compiled import has_compiled
from bench.acceleration.methods import Parameters

MAIN_SCHEDULER = "scheduler"
_DENOISER = re.compile(r"(decoder|(\w+_)?(unet|transformer|prior|controlnet|super_res_(first|last)))(_\d+)?")
_TEXT_ENCODER = re.compile(r"text_encoder(_\d+)?")
_OF_DIFFUSERS = tuple(f"diffusers.models.{kind}" for kind in ("unets", "transformers", "controlnets"))
_SAMPLES = ("sample", "hidden_states", "x", "latents")


class Outermost:
    """Wraps methods of classes so that only the outermost call on an instance is told of.

    A class and its base may both be wrapped, and one calls the other.
    """

    def __init__(self) -> None:
        self._within: set[int] = set()
        self._places: set[tuple[int, str]] = set()

    def put(
        self, stack: ExitStack, owner: Any, name: str, around: Callable[..., Any], original: Any = None
    ) -> None:
        """Put a wrapper in place until the stack is left, once for each place.

        Args:
            stack: takes it off again.
            owner: a class, or an instance for a method that only it has.
            name: of the method.
            around: called with the instance, the method bound to it, and the arguments; returns the result.
            original: the method, with the instance as its first parameter; left out, what the owner has.
        """
        if (id(owner), name) in self._places:
            return
        self._places.add((id(owner), name))
        call = getattr(owner, name) if original is None else original

        @functools.wraps(call)  # diffusers looks at the signatures
        def wrapped(thing: Any, *args: Any, **kwargs: Any) -> Any:
            if id(thing) in self._within:
                return call(thing, *args, **kwargs)
            self._within.add(id(thing))
            try:
                return around(thing, functools.partial(call, thing), args, kwargs)
            finally:
                self._within.discard(id(thing))

        # Of an instance, Python makes a method of its copy when it is copied.
        put(stack, owner, name, wrapped if isinstance(owner, type) else types.MethodType(wrapped, owner))


@dataclass
class _Steps:
    """Of one scheduler: its runs, each as steps asked for and taken, and the images in all of its steps."""

    scheduler: Any  # held, so that no other one gets its id
    name: str | None = None
    runs: list[list[int]] = field(default_factory=list)
    stepped: int | None = 0  # None where a step does not show how many
    began: float | None = None  # the last step of the present run


class StepCounter:
    """Counts what schedulers are asked for and what they take.

    Args:
        at_step: called once, at the first step of any of them.
        clock: returns the present second; None where steps are not timed.
    """

    def __init__(
        self, at_step: Callable[[], None] | None = None, clock: Callable[[], float] | None = None
    ) -> None:
        self._at_step, self._clock = at_step, clock
        self._times: list[float] = []
        self._steps: dict[int, _Steps] = {}
        self._calls = Outermost()

    @property
    def has_stepped(self) -> bool:
        """Whether any scheduler took a step."""
        return any(taken for steps in self._steps.values() for _, taken in steps.runs)

    @property
    def step_s(self) -> float | None:
        """Median seconds from one step to the next of a run; None where none were timed."""
        return statistics.median(self._times) if self._times else None

    def watch(self, stack: ExitStack, scheduler: Any, name: str) -> None:
        """Count a scheduler, and others of its class, until the stack is left.

        Args:
            stack: takes the counters off again.
            scheduler: what may be one.
            name: of the component that it is.
        """
        if not hasattr(scheduler, "set_timesteps") or not hasattr(scheduler, "step"):
            return
        self._steps.setdefault(id(scheduler), _Steps(scheduler, name))
        for method, around in (("step", self._step), ("set_timesteps", self._set_timesteps)):
            kind = type(scheduler)
            if hasattr(kind, method):
                self._calls.put(stack, kind, method, around)
            if method in vars(scheduler) or not hasattr(kind, method):  # what a file gave to this one alone
                own = _with_instance(getattr(scheduler, method), scheduler)
                self._calls.put(stack, scheduler, method, around, own)

    def per_image(self, image_count: int) -> tuple[int | None, int]:
        """Return the steps that were asked for, and those taken for each image.

        Those of the pipeline's own scheduler; where it took none, of whichever did: other components, copies.
        """
        stepping = [steps for steps in self._steps.values() if any(taken for _, taken in steps.runs)]
        candidates = stepping or list(self._steps.values())
        counted = [steps for steps in candidates if steps.name == MAIN_SCHEDULER] or candidates
        # A file may call its pipeline once for each image. The steps are those of one run of the scheduler, and of runs that
        # differ the shortest: who makes one long run beside short ones makes no image of them all with it. Some pipelines
        # set the timesteps more often than they run.
        runs = [run for steps in counted for run in steps.runs if run[1] or not stepping]
        asked, taken = min(runs, default=(None, 0), key=lambda run: (run[1], run[0]))
        images = [steps.stepped for steps in counted]
        if None not in images:  # who makes fewer images than it returns takes fewer steps for each
            taken = min(taken, sum(filter(None, images)) // max(1, image_count))
        return asked, taken

    def _of(self, scheduler: Any) -> _Steps:
        return self._steps.setdefault(id(scheduler), _Steps(scheduler))

    def _step(self, scheduler: Any, step: Any, args: tuple[Any, ...], kwargs: Parameters) -> Any:
        steps = self._of(scheduler)
        if not steps.runs:  # somebody has set the timesteps before, or it is a copy
            steps.runs.append([len(scheduler.timesteps), 0])
        if self._at_step is not None:
            at_step, self._at_step = self._at_step, None
            at_step()
        steps.runs[-1][1] += 1
        sample: Any = args[2] if len(args) > 2 else kwargs.get("sample")
        if hasattr(sample, "shape") and len(sample.shape) and steps.stepped is not None:
            steps.stepped += int(sample.shape[0])
        else:
            steps.stepped = None
        if self._clock is not None:
            began = self._clock()
            if steps.began is not None:
                self._times.append(began - steps.began)
            steps.began = began
        return step(*args, **kwargs)

    def _set_timesteps(self, scheduler: Any, method: Any, args: tuple[Any, ...], kwargs: Parameters) -> Any:
        result = method(*args, **kwargs)
        requested = kwargs.get("num_inference_steps", args[0] if args else None)
        # Custom timesteps or sigmas come without a number of steps; then their count is it.
        asked = requested if requested is not None else len(scheduler.timesteps)
        steps = self._of(scheduler)
        steps.runs.append([int(asked), 0])
        steps.began = None
        return result


class DenoiserCounter:
    """Counts the calls of denoisers, the samples in them, and the layers that run.

    Args:
        layers: whether layers are counted: hooks on every layer would be most of a small model's time.

    Attributes:
        calls, samples: by component.
    """

    def __init__(self, *, layers: bool = True) -> None:
        self._counts_layers = layers
        self.calls: Counter[str] = Counter()
        self.samples: Counter[str] = Counter()
        self.layer_calls: int | None = None
        self._names: dict[int, str] = {}
        self._layers: dict[tuple[str, str], bool] = {}  # by component and name, whether they ran
        self._has_compiled = False
        self._calls = Outermost()

    def watch(self, stack: ExitStack, denoiser: Any, name: str) -> None:
        """Count a denoiser until the stack is left.

        Args:
            stack: takes the counters off again.
            denoiser: a module.
            name: of the component that it is.
        """
        if id(denoiser) in self._names:
            return
        self._names[id(denoiser)] = name
        self.calls[name] = self.samples[name] = 0
        # Of the class, where Python looks for it: a hook of the module would be within what is compiled in place.
        self._calls.put(stack, type(denoiser), "__call__", self._call)
        if not self._counts_layers:
            return
        if has_compiled(denoiser):
            self._has_compiled = True
            return
        self.layer_calls = self.layer_calls or 0
        added = added_names(denoiser)
        for layer, module in denoiser.named_modules():
            is_innermost = next(module.children(), None) is None
            has_weights = is_innermost and next(module.parameters(recurse=False), None) is not None
            if has_weights and not layer.startswith(added) and not _is_stood_in_for(denoiser, layer):
                self._layers[name, layer] = False
                stack.callback(
                    module.register_forward_hook(functools.partial(self._layer, name, layer)).remove
                )

    @property
    def sees_layers(self) -> bool:
        """Whether all layers of all denoisers are counted."""
        return self.layer_calls is not None and not self._has_compiled

    @property
    def idle_layers(self) -> list[str]:
        """Names of the model's own layers that did not run; of several denoisers, with the component in front."""
        idle = [place for place, ran in self._layers.items() if not ran]
        return sorted(".".join(place) if len(self._names) > 1 else place[1] for place in idle)

    def _call(self, module: Any, call: Any, args: tuple[Any, ...], kwargs: Parameters) -> Any:
        name = self._names.get(id(module))
        if name is not None:
            self.calls[name] += 1
            self.samples[name] += _batch_size(args, kwargs)
        return call(*args, **kwargs)

    def _layer(self, name: str, layer: str, *_: Any) -> None:
        self.layer_calls = (self.layer_calls or 0) + 1
        self._layers[name, layer] = True


def _is_stood_in_for(denoiser: Any, layer: str) -> bool:
    around, _, name = layer.rpartition(".")
    return is_stood_in_for(denoiser.get_submodule(around), name)


class TextCounter:
    """Counts which texts go into the text encoders of a pipeline, as rows of tokens."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._read: Counter[tuple[str, tuple[int, ...]]] = Counter()
        self._calls = Outermost()

    def watch(self, stack: ExitStack, pipe: Any) -> None:
        """Count what the text encoders of a pipeline read until the stack is left."""
        for name, part in text_encoders_of(pipe).items():
            if hasattr(part, "register_forward_pre_hook"):
                self._names.setdefault(id(part), name)
                self._calls.put(stack, type(part), "__call__", self._call)

    @property
    def digest(self) -> str | None:
        """A hash of what was read, how often and by which encoder, in whatever order; None where nothing was."""
        if not self._read:
            return None
        return hashlib.sha256(repr(sorted(self._read.items())).encode()).hexdigest()[:16]

    def _call(self, module: Any, call: Any, args: tuple[Any, ...], kwargs: Parameters) -> Any:
        tokens: Any = args[0] if args else kwargs.get("input_ids")
        name = self._names.get(id(module))
        if name is not None and hasattr(tokens, "tolist") and getattr(tokens, "ndim", 0) == 2:
            self._read.update((name, tuple(row)) for row in tokens.tolist())
        return call(*args, **kwargs)


def denoisers_of(pipe: Any) -> dict[str, Any]:
    """Return the modules that predict the noise, by component: also of a second stage, a prior, and ControlNets."""
    return {name: part for name, part in vars(pipe).items() if _is_denoiser(name, part)}


def text_encoders_of(pipe: Any) -> dict[str, Any]:
    """Return what encodes the prompts, by component."""
    parts = vars(pipe).items()
    return {name: part for name, part in parts if _TEXT_ENCODER.fullmatch(name) and part is not None}


def _is_denoiser(name: str, part: Any) -> bool:
    if not hasattr(part, "register_forward_pre_hook"):
        return False
    if any(kind.__module__.startswith(_OF_DIFFUSERS) for kind in type(part).__mro__):
        return True
    return _DENOISER.fullmatch(name) is not None


def _batch_size(args: tuple[Any, ...], kwargs: Parameters) -> int:
    """Return how many samples a call of a denoiser has: the rows of a tensor, or the items of a list."""
    known = [
        *args[:1],
        *(kwargs[name] for name in _SAMPLES if kwargs.get(name) is not None),
        *kwargs.values(),
    ]
    for value in known:
        if isinstance(value, list | tuple) and value and all(hasattr(item, "shape") for item in value):
            return len(value)
        if hasattr(value, "shape") and len(value.shape):
            return int(value.shape[0])
    return 1


def _with_instance(method: Any, instance: Any) -> Any:
    """Return an instance's own method as a function of the instance."""
    if isinstance(method, types.MethodType) and method.__self__ is instance:
        return method.__func__

    def called(_: Any, *args: Any, **kwargs: Any) -> Any:
        return method(*args, **kwargs)

    first = inspect.Parameter("own_instance", inspect.Parameter.POSITIONAL_ONLY)
    called.__signature__ = inspect.Signature([first, *inspect.signature(method).parameters.values()])  # type: ignore[attr-defined]
    return called
