"""Rows that cannot be used end their own case with a clear message; all of them in one run, next to good ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from comparing import by_id, run_kind
from small_models import save_model

pytestmark = pytest.mark.slow

GOOD = [
    {"q": "Is it?", "a": "yes", "b": "no", "label": 0},
    {"q": "Was it?", "a": "yes", "b": "no", "label": 1},
]
FIELDS = 'prompt="{q}", choices=(" {a}", " {b}"), gold="label", inference=LogLikelihood()'


def lines(*rows) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def changed(**change) -> str:
    return lines(GOOD[0], {**GOOD[1], **change})


def table(separator: str) -> str:
    return (
        "\n".join(separator.join(map(str, row)) for row in [GOOD[0], *(row.values() for row in GOOD)]) + "\n"
    )


# File, its content, what the record says (None: it is good), and what the dataset's file declares instead of FIELDS.
INPUTS = {
    "bom": ("{}.jsonl", "\ufeff" + lines(*GOOD), None),
    "comma": ("{}.csv", table(","), None),
    "list": ("{}.json", json.dumps(GOOD), None),
    "quoted_na": ("{}.csv", "q,a,b,label\nIs it?,NA,None,0\nWas it?,null,nan,1\n", None),
    "empty": ("{}.jsonl", "", "found no rows, the file is empty"),
    "blank": ("{}.jsonl", "\n \n", "it has only blank lines"),
    "header_only": ("{}.csv", "q,a,b,label\n", "found no rows"),
    "semicolons": ("{}.csv", table(";"), "with semicolons, expected a header, and rows separated by commas"),
    "tabs": ("{}.csv", table("\t"), "with tabs"),
    "ragged": ("{}.csv", "q,a,b,label\nIs it?,yes,no,0\nWas, it?,yes,no,1\n", "line 3: found 5 fields, expected 4"),
    "column_twice": ("{}.csv", "q,a,a,label\nx,y,z,0\n", "found the column 'a' twice in the header"),
    "open_quote": ("{}.csv", 'q,a,b,label\n"Is it?,yes,no,0\n', "quotation mark"),
    "empty_cell": ("{}.csv", "q,a,b,label\nIs it?,yes,no,0\n,yes,no,1\n", r"row 1: found no value (null) in the field 'q'"),
    "nested": ("{}.json", json.dumps({"data": GOOD}), "found one object with the rows in 'data'"),
    "texts": ("{}.json", json.dumps(["a", "b"]), "entry 0 of the list is no object"),
    "list_line": ("{}.jsonl", json.dumps(GOOD), "line 1: found a list, expected an object"),
    "pretty": ("{}.jsonl", json.dumps(GOOD[0], indent=1), "line 1: this is not JSON"),
    "cut_off": ("{}.jsonl", lines(*GOOD) + '{"q": "Is', "line 3: this is not JSON"),
    "name_twice": ("{}.jsonl", '{"q": "x", "q": "y", "a": "s", "b": "t", "label": 0}\n', "found 'q' twice in an object"),
    "nan": ("{}.jsonl", '{"q": NaN, "a": "s", "b": "t", "label": 0}\n', "line 1: found NaN, which is no JSON"),
    "latin": ("{}.jsonl", lines({**GOOD[0], "q": "Müller"}).encode("latin-1"), "line 1: this is not UTF-8"),
    "utf16": ("{}.csv", table(",").encode("utf-16"), "UTF-16 text"),
    "zipped": ("{}.jsonl", b"\x1f\x8b\x08\x00rest", "a gzip file"),
    "pointer": ("{}.jsonl", "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n", "git lfs pull"),
    "pointer_parquet": ("{}.parquet", "version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "no_parquet": ("{}.parquet", "PAR1 and no more", "no parquet file, or only a part of one"),
    "null_text": ("{}.jsonl", changed(q=None), "row 1: found no value (null) in the field 'q'"),
    "null_choice": ("{}.jsonl", changed(b=None), "row 1: found no value (null) in the field 'b'"),
    "null_label": ("{}.jsonl", changed(label=None), "row 1: found null as label"),
    "letter": ("{}.jsonl", changed(label="B"), "row 1: found 'B' as label, expected the index of one of 2 choices"),
    "from_one": ("{}.jsonl", changed(label=2), "row 1: found 2 as label"),
    "negative": ("{}.jsonl", changed(label=-1), "row 1: found -1 as label"),
    "truth": ("{}.jsonl", changed(label=False), "row 1: found false as label"),
    "fullwidth": ("{}.jsonl", changed(label="１"), "row 1: found '１' as label"),
    "superscript": ("{}.jsonl", changed(label="²"), "row 1: found '²' as label"),
    "label_list": ("{}.jsonl", changed(label=[1]), "row 1: found [1] as label"),
    "no_field": ("{}.jsonl", lines(GOOD[0], {"q": "x", "label": 0}), "row 1: the template ' {a}' asks for 'a'"),
    "no_label": ("{}.jsonl", lines({"q": "x", "a": "y", "b": "z"}), "row 0: found null as label"),
    "empty_choice": ("{}.jsonl", changed(b=""), "row 1: found the choices ['yes', ''], expected at least two, none empty"),
    "wrong_split": ("{}/data/train-00000.jsonl", lines(*GOOD), 'Unknown split "validation"'),
    "no_rows": ("other.txt", "x", "found neither no_rows.jsonl (.parquet, .csv) nor a folder no_rows"),
    "empty_folder": ("{}/.keep", "x", "empty_folder"),
    "named_txt": ("{}.txt", lines(*GOOD), "found neither named_txt.jsonl"),
    "declared": (
        "{}.jsonl", lines({**GOOD[0], "label": "no"}, {**GOOD[1], "label": "maybe"}),
        "row 1: found the label 'maybe' in the field 'label', expected true or false",
        FIELDS + ', labels=Labels("boolean")',
    ),
    "either": (
        "{}.jsonl", lines({**GOOD[0], "label": 1}, {**GOOD[1], "label": 1}), "no row has a 0, and none the number of",
        FIELDS + ', labels=Labels("by_column", options=2)',
    ),
    "optional": ("{}.jsonl", changed(note=None), None, FIELDS.replace("{q}", "{q}{note}") + ', optional=("note",)'),
    "no_examples": (
        "{}.jsonl", lines(*GOOD), "found no_examples.jsonl and no no_examples.train.jsonl",
        FIELDS + ', examples=Examples("fixed", 1)',
    ),
    "no_choices": (
        "{}.jsonl", lines(*GOOD), "row 0: found no field 'options' of choices, the fields are q, a, b, label",
        FIELDS.replace('(" {a}", " {b}")', '"options"'),
    ),
    "nested_null": (
        "{}.jsonl", lines({**GOOD[0], "options": ["x", "y"]}, {**GOOD[1], "options": ["x", None]}),
        "row 1: found no value (null) in the field 'options[1]'",
        FIELDS.replace('(" {a}", " {b}")', '"options"'),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """The records of one run over all of them."""
    directory = tmp_path_factory.mktemp("wrong")
    rows, mine = directory / "rows", directory / "mine"
    mine.mkdir()
    for name, (file, content, _, *declared) in INPUTS.items():
        path = rows / file.format(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        (mine / f"{name}_ll.py").write_text(
            "from bench.language.spec import Dataset, Examples, Labels, LogLikelihood, Source\n"
            f"DATASET = Dataset(source=Source(hub='nobody/{name}', rows='{name}'), {(declared or [FIELDS])[0]})\n"
        )
    more_inputs(rows, mine)
    model = save_model(directory / "model")
    finished = run_kind(
        "language", directory, "--hf-path", str(model), "--dtype", "float32", "--user-dir", str(mine), "--data", str(rows),
        "--datasets", *(file.stem for file in sorted(mine.glob("*.py"))),
    )  # fmt: skip
    assert finished.code == 1, finished.output
    return by_id(finished)


def more_inputs(rows: Path, mine: Path) -> None:
    """Write what is more than one text file."""
    import pyarrow
    from pyarrow import parquet

    declare = (mine / "bom_ll.py").read_text()
    labels = pyarrow.table(
        {**{n: [r[n] for r in GOOD] for n in ("q", "a", "b")}, "label": pyarrow.array([1, None])}
    )
    parquet.write_table(labels, rows / "null_parquet.parquet")
    (rows / "two_files.jsonl").write_text(lines(*GOOD))
    (rows / "two_files.csv").write_text(table(","))
    clone = rows / "clone/main"
    clone.mkdir(parents=True)
    for split in ("dev", "validation", "test"):
        (clone / f"{split}-00000-of-00001.jsonl").write_text(lines(*GOOD[: 1 if split == "dev" else 2]))
    for name in ("null_parquet", "two_files", "clone"):
        subset = ", split='dev', subset='main'" if name == "clone" else ""
        text = declare.replace("rows='bom'", f"rows='{name}'{subset}").replace("nobody/bom", f"nobody/{name}")
        (mine / f"{name}_ll.py").write_text(text)


@pytest.mark.parametrize("name", INPUTS)
def test_each_input_ends_in_its_own_record(records, name):
    record, said = records[f"model-{name}_ll"], INPUTS[name][2]
    if said is None:
        assert (record["verdict"], record["score"]["n"]) == ("pass", 2), record["reason"]
        return
    assert record["reason_code"] == "data_failed"
    assert said in record["reason"]
    for word in ("Traceback", "NoneType", "invalid literal", "KeyError", "line 1 column"):
        assert word not in record["reason"]


def test_a_parquet_file_with_a_null_label_names_the_row(records):
    assert records["model-null_parquet_ll"]["reason"].startswith("row 1: found null as label")


def test_two_files_of_the_same_rows_are_not_chosen_from(records):
    assert (
        "found two_files.jsonl and two_files.csv, expected one file of these rows"
        in records["model-two_files_ll"]["reason"]
    )


def test_a_clone_without_a_card_is_read_and_its_splits_are_kept_apart(records):
    assert (records["model-clone_ll"]["verdict"], records["model-clone_ll"]["score"]["n"]) == ("pass", 1)


def test_nothing_was_lost(records):
    assert len(records) == len(INPUTS) + 3
