"""How a language model is loaded and asked: one frozen record of builtins, from the catalogue or from options."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from bench.core.errors import ModelProblem
from bench.core.names import safe_name

ModelType = Literal["base", "chat"]
FewShot = Literal["turns", "text"]
THINK_MARKS = ("<think>", "</think>")
BackendName = Literal["hf", "vllm", "server"]
DTYPES = ("auto", "float32", "bfloat16", "float16")
Kwargs = dict[str, Any]

_NAME = re.compile(r"[a-z0-9_.]+")
# Keywords of transformers that have a field here. Given in both places, one of the two would be ignored.
_OWN_FIELDS = {"dtype": "--dtype", "torch_dtype": "--dtype", "revision": "the revision of the model"}
# Of a generation, likewise. One question has one answer; what would give several would be answered by the first of them.
_OWN_GENERATION = {
    **dict.fromkeys(("max_new_tokens", "max_tokens", "max_completion_tokens", "max_length"), "--max-out-len"),
    **dict.fromkeys(("stop", "stop_strings"), "`stop` of the dataset's inference"),
    **dict.fromkeys(("seed",), "--seed"),
    **dict.fromkeys(("num_return_sequences", "n", "best_of"), "--repeats"),
    **dict.fromkeys(
        ("stream", "echo", "logprobs", "prompt", "messages", "model"), "nothing: the suite sets it"
    ),
}


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One language model, as it is loaded and asked.

    Attributes:
        name: in test ids and tables. Lower-case letters, digits, ``_`` and ``.``, without the word that marks difficult
            tasks, since ``-k`` would select it.
        path: directory or name on the hub; for a server, the name by which it knows the model.
        type: ``chat`` puts prompts into the tokenizer's chat template, ``base`` leaves them as they are.
        backend: ``hf`` loads the model into this process, ``vllm`` does so with vLLM, ``server`` asks one that speaks
            OpenAI's completions.
        tokenizer_path: directory or hub name of the tokenizer, if it is not next to the model.
        peft_path: directory or hub name of an adapter.
        model_kwargs: further keyword arguments of the model's ``from_pretrained``, or of ``vllm.LLM``.
        tokenizer_kwargs: further keyword arguments of the tokenizer's ``from_pretrained``.
        generation_kwargs: further keyword arguments of ``generate``, or fields of a server's request.
        max_seq_len: tokens of prompt and answer together, at most. None is the model's own limit.
        max_out_len: new tokens at most. None is the dataset's limit.
        batch_size: sequences per forward pass. ``auto`` starts high and halves when memory runs out; vLLM has its own.
        dtype: one of :data:`DTYPES`. ``auto`` is the type that the model was saved in.
        revision: branch, tag or commit on the hub.
        api_base: address of the server, for example ``http://localhost:8000/v1``.
        system_prompt: first turn of a chat; None is none.
        chat_template_kwargs: variables of the chat template, such as ``enable_thinking``.
        few_shot: in-context examples of a chat as ``turns`` of their own, or as ``text`` of one turn.
        think_marks: what a thought begins and ends with; empty for a model whose texts are taken as they are.

    Raises:
        ModelProblem: from the constructor, for fields that contradict each other or a value that is not allowed.
    """

    name: str
    path: str
    type: ModelType = "base"
    backend: BackendName = "hf"
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
    system_prompt: str | None = None
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    few_shot: FewShot = "turns"
    think_marks: tuple[str, ...] = THINK_MARKS

    def __post_init__(self) -> None:
        """Refuse a configuration that no model can be loaded from."""
        if not _NAME.fullmatch(self.name) or "hard" in self.name:
            raise ModelProblem(
                f"model name {self.name!r}: expected lower-case letters, digits, '_' and '.', without 'hard'; "
                f"call it {safe_name(self.name)!r}"
            )
        self._expect("path", self.path, bool(self.path), "a directory or a name on the hub")
        self._expect_one_of("type", self.type, get_args(ModelType))
        self._expect_one_of("backend", self.backend, get_args(BackendName))
        self._expect_one_of("dtype", self.dtype, DTYPES)
        for name in ("max_seq_len", "max_out_len"):
            value = getattr(self, name)
            self._expect(name, value, value is None or _is_positive(value), "a positive whole number")
        fits = self.batch_size == "auto" or _is_positive(self.batch_size)
        self._expect("batch_size", self.batch_size, fits, "a positive whole number or 'auto'")
        self._expect_plain_kwargs()
        self._expect_chat()
        if (self.backend == "server") != (self.api_base is not None):
            raise ModelProblem(
                f"model {self.name}: found backend {self.backend!r} with api_base {self.api_base!r}; "
                "expected an address for a server and for nothing else; set both or neither"
            )

    def _expect(self, what: str, value: object, fits: bool, expected: str) -> None:
        if not fits:
            raise ModelProblem(f"model {self.name}: found {what} {value!r}; expected {expected}; change it")

    def _expect_one_of(self, what: str, value: object, allowed: Sequence[str]) -> None:
        self._expect(what, value, value in allowed, " or ".join(map(repr, allowed)))

    def _expect_chat(self) -> None:
        self._expect_one_of("few_shot", self.few_shot, get_args(FewShot))
        marks = self.think_marks
        known = (
            isinstance(marks, tuple | list)
            and len(marks) in (0, 2)
            and all(isinstance(mark, str) and mark for mark in marks)
        )
        self._expect("think_marks", marks, known, "an opening and a closing mark, or none")
        idle = [name for name in ("system_prompt", "chat_template_kwargs") if getattr(self, name)]
        if self.type == "base" and idle:
            raise ModelProblem(
                f"model {self.name}: found {', '.join(idle)} with type 'base', which has no turns; expected type 'chat'; "
                "give --hf-type chat, or leave it out"
            )

    @property
    def samples(self) -> bool:
        """Whether answers are drawn at random: by ``do_sample`` here, by a temperature above 0 on a server."""
        temperature = self.generation_kwargs.get("temperature")
        if self.backend == "server":
            return bool(temperature)
        return bool(self.generation_kwargs.get("do_sample")) and temperature != 0

    def _expect_plain_kwargs(self) -> None:
        for name in ("model_kwargs", "tokenizer_kwargs", "generation_kwargs", "chat_template_kwargs"):
            values = getattr(self, name)
            try:
                # They are part of the run's record, and a worker sends them to another process.
                json.dumps(values)
            except (TypeError, ValueError) as error:
                raise ModelProblem(
                    f"model {self.name}: found {name} {values!r}; expected plain numbers, strings, lists and "
                    f"dictionaries ({error}); write the value as one of these"
                ) from error
            own = _OWN_GENERATION if name == "generation_kwargs" else _OWN_FIELDS
            for key in own.keys() & values.keys():
                raise ModelProblem(
                    f"model {self.name}: found {key!r} in {name}; expected it in a field of its own; give it as {own[key]}"
                )


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def parse_kwargs(pairs: Sequence[str]) -> Kwargs:
    """Parse ``key=value`` texts of a command line.

    A value is read as a Python literal, else as a string: ``a=1`` is a number, ``a='1'`` and ``a=left`` are strings,
    ``a=[1, 2]`` is a list. ``true``, ``false`` and ``null`` mean what they mean in JSON.

    Raises:
        ModelProblem: a text without ``=``, a key that is not a Python name, or a key given twice.
    """
    parsed: Kwargs = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip()
        if not equals or not key.isidentifier():
            raise ModelProblem(
                f"found {pair!r}; expected key=value, the key a Python name; write for example trust_remote_code=True"
            )
        if key in parsed:
            raise ModelProblem(
                f"found {key!r} twice, as {parsed[key]!r} and as {text!r}; expected it once; remove one"
            )
        parsed[key] = _literal(text.strip())
    return parsed


def _literal(text: str) -> Any:
    # As a string, `trust_remote_code=false` would count as true.
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
    backend: str = "hf",
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
    system_prompt: str | None = None,
    chat_template_kwargs: Sequence[str] = (),
    few_shot: str = "turns",
    think_marks: Sequence[str] = THINK_MARKS,
) -> ModelConfig:
    """Return the configuration of a model that the command line names by ``--hf-path`` or ``--api-base``.

    Args:
        model_kwargs: ``key=value`` texts, see :func:`parse_kwargs`; the other three have the same form.
        batch_size: a number, a number as text, or ``auto``.

    Returns:
        A configuration named after the last part of the path and, with an adapter, of the adapter's path.

    Raises:
        ModelProblem: both options or neither name a model, or a value cannot be used.
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
            "--backend": backend if backend != "hf" else None,
            "--tokenizer-path": tokenizer_path if hf_type == "base" else None,
            "--peft-path": peft_path,
            "--model-kwargs": model_kwargs,
            "--tokenizer-kwargs": tokenizer_kwargs,
            "revision": revision,
        }
        given = [option for option, value in loading.items() if value]
        if given or dtype != "auto":
            raise ModelProblem(
                f"found --api-base with {', '.join(given or ['--dtype'])}; a server loads its model itself; "
                "remove these options"
            )
    path = cast(str, hf_path if hf_path is not None else api_model)
    parts = [_last_part(path)] + ([_last_part(peft_path)] if peft_path else [])
    return ModelConfig(
        name=safe_name("_".join(parts)),
        path=path,
        type=cast(ModelType, hf_type),
        backend=cast(BackendName, backend) if api_base is None else "server",
        tokenizer_path=tokenizer_path,
        peft_path=peft_path,
        model_kwargs=parse_kwargs(model_kwargs),
        tokenizer_kwargs=parse_kwargs(tokenizer_kwargs),
        generation_kwargs=parse_kwargs(generation_kwargs),
        max_seq_len=max_seq_len,
        max_out_len=max_out_len,
        batch_size=parse_batch_size(batch_size),
        dtype=dtype,
        revision=revision,
        api_base=api_base,
        system_prompt=system_prompt,
        chat_template_kwargs=parse_kwargs(chat_template_kwargs),
        few_shot=cast(FewShot, few_shot),
        think_marks=parse_think_marks(think_marks),
    )


def parse_think_marks(marks: Sequence[str]) -> tuple[str, ...]:
    """Return an opening and a closing mark, or nothing for ``none``.

    Raises:
        ModelProblem: another number of marks.
    """
    if tuple(marks) == ("none",):
        return ()
    if len(marks) != 2:
        raise ModelProblem(
            f"--think-marks {' '.join(marks)}: expected an opening and a closing mark, or none; write for example "
            "--think-marks '<think>' '</think>'"
        )
    return tuple(marks)


def _last_part(path: str) -> str:
    # `.` and `..` are no names; the directory that they point at has one.
    expanded = Path(path).expanduser()
    return expanded.resolve().name if expanded.name in ("", "..") else expanded.name


def parse_batch_size(value: int | str) -> int | Literal["auto"]:
    if value == "auto":
        return "auto"
    try:
        return int(value)
    except ValueError:
        raise ModelProblem(
            f"--batch-size {value}: expected a positive whole number or auto; give one of these"
        ) from None
