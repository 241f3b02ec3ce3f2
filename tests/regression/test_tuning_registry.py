"""What users register: names, folders and entry points, and what is said of those that cannot be used."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from bench.core.errors import UsageProblem
from bench.core.registry import Registry
from bench.regression import registry
from bench.regression.registry import register_dataset, register_model, register_task
from bench.run import user_code as user_dir

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
    for name in [name for name in sys.modules if name.partition(".")[0] in ("my_tasks", "their_tasks")]:
        del sys.modules[name]


def folder(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / f"{name}.py").write_text(text)
    return path


# Names


@pytest.mark.parametrize("register", [register_task, register_dataset, register_model])
def test_clash_names_both_places(register):
    @register("essays")
    class First: ...

    with pytest.raises(
        ValueError, match=r"'essays' is registered twice: in (.*):(\d+) and in (.*):(\d+)"
    ) as raised:

        @register("essays")
        class Second: ...

    first, second = (
        int(place.rpartition(":")[2])
        for place in str(raised.value).partition("in ")[2].split(";")[0].split(" and in ")
    )
    assert str(raised.value).count(__file__) == 2
    lines = Path(__file__).read_text().splitlines()
    assert "class First" in "".join(lines[first - 1 : first + 1])
    assert "class Second" in "".join(lines[second - 1 : second + 1])


def test_unknown_name_gets_the_nearest():
    register_task("synthetic-essays")(lambda: None)
    register_dataset("essays")(lambda: None)
    with pytest.raises(KeyError, match="'synthetic-esays'; nearest: synthetic-essays"):
        registry.task_of("synthetic-esays")
    with pytest.raises(KeyError, match="'esays'; nearest: essays"):
        registry.dataset_of("esays")


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", "essays[1]"])
def test_name_that_cannot_be_a_folder_is_refused(name):
    with pytest.raises(ValueError, match="letters, digits"):
        register_task(name)


# Folders


def test_folder_is_imported_as_a_package_whose_modules_see_each_other(tmp_path):
    path = folder(
        tmp_path / "my_tasks", first=TASK.format(name="one"), second="from .first import task\n" + TASK.format(name="two"),
        _notes="raise AssertionError('not imported')",
    )  # fmt: skip
    user_dir.import_user_dir(path)
    assert registry.tasks_below([path]) == ["one", "two"]
    assert registry.tasks_below([tmp_path / "other"]) == []
    assert user_dir.import_user_dir(path) is sys.modules["my_tasks"]
    assert len(registry.TASKS) == 2


def test_folder_with_an_init_imports_what_that_imports(tmp_path):
    path = folder(
        tmp_path / "my_tasks",
        __init__="from . import wanted",
        wanted=TASK.format(name="one"),
        other=TASK.format(name="two"),
    )
    user_dir.import_user_dir(path)
    assert list(registry.TASKS) == ["one"]


@pytest.mark.parametrize("name", ["json", "sklearn", "pytest"])
def test_folder_with_the_name_of_another_module_is_refused(tmp_path, name):
    with pytest.raises(
        UsageProblem, match=rf"module '{name}' is there already, in .*{name}.*rename the folder"
    ):
        user_dir.import_user_dir(folder(tmp_path / name, a=TASK.format(name="one")))
    assert len(registry.TASKS) == 0


def test_folder_on_the_import_path_is_no_other_module(tmp_path, monkeypatch):
    path = folder(tmp_path / "my_tasks", __init__=TASK.format(name="one"))
    monkeypatch.syspath_prepend(str(tmp_path))
    user_dir.import_user_dir(path)
    assert list(registry.TASKS) == ["one"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": "\n\n1 / 0"}, r"ZeroDivisionError.*my_tasks/a\.py, line 3"),
        ({"a": "def ("}, "SyntaxError"),
        ({"a": "import nowhere_to_be_found"}, "ModuleNotFoundError.*nowhere_to_be_found"),
        ({"a": TASK.format(name="one"), "b": TASK.format(name="one")}, r"twice.*a\.py:4 and in .*b\.py:4"),
    ],
)
def test_folder_that_cannot_be_imported_says_where(tmp_path, files, message):
    path = folder(tmp_path / "my_tasks", **files)
    with pytest.raises(UsageProblem, match=message):
        user_dir.import_user_dir(path)
    assert not [name for name in sys.modules if name.startswith("my_tasks")]


def test_folder_that_cannot_be_a_module_is_refused(tmp_path):
    with pytest.raises(UsageProblem, match="'my-tasks' cannot be a module's name"):
        user_dir.import_user_dir(folder(tmp_path / "my-tasks"))
    with pytest.raises(UsageProblem, match="no such folder"):
        user_dir.import_user_dir(tmp_path / "nowhere")


# Installed packages


def test_entry_points_of_installed_packages_register(tmp_path, monkeypatch):
    folder(tmp_path / "their_tasks", __init__=TASK.format(name="theirs"))
    monkeypatch.syspath_prepend(str(tmp_path))
    information = tmp_path / "their_package-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[modelgate.tuning]\ntheirs = their_tasks\n")
    assert user_dir.import_entry_points() == ["theirs"]
    assert list(registry.TASKS) == ["theirs"]
    (tmp_path / "their_tasks" / "__init__.py").write_text("import nowhere_to_be_found")
    del sys.modules["their_tasks"]
    with pytest.raises(
        UsageProblem, match=r"'theirs' of their-package \(their_tasks\) cannot be imported: ModuleNotFound"
    ):
        user_dir.import_entry_points()


def test_entry_point_without_a_package_is_named_all_the_same(monkeypatch):
    point = EntryPoint("lost", "nowhere_to_be_found", user_dir.ENTRY_POINTS)
    monkeypatch.setattr(user_dir, "entry_points", lambda group: [point])
    with pytest.raises(UsageProblem, match="'lost' of an unknown package"):
        user_dir.import_entry_points()
