"""A cache that computes once, however many processes ask."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.acceleration.cache import KEPT, ContentCache, cache_of, directory_fingerprint

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def cache(tmp_path):
    return ContentCache(tmp_path / "cache")


def test_what_is_stored_is_loaded_and_what_is_not_is_none(cache):
    arrays = {"0": np.arange(6, dtype=np.uint8).reshape(2, 3), "rows": np.eye(2, dtype=np.float32)}
    assert cache.load("key") is None
    assert cache.load_json("key") is None
    cache.store("key", **arrays)
    cache.store_json("key", {"steps": 30, "none": None})
    found = cache.load("key")
    assert found.keys() == arrays.keys()
    for name, expected in arrays.items():
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype == expected.dtype
    assert cache.load_json("key") == {"steps": 30, "none": None}


def test_array_of_objects_is_never_unpickled(cache, tmp_path):
    np.savez(tmp_path / "cache/key.npz", rows=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        cache.load("key")


def test_key_depends_on_all_parts_and_their_order_alone():
    keys = [
        ContentCache.key(*parts)
        for parts in (["ab", "c"], ["a", "bc"], ["c", "ab"], [b"ab", "c"], [["ab", "c"]], ["ab", "c", None], [1], ["1"])
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert ContentCache.key({"a": 1, "b": [2]}) == ContentCache.key({"b": [2], "a": 1})
    with pytest.raises(TypeError):
        ContentCache.key(Path("no plain builtin"))


COMPUTE_ONCE = """
import sys
from pathlib import Path
import numpy as np
from bench.acceleration.cache import ContentCache

cache, log = ContentCache(Path(sys.argv[1])), Path(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for key in map(str, range(30)):
    if cache.load(key) is None:
        with cache.locked(key):
            if cache.load(key) is None:
                with open(log, "a") as file:
                    file.write(key + "\\n")
                cache.store(key, rows=np.full(50_000, int(key)))
    assert (cache.load(key)["rows"] == int(key)).all()
print("done", flush=True)
"""


def python(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY,
    )  # fmt: skip


def test_four_processes_at_once_compute_each_entry_once_and_never_read_half_of_one(tmp_path):
    directory, log = tmp_path / "cache", tmp_path / "computed"
    processes = [python(COMPUTE_ONCE, directory, log) for _ in range(4)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 4
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate()[0] for process in processes] == ["done\n"] * 4
    assert sorted(log.read_text().split(), key=int) == [str(key) for key in range(30)]
    assert not [path.name for path in directory.iterdir() if path.name.startswith(".")]


HOLD_LOCK = """
import sys, time
from pathlib import Path
from bench.acceleration.cache import ContentCache
with ContentCache(Path(sys.argv[1])).locked("key"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_lock_of_a_killed_process_is_free(cache, tmp_path):
    with python(HOLD_LOCK, tmp_path / "cache") as holder:
        assert holder.stdout.readline() == "held\n"
        os.kill(holder.pid, signal.SIGKILL)
        with cache.locked("key"):
            pass


def test_fingerprint_of_a_model_directory_changes_with_its_files(tmp_path):
    (tmp_path / "unet").mkdir()
    weights = tmp_path / "unet/weights.safetensors"
    weights.write_bytes(b"1234")
    first = directory_fingerprint(str(tmp_path))
    assert [entry[:2] for entry in first] == [["unet/weights.safetensors", 4]]
    assert directory_fingerprint(str(tmp_path)) == first
    os.utime(weights, ns=(0, 1))
    second = directory_fingerprint(str(tmp_path))
    weights.write_bytes(b"12345")
    assert (
        len({ContentCache.key(entry) for entry in (first, second, directory_fingerprint(str(tmp_path)))}) == 3
    )


@pytest.mark.parametrize("name", [None, "", "someone/a-model-of-the-hub"])
def test_hub_name_has_no_fingerprint(name):
    assert directory_fingerprint(name) == []


def test_a_run_has_a_cache_of_its_own_unless_one_is_kept_for_it(tmp_path):
    cache_of(tmp_path / "one", {}).store_json("a", 1)
    assert cache_of(tmp_path / "two", {}).load_json("a") is None
    kept = {KEPT: str(tmp_path / "kept")}
    cache_of(tmp_path / "one", kept).store_json("b", 2)
    assert cache_of(tmp_path / "two", kept).load_json("b") == 2
    assert cache_of(tmp_path / "one", {}).load_json("b") is None
