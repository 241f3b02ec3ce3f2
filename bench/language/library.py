"""Datasets by name. A dataset file declares ``DATASET`` and gives the dataset its own name; it is run when it is needed."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.core.errors import LanguageProblem
from bench.core.raised import told
from bench.core.registry import Place, Registry
from bench.language.spec import Dataset

SHIPPED = Path(__file__).with_name("datasets")


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """A dataset file, run when it is first loaded."""

    path: Path

    def load(self) -> Dataset:
        """Return what the file declares.

        Raises:
            LanguageProblem: the file cannot be run, or declares no dataset.
        """
        return _load(self.path)


DATASETS: Registry[Dataset | DatasetFile] = Registry(
    "dataset", "add a file of that name to a folder and give the folder with --user-dir"
)


# What is asked in another way than before has another name, so that no threshold of before is held against it.
RENAMED = {
    "arc_challenge_ppl": "arc_challenge_ll",
    "boolq_clp": "boolq_ll",
    "lambada_last_word": "lambada_ll",
    "lambada_rolling": "wikitext_rolling",
    "mmlu_ppl": "mmlu_ll",
}


def adopt(path: Path, text: str) -> bool:
    """Register a Python file as a dataset file if it assigns ``DATASET``; say whether it did.

    The file is read and not run, so that a broken dataset file fails its own case only.

    Args:
        path: the file; its stem is the dataset's name.
        text: its content.

    Raises:
        ValueError: a name that is taken; the message names both files.
    """
    if not declares_dataset(text):
        return False
    taken = DATASETS.get(path.stem)
    if not (isinstance(taken, DatasetFile) and taken.path.resolve() == path.resolve()):
        DATASETS.add(path.stem, DatasetFile(path), place=Place(str(path), _line(text)))
    return True


def declares_dataset(text: str) -> bool:
    """Whether a Python text assigns ``DATASET`` at module level; a text with a syntax error counts by its lines."""
    # As in nearly every file, whose parsing would be the dearest part of looking at it.
    if "DATASET" not in text:
        return False
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError):
        return re.search(r"^DATASET\s*(:[^=\n]*)?=(?!=)", text, re.MULTILINE) is not None
    return any(_assigns(node) for node in _at_module_level(statements))


def load_dataset(name: str) -> Dataset:
    """Return the dataset of a name.

    Raises:
        LanguageProblem: an unknown name, or a file that cannot be run or declares no dataset.
    """
    if name not in DATASETS and name in RENAMED:
        new = RENAMED[name]
        raise LanguageProblem(
            "task_invalid",
            f"found the dataset {name}, which is now {new}: it follows {load_dataset(new).protocol} and its scores are not "
            f"those of {name}; name {new}",
        )
    if name not in DATASETS:
        raise LanguageProblem("task_invalid", DATASETS.unknown(name))
    found = DATASETS[name]
    return found.load() if isinstance(found, DatasetFile) else found


def _at_module_level(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield nodes and what is in them, but not what is in functions and classes."""
    for node in nodes:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _at_module_level(ast.iter_child_nodes(node))


def _assigns(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        targets = [node.target]
    else:
        return False
    return any(isinstance(target, ast.Name) and target.id == "DATASET" for target in targets)


def _line(text: str) -> int:
    found = re.search(r"^\s*DATASET\b", text, re.MULTILINE)
    return 1 if found is None else text.count("\n", 0, found.end()) + 1


@cache
def _load(file: Path) -> Dataset:
    name = f"modelgate_dataset_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # inspect finds the source of its functions there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise LanguageProblem(
            "task_invalid",
            f"{file}: {told(error, file.parent)}; expected a file that defines DATASET; fix the file",
        ) from error
    declared = getattr(module, "DATASET", None)
    if not isinstance(declared, Dataset):
        raise LanguageProblem(
            "task_invalid",
            f"{file}: found {'no DATASET' if declared is None else type(declared).__name__}, expected "
            "DATASET = Dataset(...) of bench.language.spec; fix the file",
        )
    return declared


for _file in sorted(SHIPPED.glob("[!_]*.py")):
    DATASETS.add(_file.stem, DatasetFile(_file), place=Place(str(_file), 1))
