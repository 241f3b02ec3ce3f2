"""``python -m bench tasks``: which tasks it writes, and what it refuses."""

import json
import subprocess
import sys

import pytest
from suites import ROOT

from bench.cli.main import main

FIXTURES = str(ROOT / "fixtures/zoo")


def ids(folder):
    return [entry["prompt_id"] for entry in json.loads((folder / "anno.json").read_text())]


def test_some_models_have_the_same_tasks_as_in_the_whole_set(tmp_path, capsys):
    assert main(["tasks", "--out", str(tmp_path / "all")]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("604 tasks (L1 41, L2 116, L3 261, L4 93, L5 93) and ")
    assert f"--tasks {tmp_path}/all/anno.json --candidates {tmp_path}/all/gen.json" in printed
    assert main(["tasks", "--models", "dit,sdxl", "--out", str(tmp_path / "two")]) == 0
    whole, two = ids(tmp_path / "all"), ids(tmp_path / "two")
    assert two == [name for name in whole if name in set(two)]
    assert 0 < len(two) < len(whole)
    texts = [entry["prompt_context"] for entry in json.loads((tmp_path / "two/anno.json").read_text())]
    assert all("DiT-XL/2" in text or "Stable Diffusion XL" in text for text in texts)
    manifest = json.loads((tmp_path / "two/taskset.json").read_text())
    assert (manifest["models"], manifest["seed"], manifest["tasks"]) == (["sdxl", "dit"], 0, len(two))


def test_the_zoo_is_named_by_its_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["tasks", "--models", "zoo", "--out", "set", "--zoo", FIXTURES]) == 0
    assert len(ids(tmp_path / "set")) == 604
    assert all(name.startswith("zoo-") for name in ids(tmp_path / "set"))
    assert main(["tasks", "--models", "zoo", "--out", "other"]) == 4
    assert (
        "found no model tiny-sd there, expected tiny-sd, tiny-sd-small, tiny-flux, tiny-pixart, tiny-dit, tiny-motion"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "sd15", "sd3"], "--models sd3: found no such model, expected some of sd15, sd21, sdxl"),
        (["--latency-factor", "0"], "found '0', expected a number from 0.01 to 100"),
        (["--latency-factor", "fast"], "found 'fast', expected a number from 0.01 to 100"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, capsys, arguments, message):
    assert main(["tasks", "--out", str(tmp_path / "set"), *arguments]) == 4
    assert message in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_help_says_what_is_written(capsys):
    assert main(["tasks", "--help"]) == 0
    shown = capsys.readouterr().out
    for words in (
        "anno.json",
        "anno_wrong.json",
        "--models NAME",
        "--out DIR",
        "pixart_sigma",
        "--models zoo",
    ):
        assert words in shown


def test_writing_and_collecting_import_no_framework(tmp_path):
    """A set is written, and read back, by a process that never imports torch or diffusers."""
    code = (
        "import sys; from pathlib import Path; from bench.cli.main import main; "
        f"main(['tasks', '--models', 'dit', '--out', {str(tmp_path)!r}]); "
        "from bench.acceleration.tasks.join import load_cases; "
        f"load_cases([Path({str(tmp_path / 'anno.json')!r})], [Path({str(tmp_path / 'gen.json')!r})]); "
        "print([name for name in ('torch', 'diffusers', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
