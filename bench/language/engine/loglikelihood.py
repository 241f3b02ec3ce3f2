"""Log-likelihoods of given tokens under a causal language model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.language.engine.batching import Batches
from bench.language.engine.facts import ModelFacts
from bench.language.engine.lean import Lean
from bench.language.engine.masks import windowed
from bench.language.engine.packing import (
    Group,
    PackedBatch,
    PackedRow,
    Tokens,
    TokenScores,
    lay_out,
    pack,
)
from bench.language.engine.prefixes import parts_by_beginning
from bench.language.engine.probing import is_same, random_texts

if TYPE_CHECKING:
    import torch

    from bench.language.engine.caching import Prefix

Keep = Callable[[int, list[TokenScores]], None]
# Most logits that are copied together to be normalised, in values.
MAX_GATHERED = 2**20


class Scorer:
    """Scores groups of sequences with one model.

    If a model honours the caller's positions and mask, tokens that the sequences of a group share are computed once, and
    tokens that all groups share once for all groups (see :mod:`bench.language.engine.packing`). Whether it does is
    tested on a few random tokens before the first use. Otherwise (ALiBi, recurrence) each sequence is run alone,
    padded on the right, where padding has no effect.

    Args:
        model: a causal language model of transformers, in evaluation mode.
        pad: a token id for padding.
        batch_size: groups of a batch, or ``auto``.

    Attributes:
        shares: whether shared tokens are computed once.
        batches: the batch size in use, and how often it was halved.
        fed_tokens: tokens that the model was fed so far, padding not counted.
    """

    def __init__(self, model: Any, pad: int, batch_size: int | str = "auto") -> None:
        self._model, self._pad = model, pad
        self.batches = Batches(batch_size)
        self.fed_tokens = 0
        self._facts = ModelFacts.of(model)
        self._keeps = self._facts.keeps
        self._lean = Lean(model)
        self._last = self._lean.last
        self.shares = self._facts.takes_layout and any(
            self._sharing_agrees() for _ in self._lean.less_and_less()
        )

    def score(self, groups: Sequence[Group], done: Keep | None = None) -> list[list[TokenScores]]:
        """Score groups; ``done`` gets each group's index and scores as soon as its batch is complete.

        Raises:
            RuntimeError: a single group that does not fit into memory.
        """
        results: list[list[TokenScores]] = [[] for _ in groups]

        def keep(index: int, scores: list[TokenScores]) -> None:
            results[index] = scores
            if done is not None:
                done(index, scores)

        with self._lean.used():
            self._score(groups, keep)
        return results

    def _score(self, groups: Sequence[Group], keep: Keep) -> None:
        if not self.shares:
            self.batches.run(groups, _length, self._run_alone, keep)
            return
        texts = [group.sequences[0] for group in groups]
        for part in parts_by_beginning(texts, [_usable(group) for group in groups]):
            prefix = self._read(texts[part.members[0]][: part.shared]) if part.shared else None
            members = [groups[index] for index in part.members]
            self.batches.run(members, _length, self._run_packed(prefix), _placed(part.members, keep))

    # -- shared tokens computed once ---------------------------------------------------------------

    def _run_packed(self, prefix: Prefix | None) -> Callable[[list[Group]], list[list[TokenScores]]]:
        skip = 0 if prefix is None else prefix.length

        def run(groups: list[Group]) -> list[list[TokenScores]]:
            rows = [lay_out(group, skip) for group in groups]
            forked = prefix is not None or any(any(row.segments) for row in rows)
            results: list[list[TokenScores]] = []
            for chunk in self._chunks(rows, _longest(groups)):
                if forked:
                    results += self._forward(pack(chunk, skip, self._pad), prefix)
                else:
                    results += self._forward_padded(chunk, masked=False)
            return results

        return run

    def _chunks(self, rows: list[PackedRow], longest: int) -> list[list[PackedRow]]:
        """Split rows into parts of similar size, so that memory is bounded.

        The logits of each part fit. A row with several choices is longer than each of them, so a part holds no more
        tokens than the same number of sequences of the longest one's length.
        """
        places = max(len(row.tokens) - (row.first_query if self._keeps else 0) for row in rows)
        width = max(len(row.tokens) for row in rows)
        most = min(self._facts.rows_at_once(width, places), len(rows) * longest // width)
        parts = ceil(len(rows) / max(1, most))
        ends = [len(rows) * part // parts for part in range(parts + 1)]
        return [rows[start:end] for start, end in pairwise(ends)]

    def _forward(self, batch: PackedBatch, prefix: Prefix | None) -> list[list[TokenScores]]:
        import torch  # noqa: PLC0415

        device = self._model.device
        arguments: dict[str, Any] = {"use_cache": False}
        if prefix is not None:
            arguments = {"past_key_values": prefix.expand(len(batch.rows)), "use_cache": True}
        if self._keeps:
            arguments["logits_to_keep"] = batch.keep
        with torch.inference_mode(), self._last.only(batch.keep):
            logits = self._model(
                input_ids=batch.input_ids.to(device),
                position_ids=batch.position_ids.to(device),
                attention_mask=self._mask(batch.allowed, batch.distance),
                **arguments,
            ).logits[:, -batch.keep :]
        self.fed_tokens += sum(len(row.tokens) for row in batch.rows)
        # From a place in a row to its place among the kept logits, which end where the row ends.
        wanted = [
            [[place - len(row.tokens) + batch.keep for place in places] for places in row.queries]
            for row in batch.rows
        ]
        return gather(logits, wanted, [row.targets for row in batch.rows])

    def _forward_padded(self, rows: list[PackedRow], *, masked: bool) -> list[list[TokenScores]]:
        """Run rows without forks, padded on the right, where padding has no effect.

        Choices of one token each give such rows. Attention is fastest without a mask; a recurrent model, or one with
        ALiBi, may need one all the same.
        """
        import torch  # noqa: PLC0415

        width = max(len(row.tokens) for row in rows)
        first = min(row.first_query for row in rows)
        ids = torch.full((len(rows), width), self._pad, dtype=torch.int64)
        mask = torch.zeros((len(rows), width), dtype=torch.int64)
        for number, row in enumerate(rows):
            ids[number, : len(row.tokens)] = torch.tensor(row.tokens)
            mask[number, : len(row.tokens)] = 1
        arguments: dict[str, Any] = {"logits_to_keep": width - first} if self._keeps else {}
        if masked:
            arguments["attention_mask"] = mask.to(self._model.device)
        # Where the way that a model takes is not ours to know, it runs whole.
        last = nullcontext() if masked else self._last.only(width - first)
        with torch.inference_mode(), last:
            logits = self._model(input_ids=ids.to(self._model.device), use_cache=False, **arguments).logits
        self.fed_tokens += int(mask.sum())
        wanted = [[[place - first for place in places] for places in row.queries] for row in rows]
        return gather(logits[:, first - width :], wanted, [row.targets for row in rows])

    def _mask(self, allowed: torch.Tensor, distance: torch.Tensor) -> Any:
        model = self._model
        return windowed(self._facts.windows, allowed, distance, model.dtype, model.device)

    def _read(self, beginning: Tokens) -> Prefix:
        from bench.language.engine.reading import read_prefix  # noqa: PLC0415  imports torch

        self.fed_tokens += len(beginning)
        return read_prefix(self._model, self._facts, beginning)

    def _sharing_agrees(self) -> bool:
        """Whether a packed row gives what each of its sequences gives alone."""
        tokens = random_texts(self._facts.vocabulary)
        common, other = tokens(9), tokens(5)
        groups = [
            Group((common + tokens(2), common + tokens(4), common + tokens(1)), (7, 9, 9)),
            Group((other + tokens(3), other + tokens(1)), (5, 5)),
        ]
        each = [Group((sequence,), (start,)) for group in groups for sequence, start in _each(group)]
        try:
            with self._lean.used():
                packed = [scores for group in self._run_packed(None)(groups) for scores in group]
                unforked = [scores for (scores,) in self._run_packed(None)(each)]
        except Exception:  # a model may raise anything for arguments that it does not know
            return False
        alone = [self._run_alone([group])[0][0] for group in each]
        pairs = zip([*packed, *unforked], [*alone, *alone], strict=True)
        worst = max(float(np.abs(np.subtract(a.loglikelihoods, b.loglikelihoods)).max()) for a, b in pairs)
        return is_same(worst, self._model)

    # -- each sequence alone -----------------------------------------------------------------------

    def _run_alone(self, groups: list[Group]) -> list[list[TokenScores]]:
        rows = [
            lay_out(Group((sequence,), (start,)), 0) for group in groups for sequence, start in _each(group)
        ]
        chunks = self._chunks(rows, _longest(groups))
        scores = (row[0] for chunk in chunks for row in self._forward_padded(chunk, masked=True))
        return [[next(scores) for _ in group.sequences] for group in groups]


def gather(
    logits: torch.Tensor, queries: list[list[list[int]]], targets: Sequence[Sequence[Sequence[int]]]
) -> list[list[TokenScores]]:
    """Return the log-probabilities of the targets.

    Args:
        logits: [rows, places, vocabulary].
        queries: for each row and sequence, the places that predict its tokens.
        targets: of the same shape, the tokens.
    """
    import torch  # noqa: PLC0415

    width = logits.shape[1]
    flat = [
        row * width + place
        for row, sequences in enumerate(queries)
        for places in sequences
        for place in places
    ]
    wanted = [token for sequences in targets for sequence in sequences for token in sequence]
    # Several sequences may ask for the same place: the first token of every choice does.
    unique, inverse = np.unique(np.asarray(flat), return_inverse=True)
    index = torch.from_numpy(unique).to(logits.device)
    place = torch.from_numpy(inverse).to(logits.device)
    token = torch.tensor(wanted, device=logits.device)
    table = logits.reshape(-1, logits.shape[-1])
    # In parts: one copy of all logits would be the largest allocation of scoring.
    norms, highest = [], []
    for part in torch.split(index, max(1, MAX_GATHERED // table.shape[1])):
        chosen = table.index_select(0, part).float()
        top = chosen.amax(-1)  # several times as fast as argmax
        highest.append(top)
        norms.append(chosen.sub_(top[:, None]).exp_().sum(-1).log_().add_(top))
    scored = table[index[place], token].float()
    values = (scored - torch.cat(norms)[place]).double().cpu().tolist()
    greedy = (scored >= torch.cat(highest)[place]).cpu().tolist()
    results, at = [], 0
    for sequences in targets:
        row = []
        for sequence in sequences:
            end = at + len(sequence)
            row.append(TokenScores(values[at:end], all(greedy[at:end])))
            at = end
        results.append(row)
    return results


def _usable(group: Group) -> int:
    """Return how many tokens of a group a beginning may hold: nothing scored is predicted by them."""
    return min(group.shared, min(group.starts) - 1)


def _placed(members: Sequence[int], keep: Keep) -> Keep:
    return lambda index, scores: keep(members[index], scores)


def _each(group: Group) -> list[tuple[tuple[int, ...], int]]:
    return list(zip(group.sequences, group.starts, strict=True))


def _longest(groups: Sequence[Group]) -> int:
    """Return how many tokens of the longest sequence are fed when it is run alone."""
    return max(len(sequence) for group in groups for sequence in group.sequences) - 1


def _length(group: Group) -> tuple[int, int]:
    return group.fed, min(group.starts)
