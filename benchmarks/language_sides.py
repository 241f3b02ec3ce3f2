"""What benchmarks/language.py compares: a model with random weights, questions, and two libraries that ask them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec
from suite import ROOT

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ROWS = ROOT / "fixtures/datasets/language"
BATCH = 32
CONTEXT = 150  # tokens before a choice
PROMPT = 60  # tokens before a generation
EXAMPLES = 240  # tokens before each prompt of the row with a shared beginning
NEW_TOKENS = 40
WIDTH, LAYERS = 256, 6


class Question(msgspec.Struct):
    """A question with its choices; ``gold`` is the index of the right one."""

    context: str
    choices: list[str]
    gold: int


class Library(Protocol):
    """What is compared."""

    def score(self, questions: Sequence[Question]) -> list[list[float]]:
        """Return the log-likelihood of each choice of each question, in nats."""

    def generate(self, prompts: Sequence[str], length: int, stop: str = "\n") -> list[str]:
        """Return greedy continuations of at most ``length`` tokens, before the stop string."""


class Ours:
    """Modelgate."""

    def __init__(self, directory: Path) -> None:
        """Load the model."""
        from bench.language.backend import LocalBackend  # noqa: PLC0415
        from bench.language.models.config import ModelConfig  # noqa: PLC0415
        from bench.language.models.loading import load_model  # noqa: PLC0415

        config = ModelConfig("benchmark", str(directory), dtype="float32", batch_size=BATCH)
        self.backend = LocalBackend(load_model(config), BATCH)

    def score(self, questions: Sequence[Question]) -> list[list[float]]:
        """Return the log-likelihood of each choice of each question, in nats."""
        found: list[list[float]] = [[] for _ in questions]
        self.backend.score_continuations(
            [question.context for question in questions],
            [[f" {choice}" for choice in question.choices] for question in questions],
            lambda index, scores: found.__setitem__(index, [score.loglikelihood for score in scores]),
        )
        return found

    def generate(self, prompts: Sequence[str], length: int, stop: str = "\n") -> list[str]:
        """Return greedy continuations of at most ``length`` tokens, before the stop string."""
        texts = ["" for _ in prompts]
        self.backend.generate(prompts, length, [stop], [0] * len(prompts), texts.__setitem__)
        return texts


class Peer:
    """lm-evaluation-harness."""

    def __init__(self, directory: Path) -> None:
        """Load the model."""
        import logging  # noqa: PLC0415

        logging.disable(logging.WARNING)
        from lm_eval.models.huggingface import HFLM  # noqa: PLC0415

        self.lm = HFLM(pretrained=str(directory), dtype="float32", batch_size=BATCH, device="cpu")

    def score(self, questions: Sequence[Question]) -> list[list[float]]:
        """Return the log-likelihood of each choice of each question, in nats."""
        from lm_eval.api.instance import Instance  # noqa: PLC0415

        requests = [
            Instance("loglikelihood", {}, (question.context, f" {choice}"), place)
            for question in questions
            for place, choice in enumerate(question.choices)
        ]
        found = iter(self.lm.loglikelihood(requests, disable_tqdm=True))
        return [[next(found)[0] for _ in question.choices] for question in questions]

    def generate(self, prompts: Sequence[str], length: int, stop: str = "\n") -> list[str]:
        """Return greedy continuations of at most ``length`` tokens, before the stop string."""
        from lm_eval.api.instance import Instance  # noqa: PLC0415

        options = {"until": [stop], "max_gen_toks": length, "do_sample": False}
        requests = [Instance("generate_until", {}, (prompt, options), 0) for prompt in prompts]
        return list(self.lm.generate_until(requests, disable_tqdm=True))


LIBRARIES: dict[str, Callable[[Path], Library]] = {"ours": Ours, "peer": Peer}


# Model and questions ----------------------------------------------------------------------------------------


def build_model(directory: Path, width: int = WIDTH, layers: int = LAYERS) -> None:
    """Save a GPT-2 with random weights, and a byte-level tokenizer trained on the rows that ship."""
    import torch  # noqa: PLC0415
    from tokenizers import ByteLevelBPETokenizer  # noqa: PLC0415
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast  # noqa: PLC0415
    from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers has no types here
    trained = ByteLevelBPETokenizer()
    files = [str(file) for file in sorted(ROWS.glob("*.jsonl"))]
    trained.train(files, vocab_size=1000, special_tokens=["<pad>", "<s>", "</s>"], show_progress=False)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers has no types here
        tokenizer_object=trained._tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )
    tokenizer.save_pretrained(directory)
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "gpt2", vocab_size=len(tokenizer), n_embd=width, n_layer=layers, n_head=8, n_positions=512,
        bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]  # transformers has no types here
    model.save_pretrained(directory)


def make_questions(
    tokenizer: PreTrainedTokenizerBase, count: int, choices: int, length: int, context: int = CONTEXT
) -> list[Question]:
    """Draw questions with contexts of about ``context`` tokens and choices of about ``length`` tokens."""
    rng = random.Random(choices * 100 + length)
    texts = [line for file in sorted(ROWS.glob("*.jsonl")) for line in file.read_text().splitlines()]
    vocabulary = sorted(
        {word for text in texts for word in text.split() if word.isalpha() and word.islower()}
    )

    def draw_text(tokens: int) -> str:
        chosen: list[str] = []
        while len(tokenizer(" ".join(chosen))["input_ids"]) < tokens:
            chosen.append(rng.choice(vocabulary))
        return " ".join(chosen)

    single = [word for word in vocabulary if len(tokenizer(f" {word}")["input_ids"]) == 1]
    questions = []
    for _ in range(count):
        several = [draw_text(length + rng.randrange(2)) for _ in range(choices)] if length > 1 else None
        answers = several or rng.sample(single, choices)
        questions.append(Question(draw_text(context), answers, rng.randrange(choices)))
    return questions
