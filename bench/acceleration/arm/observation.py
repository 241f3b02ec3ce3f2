"""Counting, in the arm, what a pipeline really does while it generates.

A method may be in place without having an effect. So the objects themselves are counted on: the steps that the
scheduler is asked for and takes, and the calls of the denoiser. The executions of its layers are counted in the first
call only, where that costs no timed second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.acceleration.detectors.parts import is_compiled
from bench.acceleration.methods import Parameters
from bench.acceleration.protocol.messages import Observed

DENOISER_NAMES = ("unet", "transformer", "prior", "decoder")


class Counters:
    """Counts on one pipeline. Scheduler and denoiser are always counted, layers on request.

    Args:
        pipe: a diffusers pipeline.
    """

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self._watched: list[Any] = []
        self.requested_steps: int | None = None
        self.scheduler_steps = 0
        self.denoiser_calls = 0
        self.denoiser_samples = 0
        self.layer_calls = 0
        self.not_finite = False
        self._layers_counted = False
        denoiser = find_denoiser(pipe)
        if denoiser is not None:
            denoiser.register_forward_pre_hook(self._count_denoiser, with_kwargs=True)
        decoder = getattr(getattr(pipe, "vae", None), "decoder", None)
        if decoder is not None and not is_compiled(decoder):
            decoder.register_forward_hook(self._check_decoded)

    @contextmanager
    def counting(self, *, layers: bool) -> Iterator[None]:
        """Count from zero during the body; with ``layers``, executions of the denoiser's layers too."""
        self._watch_scheduler()
        self.requested_steps = None
        self.scheduler_steps = self.denoiser_calls = self.denoiser_samples = self.layer_calls = 0
        self.not_finite = False
        handles = self._layer_hooks() if layers else []
        self._layers_counted = bool(handles)
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def report(self, image_count: int) -> Observed:
        """Return the counts of the last call, which gave so many images."""
        return Observed(
            num_inference_steps=self.requested_steps,
            scheduler_steps=self.scheduler_steps,
            denoiser_calls=self.denoiser_calls,
            denoiser_calls_per_image=self.denoiser_samples / max(1, image_count),
            denoiser_layer_calls=self.layer_calls if self._layers_counted else None,
            not_finite=self.not_finite,
        )

    def _watch_scheduler(self) -> None:
        # The file may have replaced the scheduler since the last call; each instance is wrapped once.
        scheduler = getattr(self._pipe, "scheduler", None)
        if scheduler is None or any(scheduler is known for known in self._watched):
            return
        self._watched.append(scheduler)
        step, set_timesteps = scheduler.step, scheduler.set_timesteps

        def counted_step(*args: Any, **kwargs: Any) -> Any:
            self.scheduler_steps += 1
            return step(*args, **kwargs)

        def watched_set_timesteps(*args: Any, **kwargs: Any) -> Any:
            result = set_timesteps(*args, **kwargs)
            requested = kwargs.get("num_inference_steps", args[0] if args else None)
            # Custom timesteps or sigmas come without a number of steps; then their count is it.
            self.requested_steps = int(requested if requested is not None else len(scheduler.timesteps))
            return result

        # diffusers inspects the signatures of both, so they must survive the wrapping.
        scheduler.step = _with_signature(counted_step, step)
        scheduler.set_timesteps = _with_signature(watched_set_timesteps, set_timesteps)

    def _count_denoiser(self, _module: Any, args: tuple[Any, ...], kwargs: Parameters) -> None:
        self.denoiser_calls += 1
        sample: Any = args[0] if args else kwargs.get("sample", kwargs.get("hidden_states"))
        self.denoiser_samples += int(sample.shape[0]) if hasattr(sample, "shape") else 1

    def _check_decoded(self, _module: Any, _args: tuple[Any, ...], output: Any) -> None:
        # PIL images cannot hold NaN: it would arrive as a black image without this look.
        if hasattr(output, "isfinite") and not bool(output.isfinite().all()):
            self.not_finite = True

    def _layer_hooks(self) -> list[Any]:
        denoiser = find_denoiser(self._pipe)
        if denoiser is None or is_compiled(denoiser):
            return []  # a hook inside a compiled module would break its graph
        return [
            module.register_forward_hook(self._count_layer)
            for module in denoiser.modules()
            if next(module.children(), None) is None
            and next(module.parameters(recurse=False), None) is not None
        ]

    def _count_layer(self, *_: Any) -> None:
        self.layer_calls += 1


def find_denoiser(pipe: Any) -> Any:
    """Return the module that predicts the noise, or None where the pipeline has none under a known name."""
    for name in DENOISER_NAMES:
        module = getattr(pipe, name, None)
        if hasattr(module, "register_forward_pre_hook"):
            return module
    return None


def _with_signature(wrapper: Any, original: Any) -> Any:
    import inspect

    wrapper.__signature__ = inspect.signature(original)
    wrapper.__name__ = getattr(original, "__name__", "wrapped")
    return wrapper
