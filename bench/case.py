"""Cases: what one test decides, frozen at collection. Importing this module imports no framework."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DIFFICULTIES = ("easy", "medium", "hard")
LEVELS = ("L1", "L2", "L3", "L4", "L5")
DEFAULT_MAX_QUALITY_LOSS = 0.05


@dataclass(frozen=True, slots=True)
class AccelerationCase:
    """One acceleration task: is the candidate file a good enough, faster version of the target?

    Attributes:
        id: the pytest parameter id, ``difficulty-model-method-number``, unique within a run.
        prompt_id: as written in the task files, an integer or a string.
        prompt_context: the task's text.
        difficulty: ``easy``, ``medium`` or ``hard``.
        level: ``L1`` to ``L5``, or None where the annotation names none.
        target_file: the configuration that the candidate must have.
        baseline_file: what the candidate is timed and scored against.
        candidate_file: the file under judgement.
        required_speedup: baseline time over candidate time that is asked for; None is not gated.
        max_quality_loss: allowed relative loss of the CLIP score, 0.05 is 5 %.
        max_latency_s: allowed seconds per image; None is not gated.
        expect: for a control, the reason code for which it must be rejected; None for a task.
        required_methods: acceleration methods that must be seen on the candidate.
        requires: what the machine must have (``compiler``, ``cuda``), else the case is skipped.
        problem: why the entry cannot be evaluated; such a case ends as an error with this reason.
        order: position in the annotation list, which is the order of the records.
        cost: relative cost estimate, for scheduling the longest first.
    """

    id: str
    prompt_id: int | str | None
    prompt_context: str = ""
    difficulty: str = "medium"
    level: str | None = None
    target_file: Path | None = None
    baseline_file: Path | None = None
    candidate_file: Path | None = None
    required_speedup: float | None = None
    max_quality_loss: float = DEFAULT_MAX_QUALITY_LOSS
    max_latency_s: float | None = None
    expect: str | None = None
    required_methods: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    problem: str | None = None
    order: int = 0
    cost: float = 1.0

    kind = "acceleration"

    @property
    def is_control(self) -> bool:
        """Whether the candidate is written to be rejected."""
        return self.expect is not None
