"""Each argument of sampling reaches transformers' own processor or is refused by name; texts do not depend on the batch."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
import torch
from small_models import save_model
from transformers import LogitsProcessorList
from transformers.generation import logits_process

from bench.core.errors import LanguageProblem
from bench.language.backend import LocalBackend
from bench.language.engine import generating
from bench.language.engine.generating import Generator, Request
from bench.language.engine.sampling import Sampling
from bench.language.models.config import ModelConfig
from bench.language.models.loading import load_model

DRAWN = {"do_sample": True}
WARPERS = [
    ("temperature", 0.5, "TemperatureLogitsWarper", {"temperature": 0.5}),
    ("top_k", 3, "TopKLogitsWarper", {"top_k": 3}),
    ("top_p", 0.5, "TopPLogitsWarper", {"top_p": 0.5}),
    ("min_p", 0.2, "MinPLogitsWarper", {"min_p": 0.2}),
    ("typical_p", 0.4, "TypicalLogitsWarper", {"mass": 0.4}),
    ("epsilon_cutoff", 0.05, "EpsilonLogitsWarper", {"epsilon": 0.05}),
    ("eta_cutoff", 0.05, "EtaLogitsWarper", {"epsilon": 0.05}),
    ("top_h", 0.4, "TopHLogitsWarper", {"top_h": 0.4}),
]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load_model(
        ModelConfig("drawn", str(save_model(tmp_path_factory.mktemp("drawn"))), dtype="float32")
    )


def generator(loaded, size=8, **options):
    return Generator(loaded.model, loaded.tokenizer, 0, size, options)


def requests_of(count, length=6, seed=0):
    rng = random.Random(seed)
    return [
        Request(tuple(rng.randrange(3, 600) for _ in range(rng.randrange(3, 9))), length, seed=number)
        for number in range(count)
    ]


@pytest.mark.parametrize(("name", "value", "warper", "arguments"), WARPERS, ids=[row[0] for row in WARPERS])
def test_an_argument_leaves_the_tokens_that_transformers_leaves(name, value, warper, arguments):
    scores = torch.randn(2, 50, generator=torch.Generator().manual_seed(0)) * 3
    ids = torch.tensor([[1], [2]])
    (made,) = Sampling({**DRAWN, name: value}).processors()
    wanted = getattr(logits_process, warper)(**arguments)
    assert torch.equal(made(ids, scores.clone()), wanted(ids, scores.clone()))
    assert not torch.equal(made(ids, scores.clone()), scores)


def test_processors_stand_in_the_order_of_transformers():
    values = {name: value for name, value, *_ in WARPERS}
    made = [type(processor).__name__ for processor in Sampling({**DRAWN, **values}).processors()]
    order = [
        "TemperatureLogitsWarper", "TopHLogitsWarper", "TopKLogitsWarper", "TopPLogitsWarper", "MinPLogitsWarper",
        "TypicalLogitsWarper", "EpsilonLogitsWarper", "EtaLogitsWarper",
    ]  # fmt: skip
    assert made == order


def test_the_models_own_values_hold_where_none_are_given():
    own = SimpleNamespace(temperature=0.6, top_k=20, top_p=0.95)
    made = Sampling({**DRAWN, "top_k": 5}, own).processors()
    assert [type(processor).__name__ for processor in made] == [
        "TemperatureLogitsWarper", "TopKLogitsWarper", "TopPLogitsWarper",
    ]  # fmt: skip
    assert made[1].top_k == 5
    assert Sampling({}, own).processors() == []


def test_what_is_drawn_follows_the_probabilities_that_are_left(loaded, monkeypatch):
    prompt = tuple(loaded.tokenizer("Anna broke the vase")["input_ids"])
    with torch.inference_mode():
        scores = loaded.model(torch.tensor([prompt])).logits[:, -1].float()
    options = {"temperature": 1.5, "min_p": 0.3}
    left = LogitsProcessorList(Sampling({**DRAWN, **options}).processors())(torch.tensor([prompt]), scores)
    chances = left.softmax(-1)[0]
    requests = [Request(prompt, 1, seed=number) for number in range(800)]
    counts = torch.zeros(len(chances))
    ids = []
    maker = generator(loaded, 200, **DRAWN, **options)
    monkeypatch.setattr(generating, "readable", lambda _, tokens, marks: ids.extend(tokens) or "")
    maker.generate(requests)
    for token in ids:
        counts[token] += 1
    assert 1 < int((chances > 0).sum()) < 200
    assert not counts[chances == 0].any()
    assert torch.allclose(counts / 800, chances, atol=0.06)


@pytest.mark.parametrize(
    "options",
    [
        {"min_p": 0.05, "repetition_penalty": 1.3},
        {"typical_p": 0.9, "no_repeat_ngram_size": 2},
        {"top_k": 20, "min_new_tokens": 3, "renormalize_logits": True},
        {
            "suppress_tokens": list(range(3, 300)),
            "bad_words_ids": [[7]],
            "exponential_decay_length_penalty": [2, 1.2],
        },
    ],
)
def test_texts_do_not_depend_on_the_batch_whatever_is_given(loaded, options):
    requests = requests_of(7)
    texts = [generator(loaded, size, **DRAWN, **options).generate(requests) for size in (1, 3, 7)]
    assert texts[0] == texts[1] == texts[2]
    assert texts[0] != generator(loaded, 7, **DRAWN).generate(requests)


def test_a_repetition_penalty_reaches_the_sampler(loaded):
    requests = requests_of(3, length=30)

    def repeated(**options):
        texts = generator(loaded, 3, **DRAWN, temperature=0.2, **options).generate(requests)
        tokens = [loaded.tokenizer(text)["input_ids"] for text in texts]
        return sum(len(row) - len(set(row)) for row in tokens)

    assert repeated(repetition_penalty=5.0) < repeated()


def test_each_seed_draws_another_text_and_the_same_seed_the_same(loaded):
    prompt = tuple(loaded.tokenizer("Anna broke the vase")["input_ids"])
    made = generator(loaded, 8, **DRAWN)
    texts = made.generate([Request(prompt, 8, seed=number % 6) for number in range(12)])
    assert texts[:6] == texts[6:]
    assert len(set(texts[:6])) == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_pp": 0.1}, r"min_pp=0\.1; transformers' generate has no such argument \(nearest: min_p\)"),
        ({"temperature": 0.7}, r"temperature=0\.7; without do_sample=True"),
        ({"top_p": 0.9, "do_sample": False}, r"top_p=0\.9; without do_sample=True"),
        (
            {"do_sample": True, "num_beams": 4},
            r"num_beams=4; with do_sample=True a beam search draws nothing",
        ),
        ({"do_sample": True, "penalty_alpha": 0.6}, "penalty_alpha"),
        ({"do_sample": True, "top_p": 3.0}, r"top_p=3\.0.*correct the value"),
        ({"num_return_sequences": 4}, "by --repeats"),
        ({"max_new_tokens": 4}, "--max-out-len"),
        ({"min_length": 4}, "give min_new_tokens"),
        ({"encoder_repetition_penalty": 1.2}, "give repetition_penalty"),
        ({"length_penalty": 2.0}, "add num_beams"),
    ],
)
def test_what_has_no_effect_or_cannot_work_is_refused_by_name(options, message):
    with pytest.raises(LanguageProblem, match=message):
        Sampling(options)


@pytest.mark.parametrize(
    "options", [{}, {"temperature": 0}, {"temperature": 0, "top_p": 0.9}, {"num_beams": 2}]
)
def test_greedy_arguments_are_taken(options):
    assert not Sampling(options).is_drawn


def test_a_refused_argument_is_an_error_of_the_case_before_anything_is_asked(loaded):
    from dataclasses import replace

    config = replace(loaded.config, generation_kwargs={"min_length": 3})
    with pytest.raises(LanguageProblem, match="min_length"):
        LocalBackend(replace(loaded, config=config), 4)
