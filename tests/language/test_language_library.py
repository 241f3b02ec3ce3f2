"""Datasets by name: files that are read at collection and run when they are needed, each name taken once."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from language_toys import DATASET, Place, keep_registered, setting

from bench.core.errors import LanguageProblem
from bench.language.cases import make_cases
from bench.language.kind import KIND
from bench.language.library import DATASETS, SHIPPED, DatasetFile, adopt, declares_dataset, load_dataset
from bench.language.models.catalog import MODELS
from bench.language.postprocess import POSTPROCESSORS, apply_postprocessors
from bench.language.prompting import QuestionBuilder
from bench.run.user_code import import_user_dir


@pytest.fixture(autouse=True)
def _own_registries(monkeypatch):
    keep_registered(monkeypatch, DATASETS, MODELS, POSTPROCESSORS)


def write(folder: Path, name: str, text: str = DATASET) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(text)
    return file


def test_every_shipped_file_is_a_dataset_of_its_name():
    files = sorted(SHIPPED.glob("[!_]*.py"))
    assert [file.stem for file in files] == DATASETS.below([SHIPPED])
    for file in files:
        assert declares_dataset(file.read_text()), file.name
        assert load_dataset(file.stem).metrics


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("DATASET = 3", True),
        ("DATASET: Dataset = make()", True),
        ("DATASET: Dataset", False),
        ("if True:\n    DATASET = 3", True),
        ("try:\n    pass\nexcept ImportError:\n    DATASET = 3", True),
        ("def make():\n    DATASET = 3", False),
        ("class Mine:\n    DATASET = 3", False),
        ("x.DATASET = 3", False),
        ("print(DATASET == 3)", False),
        ("def (\nDATASET = 3", True),  # does not parse, and is meant to be one all the same
        ("def (\nx = 3", False),
        ("", False),
    ],
)
def test_a_file_that_assigns_dataset_is_a_dataset_file(text, is_one):
    assert declares_dataset(text) == is_one


def test_a_dataset_file_is_not_run_before_it_is_needed(tmp_path):
    file = write(tmp_path / "mine", "bad.py", "raise SystemExit('this file was run')\nDATASET = 3\n")
    assert adopt(file, file.read_text())
    assert str(DATASETS.place("bad")) == f"{file}:2"
    with pytest.raises(LanguageProblem, match=r"SystemExit: this file was run \(mine/bad\.py, line 1\)"):
        load_dataset("bad")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("DATASET = 3", "found int"),
        ("if False:\n    DATASET = 3", "found no DATASET"),
        ("import nothing_of_that_name\nDATASET = 3", "ModuleNotFoundError"),
        ("def (\nDATASET = 3", "SyntaxError"),
        ("import json\n\nDATASET = json.loads('{')", "(mine/bad.py, line 3)"),
        (
            "from bench.language.spec import Dataset\nDATASET = Dataset(\n    prompt=3)",
            "(mine/bad.py, line 2)",
        ),
        ("DATASET = 3\nx = = 1", "SyntaxError: invalid syntax (mine/bad.py, line 2)"),
    ],
)
def test_a_broken_file_is_the_problem_of_its_own_case(tmp_path, text, message):
    place = Place(tmp_path)
    file = write(tmp_path / "mine", "bad.py", text)
    assert adopt(file, text)
    with pytest.raises(LanguageProblem, match=re.escape(message)):
        load_dataset("bad")
    cases = make_cases(place.settings(datasets=("bad", "toy")), setting(tmp_path))
    assert message in cases[0].problem
    assert cases[1].problem is None


def test_a_name_that_is_taken_names_both_files(tmp_path):
    file = write(tmp_path / "mine", "siqa_gen.py")
    with pytest.raises(
        ValueError, match=r"'siqa_gen' is registered twice: .*siqa_gen\.py:1 and in .*siqa_gen\.py:\d; rename"
    ):
        adopt(file, file.read_text())


def test_a_file_is_the_same_file_by_another_path(tmp_path):
    file = write(tmp_path / "mine", "toy_ll.py")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    assert adopt(file, DATASET)
    assert adopt(tmp_path / "link/toy_ll.py", DATASET)


def test_a_name_may_have_a_hyphen_and_the_file_functions_of_its_own(tmp_path):
    text = DATASET.replace("metrics=", "prepare=prepare, metrics=").replace(
        "DATASET =", "def prepare(row):\n    return row\n\n\nDATASET ="
    )
    file = write(tmp_path / "mine", "my-toy.v2.py", text)
    assert adopt(file, text)
    (tmp_path / "place").mkdir()
    case = make_cases(Place(tmp_path / "place").settings(datasets=("my-toy.v2",)), setting(tmp_path))[0]
    assert (case.id, case.dataset, case.problem) == ("toy-my_toy.v2", "my-toy.v2", None)
    assert load_dataset("my-toy.v2").prepare({"q": 1}) == {"q": 1}


def test_a_dataset_may_be_registered_as_an_object(tmp_path):
    declared = load_dataset("siqa_gen")
    DATASETS.add("siqa_again", declared)
    assert load_dataset("siqa_again") is declared


def test_one_folder_of_a_user_brings_a_dataset_a_model_and_a_post_processor(tmp_path):
    folder = tmp_path / "my-things"
    write(folder, "weather_ll.py")
    write(folder, "broken_ll.py", "import nothing_of_that_name\nDATASET = 3\n")
    write(
        folder,
        "things.py",
        "from bench.language.models.catalog import language_model\n"
        "from bench.language.models.config import ModelConfig\n"
        "from bench.language.postprocess import POSTPROCESSORS\n"
        "language_model(ModelConfig('mine', '/nowhere'))\n"
        "@POSTPROCESSORS.register('last_word')\n"
        "def last_word(text, row):\n"
        "    words = text.split()\n"
        "    return words[-1] if words else None\n",
    )
    assert KIND.adopt is not None
    import_user_dir(folder, [KIND.adopt])
    assert isinstance(DATASETS["weather_ll"], DatasetFile)
    assert load_dataset("weather_ll").prompt == "{q}"
    assert MODELS["mine"].path == "/nowhere"
    assert MODELS.place("mine").file.endswith("things.py")
    assert apply_postprocessors(["last_word"], "it is sunny", {}) == "sunny"
    assert MODELS.below([folder]) == ["mine"]
    assert DATASETS.below([folder]) == ["broken_ll", "weather_ll"]


def test_knowing_the_kind_imports_nothing_heavy():
    heavy = "{'torch', 'transformers', 'datasets', 'numpy', 'pandas', 'requests', 'pytest'}"
    code = (
        "import sys, bench.language.kind as kind; kind.KIND.options(); "
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "column", "values"),
    [("siqa_gen", "label", ["0", "4", "-1"]), ("mmlu_circular_gen", "answer", [-1, 4])],
)
def test_a_label_that_no_option_has_is_refused_and_never_counted_from_the_end(name, column, values):
    row = {
        "answerA": "a", "answerB": "b", "answerC": "c", "context": "x", "question": "q",
        "choices": ["a", "b", "c", "d"], "subject": "farming",
    }  # fmt: skip
    dataset = load_dataset(name)
    builder = QuestionBuilder(dataset, [{**row, column: 1}] * dataset.examples.count, 0)
    (question, *_) = builder.build([{**row, column: 1}])
    assert question.golds == ({"siqa_gen": "A", "mmlu_circular_gen": "B"}[name],)
    for value in values:
        with pytest.raises(
            LanguageProblem, match=f"row 7: found the label {value!r} in the field {column!r}, expected"
        ):
            builder.build([{**row, column: value}], 7)
