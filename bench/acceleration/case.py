"""What one acceleration test decides, frozen at collection. Importing this module imports no framework."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bench.acceleration.quality_limits import QualityLimit
from bench.acceleration.record import AccelerationBody, Latency, Memory, Quality, Speedup
from bench.core.case import Case
from bench.core.record import Record

DIFFICULTIES = ("easy", "medium", "hard")
LEVELS = ("L1", "L2", "L3", "L4", "L5")
DEFAULT_MAX_QUALITY_LOSS = 0.05


@dataclass(frozen=True, slots=True)
class AccelerationCase(Case):
    """One acceleration task: is the candidate file a good enough, faster version of the target?

    Its id is ``difficulty-model-method-number``, unique within a run.

    Attributes:
        prompt_id: as written in the task files, an integer or a string.
        prompt_context: the task's text.
        difficulty: ``easy``, ``medium`` or ``hard``.
        level: ``L1`` to ``L5``, or None where the annotation names none.
        target_file: the configuration that the candidate must have.
        baseline_file: what the candidate is timed and scored against.
        candidate_file: the file under judgement.
        prompts_file: prompts of this task alone, with their inputs; None is the run's.
        required_speedup: baseline time over candidate time that is asked for; None is not gated.
        max_quality_loss: allowed relative loss of the CLIP score, 0.05 is 5 %.
        quality: limits of further metrics, and safeguards that are lifted.
        max_latency_s: allowed seconds per image or video; None is not gated.
        max_memory_gb: allowed peak of the candidate's memory in gigabytes, on a GPU of the card's; None is not gated.
        unread_demands: parts of the text that read like demands and are not understood.
        overruled_demands: what the text asks for and a field asks for otherwise, as sentences.
        free: names of what may differ from the target, its level's included; see `bench.acceleration.freedom`.
        required_methods: acceleration methods that must be seen on the candidate.
        requires: what the machine must have (``compiler``, ``cuda``), else the case is skipped.
    """

    prompt_id: int | str | None
    prompt_context: str = ""
    difficulty: str = "medium"
    level: str | None = None
    target_file: Path | None = None
    baseline_file: Path | None = None
    candidate_file: Path | None = None
    prompts_file: Path | None = None
    required_speedup: float | None = None
    max_quality_loss: float = DEFAULT_MAX_QUALITY_LOSS
    quality: tuple[QualityLimit, ...] = ()
    max_latency_s: float | None = None
    max_memory_gb: float | None = None
    unread_demands: tuple[str, ...] = ()
    overruled_demands: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    required_methods: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()

    kind: ClassVar[str] = "acceleration"

    @property
    def names(self) -> tuple[str, ...]:
        """The id, and the prompt id as text."""
        return (self.id,) if self.prompt_id is None else (self.id, str(self.prompt_id))

    @property
    def shares(self) -> str:
        """The baseline, whose reference images are made once in a run."""
        return str(self.baseline_file or "")

    @property
    def is_speed_gated(self) -> bool:
        """Whether a speedup or a latency is asked for."""
        return self.required_speedup is not None or self.max_latency_s is not None

    @property
    def is_unclear(self) -> bool:
        """Whether it is a hard task that asks for no speed, latency or memory: nobody could say that it was met."""
        is_gated = self.is_speed_gated or self.max_memory_gb is not None
        return self.difficulty == "hard" and not is_gated and not self.is_control

    def body(self) -> AccelerationBody:
        """Return its limits; everything else is None until it is measured."""
        return AccelerationBody(
            speedup=Speedup(required=self.required_speedup),
            latency=Latency(allowed=self.max_latency_s),
            quality=Quality(allowed=self.max_quality_loss),
            memory=None
            if self.max_memory_gb is None
            else Memory(allowed_bytes=round(1e9 * self.max_memory_gb)),
            unread_demands=list(self.unread_demands),
        )

    def blank(self) -> Record:
        """Return its record before anything is known."""
        record = Case.blank(self)  # slots make the dataclass a new class, in which super() alone fails
        record.prompt_id, record.difficulty, record.level = self.prompt_id, self.difficulty, self.level
        record.warnings += [
            f"unread demand: {text!r}; write it as a field, such as max_latency_s, or in other words"
            for text in self.unread_demands
        ]
        record.warnings += self.overruled_demands
        return record
