"""Our engine as a model of lm-evaluation-harness: ``--model modelgate``.

    python -m bench.language.harness.lm run --model modelgate --model_args pretrained=DIR --tasks arc_easy

is the harness's own command with this model registered. In Python, importing this module registers it::

    import bench.language.harness.lm
    lm_eval.simple_evaluate("modelgate", model_args="pretrained=DIR", tasks=["arc_easy"])

lm-evaluation-harness 0.4 looks for models in its own list alone, so that a plain ``lm_eval`` does not find this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.core.names import safe_name
from bench.language.backend import LocalBackend, text_seed
from bench.language.harness.asking import LocalHarnessModel, generation
from bench.language.models.config import ModelConfig, parse_batch_size
from bench.language.models.loading import load_model
from bench.machine.torchvision_shim import ensure_torchvision

ensure_torchvision()  # before the harness imports transformers

from lm_eval.api.model import LM, TemplateLM  # noqa: E402
from lm_eval.api.registry import register_model  # noqa: E402

_DTYPES = {"float": "float32", "half": "float16"}


@register_model("modelgate")
class ModelgateLM(LM):  # type: ignore[misc]  # the harness has no types
    """A causal language model of transformers on Modelgate's engine; arguments are those of ``--model hf``.

    Args:
        pretrained: directory or name on the hub.
        tokenizer, peft: likewise, if they are elsewhere.
        dtype: of the weights.
        revision: on the hub.
        batch_size: texts of a batch; ``auto`` halves when memory runs out.
        max_length: tokens of prompt and answer together, at most.
        device: ``cpu`` or ``cuda``; without a GPU it is the processor, as for ``hf``.
        max_batch_size: taken and not needed.
        model_kwargs: further arguments of the model's ``from_pretrained``.

    Raises:
        ModelProblem: a model that cannot be loaded.
    """

    def __init__(
        self, pretrained: str, tokenizer: str | None = None, peft: str | None = None, dtype: str = "auto",
        revision: str | None = None, batch_size: int | str = "auto", max_length: int | None = None,
        device: str | None = None, max_batch_size: int | None = None, **model_kwargs: Any,
    ) -> None:  # fmt: skip
        import torch  # noqa: PLC0415

        super().__init__()
        size = parse_batch_size(str(batch_size).partition(":")[0])
        trusted = {key: value for key, value in model_kwargs.items() if key == "trust_remote_code"}
        config = ModelConfig(
            safe_name(pretrained.rstrip("/").rpartition("/")[2]), pretrained, tokenizer_path=tokenizer, peft_path=peft,
            dtype=_DTYPES.get(dtype, dtype), revision=None if revision == "main" else revision, batch_size=size,
            max_seq_len=None if max_length is None else int(max_length), model_kwargs=model_kwargs, tokenizer_kwargs=trusted,
        )  # fmt: skip
        # The harness's command asks for a GPU where nobody named a device; `hf` takes the processor then.
        has_gpu = torch.cuda.is_available()
        loaded = load_model(config, "cpu" if not has_gpu else (device or "cuda"))
        self._config, self.tokenizer = config, loaded.tokenizer
        self._engine = LocalHarnessModel(LocalBackend(loaded, size))
        self._device = torch.device(loaded.device)

    @property
    def tokenizer_name(self) -> str:
        """The tokenizer's name, for caches of requests."""
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return log-likelihood and greediness of each continuation; what those of a context share is computed once."""
        groups: dict[str, list[int]] = {}
        for number, request in enumerate(requests):
            groups.setdefault(request.args[0], []).append(number)
        owners = list(groups.values())
        found: list[tuple[float, bool]] = [(0.0, False)] * len(requests)

        def keep(index: int, scores: Sequence[Any]) -> None:
            for number, score in zip(owners[index], scores, strict=True):
                found[number] = (score.loglikelihood, bool(score.is_greedy))
                self.cache_hook.add_partial("loglikelihood", requests[number].args, found[number])

        self._engine.score_continuations(
            list(groups), [[requests[number].args[1] for number in owned] for owned in owners], keep
        )
        return found

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Return the log-likelihood of each whole text."""
        found = [0.0] * len(requests)

        def keep(index: int, score: Any) -> None:
            found[index] = score.loglikelihood
            self.cache_hook.add_partial("loglikelihood_rolling", requests[index].args, found[index])

        self._engine.score_rolling([request.args[0] for request in requests], keep)
        return found

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Return the text after each prompt."""
        batches: dict[str, tuple[dict[str, Any], list[int]]] = {}
        for number, request in enumerate(requests):
            options = generation(request.args[1], self._config)
            batches.setdefault(repr(sorted(options.items(), key=str)), (options, []))[1].append(number)
        found = ["" for _ in requests]
        for options, numbers in batches.values():
            self._write(requests, numbers, options, found)
        return found

    def _write(
        self, requests: Sequence[Any], numbers: Sequence[int], options: dict[str, Any], found: list[str]
    ) -> None:
        length, stop = options.pop("length"), options.pop("stop")

        def keep(index: int, text: str) -> None:
            found[numbers[index]] = text
            self.cache_hook.add_partial("generate_until", requests[numbers[index]].args, text)

        prompts = [requests[number].args[0] for number in numbers]
        seeds = [text_seed(0, str(number)) for number in numbers]
        self._engine.write(prompts, length, stop, options, seeds, keep)

    def apply_chat_template(
        self, chat_history: Sequence[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """Return messages in the tokenizer's template."""
        return self._engine.templated(chat_history, add_generation_prompt)

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """Return the tokenizer's template."""
        found: str | None = TemplateLM.chat_template(self, chat_template)
        return found


def main() -> None:
    """Run the harness's own command."""
    from lm_eval.__main__ import cli_evaluate  # noqa: PLC0415

    from bench.language.harness import quick  # noqa: PLC0415  imports the harness's tasks

    quick.provide()
    cli_evaluate()


if __name__ == "__main__":
    main()
