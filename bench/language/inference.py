"""Asking: what each kind of inference makes of questions, and what it writes of the answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from bench.core.errors import LanguageProblem
from bench.language.backend import Backend, TextScore, text_seed
from bench.language.predictions import Prediction
from bench.language.prompting import Question
from bench.language.spec import Dataset, Generation, LogLikelihood, Perplexity, Rolling, SingleToken

# A few tokens more than a context and a choice have by themselves may come of putting them together.
_SLACK = 4
# Bytes that a chat template may put around a prompt.
_FRAME = 256

Write = Callable[[Prediction], None]


def infer(
    dataset: Dataset, questions: Sequence[Question], backend: Backend, write: Write, *,
    seed: int = 0, max_out_len: int | None = None,
) -> None:  # fmt: skip
    """Ask all questions; each prediction is written as soon as its batch is through.

    A prompt that the model cannot read in one piece loses examples from the end; how many is in the prediction.

    Raises:
        LanguageProblem: when the model answers with what is no number, or a question cannot be asked this way.
        Exception: whatever the model raises.
    """
    how = dataset.inference
    if isinstance(how, Rolling):
        _roll(questions, backend, write)
        return
    new = (max_out_len or how.max_out_len) if isinstance(how, Generation) else 0
    fitted = _fitted(questions, backend, new)
    prompts = [prompt for prompt, _ in fitted]

    def begun(index: int) -> Prediction:
        question = questions[index]
        return {
            "key": question.key,
            "index": question.index,
            "prompt": prompts[index],
            "examples": len(question.examples) - fitted[index][1],
            "dropped_examples": fitted[index][1],
        }

    if isinstance(how, Generation):
        backend.generate(
            prompts, new, how.stop, [text_seed(seed, question.key) for question in questions],
            lambda index, text: write(begun(index) | {"text": text}),
        )  # fmt: skip
    else:
        _choose(how, questions, prompts, backend, lambda index, values: write(begun(index) | values))


def _choose(
    how: Any, questions: Sequence[Question], prompts: list[str], backend: Backend,
    write: Callable[[int, dict[str, Any]], None],
) -> None:  # fmt: skip
    choices = [question.choices for question in questions]

    def keep(index: int, scores: list[TextScore], more: dict[str, list[float]] | None = None) -> None:
        values = [score.loglikelihood for score in scores]
        if not all(map(math.isfinite, values)):
            raise LanguageProblem(
                "inference_failed",
                f"question {questions[index].key}: found log-likelihoods {values}, expected finite numbers; the model "
                "computes NaN or infinity, try --dtype float32",
            )
        write(
            index,
            {
                "choices": list(questions[index].labels),
                "loglikelihoods": values,
                "tokens": [score.tokens for score in scores],
                "is_greedy": [score.is_greedy for score in scores],
                **(more or {}),
            },
        )

    if isinstance(how, SingleToken):
        try:
            backend.first_tokens(prompts, choices, keep)
        except ValueError as error:
            raise LanguageProblem("inference_failed", str(error)) from error
    elif isinstance(how, LogLikelihood) and how.rule == "unconditional":
        alone: dict[int, list[float]] = {}
        backend.continuations(
            [how.unconditional_prompt] * len(questions), choices,
            lambda index, scores: alone.__setitem__(index, [score.loglikelihood for score in scores]),
        )  # fmt: skip
        backend.continuations(
            prompts, choices, lambda index, scores: keep(index, scores, {"unconditional": alone[index]})
        )
    elif isinstance(how, Perplexity):
        _perplexities(how, questions, prompts, backend, keep)
    else:
        backend.continuations(prompts, choices, keep)


def _perplexities(
    how: Perplexity, questions: Sequence[Question], prompts: list[str], backend: Backend, keep: Callable
) -> None:
    """Score by OpenCompass's rule: mean cross-entropy over all tokens of the text, the first one counted too."""

    def means(scores: list[TextScore]) -> list[float]:
        return [-score.loglikelihood / score.length for score in scores]

    texts = [
        [prompt + choice for choice in question.choices]
        for question, prompt in zip(questions, prompts, strict=True)
    ]
    if how.normalizer is None:
        backend.whole(
            texts, [""] * len(texts), lambda index, scores: keep(index, scores, {"perplexity": means(scores)})
        )
        return
    normalizers = [how.normalizer.format(**question.fields) for question in questions]
    normal: dict[int, list[float]] = {}
    backend.whole(
        [
            [text + choice for choice in question.choices]
            for question, text in zip(questions, normalizers, strict=True)
        ],
        normalizers,
        lambda index, scores: normal.__setitem__(index, means(scores)),
    )
    backend.whole(
        texts,
        prompts,
        lambda index, scores: keep(
            index, scores, {"perplexity": [a - b for a, b in zip(means(scores), normal[index], strict=True)]}
        ),
    )


def _roll(questions: Sequence[Question], backend: Backend, write: Write) -> None:
    def keep(index: int, score: TextScore) -> None:
        question = questions[index]
        if not math.isfinite(score.loglikelihood):
            raise LanguageProblem(
                "inference_failed",
                f"question {question.key}: found a log-likelihood of {score.loglikelihood}",
            )
        write(
            {
                "key": question.key,
                "index": question.index,
                "prompt": question.golds[0],
                "loglikelihood": score.loglikelihood,
                "tokens": score.tokens,
            }
        )

    backend.rolling([question.golds[0] for question in questions], keep)


def _fitted(questions: Sequence[Question], backend: Backend, new: int) -> list[tuple[str, int]]:
    """Return each question's prompt as the model can read it, and how many examples it had to drop."""
    prompts = [question.prompt() for question in questions]
    fitted = [(prompt, 0) for prompt in prompts]
    most = backend.max_len
    if most is None:
        return fitted

    def may_be_long(index: int) -> bool:
        # No tokenizer of today makes more tokens of a text than it has bytes: what is short need not be tokenized.
        longest = max((len(choice.encode()) for choice in questions[index].choices), default=0)
        return len(prompts[index].encode()) + longest + new + _FRAME > most

    doubtful = [index for index, question in enumerate(questions) if question.examples and may_be_long(index)]
    lengths = backend.lengths([prompts[index] for index in doubtful])
    ends = iter(backend.lengths([choice for index in doubtful for choice in questions[index].choices]))
    for index, length in zip(doubtful, lengths, strict=True):
        question = questions[index]
        limit = most - new - max((next(ends) for _ in question.choices), default=0) - _SLACK
        if length > limit:
            fitted[index] = question.fitting(limit, lambda text: backend.lengths([text])[0])
    return fitted
