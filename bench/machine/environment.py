"""Where and with what a run was made; imports no framework, so any process may ask."""

from __future__ import annotations

import getpass
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from bench import __version__
from bench.machine.cores import usable_cores

PACKAGES = (
    "torch", "torchvision", "diffusers", "transformers", "accelerate", "open_clip_torch", "datasets",
    "numpy", "DeepCache", "tomesd", "tgate", "pytest", "pytest-xdist", "pytest-benchmark",
)  # fmt: skip


def describe_environment(root: Path) -> dict[str, Any]:
    """Return the machine, the interpreter, the versions and the state of the repository at ``root``."""
    return {
        "modelgate": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_model(),
        "cores": len(usable_cores()),
        "logical_cpus": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "load_average": list(os.getloadavg()),
        "packages": {name: version_of(name) for name in PACKAGES},
        "commit": commit(root),
    }


def host_and_user() -> dict[str, str]:
    """Return the names of this host and of the user, as ``host`` and ``user``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # an id without a name
        user = str(os.getuid())
    return {"host": platform.node(), "user": user}


def cpu_model() -> str | None:
    """Return the processor's name, or None where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)


def version_of(package: str) -> str | None:
    """Return a distribution's version, or None when it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def commit(root: Path) -> str | None:
    """Return the commit of the repository at ``root``, with ``+`` when files differ from it."""
    try:
        described = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=12"],
            capture_output=True, encoding="utf-8", errors="replace", timeout=5, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return described.stdout.strip() or None


def gpu_count() -> int:
    """Return the number of GPUs that this process may use, without importing torch or touching a GPU."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() and name.strip() != "-1"])
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*"))) or len(
        list(Path("/dev").glob("nvidia[0-9]*"))
    )
