"""A completion server gives the predictions that the model behind it gives in this process."""

from __future__ import annotations

import pytest
from completion_server import START, TinyServer, tiny_model, tiny_tokenizer

from bench.core.errors import LanguageProblem
from bench.language.backend import LocalBackend
from bench.language.inference import infer
from bench.language.models.config import ModelConfig
from bench.language.models.loading import LoadedModel
from bench.language.prompting import QuestionBuilder
from bench.language.server.backend import ServerBackend
from bench.language.spec import Dataset, Generation, LogLikelihood, Perplexity, SingleToken, Source

ROWS = [
    {
        "q": "Tracy took the dog to the park because",
        "options": ["the weather was warm.", "it is too large."],
        "gold": 0,
    },
    {
        "q": "The trophy does not fit because",
        "options": ["it is too large.", "the weather was warm and fine."],
        "gold": 0,
    },
]


@pytest.fixture(scope="module")
def both():
    model, tokenizer = tiny_model(), tiny_tokenizer(eos_token=START)
    with TinyServer(model, tokenizer) as server:
        config = ModelConfig("served", "tiny", backend="server", api_base=server.url)
        local = ModelConfig("local", "tiny")
        yield (
            LocalBackend(LoadedModel(model, tokenizer, local, "tiny", 128, "cpu", "float32"), 4),
            ServerBackend(config),
        )


def predictions(backend, inference, **fields):
    declared = Dataset(
        **{
            "source": Source(hub="nobody/x", rows="x"), "prompt": "{q}", "choices": "options",
            "inference": inference, **fields,
        }
    )  # fmt: skip
    found = {}
    questions = QuestionBuilder(declared, [], 0).build(ROWS)
    infer(declared, questions, backend, lambda p: found.__setitem__(p["key"], p))
    return found


@pytest.mark.parametrize(
    ("inference", "key"),
    [
        (LogLikelihood(), "loglikelihoods"),
        (LogLikelihood(rule="unconditional"), "unconditional"),
        (Perplexity(), "perplexity"),
        (Perplexity(normalizer="Answer:"), "perplexity"),
    ],
    ids=["sum", "unconditional", "perplexity", "normalised"],
)
def test_choices_have_the_scores_of_the_model_itself(both, inference, key):
    local, served = (predictions(backend, inference) for backend in both)
    for number in ("0", "1"):
        assert served[number][key] == pytest.approx(local[number][key], abs=1e-3)
        assert served[number]["tokens"] == local[number]["tokens"]


def test_texts_are_those_of_the_model_itself(both):
    options = {"choices": (), "gold": "q"}
    local, served = (predictions(backend, Generation(max_out_len=8), **options) for backend in both)
    assert [served[n]["text"] for n in "01"] == [local[n]["text"] for n in "01"]


def test_single_tokens_have_the_scores_of_the_model_itself(both):
    options = {"choices": (" yes", " no")}
    local, served = (predictions(backend, SingleToken(), **options) for backend in both)
    for number in ("0", "1"):
        assert served[number]["loglikelihoods"] == pytest.approx(local[number]["loglikelihoods"], abs=1e-3)
        assert served[number]["tokens"] == local[number]["tokens"]


def test_choices_that_begin_with_one_token_are_refused(both):
    for backend in both:
        with pytest.raises(LanguageProblem, match="log-likelihood"):
            predictions(backend, SingleToken(), choices=(" no", " no way"))
