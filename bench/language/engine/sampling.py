"""The arguments of ``generate``: those of sampling go to transformers' own processors, what cannot work is refused."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from bench.core.errors import LanguageProblem

# In the order in which transformers applies them: name, class, name of its parameter, the value that changes nothing.
_WARPERS = (
    ("temperature", "TemperatureLogitsWarper", "temperature", 1.0),
    ("top_h", "TopHLogitsWarper", "top_h", None),
    ("top_k", "TopKLogitsWarper", "top_k", 0),
    ("top_p", "TopPLogitsWarper", "top_p", 1.0),
    ("min_p", "MinPLogitsWarper", "min_p", None),
    ("typical_p", "TypicalLogitsWarper", "mass", 1.0),
    ("epsilon_cutoff", "EpsilonLogitsWarper", "epsilon", 0.0),
    ("eta_cutoff", "EtaLogitsWarper", "epsilon", 0.0),
)
SAMPLING = tuple(name for name, *_ in _WARPERS)
_REFUSED = {
    "max_new_tokens": "the limit of an answer is --max-out-len",
    "max_length": "the limit of an answer is --max-out-len",
    "max_time": "a limit of time would make answers depend on the machine",
    "min_length": "it counts the padding of the batch; give min_new_tokens",
    "num_return_sequences": "several answers to a question are asked for by --repeats",
    "stop_strings": "stop strings belong to the dataset: Generation(stop=..., chat_stop=...)",
    "stopping_criteria": "stop strings belong to the dataset: Generation(stop=..., chat_stop=...)",
    "logits_processor": "it is no plain value",
    "prefix_allowed_tokens_fn": "it is no plain value",
    "streamer": "nothing reads it",
    "custom_generate": "the suite's own sampling would be left out",
    "encoder_repetition_penalty": "it counts the padding of the batch; give repetition_penalty",
    "encoder_no_repeat_ngram_size": "it counts the padding of the batch; give no_repeat_ngram_size",
    "forced_bos_token_id": "it has no effect after a prompt",
    "forced_eos_token_id": "it depends on the longest answer of the batch",
    "pad_token_id": "padding is the suite's own, and is masked",
    "return_dict_in_generate": "texts are kept, and nothing else",
    "output_scores": "texts are kept, and nothing else",
    "output_logits": "texts are kept, and nothing else",
    "output_attentions": "texts are kept, and nothing else",
    "output_hidden_states": "texts are kept, and nothing else",
    "inputs_embeds": "prompts come from the dataset",
    "input_ids": "prompts come from the dataset",
}
_NOT_SAMPLED = {
    "num_beams": "a beam search draws nothing by itself",
    "penalty_alpha": "contrastive search draws nothing",
    "watermarking_config": "it is applied after the draw",
    "assistant_model": "it draws by itself",
    "prompt_lookup_num_tokens": "it draws by itself",
    "assistant_early_exit": "it draws by itself",
    "use_mtp": "it draws by itself",
    "dola_layers": "it is a way to choose greedily",
}
_OF_BEAMS = {"length_penalty", "early_stopping", "num_beam_groups", "diversity_penalty"}
_FURTHER = {"assistant_model", "negative_prompt_ids", "past_key_values", "synced_gpus", "use_model_defaults"}


class Sampling:
    """The arguments of ``generate`` that are the same for all texts.

    Args:
        options: as given.
        defaults: the model's own ``generation_config``. Its values for sampling are used where none is given, as
            transformers does; other than there, all tokens may be drawn without ``top_k``.

    Attributes:
        is_drawn: whether texts are drawn, and not chosen greedily.
        arguments: for ``generate``; greedy ones, since texts are drawn by noise, see `processors`.

    Raises:
        LanguageProblem: an argument that ``generate`` does not know, that would have no effect, or that would make a text
            depend on others of its batch.
    """

    def __init__(self, options: Mapping[str, Any], defaults: Any = None) -> None:
        given = dict(options)
        _refuse_unknown(given)
        temperature = given.get("temperature")
        self.is_drawn = bool(given.pop("do_sample", False)) and temperature != 0
        chosen = {name: given.pop(name, None) for name in SAMPLING}
        if not self.is_drawn:
            idle = [
                name
                for name, value in chosen.items()
                if value is not None and (name, value) != ("temperature", 0)
            ]
            if idle and temperature != 0:
                raise _problem(
                    ", ".join(f"{name}={chosen[name]}" for name in idle),
                    "without do_sample=True, texts are chosen greedily",
                    "add do_sample=True, or leave it out",
                )
        else:
            self._refuse_what_is_not_drawn(given)
        if given.get("num_beams") in (None, 1):
            for name in _OF_BEAMS & given.keys():
                raise _problem(
                    f"{name}={given[name]!r}",
                    "it applies to a beam search only",
                    "add num_beams, or leave it out",
                )
        self._warpers = [
            (warper, parameter, value)
            for name, warper, parameter, neutral in _WARPERS
            if self.is_drawn
            and (value := chosen[name] if chosen[name] is not None else getattr(defaults, name, None))
            is not None
            and value != neutral
        ]
        self.processors()  # a value that a processor refuses is refused before anything is asked
        greedy = {"do_sample": False, "num_beams": 1, **dict.fromkeys(SAMPLING)}
        self.arguments = {**greedy, **given}

    def processors(self) -> list[Any]:
        """Return new processors of transformers that leave the tokens which may be drawn.

        Raises:
            LanguageProblem: a value that a processor refuses.
        """
        if not self._warpers:
            return []
        from transformers.generation import logits_process  # noqa: PLC0415

        made = []
        for warper, parameter, value in self._warpers:
            try:
                made.append(getattr(logits_process, warper)(**{parameter: value}))
            except (TypeError, ValueError) as error:
                raise _problem(f"{parameter}={value!r}", str(error), "correct the value") from error
        return made

    def _refuse_what_is_not_drawn(self, given: Mapping[str, Any]) -> None:
        for name, why in _NOT_SAMPLED.items():
            if given.get(name) not in (None, False) and (name, given.get(name)) != ("num_beams", 1):
                raise _problem(
                    f"{name}={given[name]!r}", f"with do_sample=True {why}", "leave one of the two out"
                )


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    for name, why in _REFUSED.items():
        if name in given:
            raise _problem(f"{name}={given[name]!r}", why, "leave it out")
    known = {name for name in vars(_blank()) if not name.startswith("_")} | _FURTHER
    known -= {"transformers_version", *_REFUSED}
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"nearest: {near[0]}" if near else "see GenerationConfig of transformers"
            raise _problem(
                f"{name}={given[name]!r}",
                f"transformers' generate has no such argument ({hint})",
                "correct the name",
            )


def _blank() -> Any:
    from transformers import GenerationConfig  # noqa: PLC0415

    make: Any = GenerationConfig
    return make()


def _problem(found: str, why: str, advice: str) -> LanguageProblem:
    return LanguageProblem("inference_failed", f"--generation-kwargs: found {found}; {why}; {advice}")
