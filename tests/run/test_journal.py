"""records.jsonl: whatever ends the process, what was appended is read again."""

import errno
import json
import os

import pytest

from bench.run import journal
from bench.run.journal import Journal, read_journal


@pytest.fixture
def path(tmp_path):
    return tmp_path / journal.NAME


def test_what_is_appended_is_read_in_order(path):
    file = Journal(path, {"id": "now"})
    file.append("a", {"verdict": "pass"})
    file.append("b", {"verdict": "fail", "reason": "line one\nline\u2028two"})
    file.append("a", {"verdict": "error"})
    found = read_journal(path)
    assert found.run == {"id": "now"}
    assert list(found.records.items()) == [
        ("a", {"verdict": "error"}), ("b", {"verdict": "fail", "reason": "line one\nline\u2028two"}),
    ]  # fmt: skip
    file.close()


def test_the_last_word_about_the_run_counts(path):
    file = Journal(path, {"state": "running"})
    file.append("a", {})
    file.end({"state": "finished"})
    assert read_journal(path).run == {"state": "finished"}
    file.close()


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_line_that_was_cut_short_is_left_out_and_no_other(path, cut):
    file = Journal(path, {"id": "now"})
    file.append("first", {"verdict": "pass"})
    size = path.stat().st_size
    file.append("second", {"verdict": "pass"})
    file.close()
    os.truncate(path, min(size + cut, path.stat().st_size - 1))
    assert list(read_journal(path).records) == ["first"]


def test_a_damaged_line_costs_its_own_record_alone(path):
    file = Journal(path, {"id": "now"})
    for name in "abc":
        file.append(name, {"verdict": "pass"})
    file.close()
    lines = path.read_bytes().split(b"\n")
    lines[2] = b"\x00" * len(lines[2])
    path.write_bytes(b"\n".join(lines))
    assert list(read_journal(path).records) == ["a", "c"]


def test_a_full_disk_leaves_whole_lines(path, monkeypatch):
    file = Journal(path, {"id": "now"})
    file.append("a", {"verdict": "pass"})
    before, write = path.read_bytes(), os.write

    def half(descriptor, data):
        if len(data) > 20:
            return write(descriptor, data[:20])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space left"):
        file.append("b", {"verdict": "pass", "reason": "x" * 7})
    assert path.read_bytes() == before
    monkeypatch.undo()
    file.append("b", {"verdict": "fail"})
    assert list(read_journal(path).records) == ["a", "b"]
    file.close()


def test_the_disk_is_waited_for_once_a_second_at_most(path, monkeypatch):
    synced, now = [], [0.0]
    monkeypatch.setattr("bench.run.journal.time.monotonic", lambda: now[0])
    monkeypatch.setattr("bench.run.journal.os.fdatasync", synced.append)
    file = Journal(path, {})
    for number in range(50):
        now[0] += 0.1
        file.append(str(number), {})
    assert 3 <= len(synced) <= 5
    file.close()


def test_another_runs_journal_is_not_written_to(path):
    path.write_text(json.dumps({"run": {}}) + "\n")
    with pytest.raises(FileExistsError):
        Journal(path, {})


def test_no_journal_is_an_error_of_the_system(path):
    with pytest.raises(FileNotFoundError):
        read_journal(path)
