"""Where a language model is loaded from: a directory or a commit of the hub, and what identifies it. Needs no torch."""

from __future__ import annotations

import hashlib
import os
import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.language.models.config import ModelConfig, ModelProblem

_CONFIG_FILE = "config.json"
ADAPTER_FILE = "adapter_config.json"
_WEIGHTS = (".safetensors", ".bin")
# Beside a model that was trained, these change nothing of what it answers.
_NOT_THE_MODEL = re.compile(
    r"\..*|.*\.md|LICENSE.*|(optimizer|scheduler|scaler)\.pt|rng_state.*|trainer_state\.json|"
    r"training_args\.bin|events\.out\..*|(all|train|eval)_results\.json"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_HUB_OPTIONS = {"cache_dir", "local_files_only"}


def fingerprint(config: ModelConfig) -> str:
    """Return what identifies a model's weights, configuration and tokenizer, wherever they are; needs no torch.

    A directory counts by the names, sizes and contents of its files, weights in full, and not by its path. A hub
    name counts by its commit. Neither holds what is said when loading: the dtype and the keyword arguments. A
    server shows nothing of its weights, so that only its address and the model's name count.

    Raises:
        ModelProblem: when a path is missing or holds no model, or the commit of a hub name cannot be found out.
    """
    if config.backend == "server":
        return f"server:{config.api_base}#{config.path}"
    return Sources.of(config).fingerprint()


@dataclass(frozen=True, slots=True)
class Source:
    """Where transformers loads from: a directory, or a hub name with the one commit that all its files come from."""

    location: str
    commit: str | None

    @property
    def revision(self) -> dict[str, str]:
        return {} if self.commit is None else {"revision": self.commit}

    def identity(self) -> str:
        return f"hub:{self.commit}" if self.commit else f"sha256:{_digest(Path(self.location))}"


@dataclass(frozen=True, slots=True)
class Sources:
    """All that a model is loaded from, found once, so that what is loaded is what its fingerprint names."""

    model: Source
    tokenizer: Source | None
    adapter: Source | None

    @classmethod
    def of(cls, config: ModelConfig) -> Sources:
        model = _find(config, config.path, _CONFIG_FILE, config.revision)
        if model.commit is None:
            _expect_model(config, Path(model.location))
        tokenizer, adapter = config.tokenizer_path, config.peft_path
        return cls(
            model,
            None if tokenizer is None else _find(config, tokenizer, "tokenizer_config.json"),
            None if adapter is None else _find(config, adapter, ADAPTER_FILE),
        )

    def fingerprint(self) -> str:
        parts = [self.model.identity()]
        if self.tokenizer is not None:
            parts.append("tokenizer=" + self.tokenizer.identity())
        if self.adapter is not None:
            parts.append("adapter=" + self.adapter.identity())
        return "+".join(parts)


def _digest(directory: Path) -> str:
    """Hash the files of a directory, and of the one for further chat templates in it."""
    files = [*directory.glob("*"), *directory.glob("additional_chat_templates/*")]
    total = hashlib.sha256()
    for file in sorted(file for file in files if file.is_file() and not _NOT_THE_MODEL.fullmatch(file.name)):
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        total.update(f"{file.relative_to(directory).as_posix()}\0{file.stat().st_size}\0{content}\n".encode())
    return total.hexdigest()


def _find(config: ModelConfig, path: str, marker: str, revision: str | None = None) -> Source:
    """Find what a path names; raises where it can be neither a directory nor a hub name.

    Args:
        marker: a file that every repository of this kind has.
    """
    directory = Path(path).expanduser()
    if directory.is_dir():
        return Source(str(directory), None)
    if directory.exists() or not _HUB_NAME.fullmatch(path):
        found = "a file" if directory.exists() else "nothing"
        raise ModelProblem(
            f"model {config.name}: found {found} at {path}; expected a directory with a model, "
            "or a name on the hub as OWNER/NAME; correct the path"
        )
    return Source(path, _commit(config, path, marker, revision))


def _commit(config: ModelConfig, name: str, marker: str, revision: str | None) -> str:
    """Return the commit that a revision of a hub name is at; one that is in the cache needs no network."""
    if revision is not None and _COMMIT.fullmatch(revision):
        return revision
    import huggingface_hub  # noqa: PLC0415

    options = {key: value for key, value in config.model_kwargs.items() if key in _HUB_OPTIONS}
    file = attempt(
        config,
        f"find {name} on the hub, and no directory has that name",
        "expected OWNER/NAME of a model that is there, or in the cache when offline; correct it, download it, or log in",
        lambda: huggingface_hub.hf_hub_download(name, marker, revision=revision, **options),
    )
    # The cache keeps each commit in a folder of its own: .../snapshots/<commit>/config.json.
    kept = re.search(r"/snapshots/([0-9a-f]{40})/", Path(file).as_posix())
    if kept is None:
        raise ModelProblem(
            f"model {config.name}: found {name} at {file}, expected it in a folder named for its commit; "
            "give the commit as revision, or download the model and give its directory"
        )
    return kept[1]


def _expect_model(config: ModelConfig, directory: Path) -> None:
    if "subfolder" in config.model_kwargs:
        raise ModelProblem(
            f"model {config.name}: found 'subfolder' in model_kwargs beside the directory {directory}; "
            "expected one path, whose files are all that counts; give the path of the subfolder itself"
        )
    names = sorted(file.name for file in directory.iterdir())
    if _CONFIG_FILE not in names:
        hint = (
            "it is an adapter: give it with --peft-path, and the model it adapts with --hf-path"
            if ADAPTER_FILE in names
            else "give a directory that save_pretrained() has written"
        )
        raise ModelProblem(
            f"model {config.name}: found {some(names)} in {directory}; expected a model with its {_CONFIG_FILE}; {hint}"
        )
    if not any(name.endswith(_WEIGHTS) and not _NOT_THE_MODEL.fullmatch(name) for name in names):
        raise ModelProblem(
            f"model {config.name}: found {some(names)} in {directory}; expected weights in *.safetensors or *.bin; "
            "finish the download, or save the model again"
        )


def attempt(config: ModelConfig, what: str, advice: str, action: Callable[[], Any]) -> Any:
    """Return what an action returns; whatever it raises becomes a problem that says what was tried, and advises."""
    try:
        return action()
    # Whatever transformers, safetensors, the hub, torch and a model's own code raise.
    except Exception as error:
        cause = textwrap.shorten(str(error), 500, placeholder=" ...") or "no message"
        raise ModelProblem(
            f"model {config.name}: could not {what} ({type(error).__name__}: {cause}); {advice}"
        ) from error


def some(names: Iterable[str], count: int = 5) -> str:
    """Return the first few names for a message, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(map(os.fspath, names[:count])) + more or "nothing"
