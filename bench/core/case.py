"""Cases: what one test decides, frozen at collection. Importing this module imports no framework."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

DIFFICULTIES = ("easy", "medium", "hard")
LEVELS = ("L1", "L2", "L3", "L4", "L5")
DEFAULT_MAX_QUALITY_LOSS = 0.05


class Case(Protocol):
    """What the run needs to know of a case of any kind.

    Attributes:
        kind: ``acceleration``, ``language``, ...
        id: the pytest parameter id, unique among the cases of a kind.
        order: position among the cases of its kind, which is the order of the records.
        cost: relative cost estimate, for scheduling the longest first.
        group: cases of a lower group are scheduled first; those of one group use the same model.
        problem: why it cannot be evaluated, known at collection.
    """

    kind: ClassVar[str]

    @property
    def id(self) -> str: ...
    @property
    def order(self) -> int: ...
    @property
    def cost(self) -> float: ...
    @property
    def group(self) -> int: ...
    @property
    def problem(self) -> str | None: ...
    def blank(self) -> dict[str, Any]:
        """Return the keys of its record that its kind has besides the common ones, as far as known."""


class _MayBeControl:
    """A case that may be a control: written or built to be rejected with the reason code ``expect``."""

    __slots__ = ()
    expect: str | None

    @property
    def is_control(self) -> bool:
        """Whether it must be rejected."""
        return self.expect is not None


@dataclass(frozen=True, slots=True)
class AccelerationCase(_MayBeControl):
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

    kind: ClassVar[str] = "acceleration"
    group: ClassVar[int] = 0

    def blank(self) -> dict[str, Any]:
        """Return the keys of an acceleration record: configuration, times, gates."""
        return {
            "prompt_id": self.prompt_id,
            "difficulty": self.difficulty,
            "level": self.level,
            "control": blank_control(self.expect),
            "config": {"target": None, "baseline": None, "candidate": None, "mismatches": None},
            "speedup": {
                "value": None,
                "low": None,
                "high": None,
                "required": self.required_speedup,
                "rounds": 0,
            },
            "latency": {"value": None, "low": None, "high": None, "allowed": self.max_latency_s},
            "quality": {
                "metric": "clip_score",
                "baseline": None,
                "candidate": None,
                "loss": None,
                "low": None,
                "high": None,
                "allowed": self.max_quality_loss,
            },
            "fidelity": None,
            "achievement_ratio": None,
            "point_estimate": None,
            "times": None,
        }


@dataclass(frozen=True, slots=True)
class LanguageCase:
    """A language model on a dataset, or on a shard of one: how well does it do?

    Attributes:
        id: ``model-dataset``, and ``-1of3`` for a shard.
        model: name of the model's configuration.
        dataset: name of the dataset.
        mode: how it is inferred: ``gen``, ``ppl``, ``ll``, ``clp``, ``rolling``.
        rows: the rows of this shard, ``(first, one after the last)``; the end is None where it is not known
            before the dataset is loaded.
        shard, shards: which shard this is, from 1, of how many.
        min_score: score that the whole dataset must reach; None is not gated.
        problem: why it cannot be evaluated; such a case ends as an error with this reason.
        order: position in the table of models x datasets.
        cost: rows x choices, or rows x output length.
        group: position of the model, so that a worker is done with one before the next.
    """

    id: str
    model: str
    dataset: str
    mode: str = ""
    rows: tuple[int, int | None] = (0, None)
    shard: int = 1
    shards: int = 1
    min_score: float | None = None
    problem: str | None = None
    order: int = 0
    cost: float = 1.0
    group: int = 1

    kind: ClassVar[str] = "language"

    def blank(self) -> dict[str, Any]:
        """Return the keys of a language record: what was asked, how it went, scores."""
        return {
            "model": self.model,
            "dataset": self.dataset,
            "mode": self.mode,
            "shard": {"index": self.shard, "of": self.shards},
            # Of the whole dataset, on the record of the shard that was the last to finish; see `part`.
            "score": blank_score(self.min_score),
            "metrics": None,
            "reference": None,
            "part": None,
            "data": None,
            "fingerprint": None,
            "engine": None,
        }


@dataclass(frozen=True, slots=True)
class RegressionCase(_MayBeControl):
    """A task whose model is trained on scored texts: does it predict the scores of texts it has not seen?

    Attributes:
        id: the task's name, and ``control-`` before that of a control.
        task: name of the registered task.
        expect: for a control, the reason code for which it must be rejected; None for a task.
        problem: why it cannot be evaluated; such a case ends as an error with this reason.
        order: position among the tasks.
        cost: expected seconds on one core, over a hundred: less than any acceleration case.
    """

    id: str
    task: str
    expect: str | None = None
    problem: str | None = None
    order: int = 0
    cost: float = 0.1

    kind: ClassVar[str] = "regression"
    group: ClassVar[int] = 0

    def blank(self) -> dict[str, Any]:
        """Return the keys of a regression record: what was trained, how well it predicts."""
        return {
            "task": self.task,
            "control": blank_control(self.expect),
            "data": None,
            "training": None,
            "score": blank_score(),
            "metrics": None,
            "gain": None,
            "files": None,
        }


@dataclass(frozen=True, slots=True)
class RerankingCase(_MayBeControl):
    """A ranker on queries with candidates: how near the top does it put what is relevant?

    Attributes:
        id: ``ranker-dataset``, and ``control-`` before that of a control.
        ranker: name of the registered ranker.
        dataset: name of the registered set of queries.
        expect: for a control, the reason code for which it must be rejected; None for a task.
        min_score: score that must be reached; None is not gated.
        problem: why it cannot be evaluated; such a case ends as an error with this reason.
        order: position among the rankers and their datasets.
        cost: expected seconds on one core, over a hundred: less than any acceleration case.
    """

    id: str
    ranker: str
    dataset: str
    expect: str | None = None
    min_score: float | None = None
    problem: str | None = None
    order: int = 0
    cost: float = 0.1

    kind: ClassVar[str] = "reranking"
    group: ClassVar[int] = 0

    def blank(self) -> dict[str, Any]:
        """Return the keys of a reranking record: what was ranked, how well."""
        return {
            "ranker": self.ranker,
            "dataset": self.dataset,
            "control": blank_control(self.expect),
            "data": None,
            "queries": None,
            "tie_rule": None,
            "score": blank_score(self.min_score),
            "metrics": None,
            "gain": None,
            "files": None,
        }


def blank_control(expect: str | None) -> dict[str, Any] | None:
    """Return what a control's record says of the fault it was written for, None for a task."""
    if expect is None:
        return None
    return {"expected": expect, "verdict": None, "reason_code": None, "reason": None}


def blank_score(required: float | None = None) -> dict[str, Any]:
    """Return a score of which nothing is known yet."""
    return {
        "metric": None, "value": None, "low": None, "high": None, "stderr": None, "n": None, "unparsed": None,
        "required": required,
    }  # fmt: skip


CASE_TYPES = (AccelerationCase, LanguageCase, RegressionCase, RerankingCase)
