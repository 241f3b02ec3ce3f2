"""The task set: what it holds, what its texts ask for, and what its pipeline files say."""

from __future__ import annotations

import functools
import json
from collections import Counter
from pathlib import Path

import pytest
from suites import ROOT, Suite

from bench.acceleration.requirement.demands import read_demands
from bench.acceleration.source.reading import read_source
from bench.acceleration.tasks.join import load_cases
from bench.acceleration.taskset import models, texts
from bench.acceleration.taskset.models import PAPER
from bench.acceleration.taskset.pipeline_file import repository
from bench.acceleration.taskset.tasks import COUNTS, SetTask, make_tasks
from bench.acceleration.taskset.writing import LISTS, MANIFEST, write_tasks
from bench.acceleration.taskset.zoo import zoo_models
from bench.core.errors import UsageProblem

ZOO = zoo_models(ROOT / "fixtures/zoo")
SETS = ("paper", "zoo")
OF_UNETS = {"deepcache", "tome"}


@functools.cache
def tasks_of(name: str) -> list[SetTask]:
    """Return the tasks of a set."""
    return make_tasks(PAPER) if name == "paper" else make_tasks(ZOO, prefix="zoo-")


@pytest.fixture(params=SETS)
def tasks(request) -> list[SetTask]:
    """Each of the two sets."""
    return tasks_of(request.param)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """Both sets as files; no test changes them."""
    made = {name: tmp_path_factory.mktemp(name) for name in SETS}
    for name, folder in made.items():
        write_tasks(folder, tasks_of(name), {})
    return made


# What is in a set


def test_each_level_has_as_many_tasks_as_the_paper(tasks):
    assert Counter(task.level for task in tasks) == COUNTS
    assert COUNTS == {"L1": 41, "L2": 116, "L3": 261, "L4": 93, "L5": 93}
    assert len(tasks) == 604
    assert {task.level for task in tasks if task.difficulty == "hard"} == {"L4", "L5"}
    assert {task.difficulty for task in tasks} == {"easy", "medium", "hard"}


def test_no_two_tasks_are_alike(tasks):
    assert len({task.name for task in tasks}) == len(tasks)
    assert len({task.text for task in tasks}) == len(tasks)
    assert len({(task.level, task.target.name) for task in tasks}) == len(tasks)


def test_a_seed_says_which_tasks():
    def known(tasks):
        return [(task.name, task.text, task.fault, task.target.name, task.style) for task in tasks]

    assert known(make_tasks(ZOO, prefix="zoo-")) == known(tasks_of("zoo"))
    other = make_tasks(ZOO, prefix="zoo-", seed=1)
    assert Counter(task.level for task in other) == COUNTS
    assert len({task.text for task in other} - {task.text for task in tasks_of("zoo")}) > 300


def test_every_model_task_scheduler_method_and_size_is_there():
    targets = [task.target for task in tasks_of("paper")]
    assert {target.model.name for target in targets} == {model.name for model in PAPER}
    assert {target.task for target in targets} == {"text-to-image", "class-to-image", "image-to-image"}
    assert {target.scheduler for target in targets} == {None, models.DDIM, models.DPM, models.UNIPC}
    assert {method for target in targets for method in target.methods} == {
        "deepcache", "tome", "tgate", "precision",
    }  # fmt: skip
    sizes = {target.size for target in targets}
    assert (min(sizes), max(sizes)) == (256, 1024)
    targets = [task.target for task in tasks_of("zoo")]
    assert {target.model.name for target in targets} == {model.name for model in ZOO}
    assert {target.task for target in targets} == {
        "text-to-image", "class-to-image", "image-to-image", "text-to-video",
    }  # fmt: skip
    methods = {(target.model.name, method) for target in targets for method in target.methods}
    assert {("tiny_flux", name) for name in ("first_block_cache", "taylorseer", "cache_dit")} <= methods
    assert {("tiny_pixart", "cache_dit"), ("tiny_dit", "cache_dit"), ("tiny_motion", "precision")} <= methods


def test_levels_ask_for_what_they_are_named_for(tasks):
    for task in tasks:
        target, demand = task.target, task.demand
        changes = target.changes
        assert {"L1": changes == 0, "L2": changes == 1, "L3": changes > 1}.get(task.level, True), task.name
        assert (demand.speedup is not None) or task.level != "L4"
        assert (demand.latency_s is not None) == (task.level == "L5")
        assert task.methods == (() if task.level in ("L4", "L5") else target.methods)
        assert (task.baseline.scheduler, task.baseline.uses) == (None, ())
        assert task.baseline.steps >= target.steps or demand.speedup is None


def test_methods_are_asked_of_models_that_have_them(tasks):
    for task in tasks:
        methods, pipeline = set(task.target.methods), task.target.model.pipelines[task.target.task]
        assert not methods & OF_UNETS or pipeline.startswith("StableDiffusion"), task.name
        assert "tgate" not in methods or task.target.task == "text-to-image", task.name
        assert (pipeline == "DiTPipeline") == (task.target.task == "class-to-image"), task.name
        assert not methods & {"first_block_cache", "taylorseer"} or pipeline == "FluxPipeline", task.name


def test_a_slower_machine_is_allowed_more_time():
    for task in tasks_of("paper"):
        once, twice = (task.target.max_latency_s(factor) for factor in (1, 2))
        assert twice == pytest.approx(2 * once, rel=0.1)
        assert task.demand.latency_s in (None, once)
    assert make_tasks(ZOO, latency_factor=2)[-1].demand.latency_s == tasks_of("zoo")[-1].target.max_latency_s(
        2
    )


def test_models_with_too_few_setups_are_refused():
    with pytest.raises(
        UsageProblem, match=r"found 63 different setups for L2, expected 116; give the models more"
    ):
        make_tasks([ZOO[1]])


# What is asked for


def test_the_reader_of_demands_reads_what_each_text_asks_for(tasks):
    for task in tasks:
        asked, demand = read_demands(task.text), task.demand
        loss = None if demand.loss_percent is None else pytest.approx(demand.loss_percent / 100)
        speedup = None if demand.speedup is None else pytest.approx(demand.speedup)
        latency = None if demand.latency_s is None else pytest.approx(demand.latency_s)
        assert (asked.speedup, asked.latency_s, asked.quality_loss) == (speedup, latency, loss), task.text
        assert (asked.memory_gb, asked.unread) == (None, ()), task.text


@pytest.mark.parametrize("demand", [texts.Demand(speedup=1.7, latency_s=0.35, loss_percent=3)])
def test_every_wording_of_a_demand_is_read(demand):
    for wording in (*texts._SPEEDUPS, *texts._LATENCIES, *texts._LOSSES):
        asked = read_demands(wording.format(speedup=1.7, more=70, latency=0.35, loss=3))
        found = [value for value in (asked.speedup, asked.latency_s, asked.quality_loss) if value is not None]
        assert len(found) == 1, wording
        assert found[0] in (pytest.approx(1.7), pytest.approx(0.35), pytest.approx(0.03)), wording
        assert asked.unread == (), wording


# What is written


@pytest.mark.parametrize("name", SETS)
def test_all_tasks_are_collected_without_a_problem(folders, name):
    anno, gen, anno_wrong, wrong = (folders[name] / file for file in LISTS)
    cases = load_cases([anno, anno_wrong], [gen, wrong])
    assert len(cases) == len({case.id for case in cases}) == 2 * 604
    assert [case.problem for case in cases if case.problem] == []
    assert not any(case.is_unclear or case.unread_demands for case in cases)
    tasks = [case for case in cases if not case.is_control]
    assert Counter(case.level for case in tasks) == COUNTS
    assert {case.id.partition("-")[0] for case in tasks if case.level in ("L4", "L5")} == {"hard"}
    of_level = {
        level: {case.expect for case in cases if case.is_control and case.level == level} for level in COUNTS
    }
    assert of_level == {
        "L1": {"config_mismatch"},
        "L2": {"config_mismatch"},
        "L3": {"config_mismatch"},
        "L4": {"config_mismatch", "speedup_missed"},
        "L5": {"config_mismatch", "latency_missed"},
    }


@functools.cache
def said(path: Path) -> tuple[object, ...]:
    """Return what the text of a pipeline file says."""
    reading = read_source(path)
    start = [line for line in path.read_text().splitlines() if line.startswith("START = ")]
    assert reading.entry is not None, path
    return (
        reading.pipeline_class, reading.model_id, reading.scheduler_class, reading.num_inference_steps, reading.methods,
        reading.entry.attribute, sorted(reading.entry.keywords),
        start,
    )  # fmt: skip


def entries(folder: Path, name: str) -> dict[str, dict]:
    """Return the entries of a list by prompt id."""
    return {entry["prompt_id"]: entry for entry in json.loads((folder / name).read_text())}


@pytest.mark.parametrize("name", SETS)
def test_files_say_what_their_task_asks_for(folders, name):
    annotations, candidates = (entries(folders[name], file) for file in LISTS[:2])
    for task in tasks_of(name):
        target = task.target
        of_target = said(folders[name] / annotations[task.name]["target_file"])
        expected = (target.model.pipelines[target.task], repository(target), target.scheduler, target.steps)
        assert of_target[:4] == expected
        assert set(of_target[4]) == set(target.methods)
        assert of_target == said(folders[name] / candidates[task.name]["candidate_file"])


@pytest.mark.parametrize("role", ["candidates", "wrong"])
def test_candidates_are_written_in_several_styles(folders, role):
    written = [path.read_text() for path in (folders["paper"] / "pipelines" / role).glob("*.py")]
    for head in ("\ndef load_pipe():\n", "\ndef prepare(pipe):\n", "\npipe = "):
        assert sum(head in text for text in written) > len(written) / 4, head


@pytest.mark.parametrize("name", SETS)
def test_wrong_files_differ_in_what_they_are_rejected_for(folders, name):
    annotations, candidates = (entries(folders[name], file) for file in LISTS[2:])
    for prompt_id, entry in annotations.items():
        file = folders[name] / candidates[prompt_id]["candidate_file"]
        right, wrong = said(folders[name] / entry["target_file"]), said(file)
        if entry["expect"] == "config_mismatch":
            assert right != wrong, prompt_id
        elif entry["expect"] == "speedup_missed":
            assert right[:4] == wrong[:4]
            assert right[4]
            assert wrong[4] == {}
        else:
            assert "time.sleep" in file.read_text()
            assert right[:5] == wrong[:5]


def test_files_that_tasks_share_are_written_once(folders):
    annotations = entries(folders["paper"], LISTS[0]).values()
    baselines = {entry["baseline_file"] for entry in annotations}
    assert len(baselines) < len(annotations) / 2
    manifest = json.loads((folders["paper"] / MANIFEST).read_text())
    found = {
        path.relative_to(folders["paper"]).as_posix()
        for path in folders["paper"].rglob("*")
        if path.is_file()
    }
    assert found == {MANIFEST, *manifest["files"]}


def test_a_set_is_replaced_and_other_files_are_kept(tmp_path):
    write_tasks(tmp_path, tasks_of("zoo"), {})
    mine = tmp_path / "pipelines/candidates/mine.py"
    mine.write_text("pipe = None")
    outside = tmp_path.parent / "outside.txt"
    outside.write_text("")
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(
        json.dumps({**manifest, "files": [*manifest["files"], "../outside.txt"]})
    )
    write_tasks(tmp_path, tasks_of("zoo")[:1], {})
    left = {path.name for path in (tmp_path / "pipelines").rglob("*.py")}
    assert "mine.py" in left
    assert len(left) < 6
    assert outside.is_file()


@pytest.mark.parametrize(
    "content", [{}, {"taskset.json": "{}"}, {"taskset.json": "no"}, {"taskset.json": "[]"}]
)
def test_a_folder_of_others_is_refused(tmp_path, content):
    (tmp_path / "thesis.tex").write_text("")
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(
        UsageProblem, match=r"found a folder with other files and no task set, expected an empty one"
    ):
        write_tasks(tmp_path, tasks_of("zoo"), {})
    assert {path.name for path in tmp_path.iterdir()} == {"thesis.tex", *content}
    with pytest.raises(UsageProblem, match="found a file, expected a folder"):
        write_tasks(tmp_path / "thesis.tex", tasks_of("zoo"), {})


# What is judged

CHOSEN = {
    "L1": ("other-model", ()),
    "L2": ("method-missing", ("first_block_cache",)),  # of tiny-flux
    "L3": ("method-changed", ("cache_dit",)),  # of tiny-dit, which draws classes
}


def cheapest(level: str, fault: str, methods: tuple[str, ...]) -> SetTask:
    """Return the task of the zoo's set with the fewest steps that has this fault and these methods."""
    fitting = [
        task
        for task in tasks_of("zoo")
        if (task.level, task.fault, task.target.methods) == (level, fault, methods)
    ]
    return min(fitting, key=lambda task: task.target.steps_taken + task.baseline.steps_taken)


@pytest.mark.slow
def test_references_pass_and_wrong_candidates_are_rejected_for_their_fault(tmp_path):
    suite = Suite(tmp_path)
    chosen = [cheapest(level, *wanted) for level, wanted in CHOSEN.items()]
    assert [task.target.model.name for task in chosen] == ["tiny_sd_small", "tiny_flux", "tiny_dit"]
    write_tasks(tmp_path / "set", chosen, {})
    for lists, into in ((LISTS[::2], suite.annotations), (LISTS[1::2], suite.generations)):
        for name in lists:
            for entry in json.loads((tmp_path / "set" / name).read_text()):
                files = {
                    key: str(Path("set") / value) for key, value in entry.items() if key.endswith("_file")
                }
                into.append({**entry, **files})
    finished = suite.run(
        "--time-budget", "0", "--ungated-rounds", "6", "--num-samples", "4", "--batch-size", "2"
    )
    assert finished.results is not None, finished.output
    found = {record["prompt_id"]: record for record in finished.results["records"]}
    assert {record["verdict"] for record in found.values()} == {"pass"}, finished.output
    assert sorted(found) == sorted(
        [task.name for task in chosen] + [f"{task.name}-{task.fault}" for task in chosen]
    )
    reasons = {task.level: found[f"{task.name}-{task.fault}"]["control"]["reason"] for task in chosen}
    assert "unet" in reasons["L1"]
    assert "methods.first_block_cache" in reasons["L2"]
    assert "methods.cache_dit" in reasons["L3"]
    levels = finished.results["summary"]["levels"]
    assert (levels["L3"]["total"], levels["L3"]["pass_rate"], levels["L3"]["high"]) == (1, 1.0, 1.0)
    assert 0 < levels["L3"]["low"] < 1
