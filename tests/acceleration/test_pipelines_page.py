"""The page of pipelines lists what tests build and run, by the text of both: nothing more, and nothing less."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from suites import ROOT
from video_families import FAMILIES

PAGE = (ROOT / "docs/pipelines.md").read_text(encoding="utf-8")
HELPERS = ROOT / "tests/helpers"
BUILT = ("tiny_pipelines.py", "tiny_videos.py", "video_families.py", "video_pipelines.py")
# Bases, and classes that a test defines.
NO_FAMILY = {"DiffusionPipeline", "ModularPipeline"}


def rows(heading: str) -> dict[str, str]:
    """Return the notes of the table below a heading, by class."""
    part = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) ?\|$", part, re.MULTILINE))


VIDEOS, IMAGES, REFUSED = (rows(heading) for heading in ("Videos", "Images", "Refused, with what to do"))


def text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def built() -> set[str]:
    """Return the classes that helpers and tests make pipelines of."""
    files = [HELPERS / name for name in BUILT]
    files += [
        file for file in (ROOT / "tests/acceleration").glob("test_*.py") if file.name != Path(__file__).name
    ]
    found: set[str] = set()
    for file in files:
        # Called, or named for a builder that takes the class by its name.
        found |= set(re.findall(r"\b([A-Z]\w+Pipeline)\(", text(file)))
        found |= set(re.findall(r"""["']([A-Z]\w+Pipeline)["']\)""", text(file)))
    return {name for name in found if is_of_diffusers(name)} - NO_FAMILY


def is_of_diffusers(name: str) -> bool:
    """Whether diffusers has a class of that name, by the list of its names and without importing it."""
    import importlib.util

    spec = importlib.util.find_spec("diffusers")
    assert spec is not None
    assert spec.origin is not None
    return f'"{name}"' in text(Path(spec.origin))


def test_every_class_of_the_page_is_built_by_a_test_and_every_built_one_is_on_it() -> None:
    listed = VIDEOS.keys() | IMAGES.keys() | REFUSED.keys()
    assert len(listed) == len(VIDEOS) + len(IMAGES) + len(REFUSED)
    assert listed == built()


def test_the_families_that_are_judged_as_pairs_are_the_videos_of_the_page() -> None:
    judged = {family.class_name for family in FAMILIES.values()} | {"AnimateDiffPipeline"}
    assert judged | {name for name, note in VIDEOS.items() if note.endswith("no pair")} == VIDEOS.keys()


def test_what_needs_a_batch_of_one_is_said() -> None:
    alone = {family.class_name for family in FAMILIES.values() if family.batch == 1}
    assert {name for name, note in VIDEOS.items() if "--batch-size 1" in note} == alone


@pytest.mark.parametrize("helper", ["tiny_pipelines", "tiny_videos"])
def test_no_pipeline_is_built_for_nothing(helper: str) -> None:
    tests = "".join(text(file) for file in (ROOT / "tests/acceleration").glob("test_*.py"))
    tests += text(HELPERS / "video_families.py")
    for name in re.findall(r"^def ([a-z]\w+)\(", text(HELPERS / f"{helper}.py"), re.MULTILINE):
        if f"{name}(" in text(HELPERS / f"{helper}.py").replace(f"def {name}(", ""):
            continue  # a part of others
        assert re.search(rf"\btiny(_pipelines|_videos)?\.{name}\b", tests), name
