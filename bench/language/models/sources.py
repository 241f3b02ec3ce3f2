"""Where a language model is loaded from, and what identifies it: a directory or a commit of the hub. Needs no torch."""

from __future__ import annotations

import hashlib
import os
import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench.core.errors import ModelProblem
from bench.language.models.config import ModelConfig

_CONFIG_FILE = "config.json"
ADAPTER_FILE = "adapter_config.json"
_WEIGHTS = (".safetensors", ".bin")
# Files that training leaves next to a model. They do not change its answers.
_NOT_THE_MODEL = re.compile(
    r"\..*|.*\.md|LICENSE.*|(optimizer|scheduler|scaler)\.pt|rng_state.*|trainer_state\.json|"
    r"training_args\.bin|events\.out\..*|(all|train|eval)_results\.json"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_HUB_OPTIONS = {"cache_dir", "local_files_only"}

T = TypeVar("T")


def fingerprint(config: ModelConfig) -> str:
    """Return what identifies a model's weights, configuration and tokenizer, wherever they are.

    A directory is identified by the names, sizes and contents of its files, weights in full, and not by its path. A hub
    name is identified by its commit. The dtype and the keyword arguments of loading are not included. The weights
    behind a server cannot be seen: it is identified by its address and the model's name.

    Raises:
        ModelProblem: a path that is missing or holds no model, or a hub name whose commit cannot be determined.
    """
    if config.backend == "server":
        served = f"server:{config.api_base}#{config.path}"
        template = served_tokenizer(config)
        return served if template is None else f"{served}+tokenizer={template.identity()}"
    return ModelSources.of(config).fingerprint()


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A directory, or a hub name with the one commit that all its files are taken from."""

    location: str
    commit: str | None

    @property
    def revision(self) -> dict[str, str]:
        """The keyword argument that pins the commit; none for a directory."""
        return {} if self.commit is None else {"revision": self.commit}

    def identity(self) -> str:
        """Return the commit, or a hash of the directory's content."""
        return f"hub:{self.commit}" if self.commit else f"sha256:{_digest(Path(self.location))}"


def served_tokenizer(config: ModelConfig) -> ModelSource | None:
    """Return where the tokenizer of a model behind a server is on this machine; None if it is not named.

    Raises:
        ModelProblem: a path that holds none.
    """
    path = config.tokenizer_path
    return None if path is None else _find(config, path, "tokenizer_config.json")


@dataclass(frozen=True, slots=True)
class ModelSources:
    """All that a model is loaded from, located once, so that the fingerprint names exactly what is loaded."""

    model: ModelSource
    tokenizer: ModelSource | None
    adapter: ModelSource | None

    @classmethod
    def of(cls, config: ModelConfig) -> ModelSources:
        """Locate everything that a configuration names.

        Raises:
            ModelProblem: a path that is missing or holds no model.
        """
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
        """Return the identities of model, tokenizer and adapter together."""
        parts = [self.model.identity()]
        if self.tokenizer is not None:
            parts.append("tokenizer=" + self.tokenizer.identity())
        if self.adapter is not None:
            parts.append("adapter=" + self.adapter.identity())
        return "+".join(parts)


def _digest(directory: Path) -> str:
    """Return a hash of the files of a directory and of its folder for further chat templates."""
    files = [*directory.glob("*"), *directory.glob("additional_chat_templates/*")]
    total = hashlib.sha256()
    for file in sorted(file for file in files if file.is_file() and not _NOT_THE_MODEL.fullmatch(file.name)):
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        total.update(f"{file.relative_to(directory).as_posix()}\0{file.stat().st_size}\0{content}\n".encode())
    return total.hexdigest()


def _find(config: ModelConfig, path: str, marker: str, revision: str | None = None) -> ModelSource:
    """Return what a path names.

    Args:
        config: for messages and the options of the hub.
        path: a directory or a hub name.
        marker: a file that every repository of this kind has.
        revision: of a hub name.

    Raises:
        ModelProblem: a path that is neither.
    """
    directory = Path(path).expanduser()
    if directory.is_dir():
        return ModelSource(str(directory), None)
    if directory.exists() or not _HUB_NAME.fullmatch(path):
        found = "a file" if directory.exists() else "nothing"
        raise ModelProblem(
            f"model {config.name}: found {found} at {path}; expected a directory with a model, "
            "or a name on the hub as OWNER/NAME; correct the path"
        )
    return ModelSource(path, _commit(config, path, marker, revision))


def _commit(config: ModelConfig, name: str, marker: str, revision: str | None) -> str:
    """Return the commit of a revision of a hub name; with the file in the cache, no network is needed."""
    if revision is not None and _COMMIT.fullmatch(revision):
        return revision
    import huggingface_hub  # noqa: PLC0415

    options = {key: value for key, value in config.model_kwargs.items() if key in _HUB_OPTIONS}
    file = attempt(
        config,
        f"find {name} on the hub, and no directory has that name",
        "expected OWNER/NAME of a model on the hub or, offline, in the cache; correct it, download it, or log in",
        lambda: huggingface_hub.hf_hub_download(name, marker, revision=revision, **options),
    )
    # The cache has a folder for each commit: .../snapshots/<commit>/config.json.
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
            f"model {config.name}: found 'subfolder' in model_kwargs next to the directory {directory}; "
            "expected the path of the model's own folder; give the path of the subfolder itself"
        )
    names = sorted(file.name for file in directory.iterdir())
    if _CONFIG_FILE not in names:
        hint = (
            "it is an adapter: give it with --peft-path, and the model it adapts with --hf-path"
            if ADAPTER_FILE in names
            else "give a directory that save_pretrained() wrote"
        )
        raise ModelProblem(
            f"model {config.name}: found {some(names)} in {directory}; expected a model with its {_CONFIG_FILE}; {hint}"
        )
    if not any(name.endswith(_WEIGHTS) and not _NOT_THE_MODEL.fullmatch(name) for name in names):
        raise ModelProblem(
            f"model {config.name}: found {some(names)} in {directory}; expected weights in *.safetensors or *.bin; "
            "finish the download, or save the model again"
        )


def attempt(config: ModelConfig, what: str, advice: str, action: Callable[[], T]) -> T:
    """Return what an action returns.

    Args:
        config: names the model in the message.
        what: what the action does, for the message.
        advice: what was expected and what to do.
        action: is called without arguments.

    Raises:
        ModelProblem: in place of whatever the action raises.
    """
    try:
        return action()
    # transformers, safetensors, the hub, torch and a model's own code raise anything.
    except Exception as error:
        cause = textwrap.shorten(str(error), 500, placeholder=" ...") or "no message"
        raise ModelProblem(
            f"model {config.name}: could not {what} ({type(error).__name__}: {cause}); {advice}"
        ) from error


def some(names: Iterable[str], count: int = 5) -> str:
    """Return the first few names for a message, and the number of the others."""
    names = list(names)
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(map(os.fspath, names[:count])) + more or "nothing"
