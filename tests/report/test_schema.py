"""The schema of the results: what the writer writes is valid, and what is wrong is found."""

from __future__ import annotations

import copy
import json

import pytest
from filled_records import bare, filled

from bench.kinds import KINDS
from bench.report.results import ResultsFile
from bench.report.schema import FILE, STATES, results_schema, schema_text

RUN = {
    "id": "20260101_000000", "started": "2026-01-01T00:00:00+00:00", "finished": None, "state": "running",
    "exit_status": None, "collected": 10, "command": "pytest cases/", "seed": 7, "workers": 2,
    "environment": {"modelgate": "0.2", "packages": {"torch": None}},
}  # fmt: skip


@pytest.fixture(scope="module")
def schema():
    return json.loads(FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What the writer makes of a blank and of a full record of each kind."""
    results = ResultsFile(tmp_path_factory.mktemp("schema") / "evaluation_results.json", dict(RUN), KINDS)
    for kind in KINDS.values():
        results.add(f"{kind.name}-bare", bare(kind))
        results.add(f"{kind.name}-filled", filled(kind))
    results.write()
    return json.loads(results.path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def problems_of(schema):
    """Return where a file breaks the schema, as paths."""
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema")
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    def places(errors):
        for error in errors:
            yield error.json_path
            yield from places(error.context)

    return lambda found: sorted(places(validator.iter_errors(found)))


def keys_of(schema, place):
    """Return the properties of a schema, or None where it allows any."""
    while "$ref" in schema:
        schema = place["$defs"][schema["$ref"].rpartition("/")[2]]
    for option in schema.get("anyOf", ()):
        if option != {"type": "null"}:
            return keys_of(option, place)
    return schema


def unknown(value, schema, place, path="$"):
    """Yield the paths of keys that a schema does not name."""
    schema = keys_of(schema, place)
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            yield from unknown(item, schema["items"], place, f"{path}[{number}]")
    elif isinstance(value, dict):
        known, more = schema.get("properties", {}), schema.get("additionalProperties")
        for key, item in value.items():
            if key in known:
                yield from unknown(item, known[key], place, f"{path}.{key}")
            elif isinstance(more, dict):
                yield from unknown(item, more, place, f"{path}.{key}")
            elif known:
                yield f"{path}.{key}"


def test_the_file_that_ships_is_what_the_types_say():
    assert FILE.read_text(encoding="utf-8") == schema_text(KINDS.values()), "run `python docs/make_schema.py`"


def test_every_key_that_the_writer_writes_is_in_the_schema(written, schema):
    """Unknown keys are allowed to others, not to the writer."""
    for part in ("run", "summary"):
        assert list(unknown(written[part], schema["properties"][part], schema)) == []
    for record in written["records"]:
        kind = schema["$defs"][f"{record['kind']}_record"]
        assert list(unknown(record, kind, schema)) == [], record["id"]
    stray = {**written["records"][0], "stray": 1}
    assert list(unknown(stray, schema["$defs"][f"{stray['kind']}_record"], schema)) == ["$.stray"]


def test_what_the_writer_writes_is_valid(written, problems_of):
    assert len(written["records"]) == 2 * len(KINDS)
    assert problems_of(written) == []
    for state in STATES:
        assert problems_of({**written, "run": {**written["run"], "state": state}}) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), 2),
        (("run", "state"), "lost"),
        (("run", "seed"), "seven"),
        (("summary", "passed"), None),
        (("summary", "hard", "pass_rate"), "all"),
        (("records", 1, "verdict"), "passed"),
        (("records", 1, "kind"), "toy"),
        (("records", 1, "metrics", "name", "value"), "high"),
    ],
)
def test_what_is_wrong_is_found_where_it_stands(written, problems_of, path, value):
    broken = copy.deepcopy(written)
    place = broken
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    expected = "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    assert expected in problems_of(broken)


def test_a_missing_key_and_a_key_of_another_kind_are_found(written, problems_of):
    without = copy.deepcopy(written)
    del without["records"][0]["reason"]
    assert problems_of(without) == ["$.records[0]"]
    speed = next(record for record in without["records"] if record["kind"] == "acceleration")
    assert "speedup" in speed
    other = copy.deepcopy(written)
    swapped = next(record for record in other["records"] if record["kind"] == "acceleration")
    swapped["kind"] = "language"
    assert problems_of(other)


def test_a_kind_adds_its_keys():
    names = list(KINDS)
    schema = results_schema([KINDS[names[0]]])
    assert {name for name in schema["$defs"] if name.endswith("_record")} == {f"{names[0]}_record"}
