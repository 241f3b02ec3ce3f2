"""A task of one's own: shards, reuse, gates, groups, sampled answers, servers; and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from comparing import by_id, run_kind
from completion_server import Behaviour, TinyServer, tiny_model, tiny_tokenizer
from harness_runs import TINY, HarnessBench

from bench.core.errors import UsageProblem
from bench.language.backend import LocalBackend
from bench.language.chat import WrittenText
from bench.language.harness.evaluation import _prediction
from bench.language.harness.groups import combined
from bench.language.harness.progress import Progress, wait_for
from bench.language.harness.selection import Aggregate, HarnessGroup
from bench.language.harness.tasks import Document
from bench.language.models.loading import load_model
from bench.language.server.backend import ServerBackend

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
]  # of the harness and of what it imports

ROWS = 12
CHOICE = """
task: own_choice
tag: own_tag
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}\\nAnswer:"
doc_to_choice: options
doc_to_target: label
metadata: {{version: 3}}
"""
TEXT = """
task: own_text
tag: own_tag
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: generate_until
repeats: 3
generation_kwargs: {{do_sample: true, temperature: 1.0, max_gen_toks: 6, until: ["."]}}
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{options[label]}}}}"
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
filter_list:
  - {{name: first, filter: [{{function: take_first}}]}}
  - {{name: maj, filter: [{{function: majority_vote}}, {{function: take_first}}]}}
"""
GROUP = """
group: own_group
task: [own_choice, {task: own_again, include: 0}]
aggregate_metric_list: [{metric: acc}, {metric: acc_norm, weight_by_size: false}]
"""


def row(i: int) -> dict:
    things = ("lamp", "river", "stone", "garden")
    return {"question": f"What is number {i}?", "options": list(things), "label": i % 4}


def write(file: Path, rows: list[dict]) -> None:
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))


@pytest.fixture(scope="module")
def backend():
    from bench.language.models.config import ModelConfig

    return LocalBackend(load_model(ModelConfig("tiny_lm", str(TINY), dtype="float32")), 8)


@pytest.fixture
def folder(tmp_path) -> Path:
    include = tmp_path / "own"
    include.mkdir()
    write(tmp_path / "rows.jsonl", [row(i) for i in range(ROWS)])
    choice = CHOICE.format(rows=tmp_path / "rows.jsonl")
    (include / "choice.yaml").write_text(choice)
    write(tmp_path / "again.jsonl", [row(i) for i in range(5)])
    again = choice.replace("own_choice", "own_again").replace("rows.jsonl", "again.jsonl")
    (include / "again.yaml").write_text(again.replace("tag: own_tag\n", ""))
    (include / "text.yaml").write_text(TEXT.format(rows=tmp_path / "rows.jsonl"))
    (include / "group.yaml").write_text(GROUP.replace(", include: 0", ""))
    return tmp_path


@pytest.fixture
def bench(folder, backend):
    return HarnessBench(folder, lambda config: backend)


def asked(folder: Path, *names: str, **fields):
    return {
        "hf_path": str(TINY), "dtype": "float32", "lm_eval_tasks": names, "lm_eval_include": (folder / "own",), **fields
    }  # fmt: skip


def test_a_task_in_shards_has_the_score_of_the_whole(bench, folder):
    whole = bench.run("whole", **asked(folder, "own_choice"))
    data = folder / "data/own/choice"
    data.mkdir(parents=True)
    shutil.copy(folder / "rows.jsonl", data / "test.jsonl")
    text = (folder / "own/choice.yaml").read_text()
    begin = text.index("dataset_path")
    (folder / "own/choice.yaml").write_text(
        f"{text[:begin]}dataset_path: own/choice\n{text[text.index('test_split') :]}"
    )
    parts = bench.run(
        "parts", **asked(folder, "own_group", lm_eval_data=folder / "data", max_task_size=16),
    )  # fmt: skip
    shards = [one for name, one in parts.items() if "own_choice" in name]
    assert [one.body.shard.of for one in shards] == [3] * 3
    assert sum(one.body.engine.asked for one in shards) == ROWS
    (last,) = [one for one in shards if one.metrics]
    assert last.metrics == whole["tiny_lm-own_choice"].metrics
    assert {one["key"] for one in bench.predictions("parts", "own_choice", "tiny_lm")} == {
        str(i) for i in range(ROWS)
    }


def test_a_group_weighs_its_tasks_and_gates_hold_it_and_them(bench, folder):
    require = ("language:own_group.acc>=0.99", "language:own_choice.acc>=0", "language:own_again.acc_norm>=0")
    found = bench.run("gated", require=require, **asked(folder, "own_group", min_score={"own_again": 0.0}))
    group = found["tiny_lm-own_group"]
    scores = [found[f"tiny_lm-{one}"].metrics for one in ("own_choice", "own_again")]
    by_size = (scores[0]["acc"].value * ROWS + scores[1]["acc"].value * 5) / (ROWS + 5)
    assert group.metrics["acc"].value == pytest.approx(by_size)
    means = [one["acc_norm"].value for one in scores]
    assert group.metrics["acc_norm"].value == pytest.approx(sum(means) / 2)
    widths = [one["acc"].high - one["acc"].low for one in scores]
    assert 0 < group.metrics["acc"].high - group.metrics["acc"].low < max(widths)
    assert group.metrics["acc"].low < group.metrics["acc"].value < group.metrics["acc"].high
    assert (group.verdict, group.body.mode, group.body.protocol) == ("fail", "group", "lm-eval:own_group@N/A")
    assert {found[f"tiny_lm-{one}"].verdict for one in ("own_choice", "own_again")} == {"pass"}
    assert found["tiny_lm-own_choice"].body.protocol == "lm-eval:own_choice@3"


def test_a_group_whose_answers_are_all_right_is_not_certain():
    right = {
        "acc,none": 1.0, "acc_stderr,none": 0.0, "sample_len": 4, "is_share": {"acc,none": True},
        "intervals": {"acc,none": [0.51, 1.0]},
    }  # fmt: skip
    group = HarnessGroup("g", ("a", "b"), (Aggregate("acc"),))
    (score,) = combined(group, {"a": right, "b": right}).values()
    assert (score.value, score.stderr, score.high) == (100.0, 0.0, 100.0)
    assert score.low == pytest.approx(100 * (1 - 0.49 / 2**0.5))


def test_a_required_score_rejects_a_task(bench, folder):
    (record,) = bench.run("missed", **asked(folder, "own_choice", min_score={"own_choice": 99.0})).values()
    assert (record.verdict, record.reason_code) == ("fail", "score_missed")


def test_answers_of_an_earlier_run_are_reused_document_by_document(bench, folder):
    bench.run("first", **asked(folder, "own_choice"))
    earlier = {"run": {"reuse": str(folder / "first")}}
    (again,) = bench.run("again", **asked(folder, "own_choice"), **earlier).values()
    assert (again.body.engine.asked, again.body.engine.reused) == (0, ROWS)
    rows = [row(i) for i in range(ROWS)]
    write(folder / "rows.jsonl", [rows[1], rows[0], *rows[2:], row(99)])
    (moved,) = bench.run("moved", **asked(folder, "own_choice"), **earlier).values()
    assert (moved.body.engine.asked, moved.body.engine.reused) == (3, ROWS - 2)
    assert "2 of 13 documents, the first one 0" in " ".join(moved.warnings)
    (scored,) = bench.run("scored", **asked(folder, "own_choice", mode="eval"), **earlier).values()
    assert (scored.verdict, scored.reason_code) == ("error", "predictions_missing")
    assert "2 of 13 documents" in scored.reason


def test_a_reference_run_is_compared_on_the_same_documents_only(bench, folder):
    bench.run("first", **asked(folder, "own_choice"))
    fields = asked(folder, "own_choice", reference=str(folder / "first"), margin=1.0)
    (same,) = bench.run("same", **fields).values()
    assert same.verdict == "pass"
    assert (same.body.reference.difference, same.body.reference.n) == (0.0, ROWS)
    predictions = folder / "first/predictions/tiny_lm/own_choice.jsonl"
    lines = [json.loads(line) for line in predictions.read_text().splitlines()]
    right = [{**one, "answers": [[[float(k == one["index"] % 4), True]] for k in range(4)]} for one in lines]
    write(predictions, right)
    (worse,) = bench.run("worse", **fields).values()
    assert (worse.verdict, worse.reason_code) == ("fail", "worse_than_reference")
    write(folder / "rows.jsonl", [row(i + 1) for i in range(ROWS)])
    (other,) = bench.run("other", **fields).values()
    assert (other.verdict, other.reason_code) == ("error", "predictions_missing")
    assert "12 of 12 documents" in other.reason


def test_a_limit_takes_the_first_documents_and_says_so(bench, folder):
    (record,) = bench.run("few", **asked(folder, "own_choice", limit=5)).values()
    assert record.score.n == 5
    assert any("the first 5 of 12 documents" in one for one in record.warnings)


def test_sampled_answers_depend_on_seed_and_repeat_alone(bench, folder):
    found = bench.run("one", **asked(folder, "own_text"))["tiny_lm-own_text"]
    assert found.metrics.keys() == {"exact_match/first", "exact_match/maj"}
    answers = {one["key"]: one["answers"][0] for one in bench.predictions("one", "own_text", "tiny_lm")}
    assert {len(one) for one in answers.values()} == {3}
    assert any(len(set(one)) > 1 for one in answers.values())
    bench.run("two", **asked(folder, "own_text", limit=3))
    few = {one["key"]: one["answers"][0] for one in bench.predictions("two", "own_text", "tiny_lm")}
    assert few == {key: answers[key] for key in few}


def test_a_group_names_the_task_that_has_no_score(bench, folder):
    write(folder / "again.jsonl", [{"question": "What?"}])
    found = bench.run("broken", **asked(folder, "own_group"))
    failed, group = found["tiny_lm-own_again"], found["tiny_lm-own_group"]
    assert (failed.verdict, failed.reason_code) == ("error", "data_failed")
    assert found["tiny_lm-own_choice"].verdict == "pass"
    assert (group.verdict, group.reason_code) == ("error", "predictions_missing")
    assert "1 of 2 tasks" in group.reason
    assert "own_again" in group.reason


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("arc_easy", ("found no rows", "train, validation, test", "answerKey", "ARC-Easy")),
        ("cruxeval_output", ("runs what a model writes by code of its own", "leave the task out")),
        ("own_needy", ("found no package nowhere_to_be_found", "install it", "own/utils.py, line 1)")),
        (
            "own_dividing",
            ("cannot be imported (ZeroDivisionError: division by zero", "own/broken.py, line 2)"),
        ),
        (
            "own_misnaming",
            ("cannot be imported (ImportError: cannot import name", "own/misnaming.py, line 1)"),
        ),
        ("own_raising", ("the task's own code raised KeyError: 'nowhere'", "own/raising.py, line 2)")),
    ],
)
def test_what_cannot_be_run_is_the_error_of_its_own_case(bench, folder, name, said):
    (folder / "data").mkdir(exist_ok=True)
    codes = {
        "needy": "import nowhere_to_be_found\n\ndef ask(doc): ...\n",
        "dividing": "\n1 / 0\n",
        "misnaming": "from json import nothing_of_that_name\n",
        "raising": "def ask(rows):\n    return rows.map(lambda doc: {'question': doc['nowhere']})\n",
    }
    choice = (folder / "own/choice.yaml").read_text().replace("tag: own_tag\n", "")
    for word, code in codes.items():
        module = {"needy": "utils", "dividing": "broken"}.get(word, word)
        (folder / f"own/{module}.py").write_text(code)
        text = choice.replace("own_choice", f"own_{word}")
        (folder / f"own/{word}.yaml").write_text(f"{text}process_docs: !function {module}.ask\n")
    found = bench.run("refused", **asked(folder, name, "own_choice", lm_eval_data=folder / "data"))
    record = found[f"tiny_lm-{name}"]
    assert record.verdict == "error"
    assert all(words in record.reason for words in said), record.reason
    assert found["tiny_lm-own_choice"].verdict == "pass"


def test_splits_that_are_missing_are_named(bench, folder):
    place = folder / "data/allenai/ai2_arc/ARC-Easy"
    place.mkdir(parents=True)
    write(place / "test.jsonl", [row(0)])
    (record,) = bench.run("splits", **asked(folder, "arc_easy", lm_eval_data=folder / "data")).values()
    assert "found the splits test, expected train, validation too" in record.reason


def test_an_answer_longer_than_the_window_is_refused_with_both_numbers(bench, folder):
    file = folder / "own/text.yaml"
    file.write_text(file.read_text().replace("max_gen_toks: 6", "max_gen_toks: 4096"))
    (record,) = bench.run("long", **asked(folder, "own_text")).values()
    assert record.verdict == "error"
    assert "4096 new tokens asked of a model that reads 512" in record.reason


def test_a_server_answers_tasks_as_its_model_does(folder):
    tokenizer = tiny_tokenizer()
    with TinyServer(tiny_model(), tokenizer) as server:
        bench = HarnessBench(folder, ServerBackend)
        fields = {
            key: one for key, one in asked(folder, "own_choice").items() if key not in ("hf_path", "dtype")
        }
        found = bench.run("served", **fields, api_base=server.url, api_model="tiny", limit=2)[
            "tiny-own_choice"
        ]
        assert found.verdict == "pass", found.reason
        line = bench.predictions("served", "own_choice", "tiny")[0]
        prompt, choice = line["requests"][1]["prompt"], line["requests"][1]["continuation"]
        ids, context = tokenizer(prompt + choice)["input_ids"], len(tokenizer(prompt)["input_ids"])
        logits = server.logits(ids)
        expected = sum(float(logits[place - 1, ids[place]]) for place in range(context, len(ids)))
        assert line["answers"][1][0][0] == pytest.approx(expected, abs=1e-3)
        server.behaviour = Behaviour()
        fields["lm_eval_tasks"] = ("own_text",)
        talk = bench.run(
            "talk", **fields, api_base=server.url, api_model="tiny", hf_type="chat", think_marks=("none",),
            system_prompt="Be brief.", limit=1,
        )  # fmt: skip
        assert talk["tiny-own_text"].verdict == "pass", talk["tiny-own_text"].reason
        sent = server.behaviour.requests[0]
        turns = [("system", "Be brief."), ("user", "What is number 0?")]
        assert [(one["role"], one["content"]) for one in sent["messages"]] == turns
        assert (sent["temperature"], sent["max_tokens"], sent["stop"]) == (1.0, 6, ["."])
        fields["lm_eval_tasks"] = ("own_choice",)
        refused = bench.run("no", **fields, api_base=server.url, api_model="tiny", hf_type="chat", limit=1)
        assert "a server gives no log-likelihoods" in refused["tiny-own_choice"].reason


def test_names_that_are_unknown_and_options_without_tasks_are_refused(bench, folder):
    with pytest.raises(UsageProblem, match=r"nearest: .*own_choice"):
        bench.run("x", **asked(folder, "own_choise"))
    idle = asked(folder)
    del idle["lm_eval_tasks"]
    with pytest.raises(UsageProblem, match="--lm-eval-include: found no tasks"):
        bench.run("x", **idle)
    with pytest.raises(UsageProblem, match="no such folder"):
        bench.run("x", **asked(folder, "own_choice", lm_eval_data=folder / "nowhere"))
    with pytest.raises(UsageProblem, match="--data: found only tasks"):
        bench.run("x", **asked(folder, "own_choice", data="own"))


def test_tags_patterns_and_files_name_tasks_too(bench, folder):
    assert bench.run("tag", **asked(folder, "own_tag", mode="infer")).keys() == {
        "tiny_lm-own_choice", "tiny_lm-own_text",
    }  # fmt: skip
    assert bench.run("some", **asked(folder, "own_c*", mode="infer")).keys() == {"tiny_lm-own_choice"}
    file = str(folder / "own/again.yaml")
    assert bench.run("file", **asked(folder, file, mode="infer")).keys() == {"tiny_lm-own_again"}


def test_a_group_waits_for_what_runs_and_gives_up_what_died_or_never_began(tmp_path):
    with Progress(tmp_path, "m", "ended") as ended:
        ended.done()
    with Progress(tmp_path, "m", "died"):
        pass
    assert wait_for(tmp_path, "m", ["ended", "died"]) == ["died"]
    assert wait_for(tmp_path, "m", ["ended", "never"], patience_s=0.3) == ["never"]


def test_a_whole_run_on_two_workers_ends_with_the_group_and_its_gate_decides(folder):
    done = run_kind(
        "language", folder, "--hf-path", str(TINY), "--lm-eval-tasks", "own_group", "--lm-eval-include", "own", "-n", "2",
        "--require", "language:own_group.acc>=0.99",
    )  # fmt: skip
    records = by_id(done)
    assert {name: one["verdict"] for name, one in records.items()} == {
        "tiny_lm-own_choice": "pass", "tiny_lm-own_again": "pass", "tiny_lm-own_group": "fail",
    }, done.output  # fmt: skip
    assert done.code == 1
    assert "own_group" in (done.directory / "summary/summary.txt").read_text()
    settings = json.loads((done.directory / "configs/language.json").read_text())
    assert settings["datasets"]["own_choice"]["doc_to_choice"] == "options"


def test_a_prompt_that_is_too_long_loses_its_beginning_and_is_counted(bench, folder):
    rows = [{**row(0), "question": "the river " * 400 + "What is number 0?"}, row(1)]
    write(folder / "rows.jsonl", rows)
    (record,) = bench.run("cut", **asked(folder, "own_text")).values()
    assert record.verdict == "pass", record.reason
    assert record.body.engine.cut_prompts == 3  # one for each repeat
    assert any("lost their beginning" in one for one in record.warnings)


def test_a_thought_is_kept_with_the_prediction_and_is_no_part_of_the_answer():
    answers = [[WrittenText("42", thought="6 * 7"), WrittenText("41", thought="guess", cut=True)]]
    line = json.loads(json.dumps(_prediction(Document("0", 0, "r", "a", ()), answers)))
    assert (line["answers"], line["thought"], line["cut"]) == ([["42", "41"]], "6 * 7\n\nguess", True)
