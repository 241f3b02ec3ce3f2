"""What options resolve to; an option that does nothing with the others, or a gate of nothing that is run, is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from language_toys import MODEL, keep_registered, setting

from bench.core.errors import UsageProblem
from bench.core.runs import find_run
from bench.language.case import LanguageCase
from bench.language.config import RunConfig, SummaryGroup, read_config
from bench.language.models.catalog import MODELS, language_model
from bench.language.models.config import ModelConfig
from bench.language.options import LanguageOptions, LanguageSettings, check, resolve


@pytest.fixture(autouse=True)
def _own_models(monkeypatch):
    keep_registered(monkeypatch, MODELS)
    language_model(MODEL)


def resolved(
    directory: Path, latest: Path | None = None, run: dict | None = None, **given
) -> LanguageSettings:
    """What a command line resolves to whose ini file names the toy."""
    run = {
        **(run or {}),
        **{name: given.pop(name) for name in ("reuse",) if name in given},
    }  # shared by all kinds
    options = LanguageOptions(**{"models": ("toy",), **given})
    return resolve(options, setting(directory, *given, latest=latest, **run))


# Models


def test_models_of_the_command_line_come_before_those_of_configurations_and_of_the_ini_file(tmp_path):
    file = tmp_path / "eval.py"
    file.write_text("models = ['hf_gpt2']\ndatasets = ['siqa_gen', {'name': 'piqa_ll', 'min_score': 60}]\n")

    def names(**given):
        return [model.name for model in resolved(tmp_path, **given).models]

    assert names() == ["toy"]
    assert names(config=(file,)) == ["hf_gpt2"]
    assert names(config=(file,), models=("hf_opt_125m",)) == ["hf_opt_125m"]
    assert names(models=("hf_opt_125m",), hf_path="org/some-lm") == ["hf_opt_125m", "some_lm"]
    assert names(hf_path="org/some-lm") == ["some_lm"]
    found = resolved(tmp_path, config=(file,))
    assert found.datasets == ("siqa_gen", "piqa_ll")
    assert resolved(tmp_path, config=(file,), datasets=("gsm8k_gen",)).datasets == ("gsm8k_gen",)
    assert found.required("toy", "piqa_ll") == 60.0
    assert found.config.files == (str(file),)


def test_options_of_all_models_reach_each_of_them(tmp_path):
    (model,) = resolved(
        tmp_path, max_seq_len=64, max_out_len=8, dtype="bfloat16", run={"batch_size": "4"}
    ).models
    assert (model.max_seq_len, model.max_out_len, model.dtype, model.batch_size) == (64, 8, "bfloat16", 4)
    served, local = resolved(
        tmp_path, models=("toy",), api_base="http://h/v1", api_model="lm", dtype="float32"
    ).models[::-1]
    assert (served.dtype, local.dtype) == ("auto", "float32")  # a server loads its weights itself


def test_arguments_of_one_model_are_read_as_literals(tmp_path):
    (model,) = resolved(
        tmp_path, hf_path="org/lm", model_kwargs={"a": "[1, 2]"}, generation_kwargs={"top_p": "0.9"}
    ).models
    assert (model.model_kwargs, model.generation_kwargs) == ({"a": [1, 2]}, {"top_p": 0.9})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"models": ("hf_opt_125",)}, r"--models hf_opt_125: no model .*hf_opt_125m.*--hf-path"),
        ({"generation_kwargs": {"top_p": "0.9"}}, "--generation-kwargs: found no model that it applies to"),
        ({"models": ("hf_gpt2",), "hf_type": "chat"}, "--hf-type: found no model that it applies to"),
        ({"config": "eval.py", "hf_type": "chat"}, "--hf-type: found no model that it applies to"),
        ({"config": "eval.py", "generation_kwargs": {"top_p": "1"}}, "--generation-kwargs: found no model"),
        (
            {"tokenizer_path": "x", "model_kwargs": {"a": "1"}},
            "--tokenizer-path, --model-kwargs: found no model",
        ),
        ({"api_model": "lm"}, "--api-model: found no model that it applies to"),
        ({"hf_path": "x", "api_model": "lm"}, "with --api-model 'lm'; expected both or neither"),
        ({"hf_path": "x", "model_kwargs": {"a-b": "1"}}, "found 'a-b=1'; expected key=value"),
        ({"api_concurrency": 2}, "--api-concurrency: found no model behind a server"),
        ({"hf_path": "x", "api_concurrency": 2}, "--api-concurrency: found no model behind a server"),
        ({"api_base": "http://h", "api_model": "m", "dtype": "float16"}, "--dtype: found only models behind"),
        ({"margin": 2.0}, "--margin: found no run to compare with"),
        ({"mode": "eval"}, "--mode eval: found no earlier run to read; name one with --reuse"),
        ({"mode": "infer", "min_score": {"x": 1.0}}, "--min-score: --mode infer asks questions"),
        ({"mode": "viz", "reuse": "old", "limit": 3}, "--limit: --mode viz shows an earlier run's records"),
        ({"mode": "viz", "reuse": "old", "min_score": {"x": 1.0}}, "--min-score: --mode viz shows"),
        ({"reuse": "never"}, "--reuse never: found no such run"),
        ({"reference": "never"}, "--reference never: found no such run"),
        ({"data": "nowhere"}, "no such folder; expected own, hub"),
        ({"models": ()}, "found no model, expected at least one; name it with --models"),
        ({"models": ("toy",), "hf_path": "org/toy"}, "model 'toy' is named twice"),
    ],
)
def test_an_option_that_cannot_be_used_names_itself(tmp_path, given, message):
    (tmp_path / "eval.py").write_text("models = ['hf_gpt2']\n")
    (tmp_path / "old/predictions").mkdir(parents=True)
    if "config" in given:
        given = {**given, "config": (tmp_path / given["config"],)}
    with pytest.raises(UsageProblem, match=message):
        resolved(tmp_path, **given)


def test_a_batch_size_that_is_none_is_refused(tmp_path):
    with pytest.raises(UsageProblem, match="--batch-size some: expected a positive whole number or auto"):
        resolved(tmp_path, run={"batch_size": "some"})


def test_data_and_rows_are_those_given(tmp_path):
    (tmp_path / "own").mkdir()  # a folder of that name does not change what `own` means
    assert resolved(tmp_path, data="own", rows=tmp_path).data == "own"
    assert resolved(tmp_path, data="hub").data == "hub"
    assert resolved(tmp_path, data="./own").data == str(tmp_path / "own")


# Earlier runs


def test_latest_is_the_newest_run_when_this_one_began_wherever_the_link_points_now(tmp_path):
    old, new = tmp_path / "out/20260101_000000", tmp_path / "out/20260101_000001"
    for run in (old, new):
        (run / "predictions").mkdir(parents=True)
    (tmp_path / "out/latest").symlink_to(new.name)  # this run, whose worker was started again
    found = resolved(tmp_path, latest=old, reuse="latest", reference="latest")
    assert (found.reuse, found.reference) == (old, old)
    assert resolved(tmp_path, reuse="latest").reuse == new  # nothing was run yet: --collect-only
    assert find_run(old.name, "--reuse", setting(tmp_path, latest=new)) == old
    assert find_run("./out/20260101_000000", "--reuse", setting(tmp_path)) == old
    with pytest.raises(UsageProblem, match=r"--reuse x: .*20260101_000000, 20260101_000001\) or a directory"):
        find_run("x", "--reuse", setting(tmp_path))


# Gates of what is run


CASES = [
    LanguageCase("toy-siqa_gen", "toy", "siqa_gen", mode="gen"),
    LanguageCase("toy-piqa_ll-1of2", "toy", "piqa_ll", mode="ll", shard=1, shards=2),
    LanguageCase("toy-nowhere", "toy", "nowhere", problem="no dataset is named 'nowhere'"),
]


@pytest.mark.parametrize("name", ["siqa_gen", "toy/siqa_gen", "piqa_ll", "nowhere"])
def test_a_required_score_of_what_is_run_is_taken(name):
    check(LanguageSettings(models=(MODEL,), min_scores={name: 60.0}), CASES)
    check(LanguageSettings(models=(MODEL,), config=RunConfig(min_scores={name: 60.0})), CASES)


@pytest.mark.parametrize("name", ["siqa_gn", "tou/siqa_gen", "gsm8k_gen"])
def test_a_required_score_of_nothing_that_is_run_is_refused_with_the_nearest_names(name):
    message = rf"--min-score {name}=99.9: no dataset that is run is named '{name}'; nearest: .*siqa_gen"
    with pytest.raises(UsageProblem, match=message):
        check(LanguageSettings(models=(MODEL,), min_scores={"siqa_gen": 1.0, name: 99.9}), CASES)
    config = RunConfig(min_scores={name: 60.0}, files=("eval.py",))
    with pytest.raises(UsageProblem, match=rf"min_score in --config eval.py: {name}=60: no dataset"):
        check(LanguageSettings(models=(MODEL,), config=config), CASES)


@pytest.mark.parametrize("name", ["max_out_len", "generation_kwargs"])
def test_an_option_of_generation_needs_a_dataset_that_generates(name):
    settings = LanguageSettings(models=(MODEL,), given=frozenset({name}))
    check(settings, CASES)
    with pytest.raises(
        UsageProblem, match=f"--{name.replace('_', '-')}: applies to datasets with inference by gen"
    ):
        check(settings, CASES[1:])
    check(settings, CASES[2:])  # what a dataset does that cannot be loaded is not known


# Configuration files


def test_configurations_compose_by_importing_each_other(tmp_path):
    (tmp_path / "shared_lists.py").write_text("few = ['siqa_gen', 'piqa_ll']\n")
    file = tmp_path / "eval.py"
    file.write_text(
        "from shared_lists import few\n"
        "from bench.language.models.config import ModelConfig\n"
        "models = ['hf_gpt2', ModelConfig('a', 'b'), {'name': 'c', 'path': 'd'}]\n"
        "datasets = [*few, {'name': 'gsm8k_gen', 'min_score': 10}]\n"
        "summary_groups = [{'name': 'few', 'datasets': few, 'rule': 'weighted'}, {'name': 'old', 'how': 'harmonic'}]\n"
    )
    found = read_config([file])
    assert found.models == (MODELS["hf_gpt2"], ModelConfig("a", "b"), ModelConfig("c", "d"))
    assert found.datasets == ("siqa_gen", "piqa_ll", "gsm8k_gen")
    assert found.min_scores == {"gsm8k_gen": 10.0}
    assert found.groups == (
        SummaryGroup("few", ("siqa_gen", "piqa_ll"), "weighted"),
        SummaryGroup("old", (), "harmonic"),
    )


def test_the_demo_configuration_can_be_read():
    file = Path(__file__).resolve().parents[2] / "configs/eval_demo.py"
    language_model(ModelConfig("tiny_lm", "somewhere")) if "tiny_lm" not in MODELS else None
    found = read_config([file])
    assert found.min_scores == {"gsm8k_gen": 10.0}
    assert found.groups[0].rule == "average"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file"),
        ("1 / 0", "ZeroDivisionError"),
        ("models = 'hf_gpt2'", "found 'hf_gpt2' in models, expected a list"),
        ("models = ['hf_gpt']", "no model is named 'hf_gpt'; nearest: hf_gpt2"),
        ("models = [{'nam': 'x'}]", "expected the fields of ModelConfig"),
        ("models = [{'name': 'X', 'path': 'y'}]", "expected lower-case letters"),
        ("import json\nmodels = json.loads('{')", r"JSONDecodeError: .*eval\.py, line 2\)"),
        ("models = [", r"SyntaxError: .*eval\.py, line 1\)"),
        ("import sys\n\nsys.exit(3)", r"SystemExit: 3 \(.*eval\.py, line 3\)"),
        ("models = [3]", "found 3 in models, expected a name, a ModelConfig"),
        ("datasets = [{'name': 'x', 'min': 3}]", "in datasets, expected a name, or a dictionary"),
        ("datasets = [{'name': 'x', 'min_score': 'high'}]", "min_score, a number"),
        ("summary_groups = [{'name': 'x', 'rule': 'median'}]", "rule, one of average, weighted, harmonic"),
        ("summary_groups = [{'datasets': []}]", "in summary_groups, expected a dictionary with name"),
    ],
)
def test_a_configuration_of_another_form_names_the_file_and_what_was_expected(tmp_path, text, message):
    file = tmp_path / "eval.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UsageProblem, match=rf"--config .*eval\.py: .*{message}"):
        read_config([file])
