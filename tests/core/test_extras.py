"""Packages that come with an extra: the table is that of pyproject.toml, and a missing one is named with the command."""

import re
import tomllib
from pathlib import Path

from bench.core.extras import EXTRAS, install_advice, missing_package, missing_packages
from bench.core.verdict import verdict_of

# Names under which distributions are imported, where they differ.
_IMPORTED = {
    "open_clip_torch": "open_clip", "scikit-image": "skimage", "scikit-learn": "sklearn", "deepcache": "DeepCache",
    "cache-dit": "cache_dit", "math-verify": "math_verify", "rouge-score": "rouge_score", "lm-eval": "lm_eval",
    "flip-evaluator": "flip_evaluator",
}  # fmt: skip
# They come with another package of the extra.
_WITH_OTHERS = {"pandas", "yaml"}


def _declared() -> dict[str, set[str]]:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    found: dict[str, set[str]] = {}
    for extra, lines in project["optional-dependencies"].items():
        for line in lines:
            name = re.match(r"[\w-]+", line)[0]
            if extra not in ("dev", "all", "lpips") and name != "modelgate":
                found.setdefault(_IMPORTED.get(name, name), set()).add(extra)
    return found


def test_the_table_says_what_pyproject_says():
    table = {name: set(extras) for name, extras in EXTRAS.items() if name not in _WITH_OTHERS}
    declared = _declared()
    assert set(table) == set(declared)
    assert all(table[name] <= declared[name] for name in table), {
        name: (table[name], declared[name]) for name in table if not table[name] <= declared[name]
    }


def test_a_missing_package_is_named_with_the_command():
    error = ModuleNotFoundError("No module named 'vllm_gone'", name="vllm_gone")
    assert missing_package(error) is None  # no extra has it
    assert missing_packages(["json", "no_such_package"]) == ["no_such_package"]
    assert install_advice(["torch", "diffusers"], "diffusion").endswith("pip install 'modelgate[diffusion]'")
    assert "found no torch and no diffusers here" in install_advice(["torch", "diffusers"], "diffusion")


def test_an_import_that_fails_for_want_of_an_extra_is_a_verdict_of_its_own(monkeypatch):
    monkeypatch.setattr("bench.core.extras.find_spec", lambda name: None)
    error = RuntimeError("while retrieving")
    error.__cause__ = ModuleNotFoundError("No module named 'bm25s'", name="bm25s")
    verdict = verdict_of(error)
    assert (verdict.verdict, verdict.reason_code) == ("error", "extra_missing")
    assert "pip install 'modelgate[language]'" in verdict.reason


def test_an_installed_package_that_fails_to_import_one_of_its_own_is_no_missing_extra():
    error = ModuleNotFoundError("No module named 'torch._gone'", name="torch._gone")
    assert missing_package(error) is None
    assert verdict_of(error).reason_code == "internal_error"
