"""Records in which every key has a value, made from the types alone, so that a key that is added is among them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect

from bench.core.kind import Kind
from bench.core.record import Json, Record
from bench.core.verdict import VERDICTS

PLAIN = {
    inspect.IntType: 3,
    inspect.FloatType: 0.5,
    inspect.StrType: "text",
    inspect.BoolType: True,
    inspect.NoneType: None,
    inspect.AnyType: {"any": [1, "two", None]},
}


def example(kind: Any) -> Any:
    """Return plain builtins of a type, every key with a value that is not None."""
    return _example(inspect.type_info(kind))


def _example(info: Any) -> Any:
    if type(info) in PLAIN:
        return PLAIN[type(info)]
    if isinstance(info, inspect.UnionType):
        return _example(next(part for part in info.types if not isinstance(part, inspect.NoneType)))
    if isinstance(info, inspect.ListType | inspect.VarTupleType):
        return [_example(info.item_type)]
    if isinstance(info, inspect.DictType):
        return {"name": _example(info.value_type)}
    if isinstance(info, inspect.StructType | inspect.TypedDictType):
        return {field.encode_name: _example(field.type) for field in info.fields}
    if isinstance(info, inspect.LiteralType):
        return info.values[0]
    raise TypeError(f"no example of {info}")


def filled(kind: Kind, verdict: str = "fail", **keys: Any) -> Json:
    """Return the JSON of a record of a kind whose every key has a value, as its writer writes it."""
    body = kind.body
    values = {**example(Record), **example(body), "kind": kind.name, "verdict": verdict}
    values |= {"metrics": {"name": example(body.metric_type)}, "gain": example(body.gain_type), **keys}
    values.pop("body", None)
    assert verdict in VERDICTS
    return kind.decode(msgspec.to_builtins(values)).to_json()


def bare(kind: Kind, **keys: Any) -> Json:
    """Return the JSON of a record of a kind before anything is known: what has no default has an example."""
    needed = {
        field.encode_name: example(field.type)
        for field in msgspec.structs.fields(kind.body)
        if field.required
    }
    return kind.decode({"id": f"{kind.name}-bare", "kind": kind.name, **needed, **keys}).to_json()
