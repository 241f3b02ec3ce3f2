"""What decides how a language model is loaded and asked: one frozen record of builtins, from a catalogue or options."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from bench.core.errors import ModelgateError
from bench.core.names import safe_name

ModelType = Literal["base", "chat"]
Backend = Literal["hf", "server"]
DTYPES = ("auto", "float32", "bfloat16", "float16")

_NAME = re.compile(r"[a-z0-9_.]+")
# What transformers would take as a keyword too, and where it is said here: said twice, one of them would be ignored.
_OWN_FIELDS = {"dtype": "--dtype", "torch_dtype": "--dtype", "revision": "the revision of the model"}


class ModelProblem(ModelgateError):
    """A language model that cannot be found, loaded or asked."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One language model, as it is loaded and asked.

    Attributes:
        name: in test ids and tables; lower-case letters, digits, ``_`` and ``.``, without the word that marks
            difficult tasks (``-k`` would select it).
        path: directory, or name on the hub; for a server the name by which it knows the model.
        type: ``chat`` puts prompts through the tokenizer's chat template, ``base`` leaves them as they are.
        backend: ``hf`` loads the model into this process, ``server`` asks one that speaks OpenAI's completions.
        tokenizer_path: directory or hub name, where the tokenizer is not beside the model.
        peft_path: directory or hub name of an adapter.
        model_kwargs: further keyword arguments of the model's ``from_pretrained``.
        tokenizer_kwargs: further keyword arguments of the tokenizer's ``from_pretrained``.
        generation_kwargs: further keyword arguments of ``generate``, or fields of a server's request.
        max_seq_len: tokens of prompt and answer together, at most; the model's own limit where None.
        max_out_len: new tokens at most; what the dataset says where None.
        batch_size: sequences per forward pass; ``auto`` starts high and halves when memory runs out.
        dtype: one of :data:`DTYPES`; ``auto`` is what the model was saved in.
        revision: branch, tag or commit on the hub.
        api_base: address of the server, for example ``http://localhost:8000/v1``.

    Raises:
        ModelProblem: from the constructor, when the fields contradict each other or one has no such value.
    """

    name: str
    path: str
    type: ModelType = "base"
    backend: Backend = "hf"
    tokenizer_path: str | None = None
    peft_path: str | None = None
    # Dictionaries cannot be hashed; equality still compares them.
    model_kwargs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    tokenizer_kwargs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    generation_kwargs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    max_seq_len: int | None = None
    max_out_len: int | None = None
    batch_size: int | Literal["auto"] = "auto"
    dtype: str = "auto"
    revision: str | None = None
    api_base: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no model could be loaded by."""
        if not _NAME.fullmatch(self.name) or "hard" in self.name:
            raise ModelProblem(
                f"model name {self.name!r}: expected lower-case letters, digits, '_' and '.', without 'hard'; "
                f"call it {safe_name(self.name)!r}"
            )
        self._expect("path", self.path, bool(self.path), "a directory or a name on the hub")
        self._expect_one_of("type", self.type, get_args(ModelType))
        self._expect_one_of("backend", self.backend, get_args(Backend))
        self._expect_one_of("dtype", self.dtype, DTYPES)
        for name in ("max_seq_len", "max_out_len"):
            value = getattr(self, name)
            self._expect(name, value, value is None or _is_positive(value), "a positive whole number")
        fits = self.batch_size == "auto" or _is_positive(self.batch_size)
        self._expect("batch_size", self.batch_size, fits, "a positive whole number or 'auto'")
        self._expect_plain_kwargs()
        if (self.backend == "server") != (self.api_base is not None):
            raise ModelProblem(
                f"model {self.name}: found backend {self.backend!r} with api_base {self.api_base!r}; "
                "a server needs its address, and nothing else has one"
            )

    def _expect(self, what: str, value: object, fits: bool, expected: str) -> None:
        if not fits:
            raise ModelProblem(f"model {self.name}: found {what} {value!r}; expected {expected}; change it")

    def _expect_one_of(self, what: str, value: object, allowed: Sequence[str]) -> None:
        self._expect(what, value, value in allowed, " or ".join(map(repr, allowed)))

    def _expect_plain_kwargs(self) -> None:
        for name in ("model_kwargs", "tokenizer_kwargs", "generation_kwargs"):
            values = getattr(self, name)
            try:
                # A record of the run holds them, and a worker sends them to another process.
                json.dumps(values)
            except (TypeError, ValueError) as error:
                raise ModelProblem(
                    f"model {self.name}: found {name} {values!r}; expected plain numbers, strings, lists and "
                    f"dictionaries ({error}); write the value as one of these"
                ) from error
            for key in _OWN_FIELDS.keys() & values.keys():
                raise ModelProblem(
                    f"model {self.name}: found {key!r} in {name}; expected it in a field of its own; "
                    f"give it as {_OWN_FIELDS[key]}"
                )


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def parse_kwargs(pairs: Sequence[str]) -> dict[str, Any]:
    """Read ``key=value`` texts of a command line.

    A value is read as a Python literal, and taken as a string where it is none: ``a=1`` is a number, ``a='1'``
    and ``a=left`` are strings, ``a=[1, 2]`` is a list. ``true``, ``false`` and ``null`` are taken as JSON has them.

    Raises:
        ModelProblem: when a text has no ``=``, its key is no Python name, or a key comes twice.
    """
    parsed: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip()
        if not equals or not key.isidentifier():
            raise ModelProblem(
                f"found {pair!r}; expected key=value, key a Python name; write for example trust_remote_code=True"
            )
        if key in parsed:
            raise ModelProblem(
                f"found {key!r} twice, as {parsed[key]!r} and as {text!r}; expected it once; remove one"
            )
        parsed[key] = _literal(text.strip())
    return parsed


def _literal(text: str) -> Any:
    # `trust_remote_code=false` as a string would be true.
    as_json = {"true": True, "false": False, "null": None}
    if text in as_json:
        return as_json[text]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def from_options(
    *,
    hf_path: str | None = None,
    hf_type: str = "base",
    tokenizer_path: str | None = None,
    peft_path: str | None = None,
    model_kwargs: Sequence[str] = (),
    tokenizer_kwargs: Sequence[str] = (),
    generation_kwargs: Sequence[str] = (),
    max_seq_len: int | None = None,
    max_out_len: int | None = None,
    batch_size: int | str = "auto",
    dtype: str = "auto",
    revision: str | None = None,
    api_base: str | None = None,
    api_model: str | None = None,
) -> ModelConfig:
    """Make the configuration of a model that is named on the command line, by ``--hf-path`` or ``--api-base``.

    Args:
        model_kwargs: ``key=value`` texts, see :func:`parse_kwargs`; likewise the other two.
        batch_size: a number, also as text, or ``auto``.

    Returns:
        A configuration named for the last part of the path, and of the adapter's path where there is one.

    Raises:
        ModelProblem: when neither or both name a model, or a value cannot be used.
    """
    if (hf_path is None) == (api_base is None):
        found = "both --hf-path and --api-base" if hf_path is not None else "neither --hf-path nor --api-base"
        raise ModelProblem(f"found {found}; expected one of them; give the one that names the model")
    if (api_base is None) != (api_model is None):
        raise ModelProblem(
            f"found --api-base {api_base!r} with --api-model {api_model!r}; expected both or neither; "
            "give the server's address and the name by which it knows the model"
        )
    if api_base is not None:
        loading = {
            "--tokenizer-path": tokenizer_path,
            "--peft-path": peft_path,
            "--model-kwargs": model_kwargs,
            "--tokenizer-kwargs": tokenizer_kwargs,
            "revision": revision,
        }
        given = [option for option, value in loading.items() if value]
        if given or dtype != "auto":
            raise ModelProblem(
                f"found --api-base with {', '.join(given or ['--dtype'])}; a server loads its model itself; "
                "remove what says how"
            )
    path = cast(str, hf_path if hf_path is not None else api_model)
    parts = [_last_part(path)] + ([_last_part(peft_path)] if peft_path else [])
    return ModelConfig(
        name=safe_name("_".join(parts)),
        path=path,
        type=cast(ModelType, hf_type),
        backend="hf" if api_base is None else "server",
        tokenizer_path=tokenizer_path,
        peft_path=peft_path,
        model_kwargs=parse_kwargs(model_kwargs),
        tokenizer_kwargs=parse_kwargs(tokenizer_kwargs),
        generation_kwargs=parse_kwargs(generation_kwargs),
        max_seq_len=max_seq_len,
        max_out_len=max_out_len,
        batch_size=_batch_size(batch_size),
        dtype=dtype,
        revision=revision,
        api_base=api_base,
    )


def _last_part(path: str) -> str:
    # `.` and `..` name nothing by themselves, what they point at does.
    expanded = Path(path).expanduser()
    return expanded.resolve().name if expanded.name in ("", "..") else expanded.name


def _batch_size(value: int | str) -> int | Literal["auto"]:
    if value == "auto":
        return "auto"
    try:
        return int(value)
    except ValueError:
        raise ModelProblem(
            f"--batch-size {value}: expected a positive whole number or auto; give one of these"
        ) from None
