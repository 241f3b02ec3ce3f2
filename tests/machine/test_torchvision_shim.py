"""The torchvision shim: open_clip imports beside any torch build, and nothing is imported too early."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# Looking for garbage while a large package is imported takes a quarter of the time, and finds none.
NO_GARBAGE = "import gc; gc.disable()"


def _run(code: str) -> str:
    """What a fresh interpreter prints; this one may have imported torchvision already."""
    done = subprocess.run(
        [sys.executable, "-c", f"{NO_GARBAGE}; {code}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_shim_does_not_import_torch():
    code = "import sys, bench.machine.torchvision_shim; print('torch' in sys.modules, 'torchvision' in sys.modules)"
    assert _run(code) == "False False"


def test_open_clip_imports_after_the_shim_whose_operators_cannot_be_run_by_mistake():
    code = (
        "from bench.machine.torchvision_shim import ensure_torchvision as ensure\n"
        "declared = ensure()\n"
        "import open_clip, torch, torchvision.transforms\n"
        "print(declared == ensure(), open_clip.__name__)\n"
        "boxes, scores = torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([0.5])\n"
        "try:\n"
        "    kept = torchvision.ops.nms(boxes, scores, 0.5).tolist()\n"
        "except (NotImplementedError, RuntimeError):\n"
        "    kept = None\n"
        "print(kept == (None if declared else [0]))"
    )
    assert _run(code) == "True open_clip\nTrue"


def test_nothing_is_declared_when_torchvision_is_imported_already(monkeypatch):
    from bench.machine import torchvision_shim

    monkeypatch.setitem(sys.modules, "torchvision", object())
    assert torchvision_shim.ensure_torchvision.__wrapped__() is False


def test_an_environment_waits_for_torchvision_and_takes_no_checkout_for_granted(tmp_path):
    from bench.machine import torchvision_shim

    _run(
        f"from pathlib import Path; from bench.machine.torchvision_shim import install; install(Path({str(tmp_path)!r}))"
    )
    is_needed = (tmp_path / torchvision_shim.STARTUP_FILE).is_file()
    assert is_needed == (tmp_path / torchvision_shim.COPY).is_file()
    code = (
        f"import site, sys; site.addsitedir({str(tmp_path)!r})\n"
        "before = [name for name in ('torch', 'torchvision', 'bench') if name in sys.modules]\n"
        "import torchvision.transforms\n"
        "print(before, torchvision.__name__, 'bench' in sys.modules)"
    )
    assert _run(code) == "[] torchvision False"


def test_transformers_trainer_is_imported_in_the_environment_that_make_sets_up(tmp_path):
    """In a folder of the user's own, and without this package before it."""
    code = f"{NO_GARBAGE}; from transformers import Trainer; import sys; print(Trainer.__name__, 'bench' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.stdout.strip() == "Trainer False", done.stderr


def test_where_the_two_fit_nothing_is_installed_and_old_files_are_removed(tmp_path, monkeypatch):
    from bench.machine import torchvision_shim

    for name in (torchvision_shim.STARTUP_FILE, torchvision_shim.COPY):
        (tmp_path / name).touch()
    monkeypatch.setattr(torchvision_shim, "ensure_torchvision", lambda: False)
    assert torchvision_shim.install(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_pipeline_file_runs_by_hand():
    file = REPOSITORY / "fixtures/pipelines/targets/ddim_3.py"
    code = f"import sys, runpy; sys.argv = ['x']; runpy.run_path({str(file)!r}, run_name='by_hand')"
    _run(code)
