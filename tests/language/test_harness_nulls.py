"""A null in a row of a task of lm-evaluation-harness is refused where it reached a text, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness_runs import TINY, HarnessBench

from bench.core.errors import LanguageProblem
from bench.language.backend import LocalBackend
from bench.language.harness.index import build_index
from bench.language.harness.selection import select
from bench.language.harness.tasks import Prompting, TaskLoader, documents
from bench.language.models.loading import load_model
from bench.language.nulls import MARK, culprit, nulls, reached

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
]  # of the harness and of what it imports

CHOICE = {
    "task": "own_choice", "dataset_path": "json", "test_split": "test", "output_type": "multiple_choice",
    "doc_to_text": "{{question}}\nAnswer:", "doc_to_choice": "options", "doc_to_target": "label",
}  # fmt: skip
TEXT = {
    "task": "own_text", "dataset_path": "json", "test_split": "test", "output_type": "generate_until",
    "doc_to_text": "{{question}}\nAnswer:", "doc_to_target": "answer",
    "generation_kwargs": {"max_gen_toks": 4, "until": ["."]},
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
}  # fmt: skip
LIKELY = {key: value for key, value in TEXT.items() if key not in ("metric_list", "generation_kwargs")}
FUNCTIONS = """
def plain(doc):
    return f"{doc['note']} {doc['question']}"

def careful(doc):
    note = "" if doc["note"] is None else doc["note"] + " "
    return note + doc["question"] + " None of these?"

def trusting(doc):
    return doc["note"].strip() + doc["question"]

def texts_only(doc):
    return ", ".join(str(one) for one in doc["options"] if one is None or isinstance(one, str)) + doc["question"]

def worded(rows):
    return rows.map(lambda doc: {"question": f"{doc['note']}: {doc['question']}"})

def worded_without_first(rows):
    return worded(rows.filter(lambda doc: doc["answer"] != "left out"))

def careful_rows(rows):
    return rows.map(lambda doc: {"question": f"None? {doc['note'] or ''}{doc['question']}"})

def own_score(doc, results):
    return {"acc": float(len(results) > 0)}

from lm_eval.api.task import ConfigurableTask

class Asking(ConfigurableTask):
    def __init__(self, config=None):
        super().__init__(config={key: value for key, value in config.items() if key != "class"})

    def construct_requests(self, doc, ctx, **kwargs):
        return super().construct_requests(doc, f"{doc['note']} {ctx}", **kwargs)
"""


def row(number: int, **change) -> dict:
    return {
        "question": f"What is number {number}?", "options": ["lamp", "river", "None of them"], "label": number % 3,
        "answer": "lamp", "note": f"Note {number}.", "more": {"texts": ["first", "second"]}, **change,
    }  # fmt: skip


def write(file: Path, rows: list[dict]) -> str:
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return str(file)


def yaml_of(config: dict) -> str:
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in config.items())


@pytest.fixture
def asked(tmp_path):
    """Returns what asks the documents of a task that is declared with these rows."""

    def ask(declared, rows, training=(), functions=(), metadata=None, **fields):
        files = {"test": write(tmp_path / "test.jsonl", rows)}
        config = {**declared, **fields}
        if training:
            files["train"] = write(tmp_path / "train.jsonl", list(training))
            config["fewshot_config"] = {
                "split": "train",
                "sampler": "first_n",
                **config.get("fewshot_config", {}),
            }
            config["num_fewshot"] = len(training)
        (tmp_path / "utils.py").write_text(FUNCTIONS)
        rest = {"dataset_kwargs": {"data_files": files}, "metadata": {"version": 1, **(metadata or {})}}
        text = yaml_of({**config, **rest})
        for name in functions:
            text = text.replace(f'"{name}"', f"!function utils.{name}")
        (tmp_path / "task.yaml").write_text(text)
        selection = select([declared["task"]], build_index([tmp_path]))
        made = TaskLoader(None).load(selection.tasks[declared["task"]])
        return documents(made, 0, None, Prompting())

    return ask


ROWS = [row(0), row(1), row(2)]


def with_null(place: int = 1, **change) -> list[dict]:
    return [row(number, **(change if number == place else {})) for number in range(3)]


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    ("declared", "change", "fields", "field"),
    [
        (CHOICE, {"question": None}, {}, "question"),
        (CHOICE, {"question": None}, {"doc_to_text": "question"}, "question"),
        (CHOICE, {"options": ["lamp", None, "None of them"]}, {}, "options[1]"),
        (CHOICE, {"options": ["lamp", None, "x"]}, {"doc_to_choice": "{{[options[0], options[1]]}}"}, "options[1]"),
        (CHOICE, {"options": ["lamp", None, "x"]}, {"doc_to_choice": "{{options}}"}, "options[1]"),
        (CHOICE, {"options": ["a", None]}, {"doc_to_text": "{{options|join}}", "doc_to_choice": ["a", "b"]}, "options[1]"),
        (CHOICE, {"options": ["a", None]}, {"doc_to_text": "{{options|tojson}}", "doc_to_choice": ["a", "b"]}, "options[1]"),
        (CHOICE, {"options": None}, {}, "options"),
        (CHOICE, {"note": None}, {"doc_to_choice": "{{['a', note]}}"}, "note"),
        (CHOICE, {"note": None}, {"doc_to_choice": "['a', '{{note}}']"}, "note"),
        (CHOICE, {"label": None}, {}, "label"),
        (CHOICE, {"label": None}, {"doc_to_target": "{{label|int}}"}, "label"),
        (CHOICE, {"label": None}, {"doc_to_target": "{{ (label|int) - 1 }}"}, "label"),
        (CHOICE, {"label": None}, {"doc_to_target": "{{label|float|round|int}}"}, "label"),
        (CHOICE, {"label": None}, {"doc_to_choice": "{{[label|int|string, 'x']}}", "doc_to_target": 1}, "label"),
        (TEXT, {"label": None}, {"doc_to_text": "{{question}} {{label|int + 1}} points"}, "label"),
        (CHOICE, {"note": None}, {"gen_prefix": "{{note}}"}, "note"),
        (CHOICE, {"note": None}, {"description": "{{note}} now"}, "note"),
        (CHOICE, {"note": None}, {"doc_to_text": "{{note|lower}} {{question}}"}, "note"),
        (CHOICE, {"note": None}, {"doc_to_text": "{{note ~ ' ' ~ question}}"}, "note"),
        (CHOICE, {"note": None}, {"doc_to_text": "{{note|trim}} {% if note %}{{note}}{% endif %}"}, "note"),
        (CHOICE, {"note": None}, {"doc_to_text": "{{note|default('')}} {{question}}"}, "note"),
        (CHOICE, {"note": None}, {"doc_to_text": "{{(note|string)[:3]}} {{question}}"}, "note"),
        (CHOICE, {"note": None}, {"doc_to_text": "{{question}} {{((note|string)[1:3])|upper}}"}, "note"),
        (CHOICE, {"note": None}, {"doc_to_text": "{{(note|string)|truncate(3, true, '..')}} {{question}}"}, "note"),
        (CHOICE, {"note": None}, {"doc_to_text": "{{(note ~ '')|first}}{{question}}"}, "note"),
        (CHOICE, {"label": None}, {"doc_to_target": "{{label if label else 1}}"}, "label"),
        (CHOICE, {"label": None}, {"doc_to_target": "{{label or 2}}"}, "label"),
        (CHOICE, {"label": None}, {"doc_to_target": "{{(label or 1) - 1}}"}, "label"),
        (TEXT, {"label": None}, {"doc_to_target": "{{label if label else 7}}"}, "label"),
        (CHOICE, {"more": {"texts": ["first", None]}}, {"doc_to_text": "{{more.texts[1]}}"}, "more[texts][1]"),
        (CHOICE, {"more": {"texts": None}}, {"doc_to_text": "{{more}}"}, "more[texts]"),
        (TEXT, {"answer": None}, {}, "answer"),
        (TEXT, {"answer": None}, {"doc_to_target": "{{answer}}"}, "answer"),
        (LIKELY, {"answer": None}, {"output_type": "loglikelihood", "doc_to_target": " {{answer}}"}, "answer"),
        (LIKELY, {"answer": None}, {"output_type": "loglikelihood_rolling", "doc_to_text": ""}, "answer"),
    ],
)  # fmt: skip
def test_a_null_that_reached_a_text_is_refused_with_task_split_row_and_field(
    asked, declared, change, fields, field, place
):
    with pytest.raises(LanguageProblem) as caught:
        asked(declared, with_null(place, **change), **fields)
    said = str(caught.value)
    assert (
        f"{declared['task']}: row {place} of the split test: found no value (null) in the field '{field}'"
        in said
    )
    assert "fill the cell" in said
    assert ("optional: [" in said) == ("[" not in field)


@pytest.mark.parametrize(
    ("function", "change", "field"),
    [
        ("plain", {"note": None}, "note"),
        ("trusting", {"note": None}, "note"),
        ("texts_only", {"options": ["lamp", "x", None]}, "options[2]"),
    ],
)
def test_a_function_that_writes_a_null_down_is_refused(asked, function, change, field):
    with pytest.raises(LanguageProblem, match="row 1 of the split test") as caught:
        asked(
            CHOICE,
            with_null(**change),
            doc_to_text=function,
            doc_to_choice=["a", "b", "c"],
            functions=[function],
        )
    assert f"'{field}'" in str(caught.value)


@pytest.mark.parametrize("process", ["worded", "worded_without_first"])
def test_a_null_that_the_tasks_own_preparation_of_rows_wrote_down_is_refused(asked, process):
    rows = [row(0, answer="left out"), row(1), row(2, note=None)]
    with pytest.raises(
        LanguageProblem, match=r"row 2 of the split test: found no value \(null\) in the field 'note'"
    ):
        asked(CHOICE, rows, process_docs=process, functions=[process])
    # Where the question comes of another column, the word reached nothing.
    asked(
        CHOICE,
        rows,
        process_docs=process,
        functions=[process],
        doc_to_text="{{options[0]}} or {{options[2]}}",
    )


def test_a_null_of_an_in_context_example_is_refused_where_the_prompt_shows_it(asked):
    said = r"row 1 of the split train: found no value \(null\) in the field"
    for change, field in (
        ({"question": None}, "question"),
        ({"label": None}, "label"),
        ({"options": ["a", None, "b"]}, "options"),
    ):
        with pytest.raises(LanguageProblem, match=f"{said} '{field}"):
            asked(CHOICE, ROWS, [row(0), row(1, **change)])
    with pytest.raises(LanguageProblem, match=f"{said} 'answer'"):
        asked(TEXT, ROWS, [row(0), row(1, answer=None)])
    # A prompt shows the right choice of an example alone.
    asked(CHOICE, ROWS, [row(0), row(1, options=[None, "river", "stone"])])
    written = {"samples": [row(7, note=None)], "sampler": "first_n"}
    with pytest.raises(LanguageProblem, match=r"in-context example 0: .* 'note'"):
        asked(TEXT, ROWS, num_fewshot=1, fewshot_config=written, doc_to_text="{{note}} {{question}}")


@pytest.mark.parametrize(
    "template",
    [
        "{% if note %}{{note}} {% endif %}{{question}} None?",
        "{{note or ''}}{{question}} None?",
        "{{'' if note is none else note}}{{question}} None?",
        "{% if note is not none %}{{note}}{% endif %}{{question}} None?",
        "{% if note != none %}{{note}}{% endif %}{{question}} None?",
        "{{note|default('', true)}}{{question}} None?",
        "{{'None given. ' if note is none else note}}{{question}} None?",
        "{{[note, question]|select|join(' ')}} None?",
        "{{[note, question]|reject('none')|join(' ')}} None?",
        "{% if note is string %}{{note}}{% endif %}{{question}} None?",
        "{{note|int if note else ''}}{{question}} None?",
        "{{(note|int(0))|string|replace('0', '')}}{{question}} None?",
        "{{(note|float(default=2.0))|string|replace('2.0', '')}}{{question}} None?",
    ],
)  # fmt: skip
def test_a_null_that_is_only_tested_is_none_of_our_business(asked, template):
    found = asked(CHOICE, with_null(note=None), doc_to_text=template)
    prompt = found[1].requests[0].args[0]
    assert prompt.endswith("What is number 1? None?")
    assert len(found) == 3


@pytest.mark.parametrize(
    "template",
    [
        "{{1 if label is none else label}}",
        "{{label|default(1, true)}}",
        "{{label|int(0)}}",
        "{{label or 0}}",
        "{{label if label is number else 1}}",
        "{{1 if label else 2}}",
        "{{(more.texts|length) - 1}}",
    ],
)
def test_a_right_answer_for_a_null_of_which_its_template_thinks_is_left_alone(asked, template):
    assert len(asked(CHOICE, with_null(label=None), doc_to_target=template)) == 3


def test_a_text_in_place_of_an_answer_that_is_not_there_is_left_alone(asked):
    answer = "{{answer if answer else 'unanswerable'}}"
    assert len(asked(TEXT, with_null(answer=None), doc_to_target=answer)) == 3


def test_a_test_for_truth_of_an_in_context_examples_number_is_refused(asked):
    with pytest.raises(LanguageProblem, match=r"row 1 of the split train: .* 'label'"):
        asked(CHOICE, ROWS, [row(0), row(1, label=None)], doc_to_target="{{label if label else 1}}")


def test_a_text_that_has_the_letters_of_a_null_by_itself_is_left_alone(asked):
    template = "{{'' if note|string == 'None' else note[:3]}}Non {{question}} None?"
    assert len(asked(CHOICE, with_null(note=None), doc_to_text=template)) == 3


def test_functions_and_scores_that_take_care_of_nulls_are_left_alone(asked):
    asked(CHOICE, with_null(note=None), doc_to_text="careful", functions=["careful"])
    asked(CHOICE, with_null(note=None), process_docs="careful_rows", functions=["careful_rows"])
    # Nothing but the task's own function says what the right answer is, and it asks for none.
    asked(
        TEXT, with_null(answer=None), process_results="own_score", functions=["own_score"],
        metric_list=[{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    )  # fmt: skip
    asked(CHOICE, with_null(note=None, more=None))


def test_a_request_that_a_task_in_python_makes_by_itself_is_watched_too(asked, tmp_path):
    declared = {**CHOICE, "class": "Asking"}
    with pytest.raises(LanguageProblem, match=r"row 1 of the split test: .* 'note'"):
        asked(declared, with_null(note=None), functions=["Asking"])


def test_an_optional_field_is_an_empty_text(asked):
    fields = {"doc_to_text": "[{{note}}] {{question}}", "metadata": {"optional": ["note"]}}
    found = asked(CHOICE, with_null(note=None), **fields)
    assert [one.requests[0].args[0][:4] for one in found] == ["[Not", "[] W", "[Not"]
    every = [row(number, note=None) for number in range(3)]
    assert all(one.requests[0].args[0].startswith("[] ") for one in asked(CHOICE, every, **fields))
    process = {**fields, "process_docs": "worded", "functions": ["worded"], "doc_to_text": "{{question}}"}
    assert asked(CHOICE, every, **process)[0].requests[0].args[0] == ": What is number 0?"


@pytest.mark.parametrize(
    ("optional", "said"),
    [
        (["nowhere"], "expected nowhere too, which metadata declares optional"),
        (["label"], "found int64 in the column label, expected texts"),
        ({"note": 1}, "expected names of fields"),
    ],
)
def test_an_optional_field_that_cannot_be_one_is_refused(asked, optional, said):
    with pytest.raises(LanguageProblem, match=said):
        asked(CHOICE, ROWS, metadata={"optional": optional})


def test_a_number_that_is_none_is_refused_in_a_file_of_a_table(asked, tmp_path):
    import pyarrow
    import pyarrow.parquet

    file, columns = (
        tmp_path / "rows.parquet",
        {key: [row(0)[key]] * 2 for key in ("question", "label", "options")},
    )
    pyarrow.parquet.write_table(pyarrow.table({**columns, "degrees": [1.5, float("nan")]}), file)
    (tmp_path / "task.yaml").write_text(yaml_of({
        **CHOICE, "dataset_path": "parquet", "dataset_kwargs": {"data_files": {"test": str(file)}},
        "doc_to_text": "{{degrees}} degrees: {{question}}",
    }))  # fmt: skip
    made = TaskLoader(None).load(select(["own_choice"], build_index([tmp_path])).tasks["own_choice"])
    with pytest.raises(LanguageProblem, match=r"row 1 of the split test: .* 'degrees'"):
        documents(made, 0, None, Prompting())


def test_words_that_a_csv_file_loses_are_explained(asked, tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("question,first,label\nWhich country?,NA,0\nWhich land?,Chad,0\n")
    (tmp_path / "task.yaml").write_text(yaml_of({
        **CHOICE, "dataset_path": "csv", "dataset_kwargs": {"data_files": {"test": str(file)}},
        "doc_to_choice": "{{[first, 'none']}}",
    }))  # fmt: skip
    with pytest.raises(
        LanguageProblem, match=r"row 0 of the split test: .* 'first'.* NA and null in a CSV file"
    ):
        TaskLoader(None).load(select(["own_choice"], build_index([tmp_path])).tasks["own_choice"])


def test_a_refused_task_is_the_error_of_its_own_case(tmp_path):
    from bench.language.models.config import ModelConfig

    include = tmp_path / "own"
    include.mkdir()
    for name, rows in (
        ("own_choice", with_null(options=["lamp", None, "x"])),
        ("own_clean", with_null(note=None)),
    ):
        file = write(tmp_path / f"{name}.jsonl", rows)
        declared = {**CHOICE, "task": name, "dataset_kwargs": {"data_files": {"test": file}}}
        (include / f"{name}.yaml").write_text(yaml_of(declared))
    backend = LocalBackend(load_model(ModelConfig("tiny_lm", str(TINY), dtype="float32")), 8)
    found = HarnessBench(tmp_path, lambda config: backend).run(
        "nulls", hf_path=str(TINY), dtype="float32", lm_eval_tasks=("own_choice", "own_clean"),
        lm_eval_include=(include,),
    )  # fmt: skip
    assert found["tiny_lm-own_choice"].verdict == "error"
    assert (
        "row 1 of the split test: found no value (null) in the field 'options[1]'"
        in found["tiny_lm-own_choice"].reason
    )
    assert found["tiny_lm-own_clean"].verdict == "pass"


def test_a_null_is_found_by_what_is_made_of_a_mark_in_its_place():
    found = {"a": None, "b": [1, {"c": float("nan")}], "d": "x"}
    assert list(nulls(found)) == [("a",), ("b", 1, "c")]

    def reached_by(make):
        return reached(found, make, make(found))

    assert reached_by(lambda doc: f"{doc['a']} {doc['d']}") == ("a",)
    assert reached_by(lambda doc: f"{doc['b']}") == ("b", 1, "c")
    assert reached_by(lambda doc: [doc["d"], doc["a"]]) == ("a",)
    assert reached_by(lambda doc: "None here" if doc["a"] is None else str(doc["a"])) is None
    assert reached_by(lambda doc: "None of these") is None
    assert reached_by(lambda doc: doc["d"]) is None
    assert reached_by(lambda doc: str(doc["a"])[:2] + doc["d"]) == ("a",)
    assert reached_by(lambda doc: f"{doc['b'][1]['c']}"[1:]) == ("b", 1, "c")
    assert reached_by(lambda doc: "No" + doc["d"] if str(doc["a"])[:2] == "No" else doc["d"]) is None
    assert culprit(found, lambda doc: doc["a"].strip()) == ("a",)
    assert culprit(found, lambda doc: doc["nowhere"]) is None
    assert MARK.lower() == MARK.upper() == MARK.title() == MARK.strip()
