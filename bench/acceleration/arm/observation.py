"""Watching, in the arm, what a pipeline really does in one call.

A method may be in place without having an effect, and one that is switched on within the call is in place at no other
moment. So one call is watched: what the pipeline is given, the steps that its scheduler is asked for and takes, the calls
of the denoiser, its layers, the methods in place. All of it is taken off again: the calls that are timed run as the file
made them. What is compiled is watched from outside, since a hook within it would break its graph.
"""

from __future__ import annotations

import functools
import inspect
import statistics
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from bench.acceleration.arm.content import described
from bench.acceleration.arm.loading import REPLACED
from bench.acceleration.arm.patching import put
from bench.acceleration.arm.recorder import RUN, RecordedCall, Recorder, defaults_of
from bench.acceleration.arm.torch_costs import time_when_done
from bench.acceleration.detectors.parts import is_compiled
from bench.acceleration.methods import Parameters
from bench.acceleration.protocol.messages import Observed

DENOISER_NAMES = ("unet", "transformer", "prior", "decoder")


class Watch:
    """Watches calls of one pipeline, each within :meth:`watching`.

    Args:
        pipe: a diffusers pipeline.
        replaced: arguments that hold inputs of the samples, which are not the file's own.
    """

    def __init__(self, pipe: Any, replaced: Collection[str] = ()) -> None:
        self._pipe, self._replaced = pipe, {*REPLACED, *replaced}
        self._reset()

    def _reset(self) -> None:
        self._runs: list[list[int]] = []  # of the scheduler: steps asked for, steps taken
        self._stepped: int | None = 0  # images in all of its steps; None where a step does not show how many
        self._times_steps = False
        self._step_began: float | None = None  # the last step of the present run
        self._step_times: list[float] = []
        self._denoiser_calls = self._denoiser_samples = self._layer_calls = 0
        self._layers: set[str] | None = None
        self._executed: set[str] = set()
        self._not_finite = False
        self._arguments: dict[str, Any] | None = None
        self._watched: list[Any] = []
        self._at_step: Callable[[], None] | None = None

    @contextmanager
    def watching(self, at_step: Callable[[], None] | None = None, *, layers: bool = True) -> Iterator[None]:
        """Watch during the body, from zero.

        Args:
            at_step: called once, when the scheduler takes its first step.
            layers: whether the denoiser's layers are counted. Where not, the steps are timed: hooks on every layer would be
                most of a small model's time.
        """
        self._reset()
        self._at_step, self._times_steps = at_step, not layers
        with ExitStack() as stack:
            recorder = Recorder(
                self._on_call, {}, on_assign=lambda name, value: self._assigned(stack, name, value)
            )
            stack.enter_context(recorder)
            recorder.watch(type(self._pipe))
            self._watch_scheduler(stack, getattr(self._pipe, "scheduler", None))
            self._watch_denoiser(stack, layers)
            self._watch_images(stack)
            yield

    def report(
        self, image_count: int, entry_point: str = "__call__", given: Parameters | None = None
    ) -> Observed:
        """Return what was seen in the last call.

        Args:
            image_count: how many images it gave.
            entry_point: what was called.
            given: with which arguments, where the call could not be watched: an entry point that a package added.
        """
        if self._arguments is None and given is not None and entry_point != "generate":
            self._arguments = self._settings({**defaults_of(getattr(self._pipe, entry_point)), **given})
        # A file may call its pipeline once for each image. The steps are those of one run of the scheduler, and of runs that
        # differ the shortest: who makes one long run beside short ones makes no image of them all with it.
        asked, taken = min(self._runs, default=(None, 0), key=lambda run: (run[1], run[0]))
        if self._stepped is not None:  # who makes fewer images than it returns takes fewer steps for each
            taken = min(taken, self._stepped // max(1, image_count))
        return Observed(
            num_inference_steps=asked,
            scheduler_steps=taken,
            denoiser_calls=self._denoiser_calls,
            denoiser_calls_per_image=self._denoiser_samples / max(1, image_count),
            denoiser_layer_calls=None if self._layers is None else self._layer_calls,
            idle_layers=None if self._layers is None else sorted(self._layers - self._executed),
            arguments=self._arguments,
            not_finite=self._not_finite,
            step_s=statistics.median(self._step_times) if self._step_times else None,
        )

    # The call

    def _on_call(self, call: RecordedCall) -> Any:
        # Until the first step: a class of the file's own may hand everything on to the one that knows the names.
        if call.pipe is self._pipe and not any(taken for _, taken in self._runs):
            self._arguments = (self._arguments or {}) | self._settings({**call.defaults, **call.given})
        return RUN

    def _settings(self, given: Parameters) -> Parameters:
        found = {
            name: described(value)
            for name, value in given.items()
            if name not in self._replaced and not name.startswith("*")
        }
        for name in ("height", "width"):
            if name in found and found[name] is None:
                found[name] = default_size(self._pipe)
        return found

    # The scheduler

    def _assigned(self, stack: ExitStack, name: str, value: Any) -> None:
        if name == "scheduler":
            self._watch_scheduler(stack, value)

    def _watch_scheduler(self, stack: ExitStack, scheduler: Any) -> None:
        if not hasattr(scheduler, "set_timesteps") or any(scheduler is known for known in self._watched):
            return
        self._watched.append(scheduler)
        step, set_timesteps = scheduler.step, scheduler.set_timesteps

        def counted_step(*args: Any, **kwargs: Any) -> Any:
            if not self._runs:  # somebody has set the timesteps before
                self._runs.append([len(scheduler.timesteps), 0])
            if self._at_step is not None:
                at_step, self._at_step = self._at_step, None
                at_step()
            self._runs[-1][1] += 1
            self._count_stepped(args[2] if len(args) > 2 else kwargs.get("sample"))
            if self._times_steps:
                self._time_step()
            return step(*args, **kwargs)

        def watched_set_timesteps(*args: Any, **kwargs: Any) -> Any:
            result = set_timesteps(*args, **kwargs)
            requested = kwargs.get("num_inference_steps", args[0] if args else None)
            # Custom timesteps or sigmas come without a number of steps; then their count is it.
            self._runs.append([int(requested if requested is not None else len(scheduler.timesteps)), 0])
            self._step_began = None
            return result

        # diffusers inspects the signatures of both, so they must survive the wrapping.
        put(stack, scheduler, "step", _with_signature(counted_step, step))
        put(stack, scheduler, "set_timesteps", _with_signature(watched_set_timesteps, set_timesteps))

    def _count_stepped(self, sample: Any) -> None:
        if hasattr(sample, "shape") and len(sample.shape) and self._stepped is not None:
            self._stepped += int(sample.shape[0])
        else:
            self._stepped = None

    def _time_step(self) -> None:
        began = time_when_done()
        if self._step_began is not None:
            self._step_times.append(began - self._step_began)
        self._step_began = began

    # The denoiser

    def _watch_denoiser(self, stack: ExitStack, layers: bool) -> None:
        denoiser = find_denoiser(self._pipe)
        if denoiser is None:
            return
        kind = type(denoiser)
        original = kind.__call__

        @functools.wraps(original)
        def counted(module: Any, *args: Any, **kwargs: Any) -> Any:
            if module is denoiser:
                self._denoiser_calls += 1
                self._denoiser_samples += _batch_size(args, kwargs)
            return original(module, *args, **kwargs)

        # Of the class, where Python looks for it: a hook of the module would be within what is compiled in place.
        put(stack, kind, "__call__", counted)
        if not layers or any(is_compiled(module) for module in denoiser.modules()):
            return
        self._layers = set()
        for name, module in denoiser.named_modules():
            is_layer = next(module.children(), None) is None
            if is_layer and next(module.parameters(recurse=False), None) is not None:
                self._layers.add(name)
                handle = module.register_forward_hook(functools.partial(self._count_layer, name))
                stack.callback(handle.remove)

    def _count_layer(self, name: str, *_: Any) -> None:
        self._layer_calls += 1
        self._executed.add(name)

    # The images

    def _watch_images(self, stack: ExitStack) -> None:
        # PIL images cannot hold NaN: it would arrive as a black image without this look.
        processor = getattr(self._pipe, "image_processor", None)
        postprocess = getattr(processor, "postprocess", None)
        if postprocess is None:
            return

        def checked(image: Any, *args: Any, **kwargs: Any) -> Any:
            if hasattr(image, "isfinite") and not bool(image.isfinite().all()):
                self._not_finite = True
            return postprocess(image, *args, **kwargs)

        put(stack, processor, "postprocess", _with_signature(checked, postprocess))


def default_size(pipe: Any) -> int | None:
    """Return the height and width in pixels that a pipeline makes unasked, None where it does not say."""
    config = getattr(find_denoiser(pipe), "config", None)
    size = getattr(pipe, "default_sample_size", None) or getattr(config, "sample_size", None)
    scale = getattr(pipe, "vae_scale_factor", None)
    return size * scale if isinstance(size, int) and isinstance(scale, int) else None


def find_denoiser(pipe: Any) -> Any:
    """Return the module that predicts the noise, or None where the pipeline has none under a known name."""
    for name in DENOISER_NAMES:
        module = getattr(pipe, name, None)
        if hasattr(module, "register_forward_pre_hook"):
            return module
    return None


def _batch_size(args: tuple[Any, ...], kwargs: Parameters) -> int:
    sample: Any = args[0] if args else kwargs.get("sample", kwargs.get("hidden_states"))
    return int(sample.shape[0]) if hasattr(sample, "shape") else 1


def _with_signature(wrapper: Any, original: Any) -> Any:
    wrapper.__signature__ = inspect.signature(original)
    wrapper.__name__ = getattr(original, "__name__", "wrapped")
    return wrapper
