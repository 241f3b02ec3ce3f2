"""How a module of the suite, or pytest, is run in a process of its own."""

from __future__ import annotations

import sys

OWN_PACKAGE = __name__.partition(".")[0]
"""The name of this package, which a project may have given to one of its own."""
OWN_MODULE = (sys.executable, "-P", "-m")
"""Begins a command that runs a module by its name. The folder that somebody is in is not searched for it: a project may have
a package of our name there."""
