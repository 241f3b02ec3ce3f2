"""Text from a causal language model: greedy or sampled, in batches that do not change the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.language.chat import WrittenText, written
from bench.language.engine.batching import Batches
from bench.language.engine.decoding import readable
from bench.language.engine.fusing import fused_activations
from bench.language.engine.packing import MIN_PREFIX, common_length
from bench.language.engine.penalties import Penalties, TextPenalties
from bench.language.engine.prefixes import parts_by_beginning
from bench.language.engine.sampling import Sampling
from bench.language.engine.stopping import EndingTokens, Request, Stops

if TYPE_CHECKING:
    from bench.language.engine.caching import Prefix
    from bench.language.engine.continuous import Row, Writer

__all__ = ["Generator", "Request"]
Done = Callable[[int, WrittenText], None]


class Generator:
    """Writes texts, each as long as it takes: one that ends makes room for the next.

    Where the model's caches are not ours to lay out (see :func:`bench.language.engine.continuous.make_writer`), or the
    options ask for another way than one token after the other (beams), batches go to the model's own ``generate``, which
    runs as long as the longest text of each.

    The beginning that prompts share, such as in-context examples, is computed once if every layer of the model
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
        self._ending = EndingTokens(tokenizer)
        self.batches = Batches(batch_size)
        self._writers = _Writers(model, pad)
        self._options = dict(options or {})
        end = self._options.pop("eos_token_id", None)
        defaults = getattr(model, "generation_config", None)
        if end is None:
            end = getattr(defaults, "eos_token_id", None)
        self._ends = set(end if isinstance(end, list | tuple) else [end]) - {None}
        if tokenizer.eos_token_id is not None:
            self._ends.add(tokenizer.eos_token_id)
        self._sampling = Sampling(self._options, defaults)
        self._penalties = Penalties(self._options, defaults, sorted(self._ends))

    @property
    def continuous(self) -> bool | None:
        """Whether texts left and entered the batch one by one; None before anything was written."""
        return self._writers.used

    def with_options(self, options: Mapping[str, Any]) -> Generator:
        """Return a generator of the same model with other options; what ran out of memory once is not tried again."""
        made = Generator(self._model, self._tokenizer, self._pad, "auto", options, self._window)
        made.batches, made._writers = self.batches, self._writers
        return made

    def generate(self, requests: Sequence[Request], done: Done | None = None) -> list[WrittenText]:
        """Return what was written to each request; ``done`` gets each one as soon as it is complete."""
        results = [WrittenText("") for _ in requests]
        if not requests:
            return results

        def keep(index: int, text: WrittenText) -> None:
            results[index] = text
            if done is not None:
                done(index, text)

        writer = self._writers.get() if self._penalties.known else None
        self._writers.used = writer is not None
        if writer is not None:
            self._write(writer, requests, keep)
            return results
        with fused_activations(self._model).used():
            prefix = self._prefix(requests)
            # A batch runs as long as its longest text may, so texts with the same limit go together.
            self.batches.run(
                requests,
                lambda r: (r.max_out_len, len(r.tokens)),
                lambda batch: self._run(batch, prefix),
                keep,
            )
        return results

    # -- one token after the other ------------------------------------------------------------------

    def _write(self, writer: Writer, requests: Sequence[Request], keep: Done) -> None:
        from bench.language.engine.continuous import Row  # noqa: PLC0415  imports torch

        prompts = [request.tokens for request in requests]
        order: list[tuple[int, int]] = []
        for part in parts_by_beginning(prompts, [len(prompt) - 1 for prompt in prompts]):
            # The longest first, as everywhere: where memory runs out, it does so immediately.
            longest = sorted(
                part.members, key=lambda n: (requests[n].max_out_len, len(prompts[n])), reverse=True
            )
            order += [(number, part.shared) for number in longest]
        stops = Stops(self._ending, requests)
        complete: set[int] = set()

        def over(row: Row) -> bool:
            request, token = requests[row.number], row.tokens[-1]
            return (
                token in self._ends
                or len(row.tokens) >= request.max_out_len
                or (token in stops.ending and stops.end(request, row.tokens))
            )

        def ended(row: Row) -> None:
            complete.add(row.number)
            keep(row.number, self._text(row.tokens, requests[row.number]))

        def write(size: int) -> None:
            left = [
                Row(number, prompts[number], shared) for number, shared in order if number not in complete
            ]
            choose = _NextTokens(requests, self._sampling, self._penalties, self._model.device)
            writer.write(left, size, choose, over, ended)

        while len(complete) < len(requests):
            self.batches.attempt(len(requests) - len(complete), write)

    # -- batches of the model's own ``generate`` ----------------------------------------------------

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
        stops = _StopStrings(Stops(self._ending, requests), requests, width)
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


class _Writers:
    """What writes continuously with a model: made when it is needed first, which takes a few short forwards."""

    def __init__(self, model: Any, pad: int) -> None:
        self._model, self._pad = model, pad
        self._made: list[Writer | None] = []
        self.used: bool | None = None

    def get(self) -> Writer | None:
        """Return it; None if the model's caches are not ours to lay out."""
        if not self._made:
            from bench.language.engine.continuous import make_writer  # noqa: PLC0415  imports torch

            self._made.append(make_writer(self._model, self._pad))
        return self._made[0]


class _NextTokens:
    """Chooses the next token of each text: the likeliest, or a drawn one."""

    def __init__(
        self, requests: Sequence[Request], sampling: Sampling, penalties: Penalties, device: Any
    ) -> None:  # fmt: skip
        self._requests, self._penalties, self._device = requests, penalties, device
        self._drawn, self._warpers = sampling.is_drawn, sampling.processors()
        self._own: dict[int, TextPenalties] = {}

    def __call__(self, logits: Any, rows: Sequence[Row]) -> list[int]:
        scores = logits
        if self._penalties:
            import torch  # noqa: PLC0415

            scores = torch.cat(
                [self._penalized(row, logits[place : place + 1].float()) for place, row in enumerate(rows)]
            )
        if self._drawn:
            scores = scores.float()
            for warper in self._warpers:  # none of them reads the tokens
                scores = warper(None, scores)
            scores = with_noise(scores, [(self._requests[row.number].seed, len(row.tokens)) for row in rows])
        tokens: list[int] = scores.argmax(-1).tolist()
        return tokens

    def _penalized(self, row: Row, scores: Any) -> Any:
        own = self._own.get(row.number)
        if own is None:
            most = self._requests[row.number].max_out_len
            own = self._own[row.number] = self._penalties.of(row.prompt, most, self._device)
        return own.apply(row.tokens, scores)


class _StopStrings:
    """Ends a row once one of its stop strings appears in its new text."""

    def __init__(self, stops: Stops, requests: list[Request], width: int) -> None:
        self._stops, self._requests, self._width = stops, requests, width
        self._ended = [False] * len(requests)

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        import torch  # noqa: PLC0415

        # Beam search has several rows for each text, and they change places: no row stays ended.
        beams = input_ids.shape[0] // len(self._requests)
        if beams > 1:
            self._ended = [False] * input_ids.shape[0]
        length = input_ids.shape[1] - self._width
        for row, token in enumerate(input_ids[:, -1].tolist()):
            request = self._requests[row // beams]
            if not self._ended[row]:
                self._ended[row] = length >= request.max_out_len or (
                    token in self._stops.ending
                    and self._stops.end(request, input_ids[row, self._width :].tolist())
                )
        return torch.tensor(self._ended, device=input_ids.device)


def _gumbel(requests: list[Request], width: int) -> Any:
    """Return a logits processor that adds Gumbel noise, each row from its own generator."""
    from transformers import LogitsProcessor  # noqa: PLC0415

    class Gumbel(LogitsProcessor):
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            step = input_ids.shape[1] - width
            return with_noise(scores, [(request.seed, step) for request in requests])

    return Gumbel()


def with_noise(scores: Any, drawn: Sequence[tuple[int, int]]) -> Any:
    """Return scores plus Gumbel noise.

    Args:
        scores: [rows, vocabulary].
        drawn: for each row, the seed of its text and how many tokens of it are drawn.
    """
    import torch  # noqa: PLC0415

    generator = torch.Generator()
    noise = torch.empty(len(drawn), scores.shape[-1])
    for row, (seed, step) in zip(noise, drawn, strict=True):
        row.exponential_(generator=generator.manual_seed((seed * 1_000_003 + step) % 2**63))
    return scores.float() - torch.log(noise).to(scores.device)
