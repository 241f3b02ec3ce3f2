"""What ``judge`` is asked: two or three files, limits, and the entry of a task list that says the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.cli.limits import JudgeProblem, MetricLimit, read_limits
from bench.core.record import Json

#: What differs between a pipeline and a faster version of it, where no target says what the faster version has to be.
FREE_WITHOUT_TARGET = ("methods", "steps", "scheduler")


@dataclass(frozen=True)
class JudgeTask:
    """What is asked of one candidate.

    Attributes:
        candidate, baseline: pipeline files.
        target: file of the configuration that is wanted; None is the baseline's, but for what makes it faster.
        speedup, max_latency_s, max_memory_gb, max_loss: limits, None where there is none.
        metrics: such as ``ms_ssim>=0.9``.
        methods: acceleration methods that must be in place.
        free: names of what may differ from the target.
        prompts, clip: as for pytest; left out, those that ship.
        name: of the entry.
    """

    candidate: Path
    baseline: Path
    target: Path | None = None
    speedup: float | None = None
    max_latency_s: float | None = None
    max_memory_gb: float | None = None
    max_loss: float | None = None
    metrics: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    prompts: str | None = None
    clip: str | None = None
    name: str = "candidate"

    @property
    def limits(self) -> list[MetricLimit]:
        """What is asked of metrics, in the order of the command line; a metric may have a bound on each side.

        Raises:
            JudgeProblem: a metric without a bound, or with two bounds of the same side.
        """
        return read_limits(self.metrics)

    def entry(self) -> Json:
        """Return the entry of an annotation list.

        Raises:
            JudgeProblem: a file that is not there.
        """
        files = {"candidate": self.candidate, "--baseline": self.baseline, "--target": self.target}
        for what, file in files.items():
            if file is not None and not file.is_file():
                found = "a folder" if file.is_dir() else "no such file"
                raise JudgeProblem(
                    f"{what} {file}: found {found}, expected a pipeline file; correct the path"
                )
        asked = {
            "required_speedup": self.speedup, "max_latency_s": self.max_latency_s,
            "max_memory_gb": self.max_memory_gb, "max_quality_loss": self.max_loss,
        }  # fmt: skip
        free = self.free or (FREE_WITHOUT_TARGET if self.target is None else ())
        return {
            "prompt_id": self.name,
            "prompt_context": f"A faster version of {self.baseline.name}.",
            "difficulty": "medium" if self.speedup is None and self.max_latency_s is None else "hard",
            "target_file": str((self.target or self.baseline).absolute()),
            "baseline_file": str(self.baseline.absolute()),
            "candidate_file": str(self.candidate.absolute()),
            **{key: value for key, value in asked.items() if value is not None},
            **({"methods": list(self.methods)} if self.methods else {}),
            **({"free": list(free)} if free else {}),
        }
