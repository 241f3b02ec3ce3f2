"""The examples of the pages do what the pages say: each is run by the command that stands next to it."""

from __future__ import annotations

import itertools
import json
import random
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pages
import pytest
import warm
from comparing import by_id, finished_in
from suites import QUICK, ROOT, Finished, own_cores, own_environment

pytestmark = pytest.mark.slow

# Where no gate asks for a speedup, timing ends at the first look. One image of the larger model takes little more than half
# of what two do.
UNGATED = (*QUICK, "--ungated-rounds", "6", "--ungated-time", "0", "--batch-size", "1")
ADDING, README, CONTRIBUTING = "docs/adding.md", "README.md", "CONTRIBUTING.md"
PAIR, KIND = "Judge a pair of your own", "Add a kind of case"
METHOD, METRIC = "An acceleration method", "An image metric"
WITHOUT = "medium-tiny_sd-free_u-without"


def example(
    directory: Path, section: str, *given: str, more: tuple[str, ...] = (), number: int = 0
) -> Finished:
    """Write a section of docs/adding.md and those that it stands on, and run its command; all of them passed."""
    pages.write(directory, *((ADDING, name) for name in (*given, section)))
    finished = pages.run(directory, pages.command(ADDING, section, number), *more)
    assert finished.code == 0, finished.output
    assert finished.results is not None, finished.output
    return finished


def joined(*commands: list[str]) -> list[str]:
    """Return one command with the options of several, which begin with the same words."""
    first, *others = commands
    assert all(command[:2] == first[:2] for command in others), commands
    return [*first, *itertools.chain.from_iterable(command[2:] for command in others)]


def only(finished: Finished) -> dict:
    """Return the only record of a run."""
    (record,) = finished.results["records"]
    return record


# --- README ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> Finished:
    """One run of README's pair, a task and a control."""
    directory = tmp_path_factory.mktemp("judged")
    pages.write(directory, (README, PAIR), (ADDING, "A task"), (ADDING, "A control"))
    words = joined(pages.command(README, PAIR), pages.command(ADDING, "A control"))
    finished = pages.run(directory, words, *UNGATED)
    assert finished.code == 0, finished.output
    assert len(by_id(finished)) == 3
    return finished


def test_the_first_pair_of_readme_passes(judged):
    assert {block.file for block in pages.blocks(README, PAIR) if block.file is not None} == {
        "pair/plain.py", "pair/fast.py", "pair/anno.json", "pair/gen.json",
    }  # fmt: skip
    record = judged.record(1)
    assert (record["verdict"], record["difficulty"], record["level"]) == ("pass", "hard", "L4")
    assert record["speedup"]["required"] == 1.3  # read from the text
    assert record["speedup"]["low"] > 1.3
    assert record["config"]["candidate"]["methods"]["deepcache"]["cache_interval"] == 3
    assert record["reason"].startswith(
        "configuration equals the target's but for what is free (methods.deepcache"
    )
    assert record["achievement_rate"] == 1.0


def collectable() -> list[list[str]]:
    """Return the commands of README that need nothing but what ships and what README makes."""
    own = {*pages.OF_THE_READER, "cuda"} - {"report.xml", "times.json"}
    shown = [words for block in pages.blocks(README) for words in block.commands() if words[0] == "pytest"]
    return [words for words in shown if not own & set(words)]


@pytest.mark.parametrize("words", collectable(), ids=" ".join)
def test_a_command_of_readme_collects_cases(tmp_path, words):
    pages.write(tmp_path, (README, PAIR))
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    finished = pages.run(tmp_path, words, "--collect-only", "-q")
    assert finished.code == 0, finished.output
    assert re.search(r"\b[1-9]\d* tests collected|\b1 test collected", finished.output), finished.output


# --- docs/adding.md: one file of the reader's for each thing -----------------------------------------------------


def test_a_task(judged):
    record = by_id(judged)["easy-tiny_sd-heun-heun"]
    assert (record["verdict"], record["control"]) == ("pass", None)
    assert record["config"]["candidate"]["scheduler_class"] == "HeunDiscreteScheduler"


def test_a_control(judged):
    record = by_id(judged)["easy-tiny_sd-heun-not_heun"]
    assert (record["verdict"], record["reason_code"]) == ("pass", "rejected_as_expected")
    assert record["control"]["reason_code"] == "config_mismatch"
    assert "HeunDiscreteScheduler" in record["control"]["reason"]


def test_a_whole_set_of_tasks(tmp_path):
    section = "A whole set of tasks"
    pages.write(tmp_path, (ADDING, section))
    written = pages.run(tmp_path, pages.command(ADDING, section, 0))
    assert written.code == 0, written.output
    table = (ROOT / ADDING).read_text(encoding="utf-8").split(f"## {section}")[1].split("\n## ")[0]
    for level, count in re.findall(r"^\| (L\d) \| (\d+) \|", table, re.MULTILINE):
        assert f"{level} {count}" in written.output
    for number in (1, 2):
        collected = pages.run(tmp_path, pages.command(ADDING, section, number), "--collect-only", "-q")
        assert collected.code == 0, collected.output
        assert "604 tests collected" in collected.output


@pytest.fixture(scope="module")
def methods(tmp_path_factory) -> Finished:
    """One run of the method and the metric, with one more task, whose candidate lacks the method."""
    directory = tmp_path_factory.mktemp("methods")
    pages.write(directory, (ADDING, METHOD), (ADDING, METRIC))
    task = {**json.loads((directory / "mine/free_u.json").read_text())[0], "prompt_id": "without"}
    task["candidate_file"] = task["baseline_file"]
    (directory / "mine/without.json").write_text(json.dumps([task]))
    metric = pages.command(ADDING, METRIC)
    # The command names one of the tasks that ship. Here the metric is that of the method's task.
    chosen = metric.index("-k")
    words = joined(pages.command(ADDING, METHOD), [*metric[:chosen], *metric[chosen + 2 :]])
    without = ("--tasks", "mine/without.json", "--candidates", "mine/without.json")
    finished = pages.run(directory, words, *without, *UNGATED)
    assert finished.code == 1, finished.output
    return finished


def test_an_acceleration_method(methods):
    record = by_id(methods)["medium-tiny_sd-free_u-free_u"]
    assert record["verdict"] == "pass", methods.output
    candidate = record["config"]["candidate"]
    assert candidate["methods"]["free_u"] == {"s1": 0.99, "s2": 0.99, "b1": 1.01, "b2": 1.01}
    assert candidate["source"]["methods"]["free_u"] == candidate["methods"]["free_u"]
    assert candidate["disagreements"] == []


def test_an_acceleration_method_that_is_not_in_place_is_missed(methods):
    record = by_id(methods)[WITHOUT]
    assert (record["verdict"], record["reason_code"]) == ("fail", "config_mismatch"), methods.output
    assert "methods.free_u" in record["reason"]


def test_an_image_metric(methods):
    record = methods.record("free_u")
    metric = record["metrics"]["mean_absolute_error"]
    assert not metric["higher_is_better"]
    assert 0 < metric["value"] <= 40
    assert record["fidelity"]["mean_absolute_error"] == pytest.approx(metric["value"])
    assert "mean_absolute_error" in record["reason"]


def test_the_command_of_an_image_metric_is_about_one_case(tmp_path):
    pages.write(tmp_path, (ADDING, METRIC))
    finished = pages.run(tmp_path, pages.command(ADDING, METRIC), "--collect-only", "-q")
    assert finished.code == 0, finished.output
    assert re.search(r"\b1/\d+ tests collected", finished.output), finished.output


@pytest.fixture(scope="module")
def weather(tmp_path_factory) -> Finished:
    """One run of the datasets and the task of the harness that are about the weather."""
    directory = tmp_path_factory.mktemp("weather")
    sections = ("A dataset", "A task of lm-evaluation-harness", "A text metric", "A post-processor")
    pages.write(directory, *((ADDING, section) for section in sections))
    commands = (pages.command(ADDING, name) for name in sections if name != "A text metric")
    finished = pages.run(directory, joined(*commands))
    assert finished.code == 0, finished.output
    assert set(by_id(finished)) == {"tiny_lm-weather_ll", "tiny_lm-weather_mc", "tiny_lm-weather_gen"}
    return finished


def test_a_dataset(weather):
    record = by_id(weather)["tiny_lm-weather_ll"]
    assert (record["verdict"], record["mode"]) == ("pass", "ll")
    assert record["score"]["n"] == 3
    assert set(record["metrics"]) == {"accuracy", "acc_norm"}


def test_a_task_of_the_harness(weather):
    record = by_id(weather)["tiny_lm-weather_mc"]
    assert (record["verdict"], record["mode"]) == ("pass", "ll")
    assert (record["protocol"], record["score"]["n"]) == ("lm-eval:weather_mc@1", 3)
    assert set(record["metrics"]) == {"acc", "acc_norm"}


def test_a_text_metric_and_a_post_processor(weather):
    record = by_id(weather)["tiny_lm-weather_gen"]
    assert record["verdict"] == "pass"
    assert (record["score"]["metric"], record["score"]["higher_is_better"]) == ("length_error", False)
    assert record["score"]["unit"] == ""
    assert {"length_error", "accuracy"} == set(record["metrics"])
    assert "length_error<=5" in record["reason"] or record["score"]["high"] <= 5


def test_a_language_model(tmp_path):
    record = only(example(tmp_path, "A language model"))
    assert (record["id"], record["verdict"], record["model"]) == ("our_lm-piqa_ll", "pass", "our_lm")


def reviews(directory: Path) -> None:
    """Write as many reviews as the page asks for, of the form of those that it shows."""
    kinds = [json.loads(line) for line in pages.blocks(ADDING, "Scored texts")[0].text.splitlines()]
    columns = list(kinds[0])
    good = {"good": 2, "friendly": 1, "fine": 1, "bad": -1, "cold": -2, "rude": -2}
    rng, lines = random.Random(0), []
    for number in range(400):
        words = rng.sample(list(good), 3)
        stars = min(5, max(1, 3 + sum(good[word] for word in words)))
        values = (
            f"r{number}",
            f"{words[0]} soup, {words[1]} waiter, {words[2]} bread.",
            stars,
            rng.choice(["inn", "bakery"]),
        )
        lines.append(json.dumps(dict(zip(columns, values, strict=True))))
    path = directory / "my_tasks/reviews.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines))


@pytest.mark.parametrize(("number", "task"), [(0, "reviews"), (1, "reviews-by-place"), (2, "reviews-words")])
def test_scored_texts(tmp_path, number, task):
    reviews(tmp_path)
    finished = example(tmp_path, "Scored texts", number=number)
    record = only(finished)
    assert (record["id"], record["verdict"]) == (task, "pass")
    assert record["gain"]["low"] > 0
    assert record["data"]["rows"] == {"train": 300, "evaluation": 100}
    assert set(record["metrics"]) == {"pearson", "spearman", "mae", "rmse", "qwk"}
    assert (finished.directory / record["files"]["csv"]).is_file()
    by_place = [(one["group"], one["low"], one["high"]) for one in record["groups"]]
    assert by_place == ([("bakery", 1, 5), ("inn", 1, 5)] if task == "reviews-by-place" else [])
    assert ("  inn: 1 to 5" in finished.output) == (task == "reviews-by-place")


def test_a_ranker_and_a_query_set(tmp_path):
    finished = example(tmp_path, "A ranker and a query set")
    records = by_id(finished)
    assert set(records) == {"word_overlap-animals", "word_overlap-stdlib_docstrings"}
    assert {record["verdict"] for record in records.values()} == {"pass"}
    assert records["word_overlap-animals"]["score"]["value"] == 1.0


def test_a_ranking_metric(tmp_path):
    record = only(example(tmp_path, "A ranking metric"))
    assert record["verdict"] == "pass"
    values = [record["metrics"][f"complete@{k}"]["value"] for k in (1, 10, 100)]
    assert values == sorted(values)
    assert values[0] < values[-1] == 1.0


def test_training_of_your_own(tmp_path):
    section = "Training of your own"
    pages.write(tmp_path, (ADDING, section))
    lines = next(block.text for block in pages.blocks(ADDING, section) if block.language == "json")
    (tmp_path / "faq.jsonl").write_text(lines)
    trained = pages.run(tmp_path, pages.command(ADDING, section, 0))
    assert trained.code == 0, trained.output
    judged = pages.run(tmp_path, pages.command(ADDING, section, 1))
    assert judged.code == 0, judged.output
    record = only(judged)
    assert (record["id"], record["kind"], record["verdict"]) == ("evaluated-mine-faq", "evaluated", "pass")
    assert record["evaluated"]["step"] == 2
    assert len(record["evaluated"]["history"]) == 2


def test_an_entry_point_of_a_package(tmp_path):
    """The package is found without an option, as it is when pip has installed it."""
    section = "A ranker and a query set"
    pages.write(tmp_path, (ADDING, section))
    toml = pages.blocks(ADDING, "Offer it in a package")[0].text
    ((group, points),) = tomllib.loads(toml)["project"]["entry-points"].items()
    site = tmp_path / "site"
    package, _, module = next(iter(points.values())).partition(".")
    (site / package).mkdir(parents=True)
    shutil.copy(tmp_path / "mine/overlap.py", site / package / f"{module}.py")
    information = site / f"{package}-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
    named = "\n".join(f"{name} = {value}" for name, value in points.items())
    (information / "entry_points.txt").write_text(f"[{group}]\n{named}\n")
    words = [
        word
        for word in pages.command(ADDING, section)
        if word not in ("--user-dir", "mine", "stdlib_docstrings")
    ]
    path = {"PYTHONPATH": f"{ROOT}:{site}"}
    finished = pages.run(tmp_path, words, environment=path)
    assert finished.code == 0, finished.output
    assert only(finished)["id"] == "word_overlap-animals"


# --- CONTRIBUTING: a kind ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def coins(tmp_path_factory) -> Path:
    """A copy of the suite with the kind of the page, and coins."""
    copy = tmp_path_factory.mktemp("kind")
    shutil.copytree(ROOT / "bench", copy / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "fixtures").mkdir()
    for name in ("__init__", "run", "cases"):
        shutil.copy(ROOT / f"fixtures/{name}.py", copy / f"fixtures/{name}.py")
    shutil.copy(ROOT / "conftest.py", copy / "conftest.py")
    (copy / "pytest.ini").write_text("[pytest]\nminversion = 9.0\n")
    written = pages.write(copy, (CONTRIBUTING, KIND))
    assert written == [
        "bench/coin/case.py", "bench/coin/evaluation.py", "bench/coin/kind.py", "bench/kinds.py", "cases/test_coin.py",
    ]  # fmt: skip
    for name, heads, tails in (("penny", 90, 10), ("nickel", 10, 90), ("dime", 52, 48)):
        (copy / f"{name}.txt").write_text("heads " * heads + "tails " * tails)
    (copy / "lost.txt").write_text("")
    return copy


def toss(copy: Path, *options: str) -> Finished:
    """Run the cases of the coins in the copy."""
    work = copy / f"run{next(_RUNS)}"
    line = [
        "taskset", "--cpu-list", own_cores(options), sys.executable, "-m", "pytest", "cases/test_coin.py",
        "-p", "no:cacheprovider", "--work-dir", str(work / "out"), *options,
    ]  # fmt: skip
    done = warm.run(line, cwd=copy, timeout=120, env={**own_environment(), "PYTHONPATH": str(copy)})
    return finished_in(work, done.returncode, done.stdout + done.stderr)


_RUNS = itertools.count()


def test_a_kind_of_the_page_is_judged_like_any_other(coins):
    files = [f"{name}.txt" for name in ("penny", "nickel", "dime", "lost")]
    finished = toss(coins, "-v", "--coins", *files)
    assert finished.code == 1
    found = {name: (record["verdict"], record["reason_code"]) for name, record in by_id(finished).items()}
    assert found == {
        "penny": ("pass", "passed"),
        "nickel": ("fail", "score_missed"),
        "dime": ("inconclusive", "score_undecided"),
        "lost": ("error", "data_failed"),
    }
    penny = by_id(finished)["penny"]
    assert (penny["kind"], penny["flips"]) == ("coin", 100)
    assert penny["metrics"]["heads"]["value"] == 0.9
    assert penny["metrics"]["heads"]["low"] == pytest.approx(0.8256, abs=1e-4)  # Wilson
    assert finished.results["summary"]["kinds"]["coin"]["passed"] == 1


def test_a_kind_of_the_page_has_a_table_words_and_options(coins):
    finished = toss(coins, "-v", "--coins", "penny.txt", "dime.txt")
    lines = [" ".join(line.split()) for line in finished.output.splitlines()]
    assert any("modelgate: coin" in line for line in lines)
    assert "penny pass - 0.900 [0.826, 0.945] -" in lines
    assert any(line.startswith("dime inconclusive") for line in lines)
    assert any("test_coin[penny] PASSED heads 0.900" in line for line in lines)
    assert any("test_coin[dime] INCONCLUSIVE heads 0.520" in line for line in lines)
    assert "--least-heads" in toss(coins, "--help").output


def test_the_command_of_the_page_requires_more_of_a_kind(coins):
    program, _, *options = pages.command(CONTRIBUTING, KIND)
    assert program == "pytest"
    assert toss(coins, *options).code == 0
    missed = toss(coins, *[option.replace("0.45", "0.95") for option in options])
    assert missed.code == 1
    assert by_id(missed)["penny"]["reason_code"] == "requirement_missed"
    refused = toss(coins, *[option.replace("heads>", "haeds>") for option in options])
    assert refused.code == 4
    assert "nearest: penny.heads" in refused.output


def test_an_inconclusive_coin_can_be_skipped(coins):
    finished = toss(coins, "--coins", "dime.txt", "--inconclusive", "skip")
    assert finished.code == 0
    assert "1 skipped" in finished.output
