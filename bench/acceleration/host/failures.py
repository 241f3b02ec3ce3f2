"""Why an arm failed, in one sentence: what was found, what was expected, what to do."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from bench.acceleration.host.output import printable
from bench.acceleration.host.usage import MAX_TASKS
from bench.acceleration.protocol.wire import CHANNEL_LOST
from bench.core.errors import FULL, INFRASTRUCTURE, ArmProblem, InfrastructureProblem

MESSAGE_LENGTH = 1000
TRACEBACK_LENGTH = 8000

_OUT_OF_MEMORY_SIGNS = (
    "MemoryError", "bad_alloc", "can't allocate memory", "Cannot allocate memory", "not enough memory",
    "OutOfMemoryError", "out of memory", "memory allocation failed", "memory exhausted",
)  # fmt: skip
_NEEDS_GPU = re.compile(
    r"\b(?:no|not|needs?|requires?|requiring|without|must have|missing)\b(?! error).{0,40}\b(?:GPUs?|CUDA|accelerator)\b"
    r"|\b(?:GPUs?|CUDA)\b.{0,40}\b(?:not|required|needed|unavailable|missing)\b",
    re.IGNORECASE,
)
_FEWER_TASKS = f"expected {MAX_TASKS} processes and threads at most; start fewer"
_TOO_MANY_TASKS_SIGNS = ("Resource temporarily unavailable", "can't start new thread", "pthread_create")
_DISK_FULL_SIGNS = ("[Errno 28]", "[Errno 122]", "No space left on device", "Disk quota exceeded")
_FILE_TOO_LARGE = "[Errno 27]"
_SIGN_LINES = 60
_WITHOUT_DEVICE = "expected a file that chooses no device"
# What files that were written for another place raise, and what to do about it.
_ADVICE = (
    (
        ("not compiled with CUDA", "No CUDA GPUs are available", "Found no NVIDIA driver"),
        f"{_WITHOUT_DEVICE}; leave .to('cuda') out: the suite moves the pipeline to --device",
    ),
    (
        ("get_ipython", "'display' is not defined"),
        "expected a Python file and no notebook; leave out what only a notebook has, such as get_ipython() and display()",
    ),
    (
        ("No module named",),
        "expected packages that are installed here; install the package, or leave its import out",
    ),
    (
        (
            "not a local folder and is not a valid model identifier", "couldn't connect to", "Repo id must be",
            "outgoing traffic has been disabled", "is not the path to a directory containing",
            "neither a valid local path nor a valid repo id",
        ),
        "expected a model that is at hand; give its folder relative to __file__, or load it into the cache beforehand",
    ),
    (
        ("PermissionError: [Errno 13]", "Permission denied (os error 13)"),
        "expected a file that reads its own project, what target and baseline name and model caches, and writes into its "
        "working directory alone; write there, or name what it has to read with --allow-read PATH",
    ),
    (
        ("FileNotFoundError: [Errno 2]",),
        "expected a file or program that is there; an arm works in an empty directory, so give files of your project "
        "relative to __file__",
    ),
    (
        ("Network is unreachable", "Temporary failure in name resolution", "Name or service not known"),
        "expected a file that needs no network, since an arm has none; load what it needs beforehand",
    ),
    (_TOO_MANY_TASKS_SIGNS, _FEWER_TASKS),
)  # fmt: skip


@dataclass(frozen=True)
class Failure:
    """Why an arm failed.

    Attributes:
        reason_code: one of :data:`bench.core.errors.REASON_CODES`.
        message: the sentence, without its subject.
        traceback: of the exception that the file raised, or empty.
        is_of_file: whether the file or its pipeline did something wrong, and it is not that the suite cannot use it.
        is_of_prompts: whether the pipeline does not take what the prompts ask for.
        index: in its batch, of the prompt that it does not take; None where it takes none.
    """

    reason_code: str
    message: str
    traceback: str = ""
    is_of_file: bool = True
    is_of_prompts: bool = False
    index: int | None = None


def not_started(error: OSError) -> Failure:
    """Explain a process that the fork server did not start."""
    return Failure(
        "disk_full" if error.errno in FULL else "service_died",
        f"was not started by the fork server ({error}); expected one process per request; see logs/forkserver.log",
    )


def raised(
    operation: str,
    error: Any,
    memory_bytes: int | None,
    disk_bytes: int | None = None,
    *,
    has_room: bool = False,
) -> Failure:
    """Explain an exception that the arm reports; all fields are untrusted.

    Args:
        operation: during which it was raised.
        error: what the arm says of it.
        memory_bytes: the arm's limit, or None.
        disk_bytes: size of the arm's directory where it is a disk of its own.
        has_room: whether the disk has room, whatever the arm says: a full one would end the run.
    """
    error = error if isinstance(error, dict) else {}
    text = printable(str(error.get("message", "")))[:MESSAGE_LENGTH].strip()
    kind = printable(str(error.get("type", "an unnamed exception")))[:MESSAGE_LENGTH]
    trace = printable(str(error.get("traceback", "")))[-TRACEBACK_LENGTH:].strip()
    if error.get("is_usage"):
        code = "internal_error" if error.get("is_internal") else _failed(operation)
        index = error.get("index")
        return Failure(
            code,
            text or f"refused {operation} and did not say why; expected a reason; see its log",
            is_of_file=False, is_of_prompts=bool(error.get("is_of_prompts")),
            index=index if type(index) is int else None,
        )  # fmt: skip
    if error.get("is_exit"):
        advice = _advice_on_demands(text, trace) or (
            'expected it to return; remove the call, or move it below `if __name__ == "__main__":`'
        )
        return Failure("crashed", f"called sys.exit({text}) during {operation}; {advice}", trace)
    exception = f"{kind}: {text}" if text else kind
    if disk_bytes and any(sign in exception for sign in (*_DISK_FULL_SIGNS, _FILE_TOO_LARGE)):
        return replace(over_disk(operation, disk_bytes, f" ({exception})"), traceback=trace)
    if not has_room and any(sign in exception for sign in _DISK_FULL_SIGNS):
        return Failure(
            "disk_full",
            f"found no room on the disk during {operation} ({exception}); expected room in TMPDIR and the work directory; "
            "make room there, then run the case again",
            trace,
        )
    if any(sign in exception for sign in _OUT_OF_MEMORY_SIGNS):
        return Failure("out_of_memory", f"{_over_memory(operation, memory_bytes)} ({exception})", trace)
    advice = (
        _advice_on(exception)
        or _advice_on_demands(exception, trace)
        or "expected it to return; see the traceback in its last output"
    )
    return Failure(_failed(operation), f"raised during {operation}: {exception}; {advice}", trace)


def _advice_on(exception: str) -> str | None:
    """Return what to do about an error that many files make, None for any other."""
    return next((advice for signs, advice in _ADVICE if any(sign in exception for sign in signs)), None)


def _advice_on_demands(said: str, trace: str) -> str | None:
    """Return what to do about a file that asks for a GPU or for a variable before it goes on; None for any other error."""
    last = trace.rpartition("\n  File ")[2]
    if _NEEDS_GPU.search(said) or "cuda.is_available()" in last:
        return (
            f"{_WITHOUT_DEVICE} and asks for none; leave that out: the suite moves the pipeline to --device"
        )
    if said.startswith("KeyError: ") and 'File "<frozen os>"' in trace:
        return (
            "expected a file that needs no variables of one person's environment, of which an arm sees no keys and tokens; "
            "read it with os.environ.get() and a default, or leave it out"
        )
    return None


def ended(operation: str, status: int | None, output: str, memory_bytes: int | None) -> Failure:
    """Explain the end of the process by its wait status (None when it is not known) and its last output."""
    last = output.splitlines()[-_SIGN_LINES:]
    if any(sign in line for sign in _OUT_OF_MEMORY_SIGNS for line in last):
        return Failure("out_of_memory", _over_memory(operation, memory_bytes))
    if status is not None and any(sign in line for sign in _TOO_MANY_TASKS_SIGNS for line in last):
        return Failure(
            _failed(operation),
            f"was refused another process or thread during {operation} and {_how(status)}; {_FEWER_TASKS}",
        )
    if status is not None and os.WIFEXITED(status) and os.WEXITSTATUS(status) == CHANNEL_LOST:
        return closed_channel(operation)
    # Nobody knows how a process ended whose fork server is gone, and it may have ended because of that.
    code = "service_died" if status is None else "crashed"
    return Failure(code, f"{_how(status)} during {operation}; {_advice(status)}")


def scorer_died(problem: ArmProblem) -> InfrastructureProblem | None:
    """Return the problem of a scorer that died, which blames no candidate; None where it answered."""
    if problem.reason_code in INFRASTRUCTURE:
        return InfrastructureProblem(problem.reason_code, str(problem))
    if problem.reason_code != "crashed":
        return None
    return InfrastructureProblem("service_died", f"{problem}; see the scorer's log in the run's logs/")


def closed_channel(operation: str) -> Failure:
    """Explain a channel that was closed by the file and not by the end of its process."""
    return Failure(
        "crashed",
        f"closed its channel to the evaluator during {operation}; expected it to leave descriptors alone unless "
        "it opened them; remove os.close() or os.closerange() from the file",
    )


def broken_answer(operation: str, what: object) -> Failure:
    """Explain bytes on the channel that are no answer to the request."""
    return Failure(
        "crashed",
        f"sent something other than the answer to {operation}: {printable(str(what))[:MESSAGE_LENGTH]}; expected it to "
        "leave descriptors alone unless it opened them; remove what writes to them from the file",
    )


def timed_out(operation: str, limit_s: float, option: str) -> Failure:
    """Explain a process that was killed because it did not answer in time."""
    return Failure(
        "timed_out",
        f"did not finish {operation} within {limit_s:g} s and was killed; make it faster or raise {option}",
    )


def left_its_processors(operation: str, elsewhere: Iterable[int], leased: Iterable[int]) -> Failure:
    """Explain a process that allowed itself other processors than it has leased."""
    return Failure(
        _failed(operation),
        f"allowed itself processors {_numbers(elsewhere)} during {operation}; expected it to stay on "
        f"{_numbers(leased)}, which it has leased; remove os.sched_setaffinity() from the file",
    )


def out_of_turn(used_s: float, waited_s: float) -> Failure:
    """Explain a process that computed while it was stopped and the other arm was timed."""
    return Failure(
        "out_of_turn",
        f"used {used_s:.3f} s of processor time in {waited_s:.3f} s in which it had to wait while the other arm was timed; "
        "expected none; remove what goes on after a call has returned: timers, signals, processes",
    )


def too_many_tasks(operation: str, found: int, limit: int) -> Failure:
    """Explain a process that was killed because it started too many others."""
    return Failure(
        _failed(operation),
        f"had {found} processes and threads during {operation} and was killed; expected {limit} at most; start fewer",
    )


def over_disk(operation: str, limit_bytes: int, what: str = "") -> Failure:
    """Explain a process that wrote more than its directory may hold."""
    return Failure(
        _failed(operation),
        f"wrote more than {limit_bytes / 2**30:.3g} GB into its directory during {operation}{what}; expected less; write "
        "less, or raise --disk-limit if the pipeline needs it",
    )


def flooded(operation: str, limit_bytes: int) -> Failure:
    """Explain a process that was killed because it printed too much."""
    return Failure(
        "output_flood",
        f"printed more than {limit_bytes / 2**20:g} MB during {operation} and was killed; print less or "
        "raise --output-limit",
    )


def _failed(operation: str) -> str:
    return "load_failed" if operation == "load" else "generation_failed"


def _numbers(processors: Iterable[int]) -> str:
    return ", ".join(str(number) for number in sorted(processors))


def _over_memory(operation: str, memory_bytes: int | None) -> str:
    allowed = f"its limit of {memory_bytes / 2**30:.3g} GB" if memory_bytes else "the memory of the device"
    return (
        f"asked for more than {allowed} during {operation}; use less, or raise --memory-limit if the "
        "pipeline needs it"
    )


def _how(status: int | None) -> str:
    if status is None:
        return "ended in an unknown way, since the fork server that would know is gone,"
    if not os.WIFSIGNALED(status):
        return f"ended by itself with exit code {os.WEXITSTATUS(status)}"
    number = os.WTERMSIG(status)
    names = {known.value: known.name for known in signal.Signals}
    return f"was ended by signal {number} ({names.get(number, 'of no name')})"


def _advice(status: int | None) -> str:
    if status is None:
        return "expected both to go on until the case ends; see logs/forkserver.log"
    if not os.WIFSIGNALED(status):
        return (
            "expected it to go on until it is stopped; remove os._exit() from the file, or look in its log for a "
            "library that ends the process"
        )
    if os.WTERMSIG(status) == signal.SIGKILL:
        return (
            "expected it to go on until it is stopped; if nobody killed it, the kernel did because memory ran out: "
            "lower --memory-limit or the number of workers"
        )
    return "expected it to go on until it is stopped; see its log for the line that was running"
