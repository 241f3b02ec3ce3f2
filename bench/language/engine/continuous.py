"""Writes many texts at once, each as long as it takes: a text that ends leaves the batch, and another one enters.

Imports transformers, and thereby torch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers.cache_utils import DynamicSlidingWindowLayer

from bench.language.engine.caching import InPlaceLayer, Prefix, make_cache
from bench.language.engine.facts import ModelFacts
from bench.language.engine.lean import Lean
from bench.language.engine.packing import Tokens
from bench.language.engine.probing import is_same, random_texts
from bench.language.engine.reading import ReadPrompts, read_prefix, read_prompts
from bench.language.engine.slots import Slots, swaps

# The least part of a batch that is read together, once so many texts have ended: a forward for each new prompt would
# cost a small model as much as a new token of all texts.
ENTERING = 4


@dataclass(slots=True, eq=False)
class Row:
    """A text that is written.

    Attributes:
        number: of what was asked.
        prompt: token ids.
        shared: how many of them other prompts begin with, and are read once.
        tokens: written so far.
    """

    number: int
    prompt: Tokens
    shared: int = 0
    tokens: list[int] = field(default_factory=list)


Choose = Callable[[torch.Tensor, Sequence[Row]], Sequence[int]]
"""Returns the next token of each row; takes logits [rows, vocabulary]."""
IsOver = Callable[[Row], bool]
"""Whether a text is complete with its newest token."""
Complete = Callable[[Row], None]
"""Takes a text as soon as it is complete."""


class Writer:
    """Writes with one model, whose caches it lays out itself.

    Args:
        model: of transformers.
        facts: of the model.
        of_layers: the window of each layer; None is all tokens.
        pad: a token id.
    """

    def __init__(self, model: Any, facts: ModelFacts, of_layers: Sequence[int | None], pad: int) -> None:
        self.model, self.facts, self.of_layers, self.pad = model, facts, of_layers, pad
        self.lean = Lean(model)

    def write(
        self, rows: Iterable[Row], size: int, choose: Choose, over: IsOver, complete: Complete
    ) -> None:  # fmt: skip
        """Write texts, at most ``size`` at a time. Nothing of what a row gets depends on the others.

        Args:
            rows: those with the same beginning follow each other; the longest come first.
            size: of the batch.
            choose: the next tokens.
            over: whether a text has ended.
            complete: takes each text.

        Raises:
            RuntimeError: memory ran out.
        """
        with torch.inference_mode(), self.lean.used():
            _Batch(self, deque(rows), size, choose, over, complete).run()


class _Batch:
    """The texts that are written now, those that wait, and what they read."""

    def __init__(
        self, writer: Writer, waiting: deque[Row], size: int, choose: Choose, over: IsOver, complete: Complete
    ) -> None:  # fmt: skip
        self._writer, self._model, self._facts = writer, writer.model, writer.facts
        self._waiting, self._size = waiting, min(size, len(waiting))
        self._choose, self._over, self._complete = choose, over, complete
        device, dtype = self._model.device, self._model.dtype
        self._slots = Slots(self._size, self._facts.windows, writer.of_layers, dtype, device)
        self._active: list[Row] = []
        self._beginning: Tokens = ()
        self._prefix: Prefix | None = None

    def run(self) -> None:
        while self._waiting or self._active:
            free = self._size - len(self._active)
            wanted = min(len(self._waiting), max(1, self._size // ENTERING))
            if self._waiting and (not self._active or free >= wanted):
                self._enter(self._next(free))
            else:
                self._step()

    def _step(self) -> None:
        """Write one token more in each text."""
        active, device = self._active, self._model.device
        masks = self._slots.advance()
        arguments = {"logits_to_keep": 1} if self._facts.keeps else {}
        logits = self._model(
            input_ids=torch.tensor([[row.tokens[-1]] for row in active], device=device),
            position_ids=torch.tensor([[length - 1] for length in self._slots.lengths], device=device),
            attention_mask=masks, past_key_values=self._slots, use_cache=True, **arguments,
        ).logits[:, -1]  # fmt: skip
        ended = []
        for place, (row, token) in enumerate(zip(active, self._choose(logits, active), strict=True)):
            row.tokens.append(token)
            if self._over(row):
                ended.append(place)
                self._complete(row)
        if ended:
            self._slots.leave(ended)
            for source, target in swaps(len(active), ended):
                active[target] = active[source]
            del active[len(active) - len(ended) :]

    def _next(self, free: int) -> list[Row]:
        """Take texts with the same beginning from those that wait, and have their beginning read."""
        waiting = self._waiting
        beginning = waiting[0].prompt[: waiting[0].shared]
        if beginning != self._beginning:
            self._beginning, self._prefix = beginning, None
            if beginning:
                self._prefix = read_prefix(self._model, self._facts, beginning)
        taken: list[Row] = []
        while waiting and len(taken) < free and waiting[0].prompt[: waiting[0].shared] == beginning:
            taken.append(waiting.popleft())
        return taken

    def _read(self, prompts: Sequence[Tokens]) -> Iterator[ReadPrompts]:
        writer = self._writer
        return read_prompts(self._model, self._facts, writer.lean.last, writer.pad, prompts, self._prefix)

    def _enter(self, entering: list[Row]) -> None:
        """Read prompts, and begin their texts."""
        # The same prompt, asked several times, is read once.
        asked: dict[Tokens, list[Row]] = {}
        for row in entering:
            asked.setdefault(row.prompt, []).append(row)
        prompts = list(asked)
        for read in self._read(prompts):
            pairs = [
                (row, place) for place, number in enumerate(read.numbers) for row in asked[prompts[number]]
            ]
            logits = read.logits
            if len(pairs) > len(read.numbers):
                logits = logits[[place for _, place in pairs]]
            tokens = self._choose(logits, [row for row, _ in pairs])
            staying = []
            for (row, place), token in zip(pairs, tokens, strict=True):
                row.tokens.append(token)
                if self._over(row):
                    self._complete(row)
                else:
                    staying.append((row, place))
            places, lengths = [place for _, place in staying], [len(row.prompt) for row, _ in staying]
            self._slots.enter(read.layers, places, lengths)
            self._active += [row for row, _ in staying]


def make_writer(model: Any, pad: int) -> Writer | None:
    """Return what writes with a model; None if its caches are not ours to lay out.

    That is so where a model keeps more than keys and values of all tokens (recurrence), places tokens by itself
    (ALiBi), or does not honour the positions and masks that it is given, which is tested on a few random tokens.

    Args:
        model: a causal language model of transformers, or the adapter around one.
        pad: a token id.
    """
    facts, cache = ModelFacts.of(model), make_cache(model, {})
    if cache is None or not facts.takes_layout or "past_key_values" not in facts.named:
        return None
    layers: list[Any] = list(cache.layers)
    if not all(type(layer) in (InPlaceLayer, DynamicSlidingWindowLayer) for layer in layers):
        return None
    of_layers = [getattr(layer, "sliding_window", None) for layer in layers]
    if not set(of_layers) <= set(facts.windows.values()):
        return None
    writer = Writer(model, facts, of_layers, pad)
    return writer if any(_agrees(writer) for _ in writer.lean.less_and_less()) else None


def _agrees(writer: Writer) -> bool:
    """Whether texts that enter and leave get the probabilities that each has alone."""
    model, tokens = writer.model, random_texts(writer.facts.vocabulary)
    prefix, steps = tokens(5), (2, 4, 3)
    prompts = [prefix + tokens(count) for count in (3, 7, 1)]
    forced = [tokens(count) for count in steps]
    rows = [Row(number, prompt, len(prefix)) for number, prompt in enumerate(prompts)]
    found: list[list[torch.Tensor]] = [[] for _ in rows]

    def choose(logits: torch.Tensor, chosen: Sequence[Row]) -> list[int]:
        for row, values in zip(chosen, logits, strict=True):
            found[row.number].append(values.float().log_softmax(-1))
        return [forced[row.number][len(row.tokens)] for row in chosen]

    worst = 0.0
    try:
        writer.write(rows, 2, choose, lambda row: len(row.tokens) == steps[row.number], lambda _: None)
        with torch.inference_mode():
            for prompt, given, own in zip(prompts, forced, found, strict=True):
                text = torch.tensor([prompt + given[:-1]], device=model.device)
                alone = model(input_ids=text, use_cache=False).logits[0, len(prompt) - 1 :].float()
                worst = max(worst, float((torch.stack(own) - alone.log_softmax(-1)).abs().max()))
    except Exception:  # a model may raise anything for arguments that it does not know
        return False
    return is_same(worst, model)
