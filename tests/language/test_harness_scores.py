"""Tasks of lm-evaluation-harness on our engine give what the harness itself measures on the same model and rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from comparing import by_id, run_kind
from harness_runs import LENGTH, long_model, measured_by_harness, write_task_rows

pytestmark = pytest.mark.slow

# By kind of request, prompt and score.
CHOICES = (
    "arc_easy", "hellaswag", "piqa", "winogrande", "boolq", "openbookqa", "sciq", "copa", "cb", "multirc", "cola", "mrpc",
    "social_iqa", "race", "mutual", "truthfulqa_mc1", "truthfulqa_mc2", "gpqa_main_zeroshot", "gpqa_main_n_shot",
    "blimp_adjunct_island", "crows_pairs_english",
)  # fmt: skip
LIKELY = ("lambada_openai", "asdiv", "wikitext")
WRITTEN = (
    "gsm8k", "gsm8k_cot", "mgsm_direct_en", "hendrycks_math_algebra", "triviaqa", "nq_open",
    "drop", "truthfulqa_gen", "gpqa_main_generative_n_shot", "mmlu_pro_biology", "anagrams1", "wmt16-en-de",
    "bbh_zeroshot_snarks",
)  # fmt: skip
GROUPS = ("mmlu_humanities", "own_chinese", "own_bbh")
NAMES = (*CHOICES, *LIKELY, *WRITTEN, *GROUPS)
OWN = {
    "own_chinese.yaml": """
group: own_chinese
task:
  - ceval-valid_law
  - ceval-valid_logic
  - cmmlu_anatomy
  - cmmlu_nutrition
aggregate_metric_list:
  - metric: acc
    weight_by_size: false
  - metric: acc_norm
""",
    "own_bbh.yaml": """
group: own_bbh
task:
  - task: bbh_cot_fewshot_boolean_expressions
    num_fewshot: 2
  - bbh_zeroshot_navigate
aggregate_metric_list:
  - metric: exact_match
    filter_list: [get-answer, flexible-extract]
""",
}
TALKED = ("arc_easy", "mmlu_anatomy", "gsm8k", "winogrande", "hendrycks_math_algebra", "mmlu_pro_biology")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("harness")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_DATASETS_CACHE", str(directory / "cache"))
        include = directory / "own"
        include.mkdir()
        for name, text in OWN.items():
            (include / name).write_text(text)
        write_task_rows(directory / "rows", (*NAMES, *TALKED), [include])
        long_model(directory / "long")
        yield directory


@pytest.fixture(scope="module")
def run(place):
    def run(*arguments):
        return run_kind(
            "language", place, "--hf-path", str(place / "long"), "--dtype", "float32", "--max-out-len", str(LENGTH),
            "--lm-eval-data", str(place / "rows"), "--lm-eval-include", str(place / "own"), *arguments,
        )  # fmt: skip

    return run


@pytest.fixture(scope="module")
def peer(place):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lm_eval.models.huggingface import HFLM

        yield HFLM(pretrained=str(place / "long"), dtype="float32", device="cpu", batch_size=16)


@pytest.fixture(scope="module")
def own(run):
    return run("--lm-eval-tasks", *NAMES)


@pytest.fixture(scope="module")
def theirs(place, peer):
    return measured_by_harness(
        peer, NAMES, place / "rows", [place / "own"], gen_kwargs={"max_gen_toks": LENGTH}
    )


def results_of(finished, name):
    return json.loads((finished.directory / f"results/long/{name}.json").read_text())


def same_numbers(own: dict, other: dict) -> list[str]:
    """Return the metrics of two results, after asserting that they are the same."""
    names = [key for key in other if "," in key and "_stderr," not in key]
    assert names
    for name in names:
        assert own[name] == pytest.approx(other[name], rel=1e-4, abs=1e-4), name
    return names


def test_every_task_ends_with_a_score(own):
    assert {
        record["id"]: record["reason"] for record in by_id(own).values() if record["verdict"] != "pass"
    } == {}


@pytest.mark.parametrize("name", [*CHOICES, *LIKELY, *WRITTEN])
def test_a_task_has_the_same_metrics_after_each_filter(own, theirs, name):
    names = same_numbers(results_of(own, name)["lm_eval"]["results"], theirs["results"][name])
    record = by_id(own)[f"long-{name.lower()}"]
    shown = {one.removesuffix(",none").replace(",", "/") for one in names}
    assert record["metrics"].keys() == shown
