"""How pytest-xdist hands out cases: what is used unless the user says otherwise, and what cannot be used."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScheduling

from bench.core.errors import UsageProblem

# One case at a time goes to a worker, so that the longest do not wait behind each other; a worker that keeps dying does not
# loop, though each case that killed one is tried twice. Options of xdist, by their place in its configuration.
_DEFAULTS = {"maxschedchunk": 1, "maxworkerrestart": "32"}

# Several at a time go to a worker while its cases take less than this; all of them together take less than half a second.
_QUICK_S = 0.05
_AT_ONCE = 8
_LOW = 3  # cases that a worker still has when it gets more; it begins one only when it knows the next


def set_distribution_defaults(config: pytest.Config) -> None:
    """Set the options of xdist that the user left out; without xdist there are none."""
    is_chosen = getattr(config.option, "maxschedchunk", None) is not None
    for name, value in _DEFAULTS.items():
        if getattr(config.option, name, value) is None:
            setattr(config.option, name, value)
    if not is_chosen:
        config.pluginmanager.register(QuickCases(), "modelgate-quick-cases")


def check_distribution(config: pytest.Config) -> None:
    """Refuse what gives one case several records.

    Raises:
        UsageProblem: ``--dist each``.
    """
    if getattr(config.option, "dist", "no") == "each":
        raise UsageProblem(
            "--dist each: runs each case on every worker, and a run keeps one record of a case; use -n N, or start a run "
            "with a --work-dir of its own for each place"
        )


class QuickCases:
    """Chooses how cases are handed out, where the user left it to the suite."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> LoadScheduling | None:
        """Return what hands out cases one at a time, and quick ones together."""
        return QuickLoad(config, log) if config.option.dist == "load" else None


class QuickLoad(LoadScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out cases one at a time, and several at a time to a worker while its cases are quick.

    Each message takes longer than a quick case, and the worker would wait for it after each.
    """

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """Take note of a case that has ended, and give its worker more when it runs low."""
        is_quick, has = duration < _QUICK_S, self.node2pending[node]
        if is_quick and self.pending and len(has) > _LOW + 1:
            has.remove(item_index)
            return
        self.maxschedchunk = _AT_ONCE if is_quick else 1
        super().mark_test_complete(node, item_index, duration)
        self.maxschedchunk = 1
