"""What of an environment a stranger's process may see."""

from __future__ import annotations

from pathlib import Path

# What a pipeline needs to find its libraries, its model cache and its GPU; everything else, tokens
# and CI secrets above all, stays out. --pass-env adds to it.
KEPT_ENVIRONMENT = (
    "PATH", "LANG", "LANGUAGE", "LC_ALL", "TZ", "LD_LIBRARY_PATH",
    "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_DATASETS_CACHE", "HF_DATASETS_OFFLINE",
    "TRANSFORMERS_OFFLINE", "TORCH_HOME", "XDG_CACHE_HOME",
    "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "CUDA_PATH", "NVIDIA_VISIBLE_DEVICES",
    "CC", "CXX", "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip


def scrubbed_environment(source: dict[str, str], extra: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the part of an environment that arms may see, with the caches that HOME implies spelled out.

    HOME itself becomes the arm's private directory, so the model cache below the real one is named.
    """
    kept = {name: source[name] for name in (*KEPT_ENVIRONMENT, *extra) if name in source}
    home = Path(source.get("HOME", "/"))
    kept.setdefault("HF_HOME", str(Path(source.get("XDG_CACHE_HOME", home / ".cache")) / "huggingface"))
    kept.setdefault("TORCH_HOME", str(Path(source.get("XDG_CACHE_HOME", home / ".cache")) / "torch"))
    return kept
