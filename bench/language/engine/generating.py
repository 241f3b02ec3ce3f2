"""Text from a causal language model: greedy or sampled, in batches that do not change the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.language.chat import Marks, WrittenText, stop_place, written
from bench.language.engine.batching import Batches
from bench.language.engine.decoding import readable
from bench.language.engine.packing import MIN_PREFIX, common_length
from bench.language.engine.sampling import Sampling

if TYPE_CHECKING:
    from bench.language.engine.caching import Prefix

# Tokens looked back at for a stop string, in addition to those of the string itself.
_MARGIN = 8
# The character that means a blank at the beginning of a piece, in byte-level and in SentencePiece vocabularies.
_BLANKS = ("\u0120", "\u2581")


@dataclass(frozen=True, slots=True)
class Request:
    """One text to continue.

    Attributes:
        tokens: token ids of the prompt.
        max_out_len: new tokens at most.
        stop: strings at which the text ends; none of them counts inside a thought.
        seed: of this text's sampling.
        marks: of thoughts; None if there are none.
        begun: whether the prompt ends inside a thought.
    """

    tokens: tuple[int, ...]
    max_out_len: int
    stop: tuple[str, ...] = ()
    seed: int = 0
    marks: Marks | None = None
    begun: bool = False


class Generator:
    """Generates with ``model.generate``.

    The beginning that all prompts share, such as in-context examples, is computed once if every layer of the model
    keeps all its keys and values.

    Args:
        model, tokenizer: of transformers; the model in evaluation mode.
        pad: a token id for padding.
        batch_size: texts of a batch, or ``auto``.
        options: of ``generate``. With ``do_sample`` each text has its own random stream, so that it does not depend
            on the other texts of its batch.
        window: tokens that the model can read; None is no limit.
    """

    def __init__(
        self, model: Any, tokenizer: Any, pad: int, batch_size: int | str = "auto",
        options: Mapping[str, Any] | None = None, window: int | None = None,
    ) -> None:  # fmt: skip
        self._model, self._tokenizer, self._pad, self._window = model, tokenizer, pad, window
        self._ending = _EndingTokens(tokenizer)
        self.batches = Batches(batch_size)
        self._options = dict(options or {})
        end = self._options.pop("eos_token_id", None)
        if end is None:
            end = getattr(model.generation_config, "eos_token_id", None)
        self._ends = set(end if isinstance(end, list | tuple) else [end]) - {None}
        if tokenizer.eos_token_id is not None:
            self._ends.add(tokenizer.eos_token_id)
        self._sampling = Sampling(self._options, getattr(model, "generation_config", None))

    def with_options(self, options: Mapping[str, Any]) -> Generator:
        """Return a generator of the same model with other options; what ran out of memory once is not tried again."""
        made = Generator(self._model, self._tokenizer, self._pad, "auto", options)
        made.batches = self.batches
        return made

    def generate(
        self, requests: Sequence[Request], done: Callable[[int, WrittenText], None] | None = None
    ) -> list[WrittenText]:
        """Return what was written to each request; ``done`` gets each one as soon as its batch is complete."""
        results = [WrittenText("") for _ in requests]

        def keep(index: int, text: WrittenText) -> None:
            results[index] = text
            if done is not None:
                done(index, text)

        prefix = self._prefix(requests)
        # A batch runs as long as its longest text may, so texts with the same limit go together.
        self.batches.run(
            requests, lambda r: (r.max_out_len, len(r.tokens)), lambda batch: self._run(batch, prefix), keep
        )
        return results

    def _prefix(self, requests: Sequence[Request]) -> Prefix | None:
        """Compute the shared beginning of all prompts, unless it is short or the model's cache does not take it."""
        if len(requests) < 2:
            return None
        shortest = min(len(request.tokens) for request in requests)
        length = min(common_length([request.tokens for request in requests]), shortest - 1)
        if length < MIN_PREFIX:
            return None
        from bench.language.engine.caching import Prefix, make_cache, takes_prefix  # noqa: PLC0415  imports torch

        if not takes_prefix(make_cache(self._model, self._options)):
            return None
        return Prefix(self._model, requests[0].tokens[:length])

    def _run(self, requests: list[Request], prefix: Prefix | None) -> list[WrittenText]:
        width = max(len(request.tokens) for request in requests)
        new = max(request.max_out_len for request in requests)
        if self._window is not None and len(requests) > 1 and width + new > self._window:
            # A long prompt with little room, next to a short one with much: together they need too many positions.
            order = sorted(range(len(requests)), key=lambda index: len(requests[index].tokens))
            half = len(order) // 2
            parts = [self._run([requests[i] for i in part], prefix) for part in (order[:half], order[half:])]
            placed = dict(zip(order, [text for part in parts for text in part], strict=True))
            return [placed[index] for index in range(len(requests))]
        import torch  # noqa: PLC0415
        from transformers import StoppingCriteriaList  # noqa: PLC0415

        from bench.language.engine.caching import make_cache  # noqa: PLC0415  imports torch

        ids = torch.full((len(requests), width), self._pad, dtype=torch.int64)
        mask = torch.zeros((len(requests), width), dtype=torch.int64)
        for row, request in enumerate(requests):
            ids[row, width - len(request.tokens) :] = torch.tensor(request.tokens)
            mask[row, width - len(request.tokens) :] = 1
        device = self._model.device
        stops = _StopStrings(self._ending, requests, width)
        cache = make_cache(self._model, self._options)
        if cache is not None and prefix is not None:
            prefix.fill(cache, [width - len(request.tokens) for request in requests])
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                max_new_tokens=new,
                pad_token_id=self._pad,
                eos_token_id=sorted(self._ends) or None,
                stopping_criteria=StoppingCriteriaList([stops]),
                logits_processor=self._processors(requests, width),
                **self._sampling.arguments,
                **({} if cache is None else {"past_key_values": cache}),
            )
        rows = output[:, width:].tolist()
        return [self._text(row, request) for row, request in zip(rows, requests, strict=True)]

    def _text(self, tokens: list[int], request: Request) -> WrittenText:
        tokens = tokens[: request.max_out_len]
        end = next((place for place, token in enumerate(tokens) if token in self._ends), len(tokens))
        text = readable(self._tokenizer, tokens[:end], request.marks)
        return written(
            text, stops=request.stop, marks=request.marks, begun=request.begun,
            cut=end == len(tokens) == request.max_out_len,
        )  # fmt: skip

    def _processors(self, requests: list[Request], width: int) -> Any:
        """Return processors; sampling is greedy decoding with noise.

        The argmax of the logits plus Gumbel noise is a sample of their softmax. With noise from each text's own stream,
        sampling is a greedy choice that depends on nothing else in the batch.
        """
        from transformers import LogitsProcessorList  # noqa: PLC0415

        drawn = [_gumbel(requests, width)] if self._sampling.is_drawn else []
        return LogitsProcessorList([*self._sampling.processors(), *drawn])


class _StopStrings:
    """Ends a row once one of its stop strings appears in its new text.

    A stop string is complete with the token that brings its last character, so only rows whose newest token may do so
    are decoded. A missed one would only make the row longer: the final text is cut at its stop strings anyway.
    """

    def __init__(self, tokens: _EndingTokens, requests: list[Request], width: int) -> None:
        self._tokens, self._requests, self._width = tokens, requests, width
        self._ended = [False] * len(requests)
        stops = {stop for request in requests for stop in request.stop if stop}
        self._look_back = max(map(len, stops), default=0) + _MARGIN  # no token is shorter than one byte
        self._ending = tokens.that_may_end(stops)

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        import torch  # noqa: PLC0415

        # Beam search has several rows for each text, and they change places: no row stays ended.
        beams = input_ids.shape[0] // len(self._requests)
        if beams > 1:
            self._ended = [False] * input_ids.shape[0]
        length = input_ids.shape[1]
        newest = input_ids[:, -1].tolist()
        for row, token in enumerate(newest):
            request = self._requests[row // beams]
            if self._ended[row]:
                continue
            if length - self._width >= request.max_out_len:
                self._ended[row] = True
            elif token in self._ending:
                tail = input_ids[row, max(self._width, length - self._look_back) :].tolist()
                text = self._tokens.text(tail)
                ended = any(stop in text for stop in request.stop)
                if ended and request.marks is not None:  # unless it is a part of a thought
                    whole = self._tokens.text(input_ids[row, self._width :].tolist())
                    ended = stop_place(whole, request.stop, request.marks, request.begun) is not None
                self._ended[row] = ended
        return torch.tensor(self._ended, device=input_ids.device)


class _EndingTokens:
    """Which tokens may bring the last character of a stop string.

    Args:
        tokenizer: whose tokens.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._found: dict[frozenset[str], frozenset[int]] = {}

    def text(self, tokens: list[int]) -> str:
        """Return the text of tokens."""
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=False)
        return text

    def that_may_end(self, stops: set[str]) -> frozenset[int]:
        """Return the ids of the tokens that may bring the last character of a stop string."""
        last = frozenset(stop[-1] for stop in stops)
        if last not in self._found:
            self._found[last] = self._ids(last) if last else frozenset()
        return self._found[last]

    def _ids(self, last: frozenset[str]) -> frozenset[int]:
        ids = range(len(self._tokenizer))
        # A blank at the beginning of a word is lost when the word is decoded alone; its piece shows it.
        pieces = self._tokenizer.convert_ids_to_tokens(list(ids))
        texts = self._tokenizer.batch_decode([[token] for token in ids], skip_special_tokens=False)
        blank = " " in last
        return frozenset(
            token
            for token, piece, text in zip(ids, pieces, texts, strict=True)
            # U+FFFD: part of a character, which this token may complete.
            if not last.isdisjoint(text) or "\ufffd" in text or (blank and (piece or "")[:1] in _BLANKS)
        )


def _gumbel(requests: list[Request], width: int) -> Any:
    """Return a logits processor that adds Gumbel noise, each row from its own generator."""
    import torch  # noqa: PLC0415
    from transformers import LogitsProcessor  # noqa: PLC0415

    class Gumbel(LogitsProcessor):
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            step = input_ids.shape[1] - width
            noise = []
            for request in requests:
                generator = torch.Generator().manual_seed((request.seed * 1_000_003 + step) % 2**63)
                noise.append(torch.empty(scores.shape[-1]).exponential_(generator=generator))
            return scores.float() - torch.log(torch.stack(noise)).to(scores.device)

    return Gumbel()
