"""How a module of the suite, or pytest, is run in a process of its own."""

from __future__ import annotations

import sys

OWN_MODULE = (sys.executable, "-P", "-m")
"""Begins a command that runs a module by its name. The folder that somebody is in is not searched for it: a project may have
a package ``bench`` of its own there."""
