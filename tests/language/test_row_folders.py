"""Copies of hub datasets: only the files of the split and the subset that a dataset names are read, or none."""

from __future__ import annotations

import json

import pytest

from bench.core.errors import LanguageProblem
from bench.language.rows import RowReader
from bench.language.spec import Source


def read(tmp_path, files, split="validation", subset=None):
    for name in files:
        path = tmp_path / "ds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"q": name}) + "\n")
    source = Source(hub="nobody/ds", rows="other", split=split, subset=subset)
    return [row["q"] for row in RowReader(str(tmp_path)).evaluated(source)]


@pytest.mark.parametrize(
    ("files", "split", "found"),
    [
        (["validation.jsonl", "validation-matched.jsonl"], "validation", ["validation.jsonl"]),
        (
            ["validation.jsonl", "validation-matched.jsonl"],
            "validation-matched",
            ["validation-matched.jsonl"],
        ),
        (["test.jsonl", "test_labels.jsonl", "test.orig.jsonl"], "test", ["test.jsonl"]),
        (
            ["data/test-0-of-2.jsonl", "data/test-1-of-2.jsonl"],
            "test",
            ["data/test-0-of-2.jsonl", "data/test-1-of-2.jsonl"],
        ),
        (["validation/0000.jsonl", "train/0000.jsonl"], "validation", ["validation/0000.jsonl"]),
    ],
)
def test_files_of_another_split_are_not_read_with_it(tmp_path, files, split, found):
    assert read(tmp_path, files, split) == found


@pytest.mark.parametrize(
    ("files", "subset", "message"),
    [
        (
            ["validation_matched.jsonl", "validation_mismatched.jsonl"],
            None,
            "none of which is named validation",
        ),
        (["validation.jsonl", "old/validation.jsonl"], None, r"named validation in the folders \., old"),
        (["en/validation.jsonl"], "de", "found the folders en .* expected one named de"),
        (["dataset_dict.json", "validation/dataset_info.json"], None, "as save_to_disk writes it"),
    ],
)
def test_rows_of_something_else_are_refused(tmp_path, files, subset, message):
    with pytest.raises(LanguageProblem, match=message):
        read(tmp_path, files, subset=subset)
