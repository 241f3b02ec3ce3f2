"""What a file set on its scheduler after the scheduler was made: attributes that its configuration does not show.

A twin, made from the same configuration, says what the class itself makes of it.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Mapping
from typing import Any

from bench.acceleration.arm.packages import OWN_PACKAGES
from bench.acceleration.arm.plain_values import are_same, is_plain, shown
from bench.acceleration.methods import Parameters
from bench.acceleration.protocol.messages import AS_MADE, NOW

# Methods that move what the constructor made to another device, or that are there for a file to call. What the others
# store are counts, and the steps of one run.
_KEEP_WHAT_IS_MADE = frozenset(
    {
        "__init__",
        "add_noise",
        "get_velocity",
        "batch_step_no_noise",
        "set_shift",
        "set_scale_factors",
    }
)
_CONFIGURATION = "_internal_dict"
_FEW_STEPS = 2


def set_attributes(scheduler: Any) -> Parameters:
    """Return the attributes that differ from what the scheduler's class makes of its configuration.

    Only those count that the class makes or has itself: what else is put on an object is read by nothing in diffusers. None
    are told of a class whose constructor is the file's own, which is not run again, or of what is no scheduler.

    Returns:
        By name, each with the value that it has now and the one that it was made with.
    """
    twin = _twin(scheduler)
    if twin is None:
        return {}
    made = vars(twin)
    differing = {}
    for name, now in vars(scheduler).items():
        usual = made[name] if name in made else inspect.getattr_static(type(twin), name, None)
        if name != _CONFIGURATION and is_plain(usual) and is_plain(now) and not are_same(usual, now):
            differing[name] = {NOW: shown(now), AS_MADE: shown(usual)}
    # Few files set anything, so that its methods are seldom looked at.
    passing = _stored_while_it_runs(type(scheduler)) if differing else frozenset()
    return {name.lstrip("_"): values for name, values in differing.items() if name not in passing}


def _twin(scheduler: Any) -> Any:
    kind, config = type(scheduler), getattr(scheduler, "config", None)
    make = kind.__init__
    package = getattr(make, "__module__", "").partition(".")[0]
    if not isinstance(config, Mapping) or package not in OWN_PACKAGES:
        return None

    def few_steps(scheduler: Any, count: int, *arguments: Any, **more: Any) -> None:
        kind.set_timesteps(scheduler, min(count, _FEW_STEPS), *arguments, **more)

    try:
        names = inspect.signature(make).parameters
        # Some constructors lay out all training steps, which takes most of a second. What that stores is not looked at.
        quick = type(kind.__name__, (kind,), {"set_timesteps": few_steps})
        return quick(**{name: value for name, value in config.items() if name in names})
    except Exception:  # such as a setting that the file changed to what its class refuses
        return None


def _stored_while_it_runs(kind: type) -> frozenset[str]:
    """Return the names of attributes that a class stores outside of its constructor."""
    stored: set[str] = set()
    for base in kind.__mro__:
        for name, member in vars(base).items():
            function = inspect.unwrap(getattr(member, "__func__", member)) if callable(member) else None
            code = getattr(function, "__code__", None)
            if code is not None and name not in _KEEP_WHAT_IS_MADE:
                stored.update(
                    str(step.argval) for step in dis.get_instructions(code) if step.opname == "STORE_ATTR"
                )
    return frozenset(stored)
