"""What a dead process left is told from what a living one uses."""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bench.run.occupied import NAME, Occupied, is_occupied, take_over
from bench.run.scratch import PREFIX, Scratch, remove_dead

HOLD = """
import sys, time
from pathlib import Path
from bench.run.occupied import Occupied
held = Occupied(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that occupies a folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_living_process_keeps_its_folder(holder, tmp_path):
    assert is_occupied(tmp_path)
    assert take_over(tmp_path) is None
    with pytest.raises(BlockingIOError):
        Occupied(tmp_path)


def test_sigkill_frees_it(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert not is_occupied(tmp_path)
    taken = take_over(tmp_path)
    assert taken is not None
    assert is_occupied(tmp_path)
    taken.free()
    assert not (tmp_path / NAME).exists()


def test_a_folder_that_nobody_occupied_is_not_taken_over(tmp_path):
    assert take_over(tmp_path) is None
    assert not is_occupied(tmp_path)


def test_a_freed_folder_can_be_left_for_the_next_run_to_complete(tmp_path):
    Occupied(tmp_path).free(as_dead=True)
    assert take_over(tmp_path) is not None


def test_the_reserve_takes_room_until_it_is_given_back(tmp_path):
    occupied = Occupied(tmp_path, reserve_bytes=2**20)
    assert (tmp_path / NAME).stat().st_blocks * 512 >= 2**20
    occupied.shrink_reserve(4096)
    assert (tmp_path / NAME).stat().st_blocks == 8
    occupied.shrink_reserve(2**20)
    assert (tmp_path / NAME).stat().st_blocks == 8, "it does not grow"
    occupied.shrink_reserve(0)
    assert (tmp_path / NAME).stat().st_blocks == 0
    occupied.free()


def test_scratch_of_the_dead_is_removed_and_of_the_living_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead, foreign = tmp_path / f"{PREFIX}dead", tmp_path / f"{PREFIX}no-lock"
    for folder in (dead, foreign):
        (folder / "deep").mkdir(parents=True)
    Occupied(dead).free(as_dead=True)
    living = Scratch()
    assert not dead.exists()
    assert remove_dead(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([living.path.name, foreign.name])
    living.remove()
    assert [path.name for path in tmp_path.iterdir()] == [foreign.name]


def test_a_link_is_not_followed(tmp_path, monkeypatch):
    target = tmp_path / "precious"
    target.mkdir()
    (target / NAME).touch()
    (tmp_path / f"{PREFIX}link").symlink_to(target)
    assert remove_dead(tmp_path) == []
    assert target.is_dir()


def test_a_long_tmpdir_gives_way_to_tmp(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 100)))
    scratch = Scratch()
    assert scratch.path.parent == Path("/tmp")
    scratch.remove()


def test_another_run_takes_no_new_folder_for_a_dead_ones_before_or_after_it_is_locked(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lock, removed = fcntl.flock, []

    def watched(file, how):
        monkeypatch.setattr(fcntl, "flock", lock)
        removed.append(remove_dead(tmp_path))
        lock(file, how)
        removed.append(remove_dead(tmp_path))

    monkeypatch.setattr(fcntl, "flock", watched)
    scratch = Scratch()
    assert removed == [[], []]
    assert [*tmp_path.iterdir()] == [scratch.path]
    assert is_occupied(scratch.path)
    assert remove_dead(tmp_path) == []
    scratch.remove()
    assert not [*tmp_path.iterdir()]


def test_who_locks_a_file_that_was_freed_meanwhile_has_not_taken_the_folder_over(tmp_path, monkeypatch):
    held = Occupied(tmp_path)
    lock = fcntl.flock

    def late(file, how):
        monkeypatch.setattr(fcntl, "flock", lock)
        held.free()
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    assert take_over(tmp_path) is None
    assert not is_occupied(tmp_path)
