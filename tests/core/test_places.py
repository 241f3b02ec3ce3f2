"""Paths in texts become relative where a known place begins and ends, and nowhere else."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.places import Places

ROOT, RUN, HOME, SCRATCH = map(
    Path, ("/home/ann/repo", "/data/out/20260101_000000", "/home/ann", "/tmp/modelgate-x1")
)
PLACES = Places(ROOT, RUN, HOME, SCRATCH)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/ann/repo/models/tiny", "models/tiny"),
        ("/home/ann/x", "~/x"),
        ("/home/ann", "~"),
        ("/home/ann/", "~/"),
        ("in /home/ann.", "in ~."),
        ("in /home/ann/repo, or", "in ./, or"),
        ("/home/ann/repo/", "./"),
        ("/data/out/20260101_000000/logs/arm.log", "logs/arm.log"),
        ("/tmp/modelgate-x1/leases", "<scratch>/leases"),
        ("a:/home/ann/bin:/usr/bin", "a:~/bin:/usr/bin"),
        ("--x=/home/ann/repo/a --y='/home/ann/b c'", "--x=a --y='~/b c'"),
        ("cc -I/home/ann/include", "cc -I~/include"),
        ("file:///home/ann/repo/a.html", "file://a.html"),
        ('File "/home/ann/repo/a.py", line 3', 'File "a.py", line 3'),
        ("[PosixPath('/home/ann/repo/a')]", "[PosixPath('a')]"),
        ("/home/ann//x", "~//x"),
        # Other places.
        ("/home/anna/x", "/home/anna/x"),
        ("/home/ann-old/x", "/home/ann-old/x"),
        ("/home/ann.bak/x", "/home/ann.bak/x"),
        ("/home/ann_/x", "/home/ann_/x"),
        ("/home/annä/x", "/home/annä/x"),
        ("/home/ann/repository", "~/repository"),
        ("/mnt/home/ann/x", "/mnt/home/ann/x"),
        ("./home/ann/x", "./home/ann/x"),
        ("x/home/ann/x", "x/home/ann/x"),
        ("/data/out/20260101_000001/logs", "/data/out/20260101_000001/logs"),
        ("/data/models/llm", "/data/models/llm"),
        ("http://host/home/ann", "http://host/home/ann"),
        ("", ""),
    ],
)  # fmt: skip
def test_text(text, expected):
    assert PLACES.tidy(text) == expected


def test_plain_builtins_keep_their_form():
    value = {"/home/ann/a": [1, None, True, 2.5, "/home/ann/repo/b"], "t": ("/home/ann", {"x": "y"})}
    assert PLACES.tidy(value) == {"~/a": [1, None, True, 2.5, "b"], "t": ("~", {"x": "y"})}


def test_escaped_paths_are_found_too():
    root = Path('/tmp/x/Mödel gate [1] 🚀 & "q"')
    places = Places(root)
    for text in (str(root / "a"), json.dumps(str(root / "a"))[1:-1], (root / "a").as_uri()):
        assert str(root) not in places.tidy(text)
        assert places.tidy(text).removeprefix("file://") == "a"
    assert places.tidy('msg="/tmp/x/Mödel gate [1] 🚀 &amp; "q"/a"') == 'msg="a"'


def test_links_lead_to_the_same_place(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    places = Places(home=tmp_path / "link")
    assert places.tidy(f"{tmp_path / 'link'}/a {tmp_path / 'real'}/b") == "~/a ~/b"


def test_no_place_and_the_root_of_the_file_system_change_nothing():
    assert Places().tidy("/home/ann/x") == "/home/ann/x"
    assert Places(home=Path("/")).tidy("/home/ann/x") == "/home/ann/x"


def test_the_run_is_known_later():
    assert Places(home=HOME).of_run(RUN).tidy(f"{RUN}/a /home/ann/b") == "a ~/b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/tmp/pytest-of-ann/x", "/tmp/pytest-of-<user>/x"),
        ("/tmp/torchinductor_ann/x", "/tmp/torchinductor_<user>/x"),
        ("/home/ann/y", "/home/<user>/y"),
        ("ann plans to annotate /data/ann", "ann plans to annotate /data/ann"),
        ("on gpu-17.lab: refused", "on <host>: refused"),
        ("gpu-17.labs", "gpu-17.labs"),
    ],
)
def test_names_are_replaced_where_they_can_be_nothing_else(text, expected):
    assert Places(names={"<user>": "ann", "<host>": "gpu-17.lab"}).tidy(text) == expected


@given(st.text(max_size=60))
def test_a_second_time_changes_nothing_and_no_place_is_left(text):
    once = PLACES.tidy(text)
    assert PLACES.tidy(once) == once
    assert once == text or "/home/ann" in text or "/data" in text or "/tmp" in text


def test_bytes_that_python_hides_in_half_characters_become_text():
    hidden = "/home/ann/Mödel 🚀/x".encode().decode("ascii", "surrogateescape")
    assert PLACES.tidy(hidden) == "~/Mödel 🚀/x"
    assert Places(Path(hidden).parent).tidy(f"in {hidden}") == "in x"
    assert PLACES.tidy("\ud83d alone") == "\ud83d alone", "left for who checks records"
