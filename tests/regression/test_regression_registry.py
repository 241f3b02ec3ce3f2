"""Tasks, datasets and models by name: where each was registered, and what is said of a name that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.registry import Registry
from bench.regression import registry
from bench.regression.registry import register_dataset, register_model, register_task


@pytest.fixture(autouse=True)
def own_registries(monkeypatch):
    """What a test registers is gone after it."""
    for name in ("TASKS", "DATASETS", "MODELS"):
        monkeypatch.setattr(registry, name, Registry(f"{name.lower()[:-1]} of this test"))


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


def test_place_is_that_of_the_decorator_and_selects_by_folder(tmp_path):
    register_task("here")(lambda: None)
    assert registry.TASKS.place("here").file == __file__
    assert registry.TASKS.below([Path(__file__).parent]) == ["here"]
    assert registry.TASKS.below([tmp_path]) == []
