"""Asks the judge. Each of its texts is kept, and none is asked for again while judge and prompt are the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.core.errors import InfrastructureProblem, LanguageProblem
from bench.core.names import content_hash
from bench.language.backend import text_seed
from bench.language.chat import WrittenText
from bench.language.models.config import ModelConfig
from bench.language.predictions import PredictionStore, StoredPrediction
from bench.language.server.backend import ServerBackend

API_KEY = "MODELGATE_JUDGE_API_KEY"
Reading = str | int | None
# The server's messages name the options of the model that is judged.
_OPTIONS = (
    ("--api-base", "--judge-base"),
    ("--api-model", "--judge-model"),
    ("--generation-kwargs", "--judge-kwargs"),
    ("OPENAI_API_KEY", f"{API_KEY} or OPENAI_API_KEY"),
)


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    """One thing that a judge is asked.

    Attributes:
        question: key of the question that the answer belongs to.
        what: which answer, or in which position.
        prompt: the words.
    """

    question: str
    what: str
    prompt: str


class Judge:
    """A judge behind a server.

    Args:
        config: names server and model.
        store: where its texts are kept.
        earlier: stores of other runs whose texts may be taken.
        concurrency: parallel requests.
        seed: of the run, for a judge that samples.

    Attributes:
        asked, reused: how many texts were asked for, and taken from a store.

    Raises:
        InfrastructureProblem: from the constructor, for a server that cannot be asked.
    """

    def __init__(
        self, config: ModelConfig, store: PredictionStore, earlier: Iterable[PredictionStore] = (), *,
        concurrency: int = 8, seed: int = 0,
    ) -> None:  # fmt: skip
        self.config, self._store, self._seed = config, store, seed
        self.asked = self.reused = 0
        key = os.environ.get(API_KEY)
        try:
            self._backend = ServerBackend(config, concurrency, api_key=key)
        except LanguageProblem as problem:
            raise self._failed(problem) from problem
        stores = [*earlier, store]
        self._known = {key: line for each in stores for key, line in each.read().items()}
        self._mine = set(store.read())

    def read(
        self, asked: Sequence[JudgeRequest], max_out_len: int, read: Callable[[str], Reading]
    ) -> list[Reading]:
        """Return the judge's verdicts, in order; None for one that could not be read.

        A verdict that was cut at its limit, or whose thought did not end, is not read.

        Args:
            asked: what to ask.
            max_out_len: new tokens at most, where the judge's configuration has no limit of its own.
            read: reads the verdict from a text.

        Raises:
            InfrastructureProblem: the judge cannot be asked.
        """
        max_out_len = self.config.max_out_len or max_out_len
        names = [self._name(each.prompt, max_out_len) for each in asked]
        for name, each in zip(names, asked, strict=True):
            if name in self._known and name not in self._mine:
                line = {**self._known[name], "question": each.question, "what": each.what}
                self._keep(name, {**line, "reading": _reading(line, read)})  # type: ignore[typeddict-item]
        left = {
            name: each for name, each in zip(names, asked, strict=True) if name not in self._known
        }  # the same prompt is asked once
        self.reused += len(set(names)) - len(left)
        self.asked += len(left)
        wanted = list(left.items())

        def keep(index: int, text: WrittenText) -> None:
            name, each = wanted[index]
            line: StoredPrediction = {
                "key": name, "judge": self.config.name, "question": each.question, "what": each.what,
                "prompt": each.prompt, "text": str(text), "cut": text.cut, "unclosed": text.unclosed,
            }  # fmt: skip
            if text.thought is not None:
                line["thought"] = text.thought
            self._keep(name, {**line, "reading": _reading(line, read)})

        try:
            self._backend.generate(
                [each.prompt for _, each in wanted], max_out_len, (),
                [text_seed(self._seed, name) for name, _ in wanted], keep,
            )  # fmt: skip
        except LanguageProblem as problem:
            raise self._failed(problem) from problem
        return [_reading(self._known[name], read) for name in names]

    def _keep(self, name: str, line: StoredPrediction) -> None:
        self._store.path.parent.mkdir(parents=True, exist_ok=True)
        self._store.append([line])
        self._known[name] = line
        self._mine.add(name)

    def _name(self, prompt: str, max_out_len: int) -> str:
        """Return a hash of all that a text of the judge depends on."""
        config = self.config
        return content_hash([
            self._backend.fingerprint, config.type, dict(config.generation_kwargs), config.system_prompt,
            dict(config.chat_template_kwargs), list(config.think_marks), max_out_len,
            self._seed if config.samples else None, prompt,
        ])  # fmt: skip

    def _failed(self, problem: LanguageProblem) -> InfrastructureProblem:
        words = str(problem)
        for of_model, of_judge in _OPTIONS:
            words = words.replace(of_model, of_judge)
        return InfrastructureProblem(
            "judge_failed",
            f"the judge {self.config.name} failed, and no answer is to blame: {words}",
        )


def _reading(line: StoredPrediction, read: Callable[[str], Reading]) -> Reading:
    return None if line.get("cut") or line.get("unclosed") else read(line["text"])
