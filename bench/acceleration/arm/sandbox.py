"""What a forked arm gives up before it runs an untrusted file: output, environment, cores, memory, and the machine.

The jail is `bench.machine.jail`. Without it (``--isolation process``) an arm runs as the same user with all of that user's
rights: it can use the network, read and write that user's files, and signal that user's processes. With ``none`` it has that
user's home, temporary folder and environment too, as when the user runs the file.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import sys
import tempfile
from pathlib import Path

from bench.core.record import Json
from bench.machine.jail import Jail
from bench.machine.jail import enter as enter_jail
from bench.machine.kernel import close_all_but
from bench.machine.prctl import PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, set_process_option
from bench.machine.spare import Spare, forget

_COPIES_CODE = ("diffusers.utils.dynamic_modules_utils", "transformers.dynamic_module_utils")


def enter(specification: Json, channel: int, output: int, spare: Spare | None = None) -> Json:
    """Confine this process as the specification says; called once, right after the fork.

    Args:
        specification: ``directory`` (private, exists), ``environment``, ``cpus`` (list or None),
            ``threads``, ``has_own_home`` (whether home and temporary folder are the directory), ``memory_bytes`` (address
            space beyond what the fork server maps; None for no limit, as CUDA reserves far more than it uses),
            ``disk_bytes`` (what its directory may hold), ``jail`` (``readable``, ``listed``, ``covered``, ``layers``,
            ``gpu``; or None).
        channel: file descriptor of the channel to the evaluator, the only one that is kept.
        output: file descriptor that takes stdout and stderr.
        spare: what the fork server had ready for a jail.

    Returns:
        Layers of the jail that are in force, and those that are missing; empty without a jail.
    """
    os.setsid()
    set_process_option(PR_SET_PDEATHSIG, signal.SIGKILL)
    # What this arm daemonises stays below it, to be paused with it.
    set_process_option(PR_SET_CHILD_SUBREAPER, 1)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    forget()
    close_all_but((0, 1, 2, channel, *(() if spare is None else spare.descriptors)))
    os.set_inheritable(channel, False)
    # The server's own streams may hold a buffer and an encoding of its own; these are the arm's.
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)  # noqa: SIM115
    # A crash in native code then leaves the stack of the file in the log.
    faulthandler.enable(file=2, all_threads=False)

    directory = specification["directory"]
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(specification["environment"])
    if specification.get("has_own_home", True):
        os.environ.update(HOME=directory, TMPDIR=directory, TORCHINDUCTOR_CACHE_DIR=f"{directory}/inductor")
        _put_code_of_models(f"{directory}/modules")
    # Compiling in a pool of its own would leave the leased cores.
    os.environ.update(OMP_NUM_THREADS=str(specification["threads"]), TORCHINDUCTOR_COMPILE_THREADS="1")
    tempfile.tempdir = None  # some import of the server's may have asked for it, and so fixed it
    if specification.get("cpus"):
        os.sched_setaffinity(0, specification["cpus"])
    if specification.get("memory_bytes"):
        limit = mapped_bytes() + int(specification["memory_bytes"])
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    entered = _jail(specification, spare)
    # Imported by the fork server long ago; an import from here on would obey OMP_NUM_THREADS. After the jail, which holds
    # none of the threads that there are before: with more than one, torch starts some.
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(specification["threads"])
    return entered


def _put_code_of_models(directory: str) -> None:
    """Have the code that comes with a model copied to where an arm may write; the libraries are imported already."""
    os.environ["HF_MODULES_CACHE"] = directory
    for name in _COPIES_CODE:
        module = sys.modules.get(name)
        if module is not None:
            module.HF_MODULES_CACHE = directory  # type: ignore[attr-defined]


def _jail(specification: Json, spare: Spare | None) -> Json:
    asked = specification.get("jail")
    if asked is None:
        if spare is not None:
            spare.close()
        return {}
    # The working directory, without links in its path, is what it may write.
    jail = Jail.of(asked, writable=(os.getcwd(),), disk_bytes=specification.get("disk_bytes"))
    entered = enter_jail(jail, asked["layers"], spare)
    os.chdir(specification["directory"])  # by its path in the jail
    return {"layers": list(entered.layers), "missing": entered.missing}


def mapped_bytes() -> int:
    """Return the size of this process' address space in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()
