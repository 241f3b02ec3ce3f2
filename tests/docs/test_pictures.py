"""The pictures of README: they are there, and can be drawn again from a run."""

import importlib.util
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from suites import ROOT

PICTURES = ROOT / "docs/pictures"


@pytest.fixture
def maker(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests/helpers"))
    spec = importlib.util.spec_from_file_location("make_pictures", ROOT / "docs/make_pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_readme_shows_what_is_there_and_says_what_it_is():
    shown = re.findall(r"!\[([^\]]*)\]\((\S+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert {Path(path) for _, path in shown} == {
        Path("docs/pictures/page.png"),
        Path("docs/pictures/card.svg"),
    }
    assert all(len(text) > 30 and (ROOT / path).is_file() for text, path in shown)


def test_the_pictures_are_small_and_ask_no_other_host():
    svg = (PICTURES / "card.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "url(http" not in svg
    assert "@font-face" not in svg
    assert sum(path.stat().st_size for path in PICTURES.iterdir()) < 300_000


def test_a_card_is_drawn_from_a_run(maker, tmp_path):
    record = {
        "verdict": "fail", "reason_code": "speedup_missed", "reason": "speedup 1.1x misses the required 2x", "warnings": [],
        "quality": {"loss": 0.01, "low": 0.0, "high": 0.02, "allowed": 0.05},
        "speedup": {"value": 1.1, "low": 1.0, "high": 1.2, "required": 2.0, "rounds": 9}, "latency": {}, "memory": {},
        "metrics": {}, "config": {"mismatches": [], "free": []},
    }  # fmt: skip
    (tmp_path / "evaluation_results.json").write_text(json.dumps({"records": [record]}))
    svg = maker.card_picture(tmp_path, "fast.py", "plain.py")
    words = " ".join("".join(ElementTree.fromstring(svg).itertext()).replace("\xa0", " ").split())
    assert "FAIL fast.py against plain.py" in words
    assert "speedup 1.1x misses the required 2x" in words
    assert "at least 2.00x" in words
    assert "url(http" not in svg
