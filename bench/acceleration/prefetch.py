"""Models of a hub that pipeline files name: looked up, and loaded, before any arm starts.

An arm has no network. So what ``from_pretrained`` and the like name in the text of a file is put into the model cache by the
evaluator. Nothing of it is run or unpickled here. A name that only comes to be while the file runs is not seen; such a file
finds its model in the cache, or says that it does not.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.acceleration.case import AccelerationCase
from bench.acceleration.source.walk import parse_file
from bench.core.errors import SourceProblem, UsageProblem

LOADERS = frozenset(
    {"from_pretrained", "load_lora_weights", "load_ip_adapter", "load_textual_inversion", "load_attn_procs",
     "load_config", "snapshot_download", "hf_hub_download"}
)  # fmt: skip
"""Methods and functions whose first argument names a repository."""
_KEYWORDS = (
    "pretrained_model_name_or_path",
    "pretrained_model_link_or_path",
    "pretrained_model_name_or_path_or_dict",
    "pretrained_model_name",
    "repo_id",
)
_NAME = re.compile(r"[\w-][\w.-]{0,95}(/[\w-][\w.-]{0,95})?", re.ASCII)
# Weights for other frameworks, and checkpoints that no loader of a pipeline reads.
_NOT_NEEDED = ("*.msgpack", "*.h5", "*.onnx", "*.onnx_data", "*.ckpt", "*.tflite", "openvino_*", "*.gguf")
_INDEX = "model_index.json"


@dataclass(frozen=True)
class Wanted:
    """A repository that a file names.

    Attributes:
        repository: its name on the hub.
        revision: branch, tag or commit; None for the main one.
        subfolder: the part of it that is loaded; None for all of it.
        place: file and line, for messages.
    """

    repository: str
    revision: str | None = None
    subfolder: str | None = None
    place: str = ""


def wanted(file: Path) -> list[Wanted]:
    """Return what a pipeline file loads from a hub, as far as its text says; a name of a local folder is none of it."""
    try:
        tree = parse_file(file)
    except SourceProblem:  # its arm will say so
        return []
    names = dict(_constants(tree))
    found: dict[tuple[str, str | None, str | None], Wanted] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or _called(node.func) not in LOADERS:
            continue
        given = {keyword.arg: _text(keyword.value, names) for keyword in node.keywords if keyword.arg}
        first = next((given[name] for name in _KEYWORDS if given.get(name)), None)
        repository = _text(node.args[0], names) if node.args else first
        if repository is None or not _is_of_hub(repository, file.parent):
            continue
        key = (repository, given.get("revision"), given.get("subfolder"))
        found.setdefault(key, Wanted(*key, place=f"{file.name}, line {node.lineno}"))
    return list(found.values())


def prefetch(cases: Iterable[AccelerationCase]) -> None:
    """Put what the files of cases name into the model cache.

    What a candidate names and cannot be had is a warning: its case ends with the same reason, and the others go on.

    Raises:
        UsageProblem: a target or baseline names what can neither be found nor loaded.
    """
    cases, asked = list(cases), dict[tuple[str, str | None, str | None], str | None]()
    trusted = {file: None for case in cases for file in (case.target_file, case.baseline_file)}
    candidates = {case.candidate_file: None for case in cases}
    for file in (*trusted, *candidates):
        for one in [] if file is None else wanted(file):
            key = (one.repository, one.revision, one.subfolder)
            if key not in asked:
                asked[key] = fetch(one)
            problem = asked[key]
            if problem is not None and file in trusted:
                raise UsageProblem(f"--prefetch: {one.place} names {one.repository!r}: {problem}")
            if problem is not None:
                warnings.warn(f"--prefetch: {one.place} names {one.repository!r}: {problem}", stacklevel=2)


def fetch(one: Wanted) -> str | None:
    """Put a repository into the model cache, unless it is there; return why that was not possible, None where it was."""
    from huggingface_hub import constants, snapshot_download  # noqa: PLC0415  slow, and only asked for with --prefetch

    lacks = "it is not in the model cache"
    try:
        folder = snapshot_download(one.repository, revision=one.revision, local_files_only=True)
        missing = missing_in(Path(folder), one.subfolder)
        if missing is None:
            return None
        lacks = f"its copy in the model cache lacks {missing}"
    except Exception:  # whatever the hub's client says of a name that it does not have
        folder = None
    advice = "expected all of it there, since arms have no network"
    if constants.HF_HUB_OFFLINE:
        return f"found that {lacks}; {advice}; unset HF_HUB_OFFLINE for this run, or copy it there"
    try:
        folder = snapshot_download(
            one.repository, revision=one.revision, ignore_patterns=list(_NOT_NEEDED),
            allow_patterns=None if one.subfolder is None else [f"{one.subfolder}/*", "*.json"],
        )  # fmt: skip
    except Exception as error:
        what = str(error).strip().partition("\n")[0][:200]
        return (
            f"found that {lacks}, and it could not be loaded ({type(error).__name__}: {what}); {advice}; check the name, "
            "the network and HF_TOKEN, or copy it there"
        )
    missing = missing_in(Path(folder), one.subfolder)
    return (
        None
        if missing is None
        else f"found that the repository lacks {missing}; expected it there; check the name"
    )


def missing_in(folder: Path, subfolder: str | None = None) -> str | None:
    """Return the first file or folder that a copy of a repository lacks, None where nothing is seen to lack."""
    place = folder if subfolder is None else folder / subfolder
    files = sorted(place.rglob("*")) if place.is_dir() else []
    if not files:
        return str(subfolder or "any file")
    broken = next((file for file in files if not file.exists()), None)  # a link to what was never loaded
    if broken is not None:
        return str(broken.relative_to(folder))
    if subfolder is None and (folder / _INDEX).is_file():
        return next((name for name in _parts(folder / _INDEX) if not any(folder.glob(f"{name}/*"))), None)
    return None


def _parts(index: Path) -> Iterator[str]:
    """Yield the components of a pipeline that have a folder."""
    try:
        parts = json.loads(index.read_text(encoding="utf-8"))
    except ValueError:
        parts = {}
    for name, value in parts.items() if isinstance(parts, dict) else ():
        if isinstance(value, list) and len(value) == 2 and all(value):
            yield name


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the names of a module that are bound to one text alone."""
    texts: dict[str, list[Any]] = {}
    for node in ast.walk(tree):
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign)
            else []
        )
        for target in targets:
            if isinstance(target, ast.Name):
                value = node.value  # type: ignore[attr-defined]
                texts.setdefault(target.id, []).append(
                    value.value if isinstance(value, ast.Constant) else None
                )
    for name, values in texts.items():
        if len(values) == 1 and isinstance(values[0], str):
            yield name, values[0]


def _text(node: ast.expr, names: dict[str, str]) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return names.get(node.id) if isinstance(node, ast.Name) else None


def _called(function: ast.expr) -> str | None:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def _is_of_hub(name: str, folder: Path) -> bool:
    if _NAME.fullmatch(name) is None:
        return False
    return not (folder / name).exists() and not Path(name).exists()
