"""Users' folders and installed packages: how they are imported, and what is said of those that cannot be."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from bench.core.errors import UsageProblem
from bench.core.registry import Registry
from bench.regression import registry
from bench.run import user_code

TASK = """
from bench.regression.registry import register_task

@register_task({name!r})
def task():
    raise AssertionError("not asked for")
"""


@pytest.fixture(autouse=True)
def own_registries(monkeypatch):
    """What a test registers or imports is gone after it."""
    for name in ("TASKS", "DATASETS", "MODELS"):
        monkeypatch.setattr(registry, name, Registry(f"{name.lower()[:-1]} of this test"))
    yield
    for name in [
        name for name in sys.modules if name.partition(".")[0] in ("my_tasks", "their_tasks", "_my_tasks")
    ]:
        del sys.modules[name]


def folder(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / f"{name}.py").write_text(text)
    return path


# Folders


def test_folder_is_imported_as_a_package_whose_modules_see_each_other(tmp_path):
    path = folder(
        tmp_path / "my_tasks", first=TASK.format(name="one"), second="from .first import task\n" + TASK.format(name="two"),
        _notes="raise AssertionError('not imported')",
    )  # fmt: skip
    user_code.import_user_dir(path)
    assert registry.TASKS.below([path]) == ["one", "two"]
    assert registry.TASKS.below([tmp_path / "other"]) == []
    user_code.import_user_dir(path)  # once per process
    assert len(registry.TASKS) == 2


def test_folder_with_an_init_imports_what_that_imports(tmp_path):
    path = folder(
        tmp_path / "my_tasks",
        __init__="from . import wanted",
        wanted=TASK.format(name="one"),
        other=TASK.format(name="two"),
    )
    user_code.import_user_dir(path)
    assert list(registry.TASKS) == ["one"]


def test_file_with_a_hyphen_next_to_an_init_is_told_of(tmp_path):
    mine = folder(tmp_path / "my_tasks", __init__="", **{"my-task": "", "2nd": "", "plain": ""})
    assert user_code.skipped_files(mine) == ["2nd.py", "my-task.py"]
    assert "2nd.py, my-task.py not imported" in user_code.skipped_hint(mine)
    (mine / "2nd.py").unlink()
    assert "rename it, as my_task.py, and import it there" in user_code.skipped_hint(mine)
    (mine / "__init__.py").unlink()  # then every file is imported, whatever its name
    assert user_code.skipped_hint(mine) is None


@pytest.mark.parametrize("name", ["json", "sklearn", "pytest"])
def test_folder_with_the_name_of_another_module_is_refused(tmp_path, name):
    with pytest.raises(
        UsageProblem, match=rf"module '{name}' is there already, in .*{name}.*rename the folder"
    ):
        user_code.import_user_dir(folder(tmp_path / name, a=TASK.format(name="one")))
    assert len(registry.TASKS) == 0


def test_folder_on_the_import_path_is_no_other_module(tmp_path, monkeypatch):
    path = folder(tmp_path / "my_tasks", __init__=TASK.format(name="one"))
    monkeypatch.syspath_prepend(str(tmp_path))
    user_code.import_user_dir(path)
    assert list(registry.TASKS) == ["one"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": "\n\n1 / 0"}, r"ZeroDivisionError.*my_tasks/a\.py, line 3"),
        ({"a": "\ndef ("}, r"SyntaxError: .*[^)] \(my_tasks/a\.py, line 2\); fix the file"),
        ({"a": "import nowhere_to_be_found"}, r"ModuleNotFoundError.*nowhere_to_be_found.*a\.py, line 1\)"),
        (
            {"__init__": "from . import a", "a": "\n\nx = = 1"},
            r"SyntaxError: invalid syntax \(my_tasks/a\.py, line 3\)",
        ),
        ({"a": "import json\n\njson.loads('{')"}, r"JSONDecodeError: .*\(my_tasks/a\.py, line 3\)"),
        ({"a": "def deep():\n    assert False\n\n\ndeep()"}, r"AssertionError \(my_tasks/a\.py, line 2\)"),
        (
            {"a": "import pytest\npytest.importorskip('nowhere')"},
            r"Skipped: .*nowhere.*\(my_tasks/a\.py, line 2\)",
        ),
        ({"a": "import sys\nsys.exit('bye')"}, r"SystemExit: bye \(my_tasks/a\.py, line 2\)"),
        (
            {"a": "compile('x =', '<text>', 'exec')"},
            r"SyntaxError: invalid syntax \(my_tasks/a\.py, line 1\)",
        ),
        ({"a": TASK.format(name="one"), "b": TASK.format(name="one")}, r"twice.*a\.py:4 and in .*b\.py:4"),
    ],
)
def test_folder_that_cannot_be_imported_says_where(tmp_path, files, message):
    path = folder(tmp_path / "my_tasks", **files)
    with pytest.raises(UsageProblem, match=message):
        user_code.import_user_dir(path)
    assert not [name for name in sys.modules if name.startswith("my_tasks")]


def test_folder_whose_name_is_no_module_name_is_imported_all_the_same(tmp_path):
    path = folder(tmp_path / "my-tasks", a=TASK.format(name="one"), **{"b-c": TASK.format(name="two")})
    user_code.import_user_dir(path)
    assert registry.TASKS.below([path]) == ["one", "two"]


def test_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(UsageProblem, match="no such folder"):
        user_code.import_user_dir(tmp_path / "nowhere")


# Installed packages


def test_entry_points_of_installed_packages_register(tmp_path, monkeypatch):
    folder(tmp_path / "their_tasks", __init__=TASK.format(name="theirs"))
    monkeypatch.syspath_prepend(str(tmp_path))
    information = tmp_path / "their_package-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[modelgate]\ntheirs = their_tasks\n")
    assert user_code.import_entry_points() == ["theirs"]
    assert list(registry.TASKS) == ["theirs"]
    (tmp_path / "their_tasks" / "__init__.py").write_text("\n\nimport nowhere_to_be_found")
    del sys.modules["their_tasks"]
    with pytest.raises(
        UsageProblem,
        match=r"'theirs' of their-package \(their_tasks\) cannot be imported: ModuleNotFound.*__init__\.py, line 3",
    ):
        user_code.import_entry_points()


def test_entry_point_without_a_package_is_named_all_the_same(monkeypatch):
    point = EntryPoint("lost", "nowhere_to_be_found", user_code.ENTRY_POINTS)
    monkeypatch.setattr(user_code, "entry_points", lambda group: [point])
    with pytest.raises(UsageProblem, match="'lost' of an unknown package"):
        user_code.import_entry_points()
