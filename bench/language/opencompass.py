"""Says how a configuration of OpenCompass is written here, field by field, where one is given in place of ours.

Its files import the package opencompass and `read_base` of mmengine, so that they cannot be run here. They are read.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.core.names import safe_name
from bench.language.library import DATASETS

_MODEL_FIELDS = {
    "type": "",  # see _CLASSES
    "abbr": "`name`",
    "path": "`path`, or --hf-path",
    "tokenizer_path": "`tokenizer_path`, or --tokenizer-path",
    "peft_path": "`peft_path`, or --peft-path",
    "model_kwargs": "`model_kwargs`, or --model-kwargs; a torch_dtype in it is `dtype`, or --dtype",
    "tokenizer_kwargs": "`tokenizer_kwargs`, or --tokenizer-kwargs",
    "generation_kwargs": "`generation_kwargs`, or --generation-kwargs",
    "max_seq_len": "`max_seq_len`, or --max-seq-len",
    "max_out_len": "`max_out_len`, or --max-out-len; left out, the dataset's limit counts",
    "batch_size": "`batch_size`, or --batch-size",
    "openai_api_base": "`api_base`, or --api-base",
    "temperature": '`generation_kwargs={"temperature": ...}`, or --generation-kwargs temperature=...',
    "max_workers": "--api-concurrency, for all servers of a run",
    "query_per_second": "no equivalent; --api-concurrency limits the parallel requests",
    "key": "no equivalent; the key of a server is in the environment, as OPENAI_API_KEY",
    "run_cfg": "no equivalent; -n N sets the workers, and `model_kwargs` with device_map spreads a model over GPUs",
    "batch_padding": "no equivalent; batches are always padded, and what is padded is masked",
    "meta_template": '`type="chat"`, or --hf-type chat, with the chat template of the tokenizer',
    "fastchat_template": '`type="chat"`, or --hf-type chat, with the chat template of the tokenizer',
    "use_fastchat_template": '`type="chat"`, or --hf-type chat, with the chat template of the tokenizer',
    "end_str": "no equivalent in a model; a dataset has `inference=Generation(stop=...)`",
    "stop_words": "no equivalent in a model; a dataset has `inference=Generation(stop=...)`",
    "mode": "no equivalent; a prompt that is too long loses its beginning, and a warning says so",
    "drop_middle": "no equivalent; a prompt that is too long loses its beginning, and a warning says so",
}  # fmt: skip
_DATASET_FIELDS = {
    "abbr": "the name of the file that assigns `DATASET`",
    "type": "`source`, and `prepare` for what the class does to a row",
    "path": "`source=Source(hub=..., rows=...)`",
    "name": "`source=Source(subset=...)`",
    "reader_cfg": "`source` (splits), `gold` (output column) and `prepare` (input columns)",
    "infer_cfg": "`prompt`, `choices`, `examples` and `inference`",
    "eval_cfg": "`metrics` and `postprocess`",
}
_TOP_FIELDS = {
    "work_dir": "--work-dir",
    "infer": "-n N for the workers, and --max-task-size for the size of a task",
    "eval": "no equivalent; each case is evaluated where it is asked",
    "summarizer": "`summary_groups`, a list of dictionaries with name, datasets and rule",
}
# Classes of its models, by the ending of their names.
_CLASSES = (
    ("withChatTemplate", '`type="chat"`, or --hf-type chat'),
    ("HuggingFaceBaseModel", '`type="base"`, or --hf-type base'),
    ("HuggingFaceCausalLM", '`type="base"`, or --hf-type base'),
    ("HuggingFace", '`type="base"`, or --hf-type base'),
    ("VLLM", '`backend="vllm"`, or --backend vllm'),
    ("OpenAI", '`backend="server"` with `api_base`, or --api-base and --api-model'),
    ("OpenAISDK", '`backend="server"` with `api_base`, or --api-base and --api-model'),
)
# What is in its inferencers, retrievers and the like.
_PARTS = {
    "GenInferencer": "`inference=Generation(...)`",
    "PPLInferencer": "`inference=Perplexity()`",
    "CLPInferencer": "`inference=SingleToken()`",
    "LLInferencer": "`inference=LogLikelihood()`",
    "ZeroRetriever": '`examples=Examples("zero")`',
    "FixKRetriever": '`examples=Examples("fixed", ids=...)`',
    "RandomRetriever": '`examples=Examples("random", count=...)`',
    "BM25Retriever": '`examples=Examples("bm25", count=...)`',
    "AccEvaluator": '`metrics=("accuracy",)`',
    "EMEvaluator": '`metrics=("exact_match",)`',
    "first_option_postprocess": '`postprocess=("first_option",)`',
}
_OURS = {  # fields of a model that have the same name and meaning here
    "path", "tokenizer_path", "peft_path", "model_kwargs", "tokenizer_kwargs", "generation_kwargs", "max_seq_len",
    "max_out_len", "batch_size",
}  # fmt: skip
_ONLY_THEIRS = {"run_cfg", "meta_template", "reader_cfg", "infer_cfg", "eval_cfg"}
_HASH = re.compile(r"_[0-9a-f]{6}$")
_LISTS = re.compile(r"models|\w*datasets|\w+_model")

Fields = Mapping[str, str]
"""Fields of a dictionary and their values as source text."""


def is_opencompass_entry(entry: object) -> bool:
    """Whether an entry of a list ``models`` or ``datasets`` has the form of OpenCompass's."""
    if not isinstance(entry, Mapping):
        return False
    named = {"abbr", "path"} <= entry.keys()
    return named or bool(_ONLY_THEIRS & entry.keys()) or _class_of(_source(entry.get("type", ""))) is not None


def translated_entry(entry: Mapping[str, Any]) -> str:
    """Return how a model or dataset of OpenCompass is written here, a line for each of its fields."""
    return "\n".join(_lines({str(name): _source(value) for name, value in entry.items()}))


def translated_file(text: str) -> str | None:
    """Return how a configuration file of OpenCompass is written here, line by line; None for any other file.

    Args:
        text: of the file.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    imports = list(_imports(tree))
    entries = [fields for fields in _dictionaries(tree) if is_opencompass_entry(fields)]
    assigned = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    lists = any(_LISTS.fullmatch(name) for name in assigned)
    theirs = any(module.partition(".")[0] == "opencompass" for module, _, _ in imports)
    if not entries and not any(based for _, _, based in imports) and not (theirs and lists):
        return None
    lines = [_base_line(module, names) for module, names, based in imports if based]
    for fields in entries:
        lines += _lines(fields)
    lines += [f"  {name}: {ours}" for name, ours in _TOP_FIELDS.items() if name in assigned]
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    lines += [f"  {name}: {ours}" for name, ours in _PARTS.items() if name in used]
    return "\n".join(dict.fromkeys(lines))


def refusal(place: str, translation: str) -> str:
    """Return the message that refuses something of OpenCompass's.

    Args:
        place: the option and the file.
        translation: from `translated_entry` or `translated_file`.
    """
    return (
        f"{place}: found a configuration of OpenCompass, expected lists `models` and `datasets` as docs/files.md describes "
        f"them, or a file with DATASET in a --user-dir; write it so:\n{translation}"
    )


def refuse_file(path: Path, text: str) -> None:
    """Refuse a file of a ``--user-dir`` folder that is a configuration of OpenCompass.

    Raises:
        ValueError: with its translation.
    """
    translation = translated_file(text)
    if translation is not None:
        raise ValueError(refusal(path.name, translation))


def _lines(fields: Fields) -> list[str]:
    """Return a line for each field of a model or a dataset, and for a model all of it as an entry here."""
    is_dataset = bool({"reader_cfg", "infer_cfg", "eval_cfg"} & fields.keys())
    known = _DATASET_FIELDS if is_dataset else _MODEL_FIELDS
    kind = "dataset" if is_dataset else "model"
    lines = []
    for name, source in fields.items():
        ours = known.get(name, "no equivalent")
        if name == "type" and not is_dataset:
            ours = (
                _class_of(source) or "no equivalent; models are loaded by transformers or asked on a server"
            )
        lines.append(f"  {kind} {name}={_shortened(source)}: {ours}")
    if not is_dataset:
        lines.append(f"  the model as an entry of `models`: {_entry(fields)}")
    return lines


def _entry(fields: Fields) -> str:
    """Return a model as a dictionary of our fields, as source text."""
    path = _literal(fields.get("path", "''"))
    name = _literal(fields.get("abbr", "''")) or str(path).rsplit("/", 1)[-1]
    entry = {"name": repr(safe_name(str(name).lower().replace("-", "_")))}
    if "chat" in (_class_of(fields.get("type", "")) or "") or "meta_template" in fields:
        entry["type"] = "'chat'"
    entry |= {field: source for field, source in fields.items() if field in _OURS}
    dtype = re.search(
        r"['\"]?torch_dtype['\"]?\s*[=:]\s*['\"]?(?:torch\.)?(\w+)['\"]?,?\s*", fields.get("model_kwargs", "")
    )
    if dtype is not None:
        entry["model_kwargs"] = (
            fields["model_kwargs"].replace(dtype[0], "").replace(", )", ")").replace(", }", "}")
        )
        entry["dtype"] = repr(dtype[1])
    if "openai_api_base" in fields:
        entry |= {"backend": "'server'", "api_base": fields["openai_api_base"]}
    return "{" + ", ".join(f"{field!r}: {source}" for field, source in entry.items()) + "}"


def _class_of(source: str) -> str | None:
    """Return what a class of its models is here; None for one that is unknown."""
    name = source.strip("'\"").rsplit(".", 1)[-1]
    return next((ours for ending, ours in _CLASSES if name.endswith(ending)), None)


def _base_line(module: str, names: list[str]) -> str:
    """Return what an import under `read_base` is here."""
    last = module.rsplit(".", 1)[-1]
    plain = _HASH.sub("", last)
    if ".models." in f".{module}" or any(name == "models" or name.endswith("_model") for name in names):
        return f"  read_base {module}: a name for --models or `models`, if it is in the catalogue, else its dictionary"
    if plain in DATASETS:
        return f"  read_base {module}: the dataset {plain!r}, for `datasets` or --datasets"
    return (
        f"  read_base {module}: no dataset {plain!r} ships; write a file with DATASET, or `import` a list that lies next to "
        "the file"
    )


def _imports(tree: ast.Module) -> Iterator[tuple[str, list[str], bool]]:
    """Yield module, names and whether `read_base` imports them."""
    based = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.With) and any("read_base" in ast.unparse(item) for item in node.items)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module, [alias.name for alias in node.names], id(node) in based
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, [], id(node) in based


def _dictionaries(tree: ast.Module) -> Iterator[Fields]:
    """Yield the fields of all dictionaries of a file, written either way, outermost first."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
            yield {word.arg: ast.unparse(word.value) for word in node.keywords if word.arg}
        elif isinstance(node, ast.Dict):
            pairs: Iterable[tuple[ast.expr | None, ast.expr]] = zip(node.keys, node.values, strict=True)
            yield {
                key.value: ast.unparse(value)
                for key, value in pairs
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            }


def _source(value: object) -> str:
    """Return a value as source text."""
    return (
        value
        if isinstance(value, str) and "'" in value
        else value.__name__
        if isinstance(value, type)
        else repr(value)
    )


def _literal(source: str) -> object:
    try:
        return ast.literal_eval(source)
    except (ValueError, SyntaxError):
        return ""


def _shortened(source: str, length: int = 60) -> str:
    text = " ".join(source.split())
    return text if len(text) <= length else f"{text[: length - 4]} ..."
