"""Asks questions by each kind of inference, and turns the answers into predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from bench.core.errors import LanguageProblem
from bench.language.backend import Backend, TextScore, text_seed
from bench.language.chat import ChatStyle, Prompt, WrittenText, continued
from bench.language.predictions import StoredPrediction
from bench.language.prompting import Question
from bench.language.spec import (
    ByChoice,
    Cloze,
    Dataset,
    Generation,
    LogLikelihood,
    PartialLogLikelihood,
    Perplexity,
    Rolling,
    SingleToken,
)

# Prompt and choice together may have a few tokens more than each of them alone.
_SLACK = 4
# Bytes that a chat template may add to a prompt.
_FRAME = 256

Write = Callable[[StoredPrediction], None]


def infer(
    dataset: Dataset, questions: Sequence[Question], backend: Backend, write: Write, *,
    seed: int = 0, max_out_len: int | None = None,
) -> None:  # fmt: skip
    """Ask all questions; each prediction is written as soon as its batch is complete.

    A prompt that the model cannot read in one piece loses examples from the end; the prediction says how many. A chat model
    gets examples as turns, if it says so.

    Args:
        dataset: what is asked, and how.
        questions: of the dataset.
        backend: the model.
        write: takes each prediction.
        seed: of the run, for sampling.
        max_out_len: new tokens at most, in place of the dataset's limit.

    Raises:
        LanguageProblem: an answer of the model that is not a number, or a question that cannot be asked this way.
        Exception: whatever the model raises.
    """
    inference = dataset.inference
    if isinstance(inference, Rolling):
        _score_rolling(questions, backend, write, inference.special)
        return
    new = (max_out_len or inference.max_out_len) if isinstance(inference, Generation) else 0
    fitted = _fitted(questions, backend, new)
    prompts = [prompt for prompt, _ in fitted]

    def begun(index: int) -> StoredPrediction:
        question, prompt = questions[index], prompts[index]
        kept = len(question.examples) - fitted[index][1]
        known: StoredPrediction = {
            "key": question.key,
            "index": question.index,
            "prompt": prompt if isinstance(prompt, str) else question.prompt(kept),
            "examples": kept,
            "dropped_examples": fitted[index][1],
        }
        return known if isinstance(prompt, str) else {**known, "messages": prompt.messages()}

    if isinstance(inference, Generation):
        stops = inference.stops(chat=_chat(backend) is not None)
        backend.generate(
            prompts, new, stops, [text_seed(seed, question.key) for question in questions],
            lambda index, text: write({**begun(index), **_answered(text)}),
        )  # fmt: skip
    elif isinstance(inference, Cloze):
        _Choosing(questions, prompts, backend, begun, write).score_answers(dataset.separator)
    else:
        _Choosing(questions, prompts, backend, begun, write).run(inference)


def _answered(text: str) -> StoredPrediction:
    """Return the answer, and what is known of how it came about."""
    said: StoredPrediction = {"key": "", "text": str(text)}
    if isinstance(text, WrittenText):
        said["cut"] = text.cut
        if text.thought is not None:
            said["thought"] = text.thought
        if text.unclosed:
            said["unclosed"] = True
    del said["key"]  # type: ignore[misc]  # what this is added to has it
    return said


class _Choosing:
    """Scores the choices of questions.

    Args:
        questions: with choices.
        prompts: of the questions, as the model can read them.
        backend: the model.
        begun: returns what is known of a prediction before its choices are scored.
        write: takes each prediction.
    """

    def __init__(
        self, questions: Sequence[Question], prompts: list[Prompt], backend: Backend,
        begun: Callable[[int], StoredPrediction], write: Write,
    ) -> None:  # fmt: skip
        self._questions, self._prompts, self._backend = questions, prompts, backend
        self._begun, self._write = begun, write
        self._choices = [question.choices for question in questions]

    def run(self, inference: ByChoice) -> None:
        if isinstance(inference, SingleToken):
            self._backend.score_first_tokens(self._prompts, self._choices, self._keep)
        elif isinstance(inference, Perplexity):
            self._score_perplexity(inference)
        elif isinstance(inference, PartialLogLikelihood):
            self._score_endings()
        elif inference.rule == "unconditional":
            self._score_unconditional(inference)
        else:
            self._backend.score_continuations(self._prompts, self._choices, self._keep)

    def score_answers(self, separator: str) -> None:
        """Score the right answers."""
        answers = [str(question.golds[0]) for question in self._questions]
        self._backend.score_continuations(
            self._prompts, [[f"{separator}{answer}"] for answer in answers],
            lambda index, scores: self._write({**self._prediction(index, scores), "choices": [answers[index]]}),
        )  # fmt: skip

    def _score_endings(self) -> None:
        """Score the text after each choice: each choice is a context of its own."""
        owners = [
            (number, place) for number, group in enumerate(self._choices) for place in range(len(group))
        ]
        found: list[dict[int, TextScore]] = [{} for _ in self._questions]

        def keep(index: int, scores: list[TextScore]) -> None:
            number, place = owners[index]
            found[number][place] = scores[0]
            if len(found[number]) == len(self._choices[number]):
                self._keep(number, [found[number][other] for other in range(len(self._choices[number]))])

        self._backend.score_continuations(
            [continued(self._prompts[number], self._choices[number][place]) for number, place in owners],
            [[self._questions[number].ending] for number, _ in owners],
            keep,
        )

    def _keep(self, index: int, scores: list[TextScore]) -> None:
        self._write(self._prediction(index, scores))

    def _prediction(self, index: int, scores: list[TextScore]) -> StoredPrediction:
        question = self._questions[index]
        values = [score.loglikelihood for score in scores]
        if not all(map(math.isfinite, values)):
            raise LanguageProblem(
                "inference_failed",
                f"question {question.key}: found log-likelihoods {values}, expected finite numbers; the model "
                "computes NaN or infinity, try --dtype float32",
            )
        return {
            **self._begun(index),
            "choices": list(question.labels),
            "loglikelihoods": values,
            "tokens": [score.tokens for score in scores],
            "is_greedy": [score.is_greedy for score in scores],
        }

    def _score_unconditional(self, inference: LogLikelihood) -> None:
        alone: dict[int, list[float]] = {}
        self._backend.score_continuations(
            [inference.unconditional_prompt] * len(self._questions), self._choices,
            lambda index, scores: alone.__setitem__(index, [score.loglikelihood for score in scores]),
        )  # fmt: skip
        self._backend.score_continuations(
            self._prompts, self._choices,
            lambda index, scores: self._write(
                {**self._prediction(index, scores), "unconditional": alone[index]}
            ),
        )  # fmt: skip

    def _score_perplexity(self, inference: Perplexity) -> None:
        """Score by OpenCompass's rule: mean cross-entropy over all tokens of the text, including the first one."""
        prompts, texts = self._followed(self._prompts)
        if inference.normalizer is None:
            self._backend.score_texts(
                texts, [""] * len(texts),
                lambda index, scores: self._write(
                    {**self._prediction(index, scores), "perplexity": _means(scores)}
                ),
            )  # fmt: skip
            return
        normalizers = [inference.normalizer.format(**question.fields) for question in self._questions]
        normal: dict[int, list[float]] = {}
        normalizers, normal_texts = self._followed(normalizers)
        self._backend.score_texts(
            normal_texts,
            normalizers,
            lambda index, scores: normal.__setitem__(index, _means(scores)),
        )

        def keep_difference(index: int, scores: list[TextScore]) -> None:
            values = [a - b for a, b in zip(_means(scores), normal[index], strict=True)]
            self._write({**self._prediction(index, scores), "perplexity": values})

        self._backend.score_texts(texts, prompts, keep_difference)

    def _followed(self, prompts: Sequence[Prompt]) -> tuple[list[str], list[list[str]]]:
        """Return prompts as the model reads them, and each with its choices; a chat model answers without a blank before."""
        if _chat(self._backend) is None:
            framed = [prompt for prompt in prompts if isinstance(prompt, str)]
            return framed, [[p + c for c in cs] for p, cs in zip(framed, self._choices, strict=True)]
        framed = self._backend.framed(prompts)
        return framed, [[p + c.lstrip() for c in cs] for p, cs in zip(framed, self._choices, strict=True)]


def _means(scores: list[TextScore]) -> list[float]:
    return [-score.loglikelihood / score.length for score in scores]


def _score_rolling(questions: Sequence[Question], backend: Backend, write: Write, special: bool) -> None:
    def keep(index: int, score: TextScore) -> None:
        question = questions[index]
        if not math.isfinite(score.loglikelihood):
            raise LanguageProblem(
                "inference_failed",
                f"question {question.key}: found a log-likelihood of {score.loglikelihood}, expected a finite number; the "
                "model computes NaN or infinity, try --dtype float32",
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

    texts = [question.golds[0] for question in questions]
    if special:
        backend.score_rolling(texts, keep, special=True)
    else:
        backend.score_rolling(texts, keep)


def _chat(backend: Backend) -> ChatStyle | None:
    """Return how a chat model is asked; None for a base model."""
    return getattr(backend, "chat", None)


def _fitted(questions: Sequence[Question], backend: Backend, new: int) -> list[tuple[Prompt, int]]:
    """Return each question's prompt as the model can read it, and how many examples it had to drop.

    Examples make room for the answer up to half of what the model can read. A longer answer gets less room.
    """
    chat = _chat(backend)
    prompts = [question.asked_in(chat) for question in questions]
    fitted: list[tuple[Prompt, int]] = [(prompt, 0) for prompt in prompts]
    most = backend.max_len
    if most is None:
        return fitted
    new = min(new, most // 2)

    def may_be_long(index: int) -> bool:
        prompt = prompts[index]
        if not isinstance(prompt, str):
            return True
        # Current tokenizers make at most one token of a byte: a short text need not be tokenized.
        longest = max((len(choice.encode()) for choice in questions[index].choices), default=0)
        return len(prompt.encode()) + longest + new + _FRAME > most

    doubtful = [index for index, question in enumerate(questions) if question.examples and may_be_long(index)]
    lengths = backend.lengths([prompts[index] for index in doubtful])
    ends = iter(backend.lengths([choice for index in doubtful for choice in questions[index].choices]))
    for index, length in zip(doubtful, lengths, strict=True):
        question = questions[index]
        limit = most - new - max((next(ends) for _ in question.choices), default=0) - _SLACK
        if length > limit:
            fitted[index] = question.fitting(limit, lambda text: backend.lengths([text])[0], chat)
    return fitted
