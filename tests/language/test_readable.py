"""What a person reads of answers: what was right, what was read, and nothing where an answer could not be read."""

from __future__ import annotations

import pytest

from bench.language.prompting import QuestionBuilder
from bench.language.readable import readable_answers
from bench.language.spec import Dataset, Generation, LogLikelihood, Rolling, Source

ROWS = [{"q": "one and one?", "options": ["two", "three"], "a": "2", "right": 0}]


def declared(**fields):
    standard = {"source": Source(hub="nobody/toy", rows="toy"), "prompt": "{q}", "metrics": ("accuracy",)}
    return Dataset(**{**standard, **fields})


def read(dataset, **prediction):
    questions = QuestionBuilder(dataset, [], 0).build(ROWS)
    return readable_answers(dataset, questions, {"0": {"key": "0", **prediction}} if prediction else {})


@pytest.mark.parametrize(("text", "found"), [(" It is 7.", "7"), (" no number at all", None)])
def test_of_a_text_it_is_what_was_read(text, found):
    dataset = declared(
        inference=Generation(), gold="a", metrics=("exact_match",), postprocess=("last_number",)
    )
    assert read(dataset, text=text, cut=False) == {"golds": ["2"], "read": [found]}


def test_of_choices_it_is_their_words():
    dataset = declared(inference=LogLikelihood(), gold="right", choices="options")
    found = read(dataset, choices=[" two", " three"], loglikelihoods=[-2.0, -1.0], tokens=[1, 1])
    assert found == {"golds": ["two"], "read": ["three"]}


def test_without_a_prediction_or_an_answer_there_is_nothing():
    dataset = declared(inference=LogLikelihood(), gold="right", choices="options")
    assert read(dataset) == {"golds": ["two"], "read": [None]}
    assert (
        read(declared(inference=Rolling(), metrics=("word_perplexity",), gold="a"), loglikelihood=-1.0) == {}
    )
