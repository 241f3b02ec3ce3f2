"""Datasets under a published protocol: their numbers are those of lm-evaluation-harness on the same model and rows."""

from __future__ import annotations

import functools
import importlib.util
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.files import read_jsonl
from bench.language.backend import LocalBackend
from bench.language.extraction import last_sum, number_after_hashes, plain_sum
from bench.language.grading import grade, grade_groups
from bench.language.inference import infer
from bench.language.library import DATASETS, RENAMED, load_dataset
from bench.language.models.config import ModelConfig
from bench.language.models.loading import load_model
from bench.language.postprocess import apply_postprocessors
from bench.language.prompting import QuestionBuilder
from bench.language.protocol import check_protocol
from bench.language.spec import Cloze, Dataset, Examples, LogLikelihood, PartialLogLikelihood, Reading, Source

ROOT = Path(__file__).resolve().parents[2]
ROWS = ROOT / "fixtures/datasets/language"
LM = ROOT / "fixtures/zoo/tiny-lm"
COUNT = 18
# New tokens: with the 256 of the protocols, five examples do not fit into the 512 tokens that the small model reads.
ROOM = 128
needs_lm_eval = pytest.mark.skipif(
    importlib.util.find_spec("lm_eval") is None, reason="lm-eval is not installed: see the extra 'lm-eval'"
)
# Our subjects under names that MMLU has, so that its own subtasks and their headers are run.
SUBJECTS = {"language": "abstract_algebra", "geography": "us_foreign_policy"}
# Where the harness keeps its tasks: looking all of them up takes longer than running these.
FILES = {
    "arc_easy": "arc/arc_easy.yaml",
    "arc_challenge": "arc/arc_challenge.yaml",
    "boolq": "super_glue/boolq/default.yaml",
    "gsm8k": "gsm8k/gsm8k.yaml",
    "hellaswag": "hellaswag/hellaswag.yaml",
    "lambada_openai": "lambada/lambada_openai.yaml",
    "mmlu": "mmlu/default/_mmlu.yaml",
    "piqa": "piqa/piqa.yaml",
    "triviaqa": "triviaqa/default.yaml",
    "wikitext": "wikitext/wikitext.yaml",
    "winogrande": "winogrande/default.yaml",
} | {f"mmlu_{subject}": f"mmlu/default/mmlu_{subject}.yaml" for subject in SUBJECTS.values()}
# Our metrics, and what lm-evaluation-harness calls them.
CHOICE = {"accuracy": "acc,none", "acc_norm": "acc_norm,none"}
METRICS = {
    "gsm8k_gen": {
        "strict_match": "exact_match,strict-match",
        "flexible_extract": "exact_match,flexible-extract",
    },
    "triviaqa_gen": {"exact_match": "exact_match,remove_whitespace"},
    "lambada_ll": {"accuracy": "acc,none", "perplexity": "perplexity,none"},
    "wikitext_rolling": {
        name: f"{name},none" for name in ("word_perplexity", "byte_perplexity", "bits_per_byte")
    },
}
PUBLISHED = sorted(name for name in DATASETS if load_dataset(name).protocol.startswith("lm-eval:"))


def task_of(dataset: Dataset) -> str:
    return dataset.protocol.removeprefix("lm-eval:").partition("@")[0]


@functools.cache
def declared(task: str) -> dict:
    """What the file of a task of the harness declares."""
    import lm_eval
    from lm_eval.tasks._yaml_loader import load_yaml

    return load_yaml(Path(lm_eval.__file__).parent / "tasks" / FILES[task])


def room_of(task: str) -> dict:
    """The keyword arguments of a task's generation, with fewer new tokens; none for a task without one."""
    written = declared(task).get("generation_kwargs")
    return {} if written is None else {"generation_kwargs": {**written, "max_gen_toks": ROOM}}


def rows_of(source: str, part: str = "") -> list[dict]:
    """The shipped rows, those of two subjects of MMLU under names that it has."""
    rows = [row for _, row in read_jsonl(ROWS / f"{source}{part}.jsonl")]
    if source == "mmlu":
        rows = [{**row, "subject": SUBJECTS[row["subject"]]} for row in rows if row["subject"] in SUBJECTS]
    if source == "hellaswag":  # marks as the real rows have them, in the text and in the endings
        rows[1]["ctx_a"] = f"{rows[1]['ctx_a']} [title] Then [step]"
        rows[2]["endings"] = [f"{rows[2]['endings'][0]} [substeps] Go on.", *rows[2]["endings"][1:]]
    if source == "triviaqa":
        rows[0]["answer"]["aliases"] += ["The O'Neill, Jr."]
    if source == "piqa":
        rows[0]["sol1"] = f" {rows[0]['sol1']} "  # blanks count as characters there
    return rows if part else rows[:COUNT]


@pytest.fixture(scope="module")
def backend() -> LocalBackend:
    return LocalBackend(load_model(ModelConfig("tiny", str(LM), dtype="float32")), 8)


@pytest.fixture(scope="module")
def ours(backend):
    """Questions, predictions and grades of each dataset, by our engine."""
    found = {}
    for name in DATASETS:
        dataset = load_dataset(name)
        source = dataset.source
        training = [] if source.train_split is None else rows_of(source.rows, ".train")
        questions = QuestionBuilder(dataset, training, 0).build(rows_of(source.rows))
        predictions: dict = {}
        if name in PUBLISHED:
            infer(
                dataset, questions, backend, lambda one, kept=predictions: kept.update({one["key"]: one}),
                max_out_len=ROOM if dataset.inference.kind == "gen" else None,
            )  # fmt: skip
        found[name] = (dataset, questions, predictions)
    return found


@pytest.fixture(scope="module")
def theirs(tmp_path_factory, backend) -> dict:
    """What lm-evaluation-harness finds for its own tasks on the same rows and the same model."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    folder = tmp_path_factory.mktemp("rows")
    tasks = []
    for name in PUBLISHED:
        dataset = load_dataset(name)
        for task, wanted in subtasks(dataset):
            files = {}
            for part in ("", ".train"):
                rows = [
                    row for row in rows_of(dataset.source.rows, part) if wanted in (None, row.get("subject"))
                ]
                files[part] = folder / f"{task}{part}.jsonl"
                files[part].write_text("".join(json.dumps(row) + "\n" for row in rows))
            asked, shown = str(files[""]), str(files[".train"])
            shots = (
                {"num_fewshot": 5} if wanted else {}
            )  # its files leave the five that everyone takes to the command line
            splits = {"validation": asked, "test": asked, "train": shown, "dev": shown}
            tasks.append(
                {
                    **declared(task), **shots, **room_of(task), "task": task, "dataset_path": "json", "dataset_name": None,
                    "dataset_kwargs": {"data_files": splits, "cache_dir": str(folder / "cache")},
                }
            )  # fmt: skip
    loaded = backend._loaded
    model = HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=8, device="cpu")
    manager = TaskManager(include_defaults=False)
    return lm_eval.simple_evaluate(
        model, tasks=tasks, task_manager=manager, bootstrap_iters=0, log_samples=True
    )


def subtasks(dataset: Dataset) -> list[tuple[str, str | None]]:
    """The tasks that make up a protocol on our rows, and the subject of each."""
    task = task_of(dataset)
    return (
        [(f"mmlu_{subject}", subject) for subject in SUBJECTS.values()] if task == "mmlu" else [(task, None)]
    )


def samples_of(theirs: dict, dataset: Dataset) -> list[dict]:
    """One sample for each row, in the order of our rows; each filter has a sample of its own in the log."""
    found = []
    for task, _ in subtasks(dataset):
        by_row = {sample["doc_id"]: sample for sample in theirs["samples"][task]}
        found += [by_row[number] for number in sorted(by_row)]
    return found


@needs_lm_eval
@pytest.mark.parametrize("name", PUBLISHED)
def test_each_value_and_each_metric_is_that_of_the_harness(name, ours, theirs):
    dataset, questions, predictions = ours[name]
    order = {subject: place for place, subject in enumerate(SUBJECTS.values())}
    asked = sorted(questions, key=lambda one: order.get(one.fields.get("subject"), 0))
    samples = samples_of(theirs, dataset)
    assert len(samples) == len(asked) > 4
    for question, sample in zip(asked, samples, strict=True):
        prediction = predictions[question.key]
        if "text" in prediction:
            assert prediction["prompt"] == sample["arguments"][0][0]
            assert prediction["text"] == sample["resps"][0][0]
        elif "loglikelihood" in prediction:
            assert prediction["prompt"] == sample["arguments"][0][0]
            assert prediction["loglikelihood"] == pytest.approx(sample["resps"][0][0], abs=1e-3)
        else:
            values = [float(answer[0][0]) for answer in sample["resps"]]
            assert prediction["loglikelihoods"] == pytest.approx(values, abs=1e-3)
            greedy = [bool(answer[0][1]) for answer in sample["resps"]]
            assert prediction["is_greedy"] == greedy
    graded = grade(dataset, questions, predictions)
    names = METRICS.get(name, CHOICE)
    assert set(graded) <= set(names)
    if task_of(dataset) == "mmlu":
        parts = grade_groups(dataset, questions, predictions)
        for task, subject in subtasks(dataset):
            assert parts[subject].value == pytest.approx(100 * theirs["results"][task]["acc,none"])
        return
    for metric, one in graded.items():
        value = theirs["results"][task_of(dataset)][names[metric]]
        assert one.score.value == pytest.approx((100 if one.score.percent else 1) * value, rel=1e-4), metric


@needs_lm_eval
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_protocol_names_the_version_and_the_fewest_shots_of_the_installed_task(name, theirs):
    dataset = load_dataset(name)
    version = dataset.protocol.rpartition("@")[2]
    for task, _ in subtasks(dataset):
        of_group = task_of(dataset) == "mmlu"  # a group has a version of its own
        assert float(declared(task_of(dataset))["metadata"]["version"]) == float(version)
        if not of_group:
            assert theirs["n-shot"][task] == dataset.examples.count


@needs_lm_eval
@pytest.mark.parametrize("name", [name for name in PUBLISHED if name != "mmlu_ll"])
def test_rows_splits_and_stops_are_those_of_the_installed_task(name):
    dataset = load_dataset(name)
    task, source = declared(task_of(dataset)), dataset.source
    assert (source.hub, source.subset) == (task["dataset_path"], task.get("dataset_name"))
    assert source.split == (task.get("test_split") or task["validation_split"])
    if dataset.examples.count:
        assert source.train_split == task["fewshot_split"]
    if dataset.inference.kind == "gen":
        assert list(dataset.inference.stop) == task["generation_kwargs"]["until"]


@needs_lm_eval
def test_the_subjects_of_mmlu_are_named_as_the_harness_names_them():
    import lm_eval
    from lm_eval.tasks._yaml_loader import load_yaml

    folder = Path(lm_eval.__file__).parent / "tasks/mmlu/default"
    prepare = load_dataset("mmlu_ll").prepare
    instruction = load_dataset("mmlu_ll").examples.instruction
    files = list(folder.glob("mmlu_*.yaml"))
    assert len(files) == 57
    for file in files:
        found = load_yaml(file, recursive=False)
        fields = prepare({"question": "", "choices": [], "answer": 0, "subject": found["dataset_name"]})
        assert instruction.format(**fields) == found["description"]


MARKS = (
    *"ab 5.,:;!?()[]{}\"'=@-°\n", " @-@ ", " @,@ ", "s '", " 's", " N ", "= = ", " [title]", "[step]", "/' 5/", "  ",
)  # fmt: skip
PIECES = st.lists(st.sampled_from(MARKS), max_size=25).map("".join)


@needs_lm_eval
@settings(deadline=None, max_examples=150)
@given(PIECES)
def test_any_text_is_cleaned_as_the_harness_cleans_it(text):
    page = {"page": text}
    assert load_dataset("wikitext_rolling").prepare(page)["text"] == declared("wikitext")["doc_to_target"](
        page
    )
    row = {"activity_label": "Tea", "ctx_a": text, "ctx_b": text, "endings": [text], "label": "0"}
    ours = load_dataset("hellaswag_ll").prepare(row)
    (theirs,) = declared("hellaswag")["process_docs"](Rows([row]))
    assert (ours["context"], ours["endings"]) == (theirs["query"], theirs["choices"])


class Rows(list):
    """Rows that a task of the harness maps, as a dataset is mapped."""

    def map(self, function):
        return [function(row) for row in self]


@needs_lm_eval
@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from([*"0123.,$-# \n", "#### ", "a"]), max_size=20).map("".join))
def test_any_sum_is_read_as_the_harness_reads_it(text):
    import numpy as np
    from lm_eval.api.metrics import exact_match_hf_evaluate
    from lm_eval.filters.extraction import RegexFilter

    task = declared("gsm8k")
    options = {
        key: value for key, value in task["metric_list"][0].items() if key.startswith(("ignore", "regex"))
    }
    readings = load_dataset("gsm8k_gen").readings
    for reading, ensemble in zip(readings.values(), task["filter_list"], strict=True):
        pattern = {key: value for key, value in ensemble["filter"][0].items() if key != "function"}
        ((found,),) = RegexFilter(**pattern).apply([[text]], [])
        right = exact_match_hf_evaluate(
            predictions=np.array([found]), references=np.array(["#### 12"]), regexes_to_ignore=options["regexes_to_ignore"],
            ignore_case=options["ignore_case"],
        )["exact_match"]  # fmt: skip
        assert (apply_postprocessors(reading.postprocess, text, {}) == "12") == bool(right)


# OpenCompass: the text that its templates make for a base model, by a plain reimplementation of its parser


def joined(*parts: str) -> str:
    """Rounds of a template, as a model without a meta template gets them: a line each."""
    return "\n".join(part for part in parts if part)


def test_siqa_gen_is_asked_as_opencompass_asks(ours):
    dataset, questions, _ = ours["siqa_gen"]
    for question, row in zip(questions, rows_of("siqa"), strict=True):
        lines = [row["context"], f"Question: {row['question']}"]
        lines += [f"{letter}. {row[f'answer{letter}']}" for letter in "ABC"]
        assert question.prompt() == "\n".join([*lines, "Answer:"])
        assert question.golds == ("ABC"[int(row["label"]) - 1],)
    assert (dataset.metrics, dataset.postprocess) == (("accuracy",), ("first_option",))
    assert dataset.inference.kind == "gen"


def test_siqa_ppl_and_winograd_are_asked_as_opencompass_asks(ours):
    dataset, questions, _ = ours["siqa_ppl"]
    for question, row in zip(questions, rows_of("siqa"), strict=True):
        asked = f"{row['context']}\nQuestion: {row['question']}\nAnswer:"
        texts = [joined(asked, row[f"answer{letter}"]) for letter in "ABC"]
        assert [question.prompt() + choice for choice in question.choices] == texts
    assert dataset.inference.kind == "ppl"
    dataset, questions, _ = ours["winograd_ppl"]
    for question, row in zip(questions, rows_of("winograd"), strict=True):
        end = f"Q: In the previous text, what does '{row['pronoun']}' refer to? A:"
        texts = [f"{row['text']} {end} {option}" for option in row["options"]]
        assert [question.prompt() + choice for choice in question.choices] == texts
    assert dataset.inference.kind == "ppl"
    assert dataset.source.subset == "wsc285"


def test_circular_mmlu_is_asked_as_opencompass_asks(ours):
    _, questions, _ = ours["mmlu_circular_gen"]
    training = rows_of("mmlu", ".train")
    by_index = {}
    for question in questions:
        by_index.setdefault(question.index, []).append(question)
    for index, row in enumerate(rows_of("mmlu")):
        about = row["subject"].replace("_", " ")
        hint = (
            f"There is a single choice question about {about}. Answer the question by replying A, B, C or D."
        )
        shown = [other for other in training if other["subject"] == row["subject"]][:5]
        examples = [
            text
            for other in shown
            for text in (
                joined(hint, f"Question: {other['question']}", *lettered(other["choices"]), "Answer: "),
                f"{'ABCD'[other['answer']]}\n",
            )
        ]
        assert len(shown) == 5
        for shift, question in enumerate(by_index[index]):
            options = row["choices"][-shift:] + row["choices"][:-shift] if shift else row["choices"]
            asked = joined(hint, f"Q: {row['question']}", *lettered(options), "A: ")
            assert question.prompt() == joined(*examples, asked)
            assert question.golds == ("ABCD"[(row["answer"] + shift) % 4],)


def lettered(options: list[str]) -> list[str]:
    return [f"{letter}. {option}" for letter, option in zip("ABCD", options, strict=True)]


# Rules


def test_partial_scoring_prefers_the_option_after_which_the_rest_is_likely(ours):
    dataset, questions, predictions = ours["winogrande_ll"]
    first = predictions[questions[0].key]
    assert first["choices"] == list(questions[0].labels)
    assert questions[0].ending.startswith(" ")
    # The lengths of the options say nothing of the one ending.
    sum_rule = grade(dataset, questions, predictions)["accuracy"].values
    assert (
        grade(replace(dataset, metrics=("acc_norm",)), questions, predictions)["acc_norm"].values == sum_rule
    )


def test_a_word_that_the_model_would_write_is_right_and_perplexity_is_of_all_answers(ours):
    dataset, questions, predictions = ours["lambada_ll"]
    graded = grade(dataset, questions, predictions)
    greedy = [predictions[question.key]["is_greedy"][0] for question in questions]
    assert graded["accuracy"].values == [float(one) for one in greedy]
    nats = [predictions[question.key]["loglikelihoods"][0] for question in questions]
    assert graded["perplexity"].score.value == pytest.approx(math.exp(-sum(nats) / len(nats)))
    unknown = {key: {**one, "is_greedy": [None]} for key, one in predictions.items()}
    with pytest.raises(Exception, match="what the model would write"):
        grade(dataset, questions, unknown)


def test_a_cloze_with_several_right_answers_is_refused():
    declared = Dataset(source=Source("a/b", "c"), prompt="{q}", inference=Cloze(), gold="words")
    assert QuestionBuilder(declared, [], 0).build([{"q": "?", "words": "key"}])[0].golds == ("key",)
    with pytest.raises(Exception, match="row 0: found 2 right answers, expected one"):
        QuestionBuilder(declared, [], 0).build([{"q": "?", "words": ["key", "lock"]}])


@pytest.mark.parametrize(
    ("text", "strict", "lenient"),
    [
        ("3 + 4 = 7\n#### 7", "7", "7"),
        ("#### 1,234.", "1234", "1234"),
        ("#### $5", None, "5"),
        ("#### -3\n#### 4", "-3", "4"),
        ("so it costs $1,200.50.", None, "1200.50"),
        ("minus 5", None, "5"),
        ("none", None, None),
        ("a . b", None, None),
    ],
)
def test_sums_are_read_as_the_protocol_reads_them(text, strict, lenient):
    read = [found and plain_sum(found, {}) for found in (number_after_hashes(text, {}), last_sum(text, {}))]
    assert read == [strict, lenient]


def test_examples_in_sequence_depend_on_the_place_of_the_question_alone():
    from bench.language.retrieve import make_retriever

    texts = [str(number) for number in range(40)]
    forwards, backwards = (make_retriever(Examples("sequence", 5), texts, seed) for seed in (0, 9))
    first = [forwards.indices(number, "") for number in range(6)]
    assert [backwards.indices(number, "") for number in reversed(range(6))] == first[::-1]
    assert len({tuple(shown) for shown in first}) == 6


def test_examples_share_what_they_are_within():
    rows = [{"q": f"{place}{number}", "place": place, "label": 0} for number in range(4) for place in "xy"]
    declared = Dataset(
        source=Source("a/b", "c"), prompt="{q}", inference=LogLikelihood(), choices=(" a", " b"), gold="label",
        examples=Examples("fixed", 2, within="place", instruction="About {place}. ", separator="; "),
    )  # fmt: skip
    asked = QuestionBuilder(declared, rows, 0).build([{"q": "?", "place": "y", "label": 1}])
    assert asked[0].prompt() == "About y. y0 a; y1 a; ?"
    with pytest.raises(Exception, match="in-context examples with 'z' as place: found no training split"):
        QuestionBuilder(declared, rows, 0).build([{"q": "?", "place": "z", "label": 1}])
    with pytest.raises(Exception, match="expected place, which in-context examples share"):
        QuestionBuilder(declared, [{"q": "?", "label": 1}], 0)


# Declarations


@pytest.mark.parametrize(
    "protocol", ["own", "lm-eval:hellaswag@1", "lm-eval:a-b_c.d@1.5", "opencompass:siqa_gen"]
)
def test_known_forms_of_a_protocol_are_taken(protocol):
    check_protocol(protocol)


@pytest.mark.parametrize(
    "protocol",
    ["", "Own", "lm-eval:hellaswag", "lm-eval:@1", "lm-eval:a b@1", "helm:mmlu", "opencompass:", None, 3],
)
def test_other_forms_of_a_protocol_are_refused(protocol):
    with pytest.raises(
        ValueError, match=r"found the protocol .*, expected lm-eval:TASK@VERSION, opencompass:"
    ):
        Dataset(
            source=Source("a/b", "c"), prompt="{q}", inference=LogLikelihood(), choices=(" a", " b"),
            protocol=protocol,
        )  # fmt: skip


def test_every_shipped_dataset_follows_a_published_protocol_and_a_users_own_does_not():
    assert {load_dataset(name).protocol.partition(":")[0] for name in DATASETS} == {"lm-eval", "opencompass"}
    own = Dataset(source=Source("a/b", "c"), prompt="{q}", inference=LogLikelihood(), choices=(" a", " b"))
    assert own.protocol == "own"


@pytest.mark.parametrize("name", sorted(RENAMED))
def test_a_name_of_before_names_the_dataset_of_now(name):
    with pytest.raises(
        Exception, match=f"found the dataset {name}, which is now {RENAMED[name]}: it follows"
    ):
        load_dataset(name)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"readings": {"m": Reading("accuracy", ())}, "metrics": ("m",)},
            "found readings m for inference 'll'",
        ),
        (
            {"inference": PartialLogLikelihood(" {x}"), "examples": Examples("fixed", 1)},
            "found retriever 'fixed' for partial scoring",
        ),
    ],
)
def test_declarations_that_cannot_be_evaluated_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Dataset(
            **{
                "source": Source("a/b", "c"),
                "prompt": "",
                "inference": LogLikelihood(),
                "choices": (" a", " b"),
            }
            | fields
        )
