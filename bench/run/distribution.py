"""How pytest-xdist hands out cases: what is used unless the user says otherwise, and what cannot be used."""

from __future__ import annotations

import pytest

from bench.core.errors import UsageProblem

# One case at a time goes to a worker, so that the longest do not wait behind each other; a worker that keeps dying does not
# loop, though each case that killed one is tried twice. Options of xdist, by their place in its configuration.
_DEFAULTS = {"maxschedchunk": 1, "maxworkerrestart": "32"}


def set_distribution_defaults(config: pytest.Config) -> None:
    """Set the options of xdist that the user left out; without xdist there are none."""
    for name, value in _DEFAULTS.items():
        if getattr(config.option, name, value) is None:
            setattr(config.option, name, value)


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
