"""Tables of others are read as they are: whatever their separators, marks and types; a faulty one says what is wrong."""

from __future__ import annotations

import openpyxl
import pytest

from bench.core.tables import number_of, read_table, require_columns, text_of
from bench.report.export import write_table


def workbook(path, rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet"])
def test_a_table_of_ours_comes_back(tmp_path, form):
    columns = {"key": ["a", "=b", "'c"], "prediction": [1.5, -2.0, None]}
    (path,) = write_table(tmp_path / "samples", columns, (form,))
    found = read_table(path)
    assert found["key"] == columns["key"]
    assert [number_of(value) for value in found["prediction"]] == columns["prediction"]


@pytest.mark.parametrize(
    ("content", "numbers"),
    [
        (b"\xef\xbb\xbfkey,score\r\na,1.5\r\nb,\r\n", [1.5, None]),
        (b"key;score\na;1,5\nb;2\n", [1.5, 2.0]),
        (b"key\tscore\na\t1e3\nb\tmuch\n\n", [1000.0, "much"]),
        (b'key,score\n"a, ""b""\nc",1\nb,1_0\n', [1.0, "1_0"]),
    ],
)
def test_csv_has_any_usual_separator_and_mark(tmp_path, content, numbers):
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    table = read_table(path)
    assert list(table) == ["key", "score"]
    assert [number_of(value) for value in table["score"]] == numbers
    assert table["key"][1] == "b"


def test_first_sheet_is_read_and_a_whole_number_is_a_key(tmp_path):
    path = workbook(
        tmp_path / "rows.xlsx", [["key", "score", None], [1, 2.5], [2.0, None], [None, None], ["x", "3"]]
    )
    table = read_table(path)
    assert [text_of(key) for key in table["key"]] == ["1", "2", "x"]
    assert [number_of(score) for score in table["score"]] == [2.5, None, 3.0]


def test_lines_of_json_may_lack_a_column(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"key": "a", "score": 1}\n{"key": "b"}\n')
    assert read_table(path) == {"key": ["a", "b"], "score": [1, None]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.txt", b"", r"found the suffix .txt, expected a table \(csv, tsv, xlsx, parquet, jsonl\)"),
        ("rows.csv", b"", "found no rows"),
        ("rows.csv", b"key,key\n", "found the header key twice"),
        ("rows.csv", b"key,,score\n1,2,3\n", "found a column without a header"),
        ("rows.csv", b"key,gold,prediction\na,1,2,text\n", "row 2: found 4 cells under 3 headers"),
        ("rows.csv", b"PK\x03\x04", "found a zip file, such as xlsx"),
        ("rows.xlsx", b"key,score\n", "this is no workbook"),
        ("rows.parquet", b"key,score\n", "this is no parquet file"),
        ("rows.csv", b"\xff\xfek\x00", "found UTF-16 text"),
        ("rows.csv", b"k\xe4y,score\n", "this is not UTF-8"),
    ],
)
def test_table_that_cannot_be_read_says_why(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / name)


def test_missing_file_and_column_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"rows\.csv: no such file"):
        read_table(tmp_path / "rows.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ValueError, match="found a folder"):
        read_table(tmp_path / "folder.csv")
    with pytest.raises(
        ValueError, match="found the columns id, score, expected key, score; add or rename key"
    ):
        require_columns(tmp_path, {"id": [], "score": []}, ("key", "score"))
