"""Watching, in the arm, what a pipeline really does in one call.

A method may be in place without having an effect, and one that is switched on within the call is in place at no other
moment. So one call is watched: what the pipeline is given, the steps that its scheduler is asked for and takes, the calls
of the denoiser, its layers, the methods in place. All of it is taken off again: the calls that are timed run as the file
made them. What is compiled is watched from outside, since a hook within it would break its graph.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from bench.acceleration.arm.content import described
from bench.acceleration.arm.counting import DenoiserCounter, StepCounter, TextCounter, denoisers_of
from bench.acceleration.arm.given_inputs import parameters_of
from bench.acceleration.arm.loading import REPLACED
from bench.acceleration.arm.part_times import PartClock
from bench.acceleration.arm.patching import put
from bench.acceleration.arm.recorder import RUN, RecordedCall, Recorder, defaults_of
from bench.acceleration.arm.torch_costs import time_when_done
from bench.acceleration.methods import Parameters
from bench.acceleration.protocol.messages import UNKNOWN, Observed

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

    def _reset(self, at_step: Callable[[], None] | None = None, *, layers: bool = True) -> None:
        self._steps = StepCounter(at_step, None if layers else time_when_done)
        self._denoisers = DenoiserCounter(layers=layers)
        self._texts = TextCounter() if layers else None
        self._parts = None if layers else PartClock(time_when_done)
        self._not_finite = False
        self._arguments: dict[str, Any] | None = None

    @contextmanager
    def watching(self, at_step: Callable[[], None] | None = None, *, layers: bool = True) -> Iterator[None]:
        """Watch during the body, from zero.

        Args:
            at_step: called once, when the scheduler takes its first step.
            layers: whether the denoiser's layers are counted. Where not, the steps are timed: hooks on every layer would be
                most of a small model's time.
        """
        self._reset(at_step, layers=layers)
        with ExitStack() as stack:
            recorder = Recorder(
                lambda call: self._on_call(stack, call),
                {},
                on_assign=lambda pipe, name, value: self._assigned(stack, pipe, name, value),
            )
            stack.enter_context(recorder)
            recorder.watch(type(self._pipe))
            recorder.watch_known()
            self._watch_parts(stack, self._pipe)
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
            self._arguments = self._settings({**defaults_of(getattr(self._pipe, entry_point, None)), **given})
        asked, taken = self._steps.per_image(image_count)
        found, images = self._denoisers, max(1, image_count)
        return Observed(
            num_inference_steps=asked,
            scheduler_steps=taken,
            denoiser_calls=found.calls.total(),
            denoiser_calls_per_image=found.samples.total() / images,
            calls_by_component={name: count / images for name, count in found.samples.items()},
            denoiser_layer_calls=found.layer_calls if found.sees_layers else None,
            idle_layers=found.idle_layers if found.sees_layers else None,
            texts=None if self._texts is None else self._texts.digest,
            arguments=self._arguments,
            not_finite=self._not_finite,
            step_s=self._steps.step_s,
            part_s=None if self._parts is None else self._parts.seconds(),
        )

    # The call

    def _on_call(self, stack: ExitStack, call: RecordedCall) -> Any:
        if call.pipe is not self._pipe:  # a refiner, a prior
            self._watch_parts(stack, call.pipe, f"{type(call.pipe).__name__}.")
        # Until the first step: a class of the file's own may hand everything on to the one that knows the names.
        elif not self._steps.has_stepped:
            known = parameters_of(call.pipe, call.entry_point)
            found = self._settings({**call.defaults, **call.given})
            self._arguments = (self._arguments or {}) | {
                name if not known or name in known else f"{UNKNOWN}{name}": value
                for name, value in found.items()
            }
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

    # What is counted

    def _assigned(self, stack: ExitStack, pipe: Any, name: str, value: Any) -> None:
        if pipe is self._pipe:
            self._steps.watch(stack, value, name)

    def _watch_parts(self, stack: ExitStack, pipe: Any, prefix: str = "") -> None:
        """Count the schedulers, denoisers and texts of a pipeline, and time its parts where layers are not counted."""
        if self._parts is not None:
            self._parts.watch(stack, pipe)
        if self._texts is not None:
            self._texts.watch(stack, pipe)
        for name, part in vars(pipe).items():
            self._steps.watch(stack, part, prefix + name)
        for name, denoiser in denoisers_of(pipe).items():
            self._denoisers.watch(stack, denoiser, prefix + name)

    # The images

    def _watch_images(self, stack: ExitStack) -> None:
        # PIL images cannot hold NaN: it would arrive as a black image without this look.
        for name in ("image_processor", "video_processor"):
            self._watch_processor(stack, getattr(self._pipe, name, None))

    def _watch_processor(self, stack: ExitStack, processor: Any) -> None:
        postprocess = getattr(processor, "postprocess", None)
        if postprocess is None:
            return

        @functools.wraps(postprocess)  # diffusers looks at the signature
        def checked(image: Any, *args: Any, **kwargs: Any) -> Any:
            if hasattr(image, "isfinite") and not bool(image.isfinite().all()):
                self._not_finite = True
            return postprocess(image, *args, **kwargs)

        put(stack, processor, "postprocess", checked)


def default_size(pipe: Any) -> int | None:
    """Return the height and width in pixels that a pipeline makes unasked, None where it does not say."""
    config = getattr(find_denoiser(pipe), "config", None)
    size = getattr(pipe, "default_sample_size", None) or getattr(config, "sample_size", None)
    scale = getattr(pipe, "vae_scale_factor", None)
    return size * scale if isinstance(size, int) and isinstance(scale, int) else None


def find_denoiser(pipe: Any) -> Any:
    """Return the module whose settings say what the pipeline makes, or None where it has none under a known name."""
    for name in DENOISER_NAMES:
        module = getattr(pipe, name, None)
        if hasattr(module, "register_forward_pre_hook"):
            return module
    return None
