"""Speed of scoring and generating, compared with lm-evaluation-harness on the same model, questions and machine.

    python benchmarks/language.py [--questions 400] [--repeats 3] [--skip-peer] [--skip-suite]
    python benchmarks/language.py --skip-peer --skip-suite --questions 2 --repeats 1 --shapes 1 --layers 1  # smallest

lm-evaluation-harness comes with the extra ``lm-eval`` (``pip install -e '.[lm-eval]'``); without it, use
``--skip-peer``. The model is a GPT-2 of 5 million parameters with random weights and a tokenizer that is trained on the
rows that ship: neither speed nor the agreement of log-likelihoods depends on what a model knows. Both run in every
round, in alternating order, and a ratio is taken within a round. Peak memory is that of a process that loads the model
and scores the questions.

Then one task of lm-evaluation-harness is run from a cold start by our cases, by the harness on our engine, and by the
harness. At last whole runs of the language cases are timed: on one core, without workers on all cores, and with four
workers.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from language_runs import ROWS_OF_BATCH, print_suite, print_ways
from suite import ROOT

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ROWS = ROOT / "fixtures/datasets/language"
BATCH = 32
CONTEXT = 150  # tokens before a choice
PROMPT = 60  # tokens before a generation
NEW_TOKENS = 40
WIDTH, LAYERS = 256, 6
SHAPES = {
    "3 choices of 8 to 9 tokens": (3, 8),
    "4 choices of 8 to 9 tokens": (4, 8),
    "4 choices of one token": (4, 1),
}


class Question(msgspec.Struct):
    """A question with its choices; ``gold`` is the index of the right one."""

    context: str
    choices: list[str]
    gold: int


class Library(Protocol):
    """What is compared."""

    def score(self, questions: Sequence[Question]) -> list[list[float]]:
        """Return the log-likelihood of each choice of each question, in nats."""

    def generate(self, prompts: Sequence[str], length: int) -> list[str]:
        """Return greedy continuations of at most ``length`` tokens."""


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

    def generate(self, prompts: Sequence[str], length: int) -> list[str]:
        """Return greedy continuations of at most ``length`` tokens."""
        texts = ["" for _ in prompts]
        self.backend.generate(prompts, length, ["\n"], [0] * len(prompts), texts.__setitem__)
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

    def generate(self, prompts: Sequence[str], length: int) -> list[str]:
        """Return greedy continuations of at most ``length`` tokens."""
        from lm_eval.api.instance import Instance  # noqa: PLC0415

        options = {"until": ["\n"], "max_gen_toks": length, "do_sample": False}
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


# Comparison -------------------------------------------------------------------------------------------------


def accuracies(questions: Sequence[Question], scores: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the shares of right answers by log-likelihood (acc) and by log-likelihood per character (acc_norm)."""
    plain, normed = 0, 0
    for question, own in zip(questions, scores, strict=True):
        per_character = [score / len(choice) for score, choice in zip(own, question.choices, strict=True)]
        plain += own.index(max(own)) == question.gold
        normed += per_character.index(max(per_character)) == question.gold
    return plain / len(questions), normed / len(questions)


def greatest_difference(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> float:
    """Return the greatest difference of two log-likelihoods of the same choice."""
    return max(
        abs(a - b) for own, other in zip(first, second, strict=True) for a, b in zip(own, other, strict=True)
    )


def alternate(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Run all in each round, in alternating order; return the seconds of each round by name."""
    for run in runs.values():  # to warm up
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(repeats):
        for name in list(runs)[:: 1 if number % 2 else -1]:
            begin = time.perf_counter()
            runs[name]()
            seconds[name].append(time.perf_counter() - begin)
    return seconds


def peak_bytes(directory: Path, library: str, file: Path) -> int:
    """Return the peak memory of a process that loads the model and scores the questions of a file."""
    command = [sys.executable, __file__, "--peak-of", library, "--model", str(directory), "--file", str(file)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def print_peak(library: str, directory: Path, file: Path) -> None:
    """Score the questions of a file and print the peak memory of this process in bytes."""
    LIBRARIES[library](directory).score(msgspec.json.decode(file.read_bytes(), type=list[Question]))
    # Not ru_maxrss: a process inherits it from the larger one that started it.
    status = Path("/proc/self/status").read_text()
    print(int(status.partition("VmHWM:")[2].split()[0]) * 1024)


def print_row(
    label: str, seconds: dict[str, list[float]], difference: str, equal: str, peaks: dict[str, int]
) -> None:
    """Print a row of the comparison; what the peer is needed for is a dash without it."""
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    theirs = ratio = "-"
    if "peer" in seconds:
        theirs = f"{medians['peer']:.2f}"
        paired = zip(seconds["ours"], seconds["peer"], strict=True)
        ratio = f"{statistics.median(other / own for own, other in paired):.2f}"
    memory = "".join(f"{peak / 1e6:9.0f}" for peak in peaks.values())
    print(
        f"{label:34}{medians['ours']:12.2f}{theirs:>9}{ratio:>12}{difference:>11}{equal:>10}{memory}",
        flush=True,
    )


def print_comparison(
    directory: Path,
    names: Sequence[str],
    shapes: Sequence[str],
    questions: int,
    repeats: int,
    memory: bool = True,
) -> None:
    """Print times, ratios, agreement and memory for each shape of question, and for generation."""
    from transformers import AutoTokenizer  # noqa: PLC0415

    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(directory)
    libraries = {name: LIBRARIES[name](directory) for name in names}
    print(f"{questions} questions, {CONTEXT}-token contexts, batch {BATCH}, medians of {repeats} rounds")
    print(
        f"{'':34}{'modelgate s':>12}{'peer s':>9}{'peer / ours':>12}{'max |dLL|':>11}{'acc equal':>10}"
        f"{'peak MB':>9}{'peer MB':>9}"
    )
    for label in shapes:
        choices, length = SHAPES[label]
        drawn = make_questions(tokenizer, questions, choices, length)
        difference = equal = "-"
        if "peer" in libraries:
            ours, peer = (libraries[name].score(drawn) for name in ("ours", "peer"))
            difference = f"{greatest_difference(ours, peer):.1e}"
            equal = str(accuracies(drawn, ours) == accuracies(drawn, peer))
        seconds = alternate(
            {name: partial(library.score, drawn) for name, library in libraries.items()}, repeats
        )
        peaks = {}
        if memory:
            file = directory / "questions.json"
            file.write_bytes(msgspec.json.encode(drawn))
            peaks = {name: peak_bytes(directory, name, file) for name in names}
        print_row(label, seconds, difference, equal, peaks)
    drawn = make_questions(tokenizer, max(1, questions // 4), 2, 1, context=PROMPT)
    prompts = [question.context for question in drawn]
    same = "-"
    if "peer" in libraries:
        texts = [library.generate(prompts, NEW_TOKENS) for library in libraries.values()]
        same = f"{sum(own == other for own, other in zip(*texts, strict=True))}/{len(prompts)}"
    seconds = alternate(
        {name: partial(library.generate, prompts, NEW_TOKENS) for name, library in libraries.items()}, repeats
    )
    print_row(f"generation, {NEW_TOKENS} tokens", seconds, "", same, {})


# The command ------------------------------------------------------------------------------------------------


def _questions_of(directory: Path, count: int) -> list[dict[str, Any]]:
    from transformers import AutoTokenizer  # noqa: PLC0415

    choices, length = next(iter(SHAPES.values()))
    drawn = make_questions(AutoTokenizer.from_pretrained(directory), count, choices, length)
    return [msgspec.to_builtins(question) for question in drawn]


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=400, help="questions of each shape (default 400)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default 3)")
    parser.add_argument(
        "--shapes", type=int, default=len(SHAPES), help="how many shapes of question (default: all)"
    )
    parser.add_argument("--layers", type=int, default=LAYERS, help=f"layers of the model (default {LAYERS})")
    parser.add_argument("--skip-peer", action="store_true", help="measure Modelgate alone")
    parser.add_argument("--skip-shapes", action="store_true", help="leave out the comparison by shapes")
    parser.add_argument("--skip-memory", action="store_true", help="leave out the peak memory")
    parser.add_argument("--skip-ways", action="store_true", help="leave out the whole commands on one task")
    parser.add_argument("--skip-suite", action="store_true", help="leave out the whole runs")
    parser.add_argument(
        "--batches", nargs="+", choices=ROWS_OF_BATCH, default=list(ROWS_OF_BATCH),
        help="batch sizes of the whole runs (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--rows", type=int, help="rows of each dataset in the whole runs (default: by batch size)"
    )
    parser.add_argument("--datasets", nargs="+", default=(), help="datasets of the whole runs (default: all)")
    parser.add_argument("--workers", type=int, default=4, help="workers of the whole runs (default 4)")
    parser.add_argument("--peak-of", choices=LIBRARIES, help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()

    from bench.machine.torchvision_shim import ensure_torchvision  # noqa: PLC0415

    ensure_torchvision()
    if options.peak_of:
        print_peak(options.peak_of, options.model, options.file)
        return
    if not options.skip_peer and importlib.util.find_spec("lm_eval") is None:
        parser.error("lm-eval is not installed: install the extra 'lm-eval', or give --skip-peer")
    with tempfile.TemporaryDirectory(prefix="modelgate-language-") as name:
        directory = Path(name)
        build_model(directory / "benchmark", layers=options.layers)
        names = ["ours"] if options.skip_peer else ["ours", "peer"]
        shapes = list(SHAPES)[: options.shapes]
        if not options.skip_shapes:
            print_comparison(
                directory / "benchmark",
                names,
                shapes,
                options.questions,
                options.repeats,
                not options.skip_memory,
            )
        if not (options.skip_peer or options.skip_ways):
            drawn = _questions_of(directory / "benchmark", options.questions)
            print_ways(directory / "benchmark", drawn, BATCH, options.repeats)
        if not options.skip_suite:
            build_model(directory / "random", 128, 4)
            print_suite(directory, options.batches, options.rows, options.datasets, options.workers)


if __name__ == "__main__":
    main()
