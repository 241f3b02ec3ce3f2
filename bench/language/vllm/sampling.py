"""The arguments of a generation, in transformers' names, as vLLM's: what it does not know is refused by its name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from bench.core.errors import LanguageProblem

# Sampling: the value that changes nothing.
_DRAWN = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
# With a choice of the most likely token as well. The last two are vLLM's own.
_ALWAYS = {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
_RENAMED = {"min_new_tokens": "min_tokens"}
_KNOWN = {"do_sample", "eos_token_id", "num_beams", *_DRAWN, *_ALWAYS, *_RENAMED}
# What a model's generation_config may say that vLLM cannot do: its neutral values.
_ONLY_TRANSFORMERS = {
    "typical_p": (None, 1.0), "epsilon_cutoff": (None, 0.0), "eta_cutoff": (None, 0.0), "top_h": (None,),
    "no_repeat_ngram_size": (None, 0), "bad_words_ids": (None,), "suppress_tokens": (None,),
    "begin_suppress_tokens": (None,), "sequence_bias": (None,), "num_beams": (None, 1), "min_length": (None, 0),
    "forced_bos_token_id": (None,), "exponential_decay_length_penalty": (None,), "guidance_scale": (None, 1.0),
}  # fmt: skip
_SHARPEST = 0.01  # vLLM raises a temperature below it


class VllmSampling:
    """The parameters of vLLM's ``SamplingParams`` that are the same for all texts.

    Args:
        options: as given, in the names of transformers.
        defaults: the model's own ``generation_config``; its values hold where none is given, as with transformers.
        tokenizer_end: the tokenizer's end token, if it has one.

    Attributes:
        is_drawn: whether texts are drawn.
        parameters: for ``SamplingParams``.
        ends: tokens that end a text.

    Raises:
        LanguageProblem: an argument that vLLM does not know, or that would have no effect.
    """

    def __init__(self, options: Mapping[str, Any], defaults: Any, tokenizer_end: int | None) -> None:
        given = {name: value for name, value in options.items() if value is not None}
        _refuse_unknown(given)
        _refuse_own(defaults)
        temperature = given.get("temperature")
        self.is_drawn = bool(given.pop("do_sample", False)) and temperature != 0
        if given.pop("num_beams", 1) != 1:
            raise _problem(
                f"num_beams={options['num_beams']!r}", "vLLM writes without a beam search", "use --backend hf"
            )
        idle = [name for name in _DRAWN if name in given and (name, given[name]) != ("temperature", 0)]
        if idle and not self.is_drawn and temperature != 0:
            raise _problem(
                ", ".join(f"{name}={given[name]}" for name in idle),
                "without do_sample=True, texts are chosen greedily",
                "add do_sample=True, or leave it out",
            )
        ends = given.pop("eos_token_id", getattr(defaults, "eos_token_id", None))
        self.ends = {*(ends if isinstance(ends, list | tuple) else [ends]), tokenizer_end} - {None}
        self.parameters: dict[str, Any] = {"stop_token_ids": sorted(self.ends)} if self.ends else {}
        self.parameters |= _chosen(_ALWAYS, given, defaults)
        if self.is_drawn:
            self.parameters |= {"temperature": 1.0, **_chosen(_DRAWN, given, defaults)}
            if 0 < self.parameters["temperature"] < _SHARPEST:
                raise _problem(
                    f"temperature={self.parameters['temperature']}",
                    f"vLLM raises it to {_SHARPEST}",
                    f"give 0 or {_SHARPEST}",
                )
        else:
            self.parameters["temperature"] = 0.0
        for name, own in _RENAMED.items():
            value = given.get(name, getattr(defaults, name, None))
            if value:
                self.parameters[own] = value
        self._check()

    def _check(self) -> None:
        import vllm  # noqa: PLC0415

        make: Any = vllm.SamplingParams
        try:
            make(max_tokens=max(1, int(self.parameters.get("min_tokens", 1))), **self.parameters)
        except (TypeError, ValueError) as error:
            raise _problem(f"{self.parameters}", f"vLLM refuses it ({error})", "correct the value") from error


def _chosen(neutral: Mapping[str, Any], given: Mapping[str, Any], defaults: Any) -> dict[str, Any]:
    values = {name: given.get(name, getattr(defaults, name, None)) for name in neutral}
    return {name: value for name, value in values.items() if value is not None and value != neutral[name]}


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if name in _KNOWN:
            continue
        near = difflib.get_close_matches(name, _KNOWN, n=1)
        if name in _ONLY_TRANSFORMERS or not near:
            raise _problem(
                f"{name}={value!r}",
                f"backend 'vllm' takes {', '.join(sorted(_KNOWN - {'num_beams'}))}",
                "leave it out, or use --backend hf",
            )
        raise _problem(
            f"{name}={value!r}", f"vLLM has no such argument (nearest: {near[0]})", "correct the name"
        )


def _refuse_own(defaults: Any) -> None:
    for name, neutral in _ONLY_TRANSFORMERS.items():
        value = getattr(defaults, name, None)
        if value not in neutral:
            raise LanguageProblem(
                "inference_failed",
                f"found {name}={value!r} in the model's generation_config, which vLLM cannot do, expected values that it "
                "can; use --backend hf, or take it out of generation_config.json",
            )


def _problem(found: str, why: str, advice: str) -> LanguageProblem:
    return LanguageProblem("inference_failed", f"--generation-kwargs: found {found}; {why}; {advice}")
