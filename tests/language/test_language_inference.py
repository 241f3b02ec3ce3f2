"""Each kind of inference gives what its formula gives, computed directly from the model."""

from __future__ import annotations

import math

import pytest
import torch
from small_models import save_model

from bench.core.errors import LanguageProblem
from bench.language.backend import LocalBackend
from bench.language.grading import choose, grade
from bench.language.inference import infer
from bench.language.models.config import ModelConfig
from bench.language.models.loading import load_model
from bench.language.prompting import QuestionBuilder
from bench.language.spec import (
    Dataset,
    Examples,
    Generation,
    LogLikelihood,
    Perplexity,
    Rolling,
    SingleToken,
    Source,
)

SOURCE = Source(hub="nobody/nothing", rows="nothing")
ROWS = [
    {
        "q": "Anna broke the vase of Ben",
        "options": ["happy and proud", "sorry", "very hungry indeed"],
        "gold": 1,
    },
    {"q": "Tom gave Mia a cup", "options": ["glad", "angry with Tom", "cold"], "gold": 0},
    {"q": "It rains and Eva has no coat", "options": ["warm", "wet to the skin", "rich"], "gold": 1},
]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    directory = save_model(tmp_path_factory.mktemp("model"))
    return load_model(ModelConfig("small", str(directory), dtype="float32"))


@pytest.fixture
def backend(loaded):
    return LocalBackend(loaded, 4)


def dataset(inference, **fields):
    return Dataset(
        **{"source": SOURCE, "prompt": "{q}. Answer:", "inference": inference, "choices": "options", **fields}
    )


def asked(backend, declared, rows=ROWS, training=(), seed=0):
    questions = QuestionBuilder(declared, list(training), seed).build(rows)
    predictions = {}
    infer(declared, questions, backend, lambda p: predictions.__setitem__(p["key"], p), seed=seed)
    return questions, predictions


def logs(loaded, ids):
    with torch.inference_mode():
        return loaded.model(torch.tensor([ids])).logits[0].double().log_softmax(-1)


def tail_loglikelihood(loaded, text, count):
    ids = loaded.tokenizer(text)["input_ids"]
    table = logs(loaded, ids)
    return sum(float(table[place - 1, ids[place]]) for place in range(len(ids) - count, len(ids)))


def test_loglikelihood_of_a_choice_is_the_sum_over_its_tokens(loaded, backend):
    questions, predictions = asked(
        backend, dataset(LogLikelihood(), metrics=("accuracy", "acc_norm", "acc_bytes"))
    )
    for question in questions:
        found = predictions[question.key]
        for text, value, count in zip(
            question.choices, found["loglikelihoods"], found["tokens"], strict=True
        ):
            assert value == pytest.approx(
                tail_loglikelihood(loaded, question.prompt() + text, count), abs=1e-4
            )
        norm = [
            value / len(text) for value, text in zip(found["loglikelihoods"], question.labels, strict=True)
        ]
        assert choose(dataset(LogLikelihood()), found, "char") == norm.index(max(norm))


def test_perplexity_is_opencompass_rule_the_whole_text_over_all_its_tokens(loaded, backend):
    questions, predictions = asked(backend, dataset(Perplexity()))
    for question in questions:
        expected = []
        for text in question.choices:
            ids = loaded.tokenizer(question.prompt() + text)["input_ids"]
            expected.append(-tail_loglikelihood(loaded, question.prompt() + text, len(ids) - 1) / len(ids))
        found = predictions[question.key]
        assert found["perplexity"] == pytest.approx(expected, abs=1e-5)
        assert choose(dataset(Perplexity()), found) == expected.index(min(expected))


def test_perplexity_with_a_normaliser_masks_the_prompt_and_subtracts(loaded, backend):
    declared = dataset(Perplexity(normalizer="Answer:"))
    questions, predictions = asked(backend, declared)

    def masked(prefix, text):
        ids, start = loaded.tokenizer(prefix + text)["input_ids"], len(loaded.tokenizer(prefix)["input_ids"])
        return -tail_loglikelihood(loaded, prefix + text, len(ids) - start) / (len(ids) - start)

    for question in questions:
        expected = [masked(question.prompt(), text) - masked("Answer:", text) for text in question.choices]
        assert predictions[question.key]["perplexity"] == pytest.approx(expected, abs=1e-4)


def test_unconditional_rule_subtracts_what_a_choice_has_by_itself(loaded, backend):
    declared = dataset(LogLikelihood(rule="unconditional", unconditional_prompt="Answer:"))
    questions, predictions = asked(backend, declared)
    found = predictions[questions[0].key]
    for text, alone, count in zip(questions[0].choices, found["unconditional"], found["tokens"], strict=True):
        assert alone == pytest.approx(tail_loglikelihood(loaded, "Answer:" + text, count), abs=1e-4)
    difference = [a - b for a, b in zip(found["loglikelihoods"], found["unconditional"], strict=True)]
    assert choose(declared, found) == difference.index(max(difference))


def test_single_token_scores_the_first_tokens_and_refuses_choices_that_begin_alike(loaded, backend):
    declared = dataset(SingleToken(), choices=(" yes", " no"), gold="answer")
    rows = [{"q": "Is it", "answer": 1}]
    questions, predictions = asked(backend, declared, rows)
    table = logs(loaded, loaded.tokenizer(questions[0].prompt())["input_ids"])
    firsts = [loaded.tokenizer(text)["input_ids"][0] for text in (" yes", " no")]
    assert predictions["0"]["loglikelihoods"] == pytest.approx(
        [float(table[-1, f]) for f in firsts], abs=1e-4
    )
    with pytest.raises(LanguageProblem, match="two begin with the same token"):
        asked(backend, dataset(SingleToken(), choices=(" yes", " yes"), gold="answer"), rows)


def test_rolling_counts_each_token_once_whatever_the_window(tmp_path):
    text = " ".join(row["q"] for row in ROWS * 6)
    loaded = load_model(ModelConfig("short", str(save_model(tmp_path, positions=24)), dtype="float32"))
    declared = dataset(Rolling(), choices=(), gold="text", metrics=("word_perplexity",), prompt="")
    _, predictions = asked(LocalBackend(loaded, 3), declared, [{"text": text}, {"text": "short"}])
    ids = loaded.tokenizer(text)["input_ids"]
    assert predictions["0"]["tokens"] == len(ids) > 24
    whole, total, end = [1, *ids], 0.0, 0
    while end < len(ids):  # the first window, then windows that end further on and begin as late as they must
        count = min(24, len(ids) - end)
        window = whole[max(0, end + count - 24) : end + count]
        table = logs(loaded, window)
        total += sum(float(table[-count + i, ids[end + i]]) for i in range(count))
        end += count
    assert predictions["0"]["loglikelihood"] == pytest.approx(total, abs=1e-3)


def test_generation_is_greedy_by_default_and_ends_before_the_stop_string(loaded, backend):
    declared = dataset(Generation(max_out_len=6), choices=(), gold="gold", postprocess=("strip",))
    questions, predictions = asked(backend, declared)
    ids = loaded.tokenizer(questions[0].prompt())["input_ids"]
    new = []
    for _ in range(6):
        new.append(int(logs(loaded, ids + new)[-1].argmax()))
        if new[-1] == loaded.tokenizer.eos_token_id:
            break
    assert predictions["0"]["text"] == loaded.tokenizer.decode(new, skip_special_tokens=True)


def test_in_context_examples_stand_before_the_question_with_their_answers(backend):
    declared = dataset(LogLikelihood(), examples=Examples("fixed", 2))
    questions, predictions = asked(backend, declared, training=ROWS)
    assert predictions["0"]["prompt"] == (
        "Anna broke the vase of Ben. Answer: sorry\n\nTom gave Mia a cup. Answer: glad\n\n"
        "Anna broke the vase of Ben. Answer:"
    )
    assert questions[0].choices[1] == " sorry"


def test_a_prompt_that_is_too_long_drops_examples_from_the_end_and_says_how_many(tmp_path):
    loaded = load_model(ModelConfig("short", str(save_model(tmp_path, positions=40)), dtype="float32"))
    declared = dataset(LogLikelihood(), examples=Examples("fixed", 3))
    _, predictions = asked(LocalBackend(loaded, 4), declared, training=ROWS)
    found = predictions["0"]
    assert found["dropped_examples"] >= 1
    assert found["examples"] + found["dropped_examples"] == 3
    if found["examples"]:
        assert found["prompt"].startswith("Anna broke")  # the first stayed


def test_circular_asks_each_rotation_and_counts_a_question_only_if_all_are_right(backend):
    declared = dataset(
        Generation(max_out_len=2), choices=(), gold="letter", circular=True, postprocess=("first_option",),
        metrics=("circular_accuracy",), prompt="{q} A. {options[0]} B. {options[1]} C. {options[2]}",
    )  # fmt: skip
    questions = QuestionBuilder(declared, [], 0).build([{**ROWS[0], "letter": "B"}])
    assert [question.key for question in questions] == ["0r0", "0r1", "0r2"]
    assert [question.golds[0] for question in questions] == ["B", "C", "A"]
    assert [question.fields["options"]["ABC".index(question.golds[0])] for question in questions] == [
        "sorry"
    ] * 3
    right = {question.key: {"key": question.key, "text": question.golds[0]} for question in questions}
    assert grade(declared, questions, right)["circular_accuracy"].score.value == 100.0
    right["0r1"]["text"] = "A"
    found = grade(declared, questions, right)["circular_accuracy"].score
    assert (found.value, found.n) == (0.0, 1)


def test_what_cannot_be_read_is_counted_and_never_right(backend):
    declared = dataset(Generation(), choices=(), gold="letter", postprocess=("first_option",))
    questions = QuestionBuilder(declared, [], 0).build([{**row, "letter": "A"} for row in ROWS])
    texts = {"0": "A", "1": "a man walks in", "2": ""}
    predictions = {key: {"key": key, "text": text} for key, text in texts.items()}
    found = grade(declared, questions, predictions)["accuracy"].score
    assert (found.n, found.unparsed) == (3, 2)
    assert math.isclose(found.value, 100 / 3)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"options": ["a", "b"], "gold": 0}, "asks for 'q'"),
        ({"q": "x", "options": "ab", "gold": 0}, "expected a list of texts"),
        ({"q": "x", "options": ["a"], "gold": 0}, "expected at least two"),
        ({"q": "x", "options": ["a", "b"], "gold": 2}, "expected the index of one of 2"),
        ({"q": "x", "options": ["a", "b"], "gold": -1}, "a split without labels"),
        ({"q": "x", "options": ["a", "b"]}, "expected the index"),
    ],
)
def test_a_row_of_another_form_names_the_row_and_what_was_expected(row, message):
    with pytest.raises(LanguageProblem, match=message) as problem:
        QuestionBuilder(dataset(LogLikelihood()), [], 0).build([ROWS[0], row])
    assert "row 1" in str(problem.value)
    assert problem.value.reason_code == "data_failed"


def test_not_a_number_is_an_error_that_names_the_question(loaded, backend):
    weights = loaded.model.lm_head.weight
    before = weights.detach().clone()
    with torch.no_grad():
        weights.fill_(float("nan"))
    try:
        with pytest.raises(LanguageProblem, match="expected finite numbers"):
            asked(backend, dataset(LogLikelihood()))
    finally:
        with torch.no_grad():
            weights.copy_(before)


def test_a_start_token_that_the_tokenizer_adds_stands_once_before_the_context(tmp_path):
    from tokenizers.processors import TemplateProcessing

    loaded = load_model(ModelConfig("started", str(save_model(tmp_path)), dtype="float32"))
    loaded.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    questions, predictions = asked(LocalBackend(loaded, 4), dataset(LogLikelihood()))
    assert loaded.tokenizer(questions[0].prompt())["input_ids"][0] == 1
    for question in questions:
        found = predictions[question.key]
        for text, value, count in zip(
            question.choices, found["loglikelihoods"], found["tokens"], strict=True
        ):
            assert value == pytest.approx(
                tail_loglikelihood(loaded, question.prompt() + text, count), abs=1e-4
            )


def test_a_chat_model_is_asked_through_its_template_and_the_template_is_not_doubled(tmp_path):
    directory = save_model(tmp_path)
    plain = load_model(ModelConfig("base", str(directory), dtype="float32"))
    plain.tokenizer.chat_template = (
        "{% for m in messages %}User: {{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}Bot:{% endif %}"
    )
    plain.tokenizer.save_pretrained(directory)
    chat = load_model(ModelConfig("chat", str(directory), dtype="float32", type="chat"))
    declared = dataset(Generation(max_out_len=5), choices=(), gold="gold")
    templated = dataset(Generation(max_out_len=5), choices=(), gold="gold", prompt="User: {q}. Answer:\nBot:")
    _, through_template = asked(LocalBackend(chat, 4), declared)
    _, by_hand = asked(LocalBackend(plain, 4), templated)
    assert [p["text"] for p in through_template.values()] == [p["text"] for p in by_hand.values()]


def test_an_empty_prompt_is_scored_after_the_start_token(loaded, backend):
    declared = dataset(LogLikelihood(), prompt="")
    _, predictions = asked(backend, declared)
    ids = [1, *loaded.tokenizer(" sorry", add_special_tokens=False)["input_ids"]]
    table = logs(loaded, ids)
    expected = sum(float(table[place - 1, ids[place]]) for place in range(1, len(ids)))
    assert predictions["0"]["loglikelihoods"][1] == pytest.approx(expected, abs=1e-4)


def test_a_context_longer_than_the_model_reads_is_cut_at_its_beginning_and_counted(tmp_path):
    loaded = load_model(ModelConfig("short", str(save_model(tmp_path, positions=16)), dtype="float32"))
    backend = LocalBackend(loaded, 4)
    _, predictions = asked(backend, dataset(LogLikelihood()), [{**ROWS[0], "q": "word " * 60}])
    assert all(value < 0 for value in predictions["0"]["loglikelihoods"])
    assert backend.usage().cut_prompts == 3
