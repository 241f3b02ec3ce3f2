"""Whether acceleration methods do anything: a pipeline with them against the same pipeline without them.

A method can be in place and change nothing, such as DeepCache with an interval of 1. So it is not enough to find it. What
it does is seen against a pipeline that is the same but for the methods, on the same prompts and seeds: in the images, in the
denoiser calls and layers that were executed, in dtypes and in the bytes of the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bench.acceleration.comparison import SAME_WORK, WORK, differences
from bench.acceleration.configuration import Configuration
from bench.acceleration.freedom import split
from bench.acceleration.methods import METHODS, Change
from bench.core.verdict import PASSED, Verdict

# Where it shows that a method has changed what it changes.
_SHOWN_IN: dict[Change, str] = {
    "weights": "weight_bytes",
    "dtypes": "dtypes",
    **{change: name for name, change in WORK.items()},
    "idle_layers": "layers_per_call",
    "vae": "weight_bytes",
}

# A scheduler and the number of its steps decide how often a denoiser is called, not what a call executes.
_AROUND_CALLS = ("methods", "work", "steps", "scheduler")


class Effect(msgspec.Struct, kw_only=True, frozen=True):
    """What a candidate's methods do.

    Attributes:
        against: ``baseline`` or ``target``, the same pipeline without them; None where neither is.
        images: how many images of both were compared; None where there are none of the pipeline without them.
        differing_images: how many of these differ.
        changes: what else differs, with the value without and the value with the methods.
        methods: whether each one has an effect; None is not known.
    """

    against: str | None = None
    images: int | None = None
    differing_images: int | None = None
    changes: dict[str, list[Any]] = msgspec.field(default_factory=dict)
    methods: dict[str, bool | None] = msgspec.field(default_factory=dict)


def is_without(other: Configuration, candidate: Configuration) -> bool:
    """Whether another pipeline is a candidate without some of its methods, and the same in all else."""
    counting, _ = split(differences(other, candidate), ("methods", "work"))
    has_no_others = all(candidate.methods.get(name) == found for name, found in other.methods.items())
    return not counting and has_no_others


def effect_of(
    candidate: Configuration,
    others: Sequence[tuple[str, Configuration]],
    differing: tuple[int, int] | None = None,
) -> Effect:
    """Return what a candidate's methods do.

    Args:
        candidate: with the methods.
        others: pipelines that may be the same without them, by role; the first that is counts.
        differing: how many images of the candidate differ from the baseline's, and how many were compared.
    """
    found = next(((role, other) for role, other in others if is_without(other, candidate)), None)
    if found is None:
        return Effect(methods=_with_sparing({}, candidate, others))
    role, without = found
    # Only the baseline's images are had: its prompts and seeds are the candidate's.
    count, images = differing if differing is not None and role == "baseline" else (None, None)
    changes = _changes(without, candidate)
    added = [name for name in candidate.methods if name not in without.methods]
    verdicts = {
        name: _has_effect(name, added, changes, count, is_counted=_is_counted(without, candidate))
        for name in added
    }
    return Effect(
        against=role,
        images=images,
        differing_images=count,
        changes=changes,
        methods=_with_sparing(verdicts, candidate, others),
    )


def judge_effect(effect: Effect | None, required: Sequence[str]) -> Verdict:
    """Fail where a method that the task asks for is in place without any effect; what is not known is not judged."""
    idle = [] if effect is None else [name for name in required if effect.methods.get(name) is False]
    if effect is None or not idle:
        return PASSED
    equal = [] if effect.differing_images else ["images"] if effect.images else []
    equal += [word for word, name in _WORDS.items() if name not in effect.changes]
    return Verdict(
        "fail",
        "method_without_effect",
        f"{' and '.join(idle)} {'is' if len(idle) == 1 else 'are'} in place without an effect: "
        f"{', '.join(equal)} are those of the {effect.against} without it; expected fewer layers or calls, or other images; "
        "choose settings with which it acts, and call the entry point that it accelerates",
    )


_WORDS = {
    "executed layers": "layers_per_call",
    "denoiser calls": "denoiser_calls_per_image",
    "dtypes": "dtypes",
    "bytes of weights": "weight_bytes",
}


def _with_sparing(
    verdicts: Mapping[str, bool | None], candidate: Configuration, others: Sequence[tuple[str, Configuration]]
) -> dict[str, bool | None]:
    """Return whether each method of a candidate has an effect, also where all pipelines without it differ in more.

    A method of which nothing else is known has one where a call of the same denoiser without it executes more layers,
    whatever scheduler steps between. It is never said to have none: a target may have the method too, and what differs
    from it is a difference of configurations.
    """
    shows = {name for name, method in METHODS.items() if "layers" in method.changes}
    own = {name: found for name, found in candidate.methods.items() if name in shows}
    sparing: set[str] = set()
    for _, other in others:
        theirs = {name: found for name, found in other.methods.items() if name in shows}
        added = [name for name in own if {one: found for one, found in own.items() if one != name} == theirs]
        if not added or candidate.layers_per_call is None or other.layers_per_call is None:
            continue
        executes_fewer = candidate.layers_per_call < (1 - SAME_WORK) * other.layers_per_call
        if executes_fewer and not split(differences(other, candidate), _AROUND_CALLS)[0]:
            sparing.update(added)
    known = {name: verdicts.get(name) for name in candidate.methods}
    return known | {name: True for name in sparing if known[name] is None}


def _changes(without: Configuration, candidate: Configuration) -> dict[str, list[Any]]:
    pairs: dict[str, tuple[Any, Any]] = {
        name: (getattr(without, name), getattr(candidate, name)) for name in (*WORK, "dtypes")
    }
    pairs["weight_bytes"] = (_weight_bytes(without), _weight_bytes(candidate))
    return {
        name: [one, other]
        for name, (one, other) in pairs.items()
        if one is not None and other is not None and one != other
    }


def _weight_bytes(configuration: Configuration) -> int | None:
    parts = configuration.parts
    return None if parts is None else sum(part.weight_bytes for part in parts.values())


def _is_counted(without: Configuration, candidate: Configuration) -> bool:
    """Whether work was counted in both; what is compiled shows no layers."""
    return all(getattr(each, name) is not None for each in (without, candidate) for name in WORK)


def _has_effect(
    name: str,
    added: Sequence[str],
    changes: Mapping[str, Any],
    differing_images: int | None,
    *,
    is_counted: bool,
) -> bool | None:
    """Return whether a method has an effect, None where that is not known.

    Args:
        name: of the method.
        added: all methods that only the candidate has.
        changes: what they change together.
        differing_images: how many images differ; None where that is not known.
        is_counted: whether work was counted.
    """
    method = METHODS.get(name)
    if method is not None and method.shows == "nothing":
        return None
    own = {_SHOWN_IN[change] for change in method.changes} if method is not None else set()
    if own & changes.keys():
        return True
    may_act = [other for other in added if other not in METHODS or METHODS[other].shows != "nothing"]
    is_alone = may_act == [name]
    if is_alone and (changes or differing_images):
        return True
    if method is not None and method.shows == "work" and is_counted:
        return False
    return False if differing_images == 0 and not changes else None
