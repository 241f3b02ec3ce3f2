"""How two configurations differ: in what is computed, by value and never by name alone."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from bench.acceleration.configuration import Configuration
from bench.acceleration.methods import METHODS, Change, Parameters
from bench.acceleration.parts import Difference, differing_parts, differing_settings
from bench.acceleration.protocol.messages import AS_MADE, FREE_U, NOW, OF_ITS_OWN, SET, UNKNOWN, set_on

COMPARED = ("pipeline_class", "model_id", "scheduler_class", "num_inference_steps", "scheduler_steps")
"""Fields in which a candidate must equal its target."""
# Embeddings of a negative prompt and their masks; the prompt itself is compared as a text.
_STANDS_FOR_A_PROMPT = ("_embeds", "_mask")
_TEXT = re.compile(r"arguments\.(negative_)?prompt(_\d+)?")
# Arguments that are handed on by name: none are none, however that is written.
_HANDED_ON = "_kwargs"
# Which change of a method explains that this much of the work differs.
WORK: dict[str, Change] = {"denoiser_calls_per_image": "denoiser_calls", "layers_per_call": "layers"}
SAME_WORK = 1e-6
# What came out, and the arguments that ask for it: each family of videos has a name of its own for the number of frames.
_SIZES = {
    "frames": ("arguments.num_frames", "arguments.video_length", "arguments.frames"),
    "height": ("arguments.height",),
    "width": ("arguments.width",),
}


class Mismatch(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A field in which a candidate differs from its target, with both values.

    Attributes:
        because: fields of other differences of which this one is a consequence.
    """

    field: str
    target: Any
    candidate: Any
    because: list[str] = msgspec.field(default_factory=list)

    def __str__(self) -> str:
        """Return the field with both values."""
        return f"{self.field}: target {self.target!r}, candidate {self.candidate!r}"


def differences(target: Configuration, candidate: Configuration) -> list[Mismatch]:
    """Return every field that differs, whether a task frees it or not.

    The steps that the scheduler took are only listed where the steps asked for are equal: otherwise they
    say the same thing twice.
    """
    found: list[Difference] = [
        (name, getattr(target, name), getattr(candidate, name))
        for name in COMPARED
        if getattr(target, name) != getattr(candidate, name)
    ]
    fields = {name for name, *_ in found}
    is_namesake = candidate.scheduler_class == f"{target.scheduler_class}{OF_ITS_OWN}"
    if "num_inference_steps" in fields or ("scheduler_class" in fields and not is_namesake):
        found = [entry for entry in found if entry[0] != "scheduler_steps"]
    if target.parts is not None and candidate.parts is not None:
        # The same weights in another folder are the same model.
        found = [entry for entry in found if entry[0] != "model_id"]
        changed = any(_changes(name, "weights") for name in target.methods.keys() ^ candidate.methods.keys())
        found += differing_parts(target.parts, candidate.parts, weights=not changed)
    if target.scheduler_class == candidate.scheduler_class or is_namesake:
        found += _differing_scheduler(target.scheduler or {}, candidate.scheduler or {})
    asked = _differing_arguments(target, candidate)
    found += [entry for entry in asked if not _is_default_size(entry, target, candidate)]
    idle = sorted(set(candidate.idle_layers or ()) - set(target.idle_layers or ()))
    if target.idle_layers is not None and idle:
        more = f" and {len(idle) - 3} more" if len(idle) > 3 else ""
        found.append(("layers", "executed", f"{', '.join(idle[:3])}{more} never executed"))
    methods = _differing_methods(target, candidate)
    found += methods
    fields = {name for name, *_ in found}
    listed = [
        Mismatch(field=name, target=one, candidate=other, because=_explained_by(name, fields))
        for name, one, other in found
    ]
    return [
        *listed,
        *_differing_output(target, candidate, fields),
        *_differing_work(target, candidate, fields),
    ]


def missing_methods(required: tuple[str, ...], candidate: Configuration) -> list[Mismatch]:
    """Return a mismatch for every required acceleration method that is not in place on the candidate."""
    return [
        Mismatch(field=f"methods.{name}", target="required", candidate=None)
        for name in required
        if name not in candidate.methods
    ]


def is_per_image(difference: Mismatch) -> bool:
    """Whether a difference is one of counts for each image."""
    return difference.field == "scheduler_steps" or difference.field.startswith("work.")


def _compared(arguments: dict[str, Any] | None) -> dict[str, Any]:
    """Return the arguments that are compared: the steps are among what the scheduler was asked for."""
    return {
        name: None if name.endswith(_HANDED_ON) and value == {} else value
        for name, value in (arguments or {}).items()
        if name != "num_inference_steps" and not name.endswith(_STANDS_FOR_A_PROMPT)
    }


def _differing_scheduler(target: dict[str, Any], candidate: dict[str, Any]) -> list[Difference]:
    """Return the settings of a scheduler that differ, and what was set on one of the two, or to another value."""
    one, other = set_on(target), set_on(candidate)
    plain = [{name: value for name, value in side.items() if name != SET} for side in (target, candidate)]
    return differing_settings("scheduler", *plain) + [
        (f"scheduler.{name}", value, another)
        for name in sorted(one.keys() | other.keys())
        # What only one of them set, the other one has as the class makes it.
        for value in (one[name][NOW] if name in one else other[name][AS_MADE],)
        for another in (other[name][NOW] if name in other else one[name][AS_MADE],)
        if value != another
    ]


def _differing_arguments(target: Configuration, candidate: Configuration) -> list[Difference]:
    one, other = _compared(target.arguments), _compared(candidate.arguments)
    if target.entry_point == candidate.entry_point:
        # Of what the entry point has no parameter for, the other call may say nothing.
        unknown = [name for name in (*one, *other) if name.startswith(UNKNOWN)]
        one, other = dict.fromkeys(unknown) | one, dict.fromkeys(unknown) | other
    found = differing_settings("arguments", one, other)
    if target.texts is not None and target.texts == candidate.texts:
        # To most pipelines None and "" are one negative prompt, which without guidance is none; to some they are not.
        found = [entry for entry in found if not _TEXT.fullmatch(entry[0])]
    return [(name.replace(UNKNOWN, "", 1), value, another) for name, value, another in found]


def _is_default_size(entry: Difference, target: Configuration, candidate: Configuration) -> bool:
    """Whether one of them asks for the size or the number of frames that the other one makes unasked."""
    name, one, other = entry
    if target.output is None or candidate.output is None or (one is None) == (other is None):
        return False
    return any(
        name in arguments and getattr(target.output, size) == getattr(candidate.output, size)
        for size, arguments in _SIZES.items()
    )


def _differing_output(target: Configuration, candidate: Configuration, fields: set[str]) -> list[Mismatch]:
    """Return how the images or videos that came out differ in size; the argument that asks for it explains that."""
    one, other = target.output, candidate.output
    if one is None or other is None:
        return []
    return [
        Mismatch(
            field=f"output.{size}",
            target=getattr(one, size),
            candidate=getattr(other, size),
            because=[argument for argument in arguments if argument in fields],
        )
        for size, arguments in _SIZES.items()
        if getattr(one, size) != getattr(other, size)
    ]


def _differing_methods(target: Configuration, candidate: Configuration) -> list[Difference]:
    """Return the methods that only one of them has, or with other parameters; None stands for one that is not there."""
    found: list[Difference] = []
    for name in sorted(target.methods.keys() | candidate.methods.keys()):
        one, other = target.methods.get(name), candidate.methods.get(name)
        # Of replaced code that no method accounts for, only the names of files are known.
        is_same = _is_same_method(name, one, other) if name in METHODS else (one is None) == (other is None)
        if not is_same:
            found.append((f"methods.{name}", one, other))
    return found


def _is_same_method(method: str, one: Parameters | None, other: Parameters | None) -> bool:
    hidden = METHODS[method].hidden_by
    if one and other and (hidden in one) != (hidden in other):
        return True
    return _compared_parameters(method, one) == _compared_parameters(method, other)


def _compared_parameters(method: str, parameters: Parameters | None) -> Parameters | None:
    told = METHODS[method].only_told
    return parameters and {name: value for name, value in parameters.items() if name not in told}


def _explained_by(field: str, fields: set[str]) -> list[str]:
    """Return the methods because of which layers are skipped, another decoder is there, or a U-Net has factors of FreeU."""
    if field == "layers":
        return _because(fields, "idle_layers")
    if field.endswith(f".{FREE_U}"):
        return sorted(
            f"methods.{name}"
            for name, method in METHODS.items()
            if "enable_freeu" in method.switched_on and f"methods.{name}" in fields
        )
    return _because(fields, "vae") if field == "vae" or field.startswith("vae.") else []


def _because(fields: set[str], change: Change) -> list[str]:
    return sorted(
        field
        for field in fields
        if field.startswith("methods.") and _changes(field.partition(".")[2], change)
    )


def _differing_work(target: Configuration, candidate: Configuration, fields: set[str]) -> list[Mismatch]:
    """Return how much else the denoiser computes for an image, unless other steps or another guidance say so already."""
    found = []
    for name, change in WORK.items():
        one, other = getattr(target, name), getattr(candidate, name)
        if one is None or other is None or abs(one - other) <= SAME_WORK * one:
            continue
        if change == "denoiser_calls" and any(_is_said_by(field) for field in fields):
            continue
        found.append(
            Mismatch(field=f"work.{name}", target=one, candidate=other, because=_because(fields, change))
        )
    if not found and not any(_is_said_by(field) for field in fields) and _moves_calls(target, candidate):
        by_component = (target.calls_by_component, candidate.calls_by_component)
        found.append(
            Mismatch(field="work.calls_by_component", target=by_component[0], candidate=by_component[1])
        )
    return found


def _moves_calls(target: Configuration, candidate: Configuration) -> bool:
    """Whether the same components are called differently often, as where a second stage begins later."""
    one, other = target.calls_by_component or {}, candidate.calls_by_component or {}
    return one.keys() == other.keys() and any(abs(one[name] - other[name]) > SAME_WORK for name in one)


def _is_said_by(field: str) -> bool:
    return field.partition(".")[0] in (
        "num_inference_steps",
        "scheduler_steps",
        "scheduler_class",
        "guider",
    ) or (field.startswith("arguments.") and ("guidance" in field or "cfg" in field))


def _changes(method: str, change: Change) -> bool:
    """Whether a method changes this; replaced code that no method accounts for may change which layers run."""
    return change in METHODS[method].changes if method in METHODS else change == "layers"
