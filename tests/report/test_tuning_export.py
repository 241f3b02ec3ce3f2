"""Tables of samples: what is written is what can be read back, in each format, and no text is run as a formula."""

from __future__ import annotations

import csv

import numpy as np
import openpyxl
import pytest
from pyarrow import parquet

from bench.report.export import FORMULA_SIGNS, write_csv, write_table, write_xlsx

COLUMNS = {
    "key": ["a", "b"],
    "gold": np.array([1.0, -2.5]),
    "raw": [0.1 + 0.2, None],
    "text": ['He said "no",\nand left; ü', "=HYPERLINK(1)"],
}


def rows_of(path) -> list[list[str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def cells_of(path) -> list[list]:
    return [[cell.value for cell in row] for row in openpyxl.load_workbook(path).active.iter_rows()]


def test_csv_for_excel_begins_with_a_mark_and_is_otherwise_the_same(tmp_path):
    (plain,) = write_table(tmp_path / "plain", COLUMNS, ("csv",))
    parquet_file, marked = write_table(tmp_path / "marked", COLUMNS, ("parquet", "csv-bom"))
    assert (parquet_file.name, marked.name) == ("marked.parquet", "marked.csv")
    assert marked.read_bytes() == b"\xef\xbb\xbf" + plain.read_bytes()
    with pytest.raises(ValueError, match="found the table formats csv and csv-bom, expected one"):
        write_table(tmp_path / "both", COLUMNS, ("csv", "csv-bom"))


def test_every_format_holds_header_and_rows(tmp_path):
    paths = write_table(tmp_path / "new" / "samples", COLUMNS, ("parquet", "csv", "xlsx"))
    assert [path.name for path in paths] == ["samples.parquet", "samples.csv", "samples.xlsx"]
    exact = parquet.read_table(paths[0]).to_pydict()
    assert exact == {**COLUMNS, "gold": [1.0, -2.5]}
    assert rows_of(paths[1]) == [
        ["key", "gold", "raw", "text"],
        ["a", "1.0", "0.30000000000000004", 'He said "no",\nand left; ü'],
        ["b", "-2.5", "", "'=HYPERLINK(1)"],
    ]
    assert cells_of(paths[2]) == [
        ["key", "gold", "raw", "text"],
        ["a", 1, pytest.approx(0.3, abs=1e-15), 'He said "no",\nand left; ü'],
        ["b", -2.5, None, "'=HYPERLINK(1)"],
    ]
    assert sorted(path.name for path in tmp_path.glob("new/*")) == sorted(path.name for path in paths)


@pytest.mark.parametrize("sign", FORMULA_SIGNS, ids=ascii)
def test_text_that_begins_like_a_formula_is_no_formula(tmp_path, sign):
    text = f"{sign}1+1"
    paths = write_table(tmp_path / "samples", {text: [text]}, ("parquet", "csv", "xlsx"))
    assert parquet.read_table(paths[0]).to_pydict() == {text: [text]}
    assert rows_of(paths[1]) == [[f"'{text}"]] * 2
    for row in openpyxl.load_workbook(paths[2]).active.iter_rows():
        assert row[0].data_type == "s"
        assert row[0].value[0] == "'"


def test_numbers_stay_numbers_though_they_begin_with_a_sign(tmp_path):
    paths = write_table(tmp_path / "samples", {"error": [-1.5, 2]}, ("csv", "xlsx"))
    assert rows_of(paths[0])[1:] == [["-1.5"], ["2"]]
    assert cells_of(paths[1])[1:] == [[-1.5], [2]]


def test_cells_that_no_sheet_can_hold_are_marked(tmp_path):
    values = ["a\x00b", "x" * 40_000, "#N/A", "\ud800"]
    (path,) = write_table(
        tmp_path / "samples", {"text": values, "n": [1.0, float("nan"), 2.0, 3.0]}, ("xlsx",)
    )
    cells = cells_of(path)[1:]
    assert [cell[0] for cell in cells[::2]] == ["a\ufffdb", "#N/A"]
    assert len(cells[1][0]) == 32_767
    assert cells[1][0].endswith(" [cut]")
    assert cells[1][1] == "nan"
    assert cells[3][0] == "\ufffd"


def test_path_whose_suffix_contradicts_the_format_is_refused(tmp_path):
    for write, name in ((write_csv, "samples.xlsx"), (write_xlsx, "samples.csv"), (write_csv, "samples")):
        with pytest.raises(ValueError, match=name):
            write(tmp_path / name, COLUMNS)
    with pytest.raises(ValueError, match=r"samples\.xlsx for a table as csv"):
        write_table(tmp_path / "samples.xlsx", COLUMNS, ("csv",))
    assert list(tmp_path.iterdir()) == []
    assert write_table(tmp_path / "samples.csv", COLUMNS, ("csv",)) == (tmp_path / "samples.csv",)
    assert write_table(tmp_path / "model-v1.5", COLUMNS, ("csv",)) == (tmp_path / "model-v1.5.csv",)


@pytest.mark.parametrize(
    ("columns", "formats", "message"),
    [
        ({"key": ["a"], "gold": []}, ("csv",), r"different length.*'key': 1, 'gold': 0"),
        ({"key": ["a", 1]}, ("parquet",), "'key' of mixed types"),
        ({"key": ["a"]}, ("xls",), "format 'xls'"),
    ],
)
def test_table_that_cannot_be_written_says_why_and_leaves_nothing(tmp_path, columns, formats, message):
    with pytest.raises(ValueError, match=message):
        write_table(tmp_path / "samples", columns, formats)
    assert list(tmp_path.iterdir()) == []


def test_more_rows_than_a_sheet_can_hold_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.report.export.XLSX_ROWS", 3)
    with pytest.raises(ValueError, match="expected fewer than 3"):
        write_xlsx(tmp_path / "samples.xlsx", {"n": [1, 2, 3]})


def test_table_without_rows_has_its_header(tmp_path):
    for path in write_table(tmp_path / "samples", {"key": [], "gold": []}, ("parquet", "csv", "xlsx")):
        if path.suffix == ".csv":
            assert rows_of(path) == [["key", "gold"]]
        elif path.suffix == ".xlsx":
            assert cells_of(path) == [["key", "gold"]]
        else:
            assert parquet.read_table(path).column_names == ["key", "gold"]
