"""Running a pipeline file in the arm's process, and evaluating what its text shows."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

from bench.acceleration.arm.namesake import let_import_its_own
from bench.core.errors import SourceProblem

MODULE_NAME = "modelgate_pipeline_file"


def module_of(path: Path, name: str) -> types.ModuleType:
    """Return an empty module for a file, under a name, and let the file see itself and its neighbours as it would alone."""
    sys.argv = [str(path)]  # and not the fork server's, which a parser in the file would read
    module = types.ModuleType(name)
    module.__file__ = str(path)
    # Pickles, dataclasses and torch.compile look classes and globals up through sys.modules.
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    let_import_its_own(path.parent)
    return module


def execute(path: Path, module: types.ModuleType) -> None:
    """Run a file in its module."""
    # This module's own __future__ imports do not belong to the file.
    exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), module.__dict__)


def evaluate(text: str, namespace: dict[str, Any], path: Path, line: int, why: str = "") -> Any:
    """Return the value of an argument in what a file defines.

    Args:
        text: the argument, as the file has it.
        namespace: what the file defines.
        path: the file, for messages.
        line: of the call, likewise.
        why: why the call was not seen, likewise.

    Raises:
        SourceProblem: it cannot be evaluated there.
    """
    try:
        return eval(text, namespace)
    except Exception as error:
        unseen = f", and as a script the file does not come to that call ({why})" if why else ""
        first = "let it come there without arguments and files of its own, use" if why else "use"
        raise SourceProblem(
            f"{path.name}, line {line}: the argument `{text}` of the generating call could not be evaluated at "
            f"module level ({type(error).__name__}: {error}){unseen}; {first} constants defined at module level, or "
            "define generate(pipe, prompts, generators)"
        ) from error
