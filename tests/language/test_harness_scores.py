"""Tasks of lm-evaluation-harness on our engine give what the harness itself measures on the same model and rows."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from harness_runs import LENGTH, TINY, HarnessBench, long_model, measured_by_harness, write_task_rows
from language_toys import ModelConfig

from bench.language.backend import LocalBackend
from bench.language.harness.index import build_index
from bench.language.models.loading import load_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
]  # of the harness and of what it imports

# By kind of request, prompt and score.
CHOICES = (
    "arc_easy", "hellaswag", "piqa", "winogrande", "boolq", "openbookqa", "sciq", "copa", "cb", "multirc", "cola", "mrpc",
    "social_iqa", "race", "mutual", "truthfulqa_mc1", "truthfulqa_mc2", "gpqa_main_zeroshot",
    "blimp_adjunct_island", "crows_pairs_english",
)  # fmt: skip
LIKELY = ("lambada_openai", "asdiv", "wikitext")
WRITTEN = (
    "gsm8k", "gsm8k_cot", "mgsm_direct_en", "hendrycks_math_algebra", "triviaqa", "nq_open", "drop", "truthfulqa_gen",
    "gpqa_main_generative_n_shot", "mmlu_pro_biology", "anagrams1", "wmt16-en-de", "bbh_zeroshot_snarks",
)  # fmt: skip
TASKS = (*CHOICES, *LIKELY, *WRITTEN)
GROUPS = ("leaderboard_gpqa", "own_mmlu", "own_chinese", "own_bbh")
OWN = {
    "own_mmlu.yaml": """
group: own_mmlu
task:
  - group: sciences
    task: [mmlu_anatomy, mmlu_astronomy]
    aggregate_metric_list: [{metric: acc}]
  - mmlu_philosophy
num_fewshot: 2
aggregate_metric_list: [{metric: acc, weight_by_size: true}]
""",
    "own_chinese.yaml": """
group: own_chinese
task: [ceval-valid_law, ceval-valid_logic, cmmlu_anatomy, cmmlu_nutrition]
aggregate_metric_list:
  - {metric: acc, weight_by_size: false}
  - {metric: acc_norm}
""",
    "own_bbh.yaml": """
group: own_bbh
task:
  - {task: bbh_cot_fewshot_boolean_expressions, num_fewshot: 2}
  - bbh_zeroshot_navigate
aggregate_metric_list:
  - {metric: exact_match, filter_list: [get-answer, flexible-extract]}
""",
}
TALKED = ("arc_easy", "mmlu_anatomy", "gsm8k", "winogrande", "hendrycks_math_algebra", "mmlu_pro_biology")
SHOTS = 2


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("harness")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("HF_HUB_OFFLINE", "1")
        include = directory / "own"
        include.mkdir()
        for name, text in OWN.items():
            (include / name).write_text(text)
        write_task_rows(directory / "rows", (*TASKS, *GROUPS), [include])
        write_task_rows(directory / "rows", TALKED)
        long_model(directory / "long")
        yield directory


@pytest.fixture(scope="module")
def peer(place):
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=str(place / "long"), dtype="float32", device="cpu", batch_size=16)


@pytest.fixture(scope="module")
def bench(place):
    backends = {}

    def load(config: ModelConfig) -> LocalBackend:
        if config.type not in backends:
            backends[config.type] = LocalBackend(load_model(config), 16)
        return backends[config.type]

    return HarnessBench(place, load)


def asked(place, **fields):
    return {
        "hf_path": str(place / "long"), "dtype": "float32", "max_out_len": LENGTH, "lm_eval_data": place / "rows",
        "lm_eval_include": (place / "own",), **fields,
    }  # fmt: skip


@pytest.fixture(scope="module")
def own(place, bench):
    return bench.run("base", **asked(place, lm_eval_tasks=(*TASKS, *GROUPS)))


@pytest.fixture(scope="module")
def manager(place):
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=[str(place / "own")])


@pytest.fixture(scope="module")
def theirs(place, peer, manager):
    return measured_by_harness(
        peer, manager, (*TASKS, *GROUPS), place / "rows", gen_kwargs={"max_gen_toks": LENGTH}
    )


@pytest.fixture(scope="module")
def own_talk(place, bench):
    return bench.run("chat", **asked(place, lm_eval_tasks=TALKED, hf_type="chat", lm_eval_num_fewshot=SHOTS))


@pytest.fixture(scope="module")
def their_talk(place, peer, manager):
    return measured_by_harness(
        peer, manager, TALKED, place / "rows", gen_kwargs={"max_gen_toks": LENGTH}, apply_chat_template=True,
        fewshot_as_multiturn=True, num_fewshot=SHOTS,
    )  # fmt: skip


def same_numbers(own: dict, other: dict) -> set[str]:
    """Return the metrics of two results as our tables name them, after asserting that they are the same."""
    names = [key for key in other if "," in key and "_stderr," not in key]
    assert names
    for name in names:
        assert own[name] == pytest.approx(other[name], rel=1e-4, abs=1e-4), name
    return {one.removesuffix(",none").replace(",", "/") for one in names}


def same_answers(predictions: list[dict], samples: list[dict]) -> int:
    """Return how many answers two runs gave, after asserting that they are the same."""
    by_document = {}
    for sample in samples:  # one for each filter
        by_document[str(sample["doc_id"])] = sample
    assert {one["key"] for one in predictions} == by_document.keys()
    count = 0
    for prediction in predictions:
        sample = by_document[prediction["key"]]
        prompts = [next(iter(arguments)) for arguments in sample["arguments"]]
        assert [one.get("prompt", one.get("text")) for one in prediction["requests"]] == prompts
        for given, other in zip(prediction["answers"], sample["resps"], strict=True):
            for first, second in zip(given, other, strict=True):
                count += 1
                if isinstance(first, list):
                    assert first[0] == pytest.approx(second[0], abs=1e-3)
                    assert first[1] == second[1]
                elif isinstance(first, float):
                    assert first == pytest.approx(second, rel=1e-5, abs=1e-3)
                else:
                    assert first == second
    return count


def test_all_names_are_those_that_the_harness_finds_by_reading_its_files_in_full(place, manager):
    kinds = {"TASK": "task", "PY_TASK": "task", "GROUP": "group", "TAG": "tag"}
    theirs = {
        name: (kinds[one.kind.name], "" if one.kind.name == "TAG" else str(one.yaml_path),
               tuple(sorted(one.tags)) if one.kind.name == "TAG" else ())
        for name, one in manager.task_index.items()
    }  # fmt: skip
    index = build_index([place / "own"])
    assert {name: (one.kind, one.file, one.members) for name, one in index.items()} == theirs
    assert len(index) > 10_000


def test_the_quick_index_has_the_entries_of_the_harness(place, manager):
    from lm_eval.tasks._index import TaskIndex

    from bench.language.harness.index import installed_tasks
    from bench.language.harness.quick import started_quickly

    build = TaskIndex.build
    index = started_quickly(build)([installed_tasks(), place / "own"])
    own = {name: (one.kind, one.yaml_path, one.tags) for name, one in manager.task_index.items()}
    assert {name: (one.kind, one.yaml_path, one.tags) for name, one in index.items()} == own
    for name in (*TASKS, *GROUPS, "squadv2", "arc_challenge_mt_de"):
        assert index[name].cfg == manager.task_index[name].cfg
    assert TaskIndex.build is build


def test_every_task_ends_with_a_score(own, own_talk):
    failed = {one.id: one.reason for one in (*own.values(), *own_talk.values()) if one.verdict != "pass"}
    assert failed == {}
    assert len(own) >= 30


@pytest.mark.parametrize("name", TASKS)
def test_metrics_after_each_filter_and_answers_are_those_of_the_harness(own, theirs, bench, name):
    result = bench.results("base", name)
    shown = same_numbers(result["lm_eval"]["results"], theirs["results"][name])
    assert same_answers(bench.predictions("base", name), theirs["samples"][name])
    record = own[f"long-{name.replace('-', '_')}"]
    assert record.metrics.keys() == shown
    assert record.body.protocol == f"lm-eval:{name}@{theirs['versions'][name]}"
    assert all(one.n == theirs["n-samples"][name]["effective"] for one in record.metrics.values())


@pytest.mark.parametrize("name", [*GROUPS, "own_mmlu::sciences"])
def test_a_group_has_the_score_of_the_harness(own, theirs, name):
    metrics = own[f"long-{name.replace('::', '_')}"].metrics
    scores = {f"{key.replace('/', ',')}{'' if '/' in key else ',none'}": one for key, one in metrics.items()}
    values = {key: one.value / (100 if one.percent else 1) for key, one in scores.items()}
    same_numbers(values, theirs["results"][name])


def test_subtasks_of_a_group_are_cases_with_what_the_group_says(own, theirs, bench):
    assert theirs["n-shot"]["mmlu_anatomy"] == 2
    assert bench.results("base", "mmlu_anatomy")["lm_eval"]["num_fewshot"] == 2
    sizes = {own[f"long-mmlu_{one}"].score.n for one in ("anatomy", "astronomy", "philosophy")}
    assert len(sizes) > 1, "expected subtasks of different sizes: only then weights show"
    assert own["long-own_mmlu"].score.n == sum(
        own[f"long-mmlu_{one}"].score.n for one in ("anatomy", "astronomy", "philosophy")
    )


@pytest.mark.parametrize("name", TALKED)
def test_chat_models_get_the_template_with_examples_as_turns(own_talk, their_talk, bench, name):
    predictions = bench.predictions("chat", name)
    assert predictions[0]["requests"][0]["prompt"].count("<assistant>") == SHOTS + 1
    same_numbers(bench.results("chat", name)["lm_eval"]["results"], their_talk["results"][name])
    assert same_answers(predictions, their_talk["samples"][name])


def test_examples_in_one_message_are_one_turn(place, bench):
    fields = asked(
        place, lm_eval_tasks=("arc_easy",), hf_type="chat", lm_eval_num_fewshot=SHOTS, few_shot="text",
        limit=2,
    )  # fmt: skip
    del fields["max_out_len"]  # nothing is written
    bench.run("single", **fields)
    prompt = bench.predictions("single", "arc_easy")[0]["requests"][0]["prompt"]
    assert prompt.count("<user>") == prompt.count("<assistant>") == 1


@pytest.mark.parametrize("is_chat", [False, True])
def test_our_engine_is_a_model_of_the_harness(place, manager, theirs, their_talk, is_chat):
    import lm_eval.api.registry

    from bench.language.harness.lm import ModelgateLM

    assert lm_eval.api.registry.get_model("modelgate") is ModelgateLM
    model = ModelgateLM.create_from_arg_string(
        f"pretrained={place / 'long'},dtype=float32", {"batch_size": 8, "device": "cpu"}
    )
    names = (
        ("arc_easy", "gsm8k", "winogrande")
        if is_chat
        else ("hellaswag", "wikitext", "lambada_openai", "triviaqa")
    )
    chat = {"apply_chat_template": True, "fewshot_as_multiturn": True, "num_fewshot": SHOTS}
    found = measured_by_harness(
        model,
        manager,
        names,
        place / "rows",
        gen_kwargs={"max_gen_toks": LENGTH},
        **(chat if is_chat else {}),
    )
    other = their_talk if is_chat else theirs
    for name in names:
        same_numbers(found["results"][name], other["results"][name])
        for ours, peers in zip(found["samples"][name], other["samples"][name], strict=True):
            assert ours["arguments"] == peers["arguments"]
            if "gsm8k" in name or "triviaqa" in name:
                assert ours["resps"] == peers["resps"]


def test_prompts_that_are_too_long_are_cut_as_the_harness_cuts_them(place, bench, manager):
    from lm_eval.models.huggingface import HFLM

    names, limit = ("gsm8k", "mmlu_pro_biology"), 2
    fields = asked(place, lm_eval_tasks=names, limit=limit, lm_eval_num_fewshot=5, max_out_len=440)
    tiny = HarnessBench(place, lambda config: LocalBackend(load_model(config), 16))
    found = tiny.run("tiny", **{**fields, "hf_path": str(TINY)})
    assert found["tiny_lm-gsm8k"].body.engine.cut_prompts == limit
    peer = HFLM(pretrained=str(TINY), dtype="float32", device="cpu", batch_size=16)
    theirs = measured_by_harness(
        peer, manager, names, place / "rows", gen_kwargs={"max_gen_toks": 440}, limit=limit, num_fewshot=5
    )
    for name in names:
        assert same_answers(tiny.predictions("tiny", name, "tiny_lm"), theirs["samples"][name])
        same_numbers(tiny.results("tiny", name, "tiny_lm")["lm_eval"]["results"], theirs["results"][name])
