"""Files: JSON lines as people really write them, and replacing a file as a whole."""

import json
import os

import pytest

from bench.core.files import numbered_lines, read_jsonl, replace_file


class OwnProblem(Exception):
    """What a caller asks for."""


def written(tmp_path, data: bytes):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_only_line_feeds_end_a_line(tmp_path, separator):
    text = json.dumps({"text": f"a{separator}b"}, ensure_ascii=False)
    if separator in "\x0b\x0c\x1c":  # control characters are escaped in JSON, whatever ensure_ascii says
        assert separator not in text
    path = written(tmp_path, f"{text}\r\n\n  \n{text}\n".encode())
    assert list(read_jsonl(path)) == [(1, {"text": f"a{separator}b"}), (4, {"text": f"a{separator}b"})]


def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path):
    assert list(read_jsonl(written(tmp_path, b'\xef\xbb\xbf{"a": 1}'))) == [(1, {"a": 1})]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b'{"a": 1}\n{"a": }',
            r"rows\.jsonl, line 2: this is not JSON \(.*column 7\); expected one object to a line",
        ),
        (b"[1]", r"line 1: found a list, expected an object"),
        (b"\n\nnull", r"line 3: found null, expected an object"),
        (b'"text"', r"line 1: found a text, expected an object"),
        (b'{"a": 1}\n{"a": "\xff"}', r"line 2: this is not UTF-8"),
        (b"[" * 100_000, r"line 1: this is not JSON"),
    ],
)
def test_what_cannot_be_read_is_named_with_file_line_and_what_to_do(tmp_path, data, message):
    with pytest.raises(OwnProblem, match=message):
        list(read_jsonl(written(tmp_path, data), OwnProblem))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.jsonl: No such file.*correct the path"):
        list(numbered_lines(tmp_path / "none.jsonl"))


def test_a_file_is_replaced_as_a_whole_and_nothing_else_is_left(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    replace_file(path, "old")
    replace_file(path, "new ü")
    assert path.read_text(encoding="utf-8") == "new ü"

    def fails(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("pathlib.Path.replace", fails)
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, "newer")
    assert path.read_text(encoding="utf-8") == "new ü"
    assert list(tmp_path.iterdir()) == [path]
