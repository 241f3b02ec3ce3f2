"""What a process gives up before a program runs in it: everything that a program which only computes does not need."""

from __future__ import annotations

import os
import resource
import signal
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.machine import landlock, namespaces, seccomp
from bench.machine.prctl import PR_SET_PDEATHSIG, forbid_core_dumps, set_process_option
from bench.machine.visible import without

# Before this version Landlock let files be emptied by their name.
_LEAST_LANDLOCK = 3
_LIBRARIES = ("/lib64", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/localtime")
_DEVICES = ("null", "zero", "full", "random", "urandom")


@dataclass(frozen=True)
class Limits:
    """What a program and its tests may use.

    Attributes:
        seconds: processor time, of the program and of its tests.
        wall_s: time until both are killed, for programs that wait; much more than `seconds`, since a busy machine is slow.
        memory_bytes: address space beyond the interpreter's.
        scratch_bytes: of its files together, where the system has namespaces; of each file elsewhere.
        descriptors: open files.
    """

    seconds: float = 3.0
    wall_s: float = 30.0
    memory_bytes: int = 2**30
    scratch_bytes: int = 16 * 2**20
    descriptors: int = 64


@cache
def readable() -> tuple[Path, ...]:
    """Return where the interpreter, its standard library and the libraries of the system are; no installed package."""
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    libraries = [*map(Path, _LIBRARIES), Path("/usr/lib", multiarch), Path("/lib", multiarch)] if multiarch else [
        *map(Path, _LIBRARIES), Path("/usr/lib"),
    ]  # fmt: skip
    standard = {Path(sysconfig.get_paths()[name]).resolve() for name in ("stdlib", "platstdlib")}
    packages = [
        folder / name
        for folder in (*standard, Path("/usr/lib/python3"))
        for name in ("site-packages", "dist-packages")
    ]
    return tuple(without([*standard, *(path.resolve() for path in libraries)], packages))


def confine(scratch: Path, limits: Limits) -> Mapping[str, str]:
    """Give up all but what a program needs, for good. Call it in a process with one thread.

    Args:
        scratch: the folder that may be written, the new working directory.
        limits: of the process.

    Returns:
        What could not be given up, with what was found; no program may run unless it is empty.
    """
    set_process_option(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.chdir(scratch)
    os.environ.clear()
    os.environ.update(HOME=str(scratch), TMPDIR=str(scratch), LANG="C.UTF-8", PATH="")
    steps: dict[str, Callable[[], object]] = {
        "limits": lambda: _limit(limits),
        "capabilities": namespaces.drop_capabilities,
        "privileges": seccomp.forbid_new_privileges,
        "files": lambda: _restrict_files(scratch),
        "calls": _restrict_calls,
    }
    missing: dict[str, str] = {}
    for name, step in steps.items():
        try:
            step()
        except (OSError, ValueError) as error:
            missing[name] = f"{error.strerror or error}" if isinstance(error, OSError) else f"{error}"
    return missing


def _restrict_files(scratch: Path) -> None:
    if landlock.version() < _LEAST_LANDLOCK:
        raise OSError(
            0, f"Landlock of version {landlock.version()}, at least {_LEAST_LANDLOCK} is needed (Linux 6.2)"
        )
    rules = landlock.Ruleset()
    try:
        rules.allow(readable(), [scratch], [Path("/dev", name) for name in _DEVICES])
        rules.enforce()
    finally:
        rules.close()


def _restrict_calls() -> None:
    seccomp.restrict()
    seccomp.forbid_others()


def _limit(limits: Limits) -> None:
    forbid_core_dumps()
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    # The kernel counts whole seconds.
    seconds = max(1, round(limits.seconds + 0.499))
    wanted = {
        resource.RLIMIT_AS: mapped + limits.memory_bytes,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_FSIZE: limits.scratch_bytes,
        resource.RLIMIT_NOFILE: limits.descriptors,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    for kind, most in wanted.items():
        _, hard = resource.getrlimit(kind)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (limit, limit))
