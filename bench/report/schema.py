"""The JSON schema of evaluation_results.json, from the types that its writer uses.

`evaluation_results.schema.json` next to this module is what `results_schema` returns for the kinds that ship;
``python docs/make_schema.py`` writes it. docs/files.md says when ``schema_version`` changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, TypedDict

import msgspec

from bench.core.kind import Kind
from bench.core.record import SCHEMA_VERSION, Json, Record
from bench.core.verdict import VERDICTS

FILE = Path(__file__).with_name("evaluation_results.schema.json")
"""The schema that ships."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"
STATES = ("running", "finished", "interrupted", "died", "merged")
_OF_THE_KIND = ("body", "metrics", "gain", "kind", "verdict")
_REFERENCE = "#/$defs/{name}"


class RunHead(TypedDict, total=False):
    """What is known of a run."""

    id: str
    started: str
    finished: str | None
    state: str
    exit_status: int | None
    collected: int
    command: str
    seed: int
    workers: int
    environment: dict[str, Any]
    merged_from: list[dict[str, Any]]


class VerdictCounts(TypedDict):
    """How many tasks ended in which way; `pass_rate` is null where every one was skipped."""

    total: int
    passed: int
    failed: int
    inconclusive: int
    errors: int
    skipped: int
    pass_rate: float | None


class ControlCounts(TypedDict):
    """How many controls there are, and how many were rejected for the reason they were written for."""

    total: int
    rejected: int


def results_schema(kinds: Iterable[Kind]) -> Json:
    """Return the schema of a file with records of some kinds.

    Every key that the writer always writes is required. Unknown keys are allowed: a later version may add some.

    Args:
        kinds: whose records are described, each by the types of its body, metrics, gain and summary.
    """
    kinds = list(kinds)
    types: list[Any] = [RunHead, VerdictCounts, ControlCounts, Record]
    for kind in kinds:
        types += [kind.body, kind.body.metric_type, kind.body.gain_type, kind.summary_keys]
    schemas, definitions = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    run, counts, controls, common = schemas[:4]
    leaving_out = set(_leaving_out(msgspec.Struct))
    found = {name: _complete(schema, leaving_out) for name, schema in definitions.items()}
    for schema in (common, *(schemas[4 + 4 * index] for index in range(len(kinds)))):
        found.pop(_name(schema), None)  # the keys of both stand in the record of a kind
    found["RunHead"]["required"] = ["id", "started", "command", "seed", "workers", "environment"]
    found["RunHead"]["properties"]["state"] = {"enum": list(STATES)}
    summary = {
        **definitions[_name(counts)]["properties"],
        "kinds": {"type": "object", "additionalProperties": counts},
        "controls": controls,
    }
    required = sorted(summary)
    for index, kind in enumerate(kinds):
        body, metric, gain, own = schemas[4 + 4 * index : 8 + 4 * index]
        found[f"{kind.name}_record"] = _record(
            kind.name, definitions[_name(common)], definitions[_name(body)], metric, gain
        )
        summary |= definitions[_name(own)].get("properties", {})
    return {
        "$schema": DIALECT,
        "title": "evaluation_results.json of Modelgate",
        "type": "object",
        "required": ["schema_version", "run", "summary", "records"],
        "properties": {
            "schema_version": {"const": SCHEMA_VERSION},
            "run": run,
            "summary": {"type": "object", "required": required, "properties": summary},
            "records": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["kind"],
                    "properties": {"kind": {"enum": [kind.name for kind in kinds]}},
                    "allOf": [_only_for(kind.name) for kind in kinds],
                },
            },
        },
        "$defs": dict(sorted(found.items())),
    }


def schema_text(kinds: Iterable[Kind]) -> str:
    """Return the schema as the file has it."""
    schema = msgspec.json.encode(results_schema(kinds))
    return msgspec.json.format(schema, indent=1).decode() + "\n"


def _only_for(kind: str) -> Json:
    """Return what holds for the records of one kind: a validator then names the key that is wrong, and not all kinds."""
    return {
        "if": {"properties": {"kind": {"const": kind}}},
        "then": {"$ref": _REFERENCE.format(name=f"{kind}_record")},
    }


def _record(kind: str, common: Json, body: Json, metric: Json, gain: Json) -> Json:
    keys = {name: schema for name, schema in common["properties"].items() if name not in _OF_THE_KIND}
    keys |= {
        "kind": {"const": kind},
        "verdict": {"enum": list(VERDICTS)},
        "metrics": {"anyOf": [{"type": "null"}, {"type": "object", "additionalProperties": metric}]},
        "gain": {"anyOf": [{"type": "null"}, gain]},
        **body["properties"],
    }
    return {"title": f"{kind} record", "type": "object", "properties": keys, "required": sorted(keys)}


def _complete(schema: Json, leaving_out: Collection[str]) -> Json:
    """Return the schema of a type with all keys required that its writer always writes; it leaves some defaults out."""
    properties = schema.get("properties")
    if not properties:
        return schema
    if schema.get("title") in leaving_out:
        return schema
    return {**schema, "required": sorted(properties)}


def _name(schema: Json) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _leaving_out(base: type[msgspec.Struct]) -> Iterator[str]:
    """Yield the names of the types whose writer leaves out what is as it is by default."""
    made: type[msgspec.Struct]
    for made in base.__subclasses__():
        if made.__struct_config__.omit_defaults:
            yield made.__name__
        yield from _leaving_out(made)
