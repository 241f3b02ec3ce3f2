"""What changes the logits of a text by what it holds already: transformers' own processors, asked text by text.

In a batch of ``generate`` they see its padding. Here each text has processors of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.language.engine.sampling import SAMPLING

if TYPE_CHECKING:
    import torch

# In the order in which transformers applies them: name, class, and the value that changes nothing.
_PROCESSORS = (
    ("sequence_bias", "SequenceBiasLogitsProcessor", None),
    ("repetition_penalty", "RepetitionPenaltyLogitsProcessor", 1.0),
    ("no_repeat_ngram_size", "NoRepeatNGramLogitsProcessor", 0),
    ("bad_words_ids", "NoBadWordsLogitsProcessor", None),
    ("min_new_tokens", "MinNewTokensLengthLogitsProcessor", 0),
    ("remove_invalid_values", "InfNanRemoveLogitsProcessor", False),
    ("exponential_decay_length_penalty", "ExponentialDecayLengthPenalty", None),
    ("suppress_tokens", "SuppressTokensLogitsProcessor", None),
    ("begin_suppress_tokens", "SuppressTokensAtBeginLogitsProcessor", None),
    ("renormalize_logits", "LogitNormalization", False),
)
_NAMES = {name for name, *_ in _PROCESSORS}
# Ways of ``generate`` other than one token after the other, and the values that leave them out.
_WAYS: dict[str, tuple[Any, ...]] = {
    "num_beams": (None, 1),
    "penalty_alpha": (None, 0),
    "dola_layers": (None,),
    "guidance_scale": (None, 1, 1.0),
    "watermarking_config": (None,),
    "min_length": (None, 0),
    "encoder_repetition_penalty": (None, 1.0),
    "encoder_no_repeat_ngram_size": (None, 0),
    "forced_bos_token_id": (None,),
    "forced_eos_token_id": (None,),
    "prompt_lookup_num_tokens": (None,),
    "assistant_early_exit": (None,),
    "use_mtp": (None, False),
    "cache_implementation": (None,),
    "use_cache": (None, True),
    "prefill_chunk_size": (None,),
    "token_healing": (None, False),
}


class Penalties:
    """The processors of one text after the other.

    Args:
        arguments: of ``generate``, as given.
        defaults: the model's own ``generation_config``, whose values hold where none is given.
        ends: token ids that end a text.

    Attributes:
        known: whether these arguments are processors, so that nothing else of ``generate`` is asked for.
    """

    def __init__(self, arguments: Mapping[str, Any], defaults: Any, ends: Sequence[int]) -> None:
        self._ends = list(ends)

        def value(name: str) -> Any:
            given = arguments.get(name)
            return getattr(defaults, name, None) if given is None else given

        others = arguments.keys() - _NAMES - _WAYS.keys() - {"do_sample", *SAMPLING}
        self.known = not others and all(value(name) in neutral for name, neutral in _WAYS.items())
        self._values = {
            name: value(name) for name, _, neutral in _PROCESSORS if value(name) not in (None, neutral)
        }
        if not self._ends:  # nothing to keep away
            for name in ("min_new_tokens", "exponential_decay_length_penalty"):
                self._values.pop(name, None)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._values)

    def of(self, prompt: Sequence[int], most: int, device: Any) -> TextPenalties:
        """Return the processors of a text.

        Args:
            prompt: its token ids.
            most: new tokens at most.
            device: of the logits.
        """
        from transformers.generation import logits_process  # noqa: PLC0415

        made = []
        for name, kind, _ in _PROCESSORS:
            if name in self._values:
                given = self._arguments(name, self._values[name], len(prompt), device)
                made.append(getattr(logits_process, kind)(*given))
        return TextPenalties(made, prompt, most, device)

    def _arguments(self, name: str, value: Any, length: int, device: Any) -> tuple[Any, ...]:
        import torch  # noqa: PLC0415

        ends = torch.tensor(self._ends, device=device) if self._ends else None
        if name in ("remove_invalid_values", "renormalize_logits"):
            return ()
        if name == "min_new_tokens":
            return length, value, ends
        if name == "exponential_decay_length_penalty":
            return value, ends, length
        if name == "bad_words_ids":
            return value, ends
        if name == "begin_suppress_tokens":
            return value, length
        return (value,)


class TextPenalties:
    """The processors of one text, and its tokens.

    Args:
        processors: of transformers.
        prompt: token ids.
        most: new tokens at most.
        device: of the logits.
    """

    def __init__(self, processors: Sequence[Any], prompt: Sequence[int], most: int, device: Any) -> None:
        import torch  # noqa: PLC0415

        self._processors, self._length = processors, len(prompt)
        self._ids = torch.zeros((1, len(prompt) + most), dtype=torch.int64, device=device)
        self._ids[0, : len(prompt)] = torch.tensor(prompt)

    def apply(self, tokens: Sequence[int], scores: torch.Tensor) -> torch.Tensor:
        """Return the scores of the next token, [1, vocabulary], after these new tokens."""
        end = self._length + len(tokens)
        if tokens:
            self._ids[0, end - 1] = tokens[-1]
        for processor in self._processors:
            scores = processor(self._ids[:, :end], scores)
        return scores
