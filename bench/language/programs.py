"""Programs that models write, run with the tests of their questions: pass@k in a jail, by the rule of ``code_eval``."""

from __future__ import annotations

import ast
import atexit
import builtins
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from bench.core.errors import LanguageProblem
from bench.language.repeats import pass_at_k
from bench.machine.programs.confinement import Limits
from bench.machine.programs.runner import Execution, NoJail, ProgramRunner

SECONDS = 3.0
"""Processor time of a program, which is the time limit of ``code_eval``."""


_REMEMBERED = 4096


@dataclass
class ProgramQuestion:
    """What is known of the question that is being graded.

    Attributes:
        row: its document.
        executions: what became of the programs that were run for it, in order.
    """

    row: Mapping[str, Any]
    executions: list[Execution] = field(default_factory=list)


_ASKED: ContextVar[ProgramQuestion | None] = ContextVar("asked", default=None)


@contextmanager
def grading(row: Mapping[str, Any]) -> Iterator[ProgramQuestion]:
    """Say which row the programs that are run meanwhile answer."""
    question = ProgramQuestion(row)
    token = _ASKED.set(question)
    try:
        yield question
    finally:
        _ASKED.reset(token)


def run_program(program: str, tests: str) -> Execution:
    """Run a program with its tests in the jail.

    Raises:
        LanguageProblem: a system without one; nothing has run then.
    """
    question = _ASKED.get()
    row = {} if question is None else question.row
    try:
        found = _executed(program, tests, helpers_of(row), entry_names(row, tests))
    except NoJail as error:
        raise _no_jail(error) from error
    if question is not None:
        question.executions.append(found)
    return found


def require_jail() -> None:
    """Refuse a system without a jail, before a model is asked for programs.

    Raises:
        LanguageProblem: with what is missing.
    """
    try:
        _runner()
    except NoJail as error:
        raise _no_jail(error) from error


def _no_jail(error: NoJail) -> LanguageProblem:
    return LanguageProblem(
        "task_invalid",
        f"found no jail for programs on this system ({error}), expected one: what a model writes is run nowhere else; "
        "use Linux 6.2 or newer with Landlock and seccomp, or leave the task out",
    )


class JailedCodeEval:
    """The metric ``code_eval`` of the library ``evaluate``, whose programs run in the jail.

    Source: Chen et al. 2021, Evaluating Large Language Models Trained on Code.
    """

    def compute(
        self, predictions: Sequence[Sequence[str]], references: Sequence[str], k: Sequence[int] = (1, 10, 100),
        num_workers: int = 1, timeout: float = SECONDS,
    ) -> tuple[dict[str, float], dict[int, list[tuple[int, dict[str, Any]]]]]:  # fmt: skip
        """Return pass@k, and what became of each program.

        Args:
            predictions: for each question its programs.
            references: for each question its tests.
            k: draws of which at least one has to pass.
            num_workers, timeout: as the library has them; one program runs after the other, each for `SECONDS`.

        Raises:
            LanguageProblem: a system without a jail.
        """
        counts: list[tuple[int, int]] = []
        results: dict[int, list[tuple[int, dict[str, Any]]]] = {}
        for number, (programs, tests) in enumerate(zip(predictions, references, strict=True)):
            done = [run_program(program, tests) for program in programs]
            results[number] = [
                (
                    place,
                    {"task_id": number, "completion_id": place, "passed": one.passed, "result": shown(one)},
                )
                for place, one in enumerate(done)
            ]
            counts.append((sum(one.passed for one in done), len(done)))
        found = {
            f"pass@{draws}": sum(pass_at_k(right, drawn, draws) for right, drawn in counts) / len(counts)
            for draws in k
            if counts and all(drawn >= draws for _, drawn in counts)
        }
        return found, results


def shown(execution: Execution) -> str:
    """Return what became of a program, in a line."""
    return execution.outcome if not execution.detail else f"{execution.outcome}: {execution.detail}"


def entry_names(row: Mapping[str, Any], tests: str) -> tuple[str, ...]:
    """Return the names that a program has to define: its entry point, what the right solution defines, or what is called.

    Only these may take the place of Python's own names in the tests: a question may ask for a function ``sum``, and a
    program that makes one of its own without being asked changes no test.
    """
    named = row.get("entry_point")
    if isinstance(named, str) and named:
        return (named,)
    for column in ("canonical_solution", "code"):
        if isinstance(solution := row.get(column), str) and (defined := _defined(solution)):
            return defined
    return _called(tests)


@cache
def _called(tests: str) -> tuple[str, ...]:
    try:
        tree = ast.parse(tests)
    except (SyntaxError, ValueError):
        return ()
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    foreign = {name for name in called if not hasattr(builtins, name)}
    return tuple(sorted(foreign or called))


def helpers_of(row: Mapping[str, Any]) -> str:
    """Return the text of what the prompt of a question defines besides its entry point.

    Tests use such functions too, and a program that defines them in another way changes no test.
    """
    prompt, entry = row.get("prompt"), row.get("entry_point")
    return _helpers(prompt, entry) if isinstance(prompt, str) and isinstance(entry, str) else ""


@cache
def _helpers(prompt: str, entry: str) -> str:
    try:
        tree = ast.parse(f"{prompt}\n    pass\n")
    except (SyntaxError, ValueError):
        return ""
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign)
    kept = [node for node in tree.body if isinstance(node, kinds) and getattr(node, "name", None) != entry]
    return "\n".join(ast.unparse(node) for node in kept)


@cache
def _defined(solution: str) -> tuple[str, ...]:
    try:
        body = ast.parse(solution.replace("\r\n", "\n")).body
    except (SyntaxError, ValueError):
        return ()
    return tuple(node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef))


@lru_cache(_REMEMBERED)
def _executed(program: str, tests: str, helpers: str, entry: tuple[str, ...]) -> Execution:
    """Run a program once: a score, its groups and its comparison ask for the same ones."""
    return _runner().run(program, tests, helpers, entry)


@cache
def _runner() -> ProgramRunner:
    """Return the runner of this process; its server ends with the process.

    Raises:
        NoJail: the system has none.
    """
    runner = ProgramRunner(Limits(seconds=SECONDS))
    runner.__enter__()
    atexit.register(runner.close)
    return runner
