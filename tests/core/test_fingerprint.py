"""What a result depends on: a change is noticed, and named by the part that changed."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.core import fingerprint
from bench.core.fingerprint import differing, fingerprint_of, path_hash


@dataclass(frozen=True)
class Entry:
    name: str
    limit: float | None
    candidate: Path


@pytest.fixture
def entry(tmp_path):
    (tmp_path / "candidate.py").write_text('import helper\nWEIGHTS = "weights/unet"\n')
    (tmp_path / "helper.py").write_text("from . import deeper\nSTEPS = 20\n")
    (tmp_path / "deeper.py").write_text("")
    (tmp_path / "weights" / "unet").mkdir(parents=True)
    (tmp_path / "weights" / "unet" / "model.bin").write_bytes(b"0" * 100)
    return Entry("one", 0.05, tmp_path / "candidate.py")


def test_nothing_changed(entry):
    assert differing(fingerprint_of(entry), fingerprint_of(entry)) == []


@pytest.mark.parametrize("file", ["candidate.py", "helper.py", "weights/unet/model.bin"])
def test_a_file_that_the_candidate_uses_is_part_of_it(entry, file):
    before = fingerprint_of(entry)
    path = entry.candidate.parent / file
    path.write_bytes(path.read_bytes() + b"#")
    assert differing(before, fingerprint_of(entry)) == ["candidate"]


def test_a_neighbour_that_it_does_not_use_is_not(entry):
    before = fingerprint_of(entry)
    (entry.candidate.parent / "other.py").write_text("x = 1")
    assert differing(before, fingerprint_of(entry)) == []


def test_another_limit_is_another_entry(entry):
    other = Entry("one", 0.06, entry.candidate)
    assert differing(fingerprint_of(entry), fingerprint_of(other)) == ["entry"]


def test_the_same_files_elsewhere_fit(entry, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("moved") / "deep"
    entry.candidate.parent.rename(elsewhere)
    moved = Entry("one", 0.05, elsewhere / "candidate.py")
    (elsewhere.parent / "copy").mkdir()
    assert fingerprint_of(moved)["candidate"] == path_hash(elsewhere / "candidate.py")


def test_what_is_absent_or_appears_is_noticed(tmp_path):
    before = path_hash(tmp_path / "rows.jsonl")
    (tmp_path / "rows.jsonl").write_text("{}\n")
    assert path_hash(tmp_path / "rows.jsonl") != before


def test_files_that_a_kind_names_are_one_part(entry, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("{}\n")
    before = fingerprint_of(entry, [rows])
    rows.write_text("{} \n")
    assert differing(before, fingerprint_of(entry, [rows])) == ["files"]


def test_large_files_are_known_by_their_beginning_middle_and_end(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "_WHOLE_BYTES", 1000)
    monkeypatch.setattr(fingerprint, "_PIECE_BYTES", 10)
    weights = tmp_path / "weights.bin"
    hashes = set()
    for place in (None, 0, 1000, 1999):
        content = bytearray(2000)
        if place is not None:
            content[place] = 1
        weights.write_bytes(content)
        hashes.add(path_hash(weights))
        weights.unlink()
    assert len(hashes) == 4


@pytest.mark.parametrize(("name", "limit"), [("_MAX_FILES", 2), ("_MAX_BYTES", 10)])
def test_a_large_folder_is_known_by_names_sizes_and_times_and_not_read(tmp_path, monkeypatch, name, limit):
    def unread(*_: object) -> str:
        raise AssertionError("read")

    files = [tmp_path / "programs" / letter for letter in "abc"]
    files[0].parent.mkdir()
    for file in files:
        file.write_text("12345")
    monkeypatch.setattr(fingerprint, name, limit)
    monkeypatch.setattr(fingerprint, "_file_hash", unread)
    before = path_hash(tmp_path / "programs")
    assert path_hash(tmp_path / "programs") == before
    files[1].write_text("54321")
    os.utime(files[1], ns=(1, 1))
    changed = path_hash(tmp_path / "programs")
    files[1].rename(files[1].with_name("d"))
    assert len({before, changed, path_hash(tmp_path / "programs")}) == 3


def test_two_modules_that_import_each_other_end(tmp_path):
    (tmp_path / "a.py").write_text("import b\n")
    (tmp_path / "b.py").write_text("import a\n")
    assert path_hash(tmp_path / "a.py") != path_hash(tmp_path / "b.py")


def test_text_that_only_looks_like_a_path_is_no_fault(tmp_path):
    file = tmp_path / "c.py"
    file.write_text('A = "a/\\0b"\nB = "' + "x/" * 140 + '"\nC = "../"\nD = "/"\nE = "./"\n')
    assert path_hash(file)


def test_folders_above_the_file_and_above_the_working_directory_are_none_of_its_content(
    tmp_path, monkeypatch
):
    elsewhere, work = tmp_path / "elsewhere", tmp_path / "project" / "work"
    elsewhere.mkdir()
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    file = elsewhere / "c.py"
    file.write_text('import sys\nsys.path.append("../")\nHERE, ABOVE = "./", "../.."\n')
    before = path_hash(file)
    (work / "results.json").write_text("{}")
    (tmp_path / "project" / "other.txt").write_text("x")
    assert path_hash(file) == before
    file.write_text('HERE = "./parts"\n')
    (work / "parts").mkdir()
    named = path_hash(file)
    (work / "parts" / "a.txt").write_text("x")
    assert path_hash(file) != named


def test_parts_that_only_one_has_differ():
    assert differing({"a": "1", "b": "2"}, {"a": "1", "c": "3"}) == ["c", "b"]


@pytest.mark.parametrize("named", ["/proc/self/fd", "/dev/zero", "/dev/stdin", "/sys/kernel", "waiting"])
def test_what_is_no_file_is_not_read_for_ever(tmp_path, named):
    """A file of somebody else's may name anything."""
    os.mkfifo(tmp_path / "waiting")
    (tmp_path / "a.py").write_text(f"PLACE = {named!r}\nOTHER = './waiting'\n")
    assert path_hash(tmp_path / "a.py") == path_hash(tmp_path / "a.py")
