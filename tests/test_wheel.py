"""The wheel: the library, the plugin, the commands, the cases and the small models, from one copy of each file."""

import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from suites import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this clone."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder with what the wheel installs."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def _run(installed: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_it_has_what_ships_and_each_file_once(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert not [name for name, count in Counter(names).items() if count > 1]
    for needed in (
        "modelgate_plugin.py", "bench/py.typed", "bench/_shipped/pytest.ini", "bench/_shipped/conftest.py",
        "bench/_shipped/cases/test_acceleration.py", "bench/_shipped/fixtures/tasks/anno_tiny.json",
        "bench/_shipped/fixtures/zoo/tiny-sd/unet/diffusion_pytorch_model.safetensors",
    ):  # fmt: skip
        assert needed in names, needed
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {
        "bench",
        "modelgate_plugin.py",
    }
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]
    assert wheel.stat().st_size < 60e6


def test_it_names_the_plugin_and_the_command(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        text = archive.read(name).decode()
    assert "[pytest11]\nmodelgate = modelgate_plugin" in text
    assert "[console_scripts]\nmodelgate = bench.cli.main:main" in text


def test_it_works_outside_of_the_repository(installed, tmp_path):
    code = "import bench.shipped as s; print(s.shipped_root())"
    assert _run(installed, "-c", code, cwd=tmp_path).stdout.strip() == str(installed / "bench" / "_shipped")
    begun = _run(installed, "-m", "bench", "init", "mine", cwd=tmp_path)
    assert begun.returncode == 0, begun.stderr
    assert str(installed) in (tmp_path / "mine" / "pytest.ini").read_text()


def test_what_ships_is_collected_from_it(installed, tmp_path):
    done = _run(installed, "-m", "bench", "bench", "--collect-only", "-q", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_acceleration.py::test_candidate[hard-tiny_sd-deepcache-17]" in done.stdout.replace(
        "-plain-", "-deepcache-"
    )
    assert "test_language.py::test_language[tiny_lm-siqa_gen]" in done.stdout
