"""Packages that come with an extra: which one to install when a case lacks one.

The core is small. `pip install 'modelgate[diffusion]'` brings what pipelines need, and so on; pyproject.toml has the lists.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

DIFFUSION, LANGUAGE, TUNING, REPORT, LM_EVAL = "diffusion", "language", "tuning", "report", "lm-eval"
SLURM = "slurm"

#: Name under which a package is imported, with the extras that bring it; the first is named where nothing says more.
EXTRAS: dict[str, tuple[str, ...]] = {
    "accelerate": (DIFFUSION, LANGUAGE, TUNING),
    "bm25s": (LANGUAGE,),
    "cache_dit": (DIFFUSION,),
    "datasets": (LANGUAGE, DIFFUSION, TUNING),
    "DeepCache": (DIFFUSION,),
    "diffusers": (DIFFUSION,),
    "flip_evaluator": (DIFFUSION,),
    "huggingface_hub": (LANGUAGE, DIFFUSION, TUNING),
    "lm_eval": (LM_EVAL,),
    "math_verify": (LANGUAGE,),
    "open_clip": (DIFFUSION,),
    "openpyxl": (REPORT,),
    "pandas": (TUNING, LANGUAGE),
    "peft": (DIFFUSION, LANGUAGE),
    "piq": (DIFFUSION,),
    "pyarrow": (REPORT, LANGUAGE, DIFFUSION, TUNING),
    "rapidfuzz": (LANGUAGE,),
    "requests": (LANGUAGE,),
    "rouge_score": (LANGUAGE,),
    "sacrebleu": (LANGUAGE,),
    "ruptures": (REPORT,),
    "safetensors": (DIFFUSION, LANGUAGE, TUNING),
    "skimage": (DIFFUSION,),
    "sklearn": (TUNING, LANGUAGE),
    "submitit": (SLURM,),
    "tgate": (DIFFUSION,),
    "tomesd": (DIFFUSION,),
    "torch": (DIFFUSION, LANGUAGE, TUNING),
    "torchvision": (DIFFUSION,),
    "transformers": (LANGUAGE, DIFFUSION, TUNING),
    "yaml": (LANGUAGE, LM_EVAL),
}


def missing_packages(names: Iterable[str]) -> list[str]:
    """Return the packages that cannot be imported here; nothing is imported."""
    return [name for name in names if find_spec(name) is None]


def install_advice(packages: Iterable[str], extra: str | None = None) -> str:
    """Return what was found and how to install packages that are missing.

    Args:
        packages: names under which they are imported.
        extra: the extra that the case's kind goes by; left out, the first that has the package.

    Example:
        >>> install_advice(["diffusers"])
        "found no diffusers here, expected it for this case; install it with pip install 'modelgate[diffusion]'"
    """
    packages = list(packages)
    known = [name for name in packages if name in EXTRAS]
    extras = dict.fromkeys(extra if extra in EXTRAS[name] else EXTRAS[name][0] for name in known)
    command = f"modelgate[{','.join(str(name) for name in extras)}]" if extras else packages[0]
    pronoun = "it" if len(packages) == 1 else "them"
    return (
        f"found no {' and no '.join(packages)} here, expected {pronoun} for this case; install {pronoun} with "
        f"pip install '{command}'"
    )


def missing_package(error: BaseException | None) -> str | None:
    """Return the package of an extra whose absence an exception was raised for, or from, or None."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError):
            name = (error.name or "").partition(".")[0]
            if name in EXTRAS and find_spec(name) is None:
                return name
        error = error.__cause__ or error.__context__
    return None
