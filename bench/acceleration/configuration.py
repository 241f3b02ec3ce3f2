"""The configuration of a pipeline, observed and as its source says, and how two of them differ."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.acceleration.source.reading import SourceReading

COMPARED = ("pipeline_class", "model_id", "scheduler_class", "num_inference_steps", "scheduler_steps")
"""Fields in which a candidate must equal its target."""


@dataclass(frozen=True)
class Configuration:
    """What one arm is, and what it did in its first call.

    Attributes:
        pipeline_class, model_id, scheduler_class: observed on the loaded object.
        num_inference_steps: what the scheduler was asked for while generating.
        scheduler_steps: steps that the scheduler took in one call; more than asked for with
            multi-step starts such as PNDM's.
        entry_point: ``__call__``, ``generate``, ``tgate``, ...
        methods: acceleration methods found on the object, each with its parameters.
        dtypes: parameter dtype of each component.
        denoiser_calls_per_image: samples that went through the denoiser per image; guidance counts twice.
        denoiser_layer_calls: executions of the denoiser's layers in the first call, None if not countable.
        source: the same as the text of the file says.
        disagreements: fields in which the source and the object differ, each with both values.
    """

    pipeline_class: str | None
    model_id: str | None
    scheduler_class: str | None
    num_inference_steps: int | None
    scheduler_steps: int | None
    entry_point: str
    methods: dict[str, dict]
    dtypes: dict[str, str]
    denoiser_calls_per_image: float | None
    denoiser_layer_calls: int | None
    source: dict[str, Any] = field(default_factory=dict)
    disagreements: list[dict] = field(default_factory=list)

    def to_record(self) -> dict[str, Any]:
        """Return all fields as plain builtins."""
        return asdict(self)


def combine(described: dict, observed: dict, source: SourceReading) -> Configuration:
    """Put together what the arm reported of its object and of its first call, and the reading of its text."""
    said = {
        "pipeline_class": source.pipeline_class,
        "model_id": _resolved(source.model_id),
        "scheduler_class": source.scheduler_class,
        "num_inference_steps": source.num_inference_steps,
        "methods": {name: dict(parameters) for name, parameters in source.methods.items()},
    }
    steps = observed.get("num_inference_steps")
    seen = {
        "pipeline_class": described.get("pipeline_class"),
        "model_id": described.get("model_id"),
        "scheduler_class": described.get("scheduler_class"),
        "num_inference_steps": steps,
        "methods": described.get("methods", {}),
    }
    return Configuration(
        pipeline_class=seen["pipeline_class"],
        model_id=seen["model_id"],
        scheduler_class=seen["scheduler_class"],
        # A pipeline without a scheduler of diffusers shows no steps; then the text is all there is.
        num_inference_steps=steps if steps is not None else source.num_inference_steps,
        scheduler_steps=observed.get("scheduler_steps") or None,
        entry_point=described.get("entry_point", "__call__"),
        methods=seen["methods"],
        dtypes=described.get("dtypes", {}),
        denoiser_calls_per_image=observed.get("denoiser_calls_per_image") or None,
        denoiser_layer_calls=observed.get("denoiser_layer_calls"),
        source=said,
        disagreements=_disagreements(said, seen),
    )


def mismatches(target: Configuration, candidate: Configuration) -> list[dict]:
    """Return ``{"field", "target", "candidate"}`` for every compared field that differs.

    The steps that the scheduler took are only listed where the steps asked for are equal: otherwise they
    say the same thing twice.
    """
    found = [
        {"field": name, "target": getattr(target, name), "candidate": getattr(candidate, name)}
        for name in COMPARED
        if getattr(target, name) != getattr(candidate, name)
    ]
    fields = {entry["field"] for entry in found}
    if fields & {"num_inference_steps", "scheduler_class"}:
        found = [entry for entry in found if entry["field"] != "scheduler_steps"]
    return found


def missing_methods(required: tuple[str, ...], candidate: Configuration) -> list[dict]:
    """Return a mismatch for every required acceleration method that is not in place on the candidate."""
    return [
        {"field": f"methods.{name}", "target": "required", "candidate": None}
        for name in required
        if name not in candidate.methods
    ]


def _disagreements(said: dict[str, Any], seen: dict[str, Any]) -> list[dict]:
    found = []
    for name in ("pipeline_class", "model_id", "scheduler_class", "num_inference_steps"):
        # What the text does not say, or says through an Auto class, contradicts nothing.
        unsaid = said[name] is None or (
            name == "pipeline_class" and str(said[name]).startswith(("Auto", "DiffusionPipeline"))
        )
        if not unsaid and said[name] != seen[name]:
            found.append({"field": name, "source": said[name], "observed": seen[name]})
    for name in sorted(said["methods"].keys() ^ seen["methods"].keys()):
        in_source = name in said["methods"]
        found.append({"field": f"methods.{name}", "source": in_source, "observed": not in_source})
    return found


def _resolved(model_id: str | None) -> str | None:
    if model_id and Path(model_id).is_dir():
        return str(Path(model_id).resolve())
    return model_id
