"""What is really in place on a loaded pipeline: its class, model, scheduler and acceleration methods."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.acceleration.arm.class_names import pipeline_class, scheduler_class
from bench.acceleration.arm.loading import LoadedPipeline
from bench.acceleration.arm.parts_of_model import settings_of
from bench.acceleration.arm.replaced_code import PATCHED_FORWARD, replacing_files
from bench.acceleration.detectors.parts import dtypes, seen_as_it_is
from bench.acceleration.detectors.shipped import METHODS
from bench.acceleration.methods import Parameters
from bench.acceleration.protocol.messages import SET, Described, json_value
from bench.core.errors import SourceProblem


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
        files = replacing_files(loaded.pipe)
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
