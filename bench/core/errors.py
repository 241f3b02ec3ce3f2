"""Every error that Modelgate raises on purpose, and the closed list of reason codes.

::

    ModelgateError
    ├── UsageProblem            an option, prompts file or CLIP name that no run can start with
    ├── TaskProblem             one entry of a task file that cannot become a case
    │   ├── RequirementProblem  a speedup in prose that names none or several numbers
    │   ├── UnclearProblem      a hard task that asks for nothing that could be read
    │   └── SourceProblem       a pipeline file whose text cannot be read as a pipeline file
    │       └── InputProblem    prompts, or what comes with them, that a pipeline does not take
    ├── ScoringProblem          images or prompts of a case that cannot be scored
    ├── CaseProblem             what ended a case, with its reason code
    │   ├── InfrastructureProblem  what the machine ended: it blames no candidate
    │   ├── LanguageProblem     a model, dataset or answer of a language case that cannot be used
    │   │   └── ModelProblem    a language model that cannot be found, loaded or asked
    │   ├── TuningProblem       a task, its data, training or ranking that cannot be used
    │   └── ArmProblem          what ended a pipeline's process; carries the arm and its last output
    ├── WireError               a message from an arm that is cut short, too long or no JSON (acceleration.protocol.wire)
    └── Refused                 a request that a server will not answer, however often it is asked (language.server.client)

An error message says what was found, what was expected and what to do, in that order.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

REASON_CODES: dict[str, str] = {
    # pass
    "passed": "every gate holds by its interval",
    "rejected_as_expected": "a control was rejected for the very reason it was written for",
    # fail
    "config_mismatch": "the candidate's configuration differs from the target's",
    "method_without_effect": "an acceleration method that the task asks for is in place and changes nothing",
    "quality_lost": "the quality loss is above the allowance, or a metric of the task outside its limits, interval included",
    "images_differ_from_target": "the candidate reports the target's configuration and makes other images than the target",
    "images_degraded": "blur, noise, colour, contrast, shift or sameness of the images left the range around the baseline's",
    "degenerate_output": "images or videos that are constant, frozen, duplicates, NaN, too few or of another size",
    "latency_missed": "the latency is above the limit, its whole interval included",
    "memory_missed": "the candidate's peak of memory is above the limit",
    "speedup_missed": "the speedup is under the requirement, its whole interval included",
    "score_missed": "the score is under the required one, its whole interval included",
    "worse_than_reference": "the score is below the reference run's by more than the margin, interval included",
    "baseline_not_beaten": "the gain over the trivial predictor is below zero, its whole interval included",
    "requirement_missed": "what --require asks for is missed by the whole interval",
    "not_rejected": "a control was not rejected, or for another reason than the one it was written for",
    # inconclusive
    "quality_undecided": "the interval of the quality loss, or of a metric of the task, contains its limit",
    "latency_undecided": "the interval of the latency contains the limit",
    "speedup_undecided": "the interval of the speedup contains the requirement after the whole budget",
    "memory_undecided": "the candidate's peak of memory could not be read",
    "foreign_load": "other processes used more of the leased cores than --max-foreign-load allows while the pair was timed",
    "score_undecided": "the interval of the score contains the required one",
    "answers_unparsed": "more answers could not be read than --max-unparsed allows, so the score says little of the model",
    "gain_undecided": "the interval of the gain over the trivial predictor contains zero",
    "requirement_undecided": "the interval contains what --require asks for",
    "reference_undecided": "the interval of the difference to the reference run contains the margin",
    # error: a language model on a dataset
    "model_failed": "the model could not be loaded or asked",
    "data_failed": "the dataset's rows could not be loaded, or do not have the form that its file declares",
    "inference_failed": "the model raised, or answered with what is no number, while it was asked",
    "predictions_missing": "predictions that were to be evaluated are not there, or no longer fit",
    # error: a task that is trained, a ranker (besides model_failed, data_failed and inference_failed)
    "training_failed": "training raised, or its loss became no number",
    # error: the candidate's process
    "load_failed": "the candidate's file could not be loaded into a pipeline",
    "generation_failed": "the candidate raised while generating",
    "crashed": "the candidate's process ended by itself or by a signal",
    "out_of_memory": "the candidate asked for more memory than its limit",
    "timed_out": "a time limit passed: of the candidate's loading or generating, or pytest-timeout's for the test",
    "output_flood": "the candidate printed more than the limit",
    "out_of_turn": "the candidate computed while it was stopped and the baseline was timed",
    # error: everything else
    "task_invalid": "the task entry cannot be evaluated as written",
    "requirement_unclear": "a hard task of whose text no demand of speed, latency or memory could be read",
    "reference_failed": "the target or the baseline, not the candidate, could not be loaded or run",
    "scoring_failed": "the images could not be scored",
    "service_died": "a process that the run shares among cases, such as the fork server or the scorer, died",
    "judge_failed": "the model that judges answers could not be asked; no answer is to blame",
    "disk_full": "the disk was full",
    "worker_died": "the worker process died while it ran the case",
    "machine_busy": "another run on this machine held the cores or GPUs, and --no-wait was given",
    "extra_missing": "a package that the case needs comes with an extra that is not installed",
    "not_decided": "the test ended without asking for all that the case has to hold",
    "not_run": "the run ended before the case was run",
    "internal_error": "an unexpected exception in the suite itself; please report it",
    # skip
    "requirement_absent": "the machine lacks what the task says it needs",
    "skipped": "skipped by a marker, an option or a plugin",
}


#: Numbers of the operating system's errors that mean a full disk.
FULL = (errno.ENOSPC, errno.EDQUOT)

#: What the machine or the run ended, and no candidate: such a case has no verdict and is run again.
INFRASTRUCTURE = ("service_died", "disk_full", "worker_died", "judge_failed")

#: Undecided because of what the machine did meanwhile: it decides no control, and another run may decide it.
OF_THE_MOMENT = ("foreign_load",)


def add_reason_codes(codes: Mapping[str, str]) -> None:
    """Add the reason codes of a kind.

    Raises:
        ValueError: a code that is there already with another meaning.
    """
    for code, meaning in codes.items():
        if REASON_CODES.setdefault(code, meaning) != meaning:
            raise ValueError(f"the reason code {code!r} is taken: {REASON_CODES[code]}; choose another word")


class ModelgateError(Exception):
    """Base class of the errors that Modelgate raises on purpose.

    Attributes:
        reason_code: what it means when it ends a case; one of :data:`REASON_CODES`.
    """

    reason_code = "internal_error"


class UsageProblem(ModelgateError):
    """An option or an input of the whole run that cannot be used."""

    reason_code = "scoring_failed"  # inside a case, only the model that scores is asked for so late


class TaskProblem(ModelgateError):
    """One entry of a task file that cannot become a case. The message names the entry."""

    reason_code = "task_invalid"


class UnclearProblem(TaskProblem):
    """A hard task that asks for no speed, latency or memory in a way that could be read."""

    reason_code = "requirement_unclear"


class RequirementProblem(TaskProblem):
    """A text that names no single required speedup although it speaks of one."""


class SourceProblem(TaskProblem):
    """A pipeline file whose source cannot be read: missing, a syntax error, nothing to call."""


class InputProblem(SourceProblem):
    """What a row of the prompts asks for, and a pipeline does not take.

    Args:
        message: what was found, what was expected, what to do, without its subject.
        index: of the prompt in its batch; None where all of them ask for it.
    """

    def __init__(self, message: str, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index


class ScoringProblem(ModelgateError):
    """Images or scores from which no quality loss can be computed."""

    reason_code = "scoring_failed"


class CaseProblem(ModelgateError):
    """What ended a case.

    Args:
        reason_code: one of :data:`REASON_CODES`.
        message: one sentence: what was found, what was expected, what to do.
    """

    def __init__(self, reason_code: str, message: str) -> None:
        if reason_code not in REASON_CODES:
            raise ValueError(f"unknown reason code {reason_code!r}")
        super().__init__(message)
        self.reason_code = reason_code


class InfrastructureProblem(CaseProblem):
    """What ended a case through no fault of what it evaluates; the reason code is one of :data:`INFRASTRUCTURE`."""


class LanguageProblem(CaseProblem):
    """What ended a language case."""


class ModelProblem(LanguageProblem):
    """A language model that cannot be found, loaded or asked; the message names it."""

    def __init__(self, message: str) -> None:
        super().__init__("model_failed", message)


class TuningProblem(CaseProblem):
    """What ended a regression or reranking case."""


class ArmProblem(CaseProblem):
    """What ended the process of a target, baseline or candidate.

    Args:
        reason_code: one of :data:`REASON_CODES`.
        message: one sentence: what happened, what was expected, what to do.
        role: ``target``, ``baseline`` or ``candidate``.
        output_tail: the last lines that the process printed, at most a few kilobytes.
        is_of_file: whether the file did something wrong, so that it is to be fixed; what the suite cannot use says itself
            what to do.
        is_of_prompts: whether the prompts, or what comes with them, are to be corrected.
        sample: the one that it cannot make; None where that is not known, or it is so for all.
    """

    def __init__(
        self, reason_code: str, message: str, *, role: str, output_tail: str = "", is_of_file: bool = True,
        is_of_prompts: bool = False, sample: object = None,
    ) -> None:  # fmt: skip
        super().__init__(reason_code, message)
        self.role = role
        self.output_tail = output_tail
        self.is_of_file = is_of_file
        self.is_of_prompts = is_of_prompts
        self.sample = sample
