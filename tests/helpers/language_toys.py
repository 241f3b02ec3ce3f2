"""A toy language model and datasets of a test's own, for tests of what becomes of a language case."""

from __future__ import annotations

import json
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.core.evaluation import RunContext
from bench.core.options import Setting
from bench.language.backend import TextScore
from bench.language.case import LanguageCase
from bench.language.evaluation import LanguageEvaluation, LanguageResources
from bench.language.library import DATASETS, DatasetFile
from bench.language.models.config import ModelConfig
from bench.language.options import LanguageOptions, LanguageSettings
from bench.language.record import Usage
from bench.language.rows import RowReader
from bench.run.options import RunOptions

MODEL = ModelConfig("toy", "toy")
DATASET = """
from bench.language.spec import Dataset, LogLikelihood, Source

DATASET = Dataset(
    source=Source(hub="nobody/toy", rows="toy"), prompt="{q}", inference=LogLikelihood(),
    choices=(" yes", " no"), metrics=("accuracy",),
)
"""


def keep_registered(monkeypatch: Any, *registries: Any) -> None:
    """Undo after the test what it registers."""
    for registry in registries:
        for name in ("_things", "_places"):
            monkeypatch.setattr(registry, name, dict(getattr(registry, name)))


def setting(
    directory: Path, *given: str, latest: Path | None = None, workers: int = 1, **run: Any
) -> Setting:
    """Return the setting of a run in a directory, whose command line gave these options."""
    return Setting(
        run=RunOptions(**{"work_dir": directory / "out", **run}), given=frozenset(given), directory=directory,
        workers=workers, latest=latest,
    )  # fmt: skip


def options(**fields: Any) -> LanguageOptions:
    """Return options as they are given."""
    return LanguageOptions(**fields)


class Toy:
    """Prefers `yes` for questions that end in `?`; counts what it was asked."""

    fingerprint, dtype, max_len = "toy-1", "float32", None

    def __init__(self, fail_at: str | None = None) -> None:
        self.asked: list[str] = []
        self._fail_at = fail_at

    def score_continuations(self, contexts, choices, done):
        for index, context in enumerate(contexts):
            if context == self._fail_at:
                raise RuntimeError("the machine was switched off")
            self.asked.append(context)
            yes = -1.0 if context.endswith("?") else -3.0
            done(index, [TextScore(yes, 1, 5), TextScore(-2.0, 1, 5)])

    def lengths(self, texts):
        return [len(text) for text in texts]

    def usage(self):
        return Usage()


class Place:
    """A work directory with the dataset ``toy``, of which eight of ten answers of the toy are right."""

    def __init__(self, root: Path, rows: int = 10, right: int = 8) -> None:
        self.root = root
        self.data, self.folder = root / "data", root / "mine"
        for folder in (self.data, self.folder):
            folder.mkdir()
        self.declare(DATASET)
        # The toy answers yes; the last rows want no.
        self.write([{"q": f"question {i}?", "gold": int(i >= right)} for i in range(rows)])

    def write(self, rows) -> None:
        """Write the rows of the dataset."""
        (self.data / "toy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def declare(self, text: str) -> None:
        """Give the dataset another declaration, in another file."""
        file = self.folder / f"toy{len(list(self.folder.glob('*.py')))}.py"
        file.write_text(textwrap.dedent(text))
        DATASETS._things["toy"] = DatasetFile(file)

    def settings(self, **fields: Any) -> LanguageSettings:
        """Return settings that ask the toy for the dataset."""
        return LanguageSettings(
            **{"models": (MODEL,), "datasets": ("toy",), "data": str(self.data), "rows": self.data, **fields}
        )

    def context(self, run: str = "run", **fields: Any) -> RunContext:
        """Return the context of a run of this name."""
        return RunContext(self.root / run, self.root / run / "scratch", **fields)

    def evaluation(
        self, backend: Any = None, run: str = "run", case: dict | None = None, load: Any = None,
        context: dict | None = None, **fields: Any,
    ) -> LanguageEvaluation:  # fmt: skip
        """Return the evaluation of the toy, or of another backend, on the dataset."""
        made = LanguageCase(
            **{
                "id": "toy-toy", "model": "toy", "dataset": "toy", "mode": "ll", "metrics": ("accuracy",),
                **(case or {}),
            }
        )  # fmt: skip
        settings = self.settings(**fields)
        loaded = load or (lambda _: backend or Toy())
        return LanguageEvaluation(
            made,
            self.context(run, **(context or {})),
            LanguageResources(settings, RowReader(settings.data, self.data), loaded),
        )


def shard(case: LanguageCase, index: int, of: int, rows: tuple[int, int]) -> LanguageCase:
    """Return a shard of a case."""
    return replace(case, id=f"{case.id}-{index}of{of}", shard=index, shards=of, rows=rows)
