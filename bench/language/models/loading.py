"""Loads a language model and its tokenizer from a directory or the hub. Needs torch."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.errors import ModelProblem
from bench.language.chat import conversation_of
from bench.language.models.config import ModelConfig
from bench.language.models.sources import (
    ADAPTER_FILE,
    ModelSource,
    ModelSources,
    attempt,
    served_tokenizer,
    some,
)

Message = Mapping[str, str]

_LENGTH_FIELDS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
# What every chat template is given.
_TEMPLATES_OWN = {
    "messages", "add_generation_prompt", "bos_token", "eos_token", "raise_exception", "strftime_now", "namespace", "range",
    "loop", "tools", "documents",
}  # fmt: skip
_NO_LIMIT = 10**9  # tokenizers without a limit state 1e30; no model reads a billion tokens
_TOKENIZER_NEEDS = {"trust_remote_code", "cache_dir", "local_files_only"}
# Without it, transformers asks on the terminal whether a model's own code may run, and waits for an answer.
_NO_FOREIGN_CODE = {"trust_remote_code": False}


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in evaluation mode, ready to be asked.

    Attributes:
        model: a transformers causal language model, or the adapter around one.
        tokenizer: its tokenizer; it always has a padding token.
        config: what it was loaded from.
        fingerprint: identifies its weights, configuration and tokenizer; see :mod:`bench.language.models.sources`.
        max_seq_len: tokens of prompt and answer together, at most; None is no limit.
        device: where its input goes, in torch's notation: ``cpu``, ``cuda:0``.
        dtype: of its weights, such as ``float32``: the one asked for, or the one that ``auto`` found.
    """

    model: Any
    tokenizer: Any
    config: ModelConfig
    fingerprint: str
    max_seq_len: int | None
    device: str
    dtype: str


def load_model(config: ModelConfig, device: str = "cpu") -> LoadedModel:
    """Load a model and its tokenizer.

    A ``device_map`` in the model's keyword arguments overrides ``device``. Code that comes with a model runs only if
    ``trust_remote_code`` is among its keyword arguments.

    Raises:
        ModelProblem: a path or name without a causal language model, missing weights, an adapter or tokenizer that
            cannot be loaded, a chat model without a chat template, or a ``max_seq_len`` above the model's own.
    """
    if config.backend != "hf":
        raise ModelProblem(
            f"model {config.name}: found backend {config.backend!r}, expected 'hf'; "
            "a model behind a server is asked through bench.language.server, one of vLLM through bench.language.vllm"
        )
    sources = ModelSources.of(config)
    tokenizer = load_tokenizer(config, sources)
    model = _load_weights(config, sources)
    # A model that places its own layers on devices refuses to be moved.
    if "device_map" not in config.model_kwargs and getattr(model, "hf_quantizer", None) is None:
        advice = "expected the device to be there and to have room; choose another --device or --dtype"
        model = attempt(config, f"move the model to {device}", advice, lambda: model.to(device))
    generation = getattr(model, "generation_config", None)
    if generation is not None and generation.pad_token_id is None:
        generation.pad_token_id = tokenizer.pad_token_id
    weight = next(parameter for parameter in model.parameters() if parameter.is_floating_point())
    return LoadedModel(
        model=model.eval(),
        tokenizer=tokenizer,
        config=config,
        fingerprint=sources.fingerprint(),
        max_seq_len=reads_at_most(config, model.config, tokenizer),
        device=str(model.device),
        dtype=str(weight.dtype).removeprefix("torch."),
    )


def load_tokenizer(config: ModelConfig, sources: ModelSources) -> Any:
    """Load the tokenizer of a model in this process.

    Raises:
        ModelProblem: no tokenizer, or one of a chat model without a chat template or the variables that are given.
    """
    tokenizer = _load_tokenizer(config, sources.tokenizer or sources.model)
    if config.type == "chat":
        _expect_chat_template(tokenizer, config.name)
        expect_variables(tokenizer, config)
        expect_contents(tokenizer, config)
    return tokenizer


def load_served_tokenizer(config: ModelConfig) -> Any:
    """Load the tokenizer of a chat model behind a server.

    Raises:
        ModelProblem: a path without a tokenizer, or one without a chat template or the variables that are given.
    """
    source = served_tokenizer(config)
    assert source is not None
    tokenizer = _load_tokenizer(config, source)
    _expect_chat_template(tokenizer, config.name)
    expect_variables(tokenizer, config)
    expect_contents(tokenizer, config)
    return tokenizer


def apply_chat(
    tokenizer: Any, messages: Sequence[Message], variables: Mapping[str, Any] | None = None
) -> str:
    """Return messages as the text that a chat model was trained on, up to where its answer begins.

    Args:
        tokenizer: of the chat model.
        messages: each with ``role`` and ``content``. If the last one is the assistant's, the text ends inside it, so
            that the model continues it.
        variables: of the template, such as ``enable_thinking``.

    Returns:
        A text. If it begins with the start token, tokenize it with ``add_special_tokens=False``: a second one would follow.

    Raises:
        ModelProblem: a tokenizer without a chat template, or a template that refuses the messages.
    """
    import jinja2  # noqa: PLC0415

    _expect_chat_template(tokenizer, getattr(tokenizer, "name_or_path", "") or "of this tokenizer")
    answered = bool(messages) and messages[-1]["role"] == "assistant"

    def framed(content: Callable[[str], Any]) -> str:
        text: str = tokenizer.apply_chat_template(
            [{**message, "content": content(message["content"])} for message in messages],
            tokenize=False,
            add_generation_prompt=not answered,
            continue_final_message=answered,
            **(variables or {}),
        )
        return text

    try:
        text = framed(str)
        if _has(text, messages):
            return text
        # Templates of models that also read images loop over the parts of a content, and find none in a text.
        with contextlib.suppress(jinja2.TemplateError, ValueError, TypeError, KeyError, AttributeError):
            parts = framed(lambda said: [{"type": "text", "text": said}])
            if _has(parts, messages) and not re.search(r"""['"]type['"]: ?['"]text['"]""", parts):
                return parts
    except (jinja2.TemplateError, ValueError, TypeError, KeyError, AttributeError) as error:
        roles = ", ".join(message["role"] for message in messages) or "none"
        raise ModelProblem(
            f"the chat template refuses messages of {roles} ({error}); expected roles in an order that it accepts; "
            "many accept no system message, and want user and assistant to alternate; what a template reads besides "
            "messages is given by --chat-template-kwargs"
        ) from error
    return text


def _has(text: str, messages: Sequence[Message]) -> bool:
    """Return whether the last message is in a text."""
    return not messages or messages[-1]["content"].strip() in text


def _transformers() -> Any:
    from bench.machine.torchvision_shim import ensure_torchvision  # noqa: PLC0415

    ensure_torchvision()
    import transformers  # noqa: PLC0415

    return transformers


def _load_weights(config: ModelConfig, sources: ModelSources) -> Any:
    import torch  # noqa: PLC0415

    transformers = _transformers()
    model, report = attempt(
        config,
        f"load the model {config.path}",
        "expected a causal language model in the form of transformers; remove the cause",
        lambda: transformers.AutoModelForCausalLM.from_pretrained(
            sources.model.location,
            **sources.model.revision,
            **{**_NO_FOREIGN_CODE, **config.model_kwargs},
            dtype=config.dtype if config.dtype == "auto" else getattr(torch, config.dtype),
            output_loading_info=True,
        ),
    )
    _refuse_random_weights(config, report)
    return model if sources.adapter is None else _adapted(config, model, sources.adapter)


def _refuse_random_weights(config: ModelConfig, report: Mapping[str, Any]) -> None:
    # transformers only warns, and the answers of random weights look like those of a poor model.
    missing = sorted(report.get("missing_keys", ()))
    if missing:
        raise ModelProblem(
            f"model {config.name}: found no weights for {some(missing)}; expected all of them in {config.path}; "
            "use a checkpoint of the whole language model, its output layer included"
        )


def _adapted(config: ModelConfig, model: Any, adapter: ModelSource) -> Any:
    if adapter.commit is None and not (Path(adapter.location) / ADAPTER_FILE).is_file():
        raise ModelProblem(
            f"model {config.name}: found no {ADAPTER_FILE} in {adapter.location}; expected an adapter as peft saves it; "
            "give the directory of the adapter"
        )
    try:
        import peft  # noqa: PLC0415
    except ImportError as error:
        raise ModelProblem(
            f"model {config.name}: found an adapter {config.peft_path} but no peft ({error}); "
            "expected it to be installed; run `pip install peft`"
        ) from error
    revision: dict[str, Any] = dict(adapter.revision)
    return attempt(
        config,
        f"load the adapter {config.peft_path}",
        "expected one that was trained on this model; correct --peft-path or the model",
        lambda: peft.PeftModel.from_pretrained(model, adapter.location, **revision),
    )


def _load_tokenizer(config: ModelConfig, source: ModelSource) -> Any:
    transformers = _transformers()
    # Options that the model needs in order to be found are needed for its tokenizer too.
    shared = {key: value for key, value in config.model_kwargs.items() if key in _TOKENIZER_NEEDS}
    tokenizer = attempt(
        config,
        f"load the tokenizer {config.tokenizer_path or config.path}",
        "expected the tokenizer's files there; add them, or give --tokenizer-path",
        lambda: transformers.AutoTokenizer.from_pretrained(
            source.location,
            **source.revision,
            **{**_NO_FOREIGN_CODE, **shared, **config.tokenizer_kwargs},
        ),
    )
    _refuse_empty_vocabulary(config, tokenizer)
    if tokenizer.pad_token_id is None:
        # Padding is always masked, so any token will do; the end token reads best in a log.
        candidates = (tokenizer.eos_token_id, tokenizer.unk_token_id, 0)
        tokenizer.pad_token_id = next(token for token in candidates if token is not None)
    return tokenizer


def _refuse_empty_vocabulary(config: ModelConfig, tokenizer: Any) -> None:
    # transformers makes one of a directory without a vocabulary, and every text becomes the same few tokens.
    ordinary = len(tokenizer) - len(tokenizer.all_special_ids)
    if ordinary < 1:
        raise ModelProblem(
            f"model {config.name}: found a tokenizer of special tokens only; expected its vocabulary in "
            f"{config.tokenizer_path or config.path}; add tokenizer.json, or give --tokenizer-path"
        )


def _expect_chat_template(tokenizer: Any, name: str) -> None:
    if not getattr(tokenizer, "chat_template", None):
        raise ModelProblem(
            f"model {name}: found no chat template in its tokenizer; expected one, since its type is 'chat'; "
            "use the instruction-tuned model, or evaluate it as type 'base'"
        )


def expect_contents(tokenizer: Any, config: ModelConfig) -> None:
    """Refuse a chat template that leaves out what a model is asked, or its system prompt: nobody would see that.

    Raises:
        ModelProblem: with the roles whose messages are lost.
    """
    system = None if config.system_prompt is None else "Marked 5521"
    messages = conversation_of("Marked 7319", system).messages()
    text = apply_chat(tokenizer, messages, config.chat_template_kwargs)
    lost = [message["role"] for message in messages if message["content"] not in text]
    if lost:
        advice = (
            "leave out --system-prompt" if lost == ["system"] else "correct the template of its tokenizer"
        )
        raise ModelProblem(
            f"model {config.name}: found a chat template that leaves out what the {' and the '.join(lost)} says; expected "
            f"each message in the text that the model reads; {advice}"
        )


def expect_variables(tokenizer: Any, config: ModelConfig) -> None:
    """Refuse variables that the chat template does not read: they would change nothing.

    Raises:
        ModelProblem: with those that it reads.
    """
    if not config.chat_template_kwargs:
        return
    import jinja2.nodes  # noqa: PLC0415

    # Blocks of transformers' own, which mark what the assistant says.
    text = re.sub(r"\{%-?\s*(?:end)?generation\s*-?%\}", "", tokenizer.get_chat_template())
    try:
        tree = jinja2.Environment(extensions=["jinja2.ext.loopcontrols"]).parse(text)
    except jinja2.TemplateError as error:
        raise ModelProblem(
            f"model {config.name}: found a chat template that cannot be read ({error}), expected one in which "
            "--chat-template-kwargs can be found; correct the template, or leave them out"
        ) from error
    names = {node.name for node in tree.find_all(jinja2.nodes.Name)}
    written = {node.name for node in tree.find_all(jinja2.nodes.Name) if node.ctx == "store"}
    unread = sorted(config.chat_template_kwargs.keys() - names)
    if unread:
        others = sorted(names - written - _TEMPLATES_OWN)
        raise ModelProblem(
            f"model {config.name}: found --chat-template-kwargs {', '.join(unread)}, which its chat template does not read; "
            f"expected variables of it ({', '.join(others) or 'it has none'}); correct the name, or leave it out"
        )


def reads_at_most(config: ModelConfig, own_config: Any, tokenizer: Any) -> int | None:
    """Return how many tokens a model reads: what is asked for, else its own limit, else the tokenizer's; None is no limit.

    Args:
        config: what is asked for.
        own_config: the configuration that the model comes with.
        tokenizer: of the model.

    Raises:
        ModelProblem: more tokens than the model has positions for.
    """
    own = positions_of(own_config)
    if config.max_seq_len is not None:
        if own is not None and config.max_seq_len > own:
            raise ModelProblem(
                f"model {config.name}: found max_seq_len {config.max_seq_len}, expected at most {own}, "
                "for which the model has positions; lower it, or change the model's configuration by --model-kwargs"
            )
        return config.max_seq_len
    if own is not None:
        return own
    advised = tokenizer.model_max_length
    return int(advised) if advised is not None and advised < _NO_LIMIT else None


def positions_of(own_config: Any) -> int | None:
    """Return how many positions a model's configuration states; None if it states none."""
    inner = getattr(own_config, "get_text_config", lambda: own_config)()
    limits = (getattr(inner, name, None) for name in _LENGTH_FIELDS)
    # A negative number means positions without a limit.
    return next((limit for limit in limits if isinstance(limit, int) and limit > 0), None)
