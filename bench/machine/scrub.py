"""Which environment variables an untrusted process may see."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

# What a pipeline needs to find its libraries, its model cache and its GPU. Everything else stays out, tokens and CI
# secrets above all. --pass-env adds to it.
KEPT_ENVIRONMENT = (
    "PATH", "PYTHONPATH", "LANG", "LANGUAGE", "LC_ALL", "TZ", "LD_LIBRARY_PATH",
    "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_DATASETS_CACHE", "HF_DATASETS_OFFLINE",
    "TRANSFORMERS_OFFLINE", "TORCH_HOME", "XDG_CACHE_HOME",
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_HOME", "CUDA_PATH", "NVIDIA_VISIBLE_DEVICES",
    "CC", "CXX", "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
# Paths and lists of paths: relative ones would mean something else in the arm's directory and home.
_PATHS = ("PYTHONPATH", "HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "TORCH_HOME", "XDG_CACHE_HOME")


def scrubbed_environment(source: dict[str, str], extra: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the part of an environment that arms may see, with the caches that HOME implies spelled out.

    HOME itself becomes the arm's private directory, so the model cache below the real one is named.
    """
    kept = {name: source[name] for name in (*KEPT_ENVIRONMENT, *extra) if name in source}
    home = source.get("HOME") or _home_of_user()
    for name in _PATHS:
        if kept.get(name):
            kept[name] = os.pathsep.join(_absolute(path, home) for path in kept[name].split(os.pathsep))
    cache = Path(kept.get("XDG_CACHE_HOME") or Path(home, ".cache"))
    for name, directory in (("HF_HOME", "huggingface"), ("TORCH_HOME", "torch")):
        kept[name] = kept.get(name) or str(cache / directory)
    return kept


def _home_of_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a container may run under a number without a name
        return "/"


def _absolute(path: str, home: str) -> str:
    return os.path.abspath(home + path[1:] if path == "~" or path.startswith("~/") else path)
