"""HumanEval and MBPP: the programs run in the jail, and the numbers are those of `code_eval`."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest
from harness_runs import TINY, HarnessBench
from language_toys import ModelConfig, options, setting
from program_rows import ANSWERS, COMPLETIONS, HUMANEVAL, MBPP, write_program_rows

from bench.core.errors import LanguageProblem, UsageProblem
from bench.language import programs
from bench.language.backend import LocalBackend
from bench.language.grading import grade
from bench.language.harness.declared import metrics, refusal
from bench.language.harness.drawing import draw
from bench.language.harness.index import build_index
from bench.language.harness.scoring import estimate, measure
from bench.language.harness.selection import select
from bench.language.harness.tasks import Prompting, TaskLoader, documents
from bench.language.models.loading import load_model
from bench.language.options import resolve
from bench.language.programs import JailedCodeEval, entry_names, helpers_of
from bench.language.prompting import QuestionBuilder, repeated
from bench.language.readers.code import passes_tests, python_code
from bench.language.spec import Dataset, Generation, Source
from bench.machine.programs.runner import NoJail, ProgramRunner

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
]  # of the harness and of what it imports


@pytest.fixture(scope="module", autouse=True)
def jail():
    try:
        with ProgramRunner():
            pass
    except NoJail as error:
        pytest.skip(f"no jail for programs on this system: {error}")


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_program_rows(tmp_path_factory.mktemp("rows"))


def right(program: str, tests: str) -> bool:
    """By the rule of `code_eval`: program and tests, one below the other, raise nothing."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(f"{program}\n{tests}", {})
    except BaseException:
        return False
    return True


def unbiased(drawn: int, passed: int, k: int) -> float:
    return (
        1.0
        if drawn - passed < k
        else 1.0 - float(np.prod(1.0 - k / np.arange(drawn - passed + 1, drawn + 1)))
    )


def loaded(name: str, rows, repeats: int = 1, pass_k: tuple[str, ...] = ()):
    selection = select([name], build_index([]))
    draw(selection, repeats, pass_k)
    task = selection.tasks[name]
    made = TaskLoader(rows).load(task)
    return task, made, documents(made, 0, None, Prompting())


# By task: the answers as a model would write them, the programs that they are, and the tests.
def of_humaneval(written):
    tests = [f"{row['test']}\ncheck({row['entry_point']})" for row in HUMANEVAL]
    programs_of = [
        [row["prompt"] + one for one in drawn] for row, drawn in zip(HUMANEVAL, COMPLETIONS, strict=True)
    ]
    return [[written(one) for one in drawn] for drawn in COMPLETIONS], programs_of, tests


def of_mbpp(written):
    return (
        [[written(one) for one in drawn] for drawn in ANSWERS],
        ANSWERS,
        ["\n".join(row["test_list"]) for row in MBPP],
    )


TASKS = {
    "humaneval": of_humaneval(str),
    "humaneval_instruct": of_humaneval(lambda one: f"{one}\n```\nThat is all."),
    "mbpp": of_mbpp(str),
    # The harness takes a first word after its own "```python" for the name of a language.
    "mbpp_instruct": of_mbpp(lambda one: f"\n{one}\n```\nThat is all."),
}
# It makes a name of Python's its own, which no test asks for.
CHEATS = {("mbpp", 2, 0), ("mbpp_instruct", 2, 0)}


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("place", range(4))
def test_a_task_gives_the_numbers_of_code_eval_on_the_same_answers(rows, name, place):
    written, programs_of, tests = TASKS[name]
    _, made, found = loaded(name, rows)
    executions = {}
    answers = {one.key: [[drawn[place]]] for one, drawn in zip(found, written, strict=True)}
    (measured,) = measure(made, found, answers, executions)
    expected = [
        float(right(drawn[place], test) and (name, row, place) not in CHEATS)
        for row, (drawn, test) in enumerate(zip(programs_of, tests, strict=True))
    ]
    assert measured.items == expected
    assert measured.combine(measured.items) == pytest.approx(np.mean(expected))
    outcomes = [executions[one.key][0]["outcome"] for one in found]
    assert [one == "passed" for one in outcomes] == [one == 1.0 for one in expected]


@pytest.mark.parametrize("name", TASKS)
def test_several_draws_give_pass_at_k_without_bias(rows, name):
    written, programs_of, tests = TASKS[name]
    task, made, found = loaded(name, rows, repeats=4, pass_k=("1", "2", "4"))
    assert {request.repeats for one in found for request in one.requests} == {4}
    measured = measure(
        made, found, {one.key: [list(drawn)] for one, drawn in zip(found, written, strict=True)}
    )
    counts = [
        sum(right(one, test) and (name, row, place) not in CHEATS for place, one in enumerate(drawn))
        for row, (drawn, test) in enumerate(zip(programs_of, tests, strict=True))
    ]
    by_metric = {one.metric: one for one in measured}
    for k in (1, 2, 4):
        scored = estimate(by_metric[f"pass@{k}"], 0).score
        assert scored.value == pytest.approx(100 * np.mean([unbiased(4, count, k) for count in counts]))
        assert scored.low <= scored.value <= scored.high
        assert scored.n == len(counts)
    assert set(metrics(task)) == {one.name for one in measured}


def test_a_run_executes_what_the_model_writes_and_keeps_what_became_of_it(rows, tmp_path):
    backend = LocalBackend(load_model(ModelConfig("tiny_lm", str(TINY), dtype="float32")), 8)
    bench = HarnessBench(tmp_path, lambda config: backend)
    found = bench.run(
        "run", hf_path=str(TINY), dtype="float32", lm_eval_tasks=("humaneval",), lm_eval_data=rows, max_out_len=24,
        generation_kwargs={"do_sample": "True", "temperature": "0.8"}, repeats=2, pass_k=("1", "2"),
        require=["language:humaneval.pass@2/create_test>=0.9"],
    )  # fmt: skip
    (record,) = found.values()
    assert set(record.metrics) == {"pass@1/create_test", "pass@2/create_test"}
    assert record.score.value == 0
    assert (record.verdict, record.reason_code) == ("fail", "requirement_missed")
    kept = json.loads((tmp_path / "run" / record.files["executions"]).read_text())
    assert [len(kept[str(i)]) for i in range(3)] == [2, 2, 2]
    assert all(one["outcome"] != "passed" for drawn in kept.values() for one in drawn)
    assert [len(one["answers"][0]) for one in bench.predictions("run", "humaneval", "tiny_lm")] == [2, 2, 2]


def test_without_a_jail_nothing_runs_and_the_case_says_so(rows, monkeypatch):
    def refuse(self):
        raise NoJail("files: the kernel offers no Landlock")

    programs._runner.cache_clear()
    programs._executed.cache_clear()
    monkeypatch.setattr(ProgramRunner, "__enter__", refuse)
    monkeypatch.setattr(ProgramRunner, "run", lambda *_: pytest.fail("a program ran"))
    with pytest.raises(
        LanguageProblem, match=r"no jail for programs .*Landlock.*, expected one.*run nowhere else"
    ):
        loaded("humaneval", rows)
    with pytest.raises(LanguageProblem, match="no jail for programs"):
        passes_tests("x = 1", {"test": "assert x == 1"})
    programs._runner.cache_clear()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"lm_eval_tasks": ("humaneval",), "pass_k": ("10",)}, "--pass-k 10: humaneval draws 1 answers"),
        ({"lm_eval_tasks": ("humaneval_64",), "pass_k": ("65",)}, "humaneval_64 draws 64 answers"),
        ({"lm_eval_tasks": ("humaneval",), "pass_k": ("half",)}, "--pass-k half: expected whole numbers"),
        ({"lm_eval_tasks": ("gsm8k",), "pass_k": ("1",)}, "--pass-k: found no task that runs programs"),
        (
            {"lm_eval_tasks": ("gsm8k", "mbpp"), "repeats": 2},
            "--repeats 2: gsm8k of lm-evaluation-harness draws",
        ),
    ],
)
def test_draws_that_cannot_be_had_are_refused(tmp_path, fields, said):
    drawing = (
        {"generation_kwargs": {"do_sample": "True", "temperature": "0.8"}} if "repeats" in fields else {}
    )
    asked = {"hf_path": str(TINY), **drawing, **fields}
    with pytest.raises(UsageProblem, match=said):
        resolve(options(**asked), setting(tmp_path, *asked))


def test_only_tasks_that_run_programs_by_code_eval_are_run():
    selection = select(
        ["humaneval_plus", "mbpp_plus", "humaneval_infilling", "cruxeval_output"], build_index([])
    )
    refused = {name for name, task in selection.tasks.items() if refusal(task) is not None}
    assert refused == {"cruxeval_output"}


def test_tests_use_what_the_question_defines_and_only_asked_names_replace_python_s_own():
    assert entry_names(HUMANEVAL[0], "") == ("widest_gap",)
    assert entry_names(MBPP[1], "assert sum(1, 2) == 3") == ("sum",)
    assert entry_names({}, "assert set(f(2)) == {1}") == ("f",)
    assert entry_names({}, "assert max(1, 2) == 2") == ("max",)
    assert "def encode_row" in helpers_of(HUMANEVAL[1])
    assert "def decode_row" not in helpers_of(HUMANEVAL[1])


def test_the_metric_takes_what_the_library_s_takes():
    drawn = ["def add(a, b):\n    return a * b", "def add(a, b):\n    return a + b"]
    found, results = JailedCodeEval().compute(
        references=["assert add(2, 3) == 5"], predictions=[drawn], k=[1, 2, 10]
    )
    assert found == {"pass@1": 0.5, "pass@2": 1.0}
    assert [one["passed"] for _, one in results[0]] == [False, True]


HALF = "def half(x):\n    return x / 2\n"
ROW = {"prompt": "def half(x):\n", "entry_point": "half", "test": "def check(f):\n    assert f(4) == 2\n"}


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("    return x / 2\n", HALF),
        (f"Here:\n```python\n{HALF}```\nDone.", HALF),
        (f"```\ndef half(x):\n    return 1\n```\nBetter:\n```py\n{HALF}```", HALF),
        (f"```python\n{HALF}```\nUse it like this:\n```python\nprint(half(4))\n```", HALF),
        (f"```bash\npip install x\n```\n```python\n{HALF}```", HALF),
        ("def half(x):\n    return (x", "def half(x):\n    return (x"),
        ("", None),
    ],
)
def test_the_program_of_an_answer_is_read(text, program):
    assert python_code(text, ROW) == program
    assert python_code(text, ROW, cut=True) is None


def test_a_dataset_of_one_s_own_runs_programs_and_has_pass_at_k():
    declared = Dataset(
        source=Source(hub="own/programs", rows="programs"), prompt="{prompt}", inference=Generation(max_out_len=64),
        prepare=lambda row: {**row, "gold": "passed"}, postprocess=("python_code", "passes_tests"),
    )  # fmt: skip
    questions = repeated(QuestionBuilder(declared, [], 0).build(HUMANEVAL), 4)
    texts = [one for drawn in COMPLETIONS for one in drawn]
    predictions = {
        question.key: {"key": question.key, "text": text, "cut": False}
        for question, text in zip(questions, texts, strict=True)
    }
    graded = grade(declared, questions, predictions)
    counts = [
        sum(right(row["prompt"] + one, f"{row['test']}\ncheck({row['entry_point']})") for one in drawn)
        for row, drawn in zip(HUMANEVAL, COMPLETIONS, strict=True)
    ]
    assert graded["accuracy"].score.value == pytest.approx(100 * sum(counts) / 12)
    assert graded["pass@2"].score.value == pytest.approx(
        100 * np.mean([unbiased(4, count, 2) for count in counts])
    )
    with pytest.raises(ValueError, match="found no tests in the row"):
        passes_tests("x = 1", {"prompt": ""})
