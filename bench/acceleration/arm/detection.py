"""What is really in place on a loaded pipeline: its class, model, scheduler and acceleration methods."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.acceleration.arm.class_names import (
    OWN_PACKAGES,
    own_classes,
    package_of,
    pipeline_class,
    scheduler_class,
)
from bench.acceleration.arm.loading import LoadedPipeline
from bench.acceleration.arm.parts_of_model import settings_of
from bench.acceleration.detectors.parts import dtypes, modules, seen_as_it_is
from bench.acceleration.detectors.shipped import METHODS
from bench.acceleration.methods import Parameters
from bench.acceleration.protocol.messages import SET, Described, json_value
from bench.core.errors import SourceProblem

PATCHED_FORWARD = "patched_forward"
"""What replaced code is listed as that no method accounts for; it is no method that a task could ask for."""


def describe(loaded: LoadedPipeline) -> Described:
    """Return the observed configuration.

    Raises:
        SourceProblem: a detector that raises, with its place.
    """
    scheduler = getattr(loaded.pipe, "scheduler", None)
    return Described(
        pipeline_class=pipeline_class(loaded.pipe),
        model_id=model_id(loaded.pipe),
        scheduler_class=None if scheduler is None else scheduler_class(scheduler),
        scheduler=_scheduler_settings(loaded, scheduler),
        entry_point=loaded.entry,
        methods=detected_methods(loaded),
        dtypes={name: str(dtype).removeprefix("torch.") for name, dtype in dtypes(loaded.pipe).items()},
    )


def _scheduler_settings(loaded: LoadedPipeline, scheduler: Any) -> Parameters | None:
    settings = settings_of(scheduler)
    if settings is None or not loaded.scheduler_set or scheduler is not loaded.scheduler:
        return settings
    return {**settings, SET: loaded.scheduler_set}


def detected_methods(loaded: LoadedPipeline) -> dict[str, Parameters]:
    """Return the acceleration methods in place, each with its parameters as plain values."""
    found = {}
    with seen_as_it_is(loaded.pipe):
        for name in METHODS:
            parameters = _detected(name, loaded)
            if parameters is not None:
                found[name] = parameters
        files = unknown_patches(loaded.pipe)
    if files:
        found[PATCHED_FORWARD] = {"files": files}
    return found


def _detected(name: str, loaded: LoadedPipeline) -> Parameters | None:
    try:
        found = METHODS[name].detect(loaded)
    except Exception as error:  # whatever a user's detector raises
        raise SourceProblem(
            f"could not be looked at: the detector of the method {name!r} ({METHODS.place(name)}) raised "
            f"{type(error).__name__}: {error}; expected the method's parameters, or None; fix the detector"
        ) from error
    if found is None:
        return None
    if not isinstance(found, Mapping):
        raise SourceProblem(
            f"could not be looked at: the detector of the method {name!r} ({METHODS.place(name)}) returned a "
            f"{type(found).__name__}; expected the method's parameters by name, or None; fix the detector"
        )
    return {str(key): json_value(value) for key, value in found.items()}


def model_id(pipe: Any) -> str | None:
    """Return the hub name or the resolved local directory that the pipeline was loaded from."""
    name = getattr(pipe, "name_or_path", None) or getattr(pipe, "config", {}).get("_name_or_path")
    name = name or getattr(pipe, "_pretrained_model_name_or_path", None)  # of a modular pipeline
    if not name:
        return None
    return str(Path(name).resolve()) if Path(name).is_dir() else str(name)


def unknown_patches(pipe: Any) -> list[str]:
    """Return the files of forwards, hooks around them and classes of the pipeline, whose code belongs to no known package.

    No method accounts for them.
    """
    known = OWN_PACKAGES.union(*(method.packages for method in METHODS.values()))
    found = {_foreign(function, known) for module in modules(pipe) for function in _run_by(module)}
    found |= {_file_of(kind) for kind in own_classes(pipe) if package_of(kind) not in known}
    return sorted(file for file in found if file is not None)


def _run_by(module: Any) -> Iterator[Any]:
    """Yield what runs when a module is called."""
    yield module.forward
    for hooks in ("_forward_pre_hooks", "_forward_hooks"):
        yield from getattr(module, hooks, {}).values()


def _file_of(kind: type) -> str:
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return str(kind.__module__) if file is None else Path(file).name


def _foreign(forward: Any, known: frozenset[str]) -> str | None:
    for _ in range(20):  # through partials and decorators, also where one leads back to itself
        forward = getattr(forward, "func", forward)
        function = forward if hasattr(forward, "__globals__") else type(forward).__call__
        # functools.wraps() copies __module__ from what is wrapped; the globals are the function's own.
        package = getattr(function, "__globals__", {}).get("__name__", "").partition(".")[0]
        if package and package not in known:
            return Path(function.__code__.co_filename).name
        forward = getattr(forward, "__wrapped__", None)
        if forward is None:
            break
    return None
