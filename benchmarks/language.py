"""Speed of scoring and generating, compared with lm-evaluation-harness on the same model, questions and machine.

    python benchmarks/language.py [--questions 400] [--repeats 3] [--skip-peer] [--skip-suite]
    python benchmarks/language.py --skip-peer --skip-suite --questions 2 --repeats 1 --shapes 1 --layers 1  # smallest

lm-evaluation-harness comes with the extra ``lm-eval`` (``pip install -e '.[lm-eval]'``); without it, use
``--skip-peer``. The model is a GPT-2 of 5 million parameters with random weights and a tokenizer that is trained on the
rows that ship: neither speed nor the agreement of log-likelihoods depends on what a model knows. Both run in every
round, in alternating order, and a ratio is taken within a round. Peak memory is that of a process that loads the model
and scores the questions.

A row says which ratio is asked for and whether it is reached. ``--clock processor`` takes processor time of all threads
in place of wall time: use it where others load the machine.

Then one task of lm-evaluation-harness is run from a cold start by our cases, by the harness on our engine, and by the
harness. At last whole runs of the language cases are timed: on one core, without workers on all cores, and with four
workers.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from language_runs import CLOCKS, ROWS_OF_BATCH, print_suite, print_ways, reached
from language_sides import (
    BATCH,
    CONTEXT,
    EXAMPLES,
    LAYERS,
    LIBRARIES,
    NEW_TOKENS,
    PROMPT,
    Library,
    Question,
    build_model,
    make_questions,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Choices, tokens of each, and the ratio that is asked for.
SHAPES = {
    "3 choices of 8 to 9 tokens": (3, 8, 3.0),
    "4 choices of 8 to 9 tokens": (4, 8, 4.0),
    "4 choices of one token": (4, 1, 1.5),
}
GENERATION = 1.5


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


def alternate(
    runs: dict[str, Callable[[], object]], repeats: int, clock: Callable[[], float] = CLOCKS["wall"]
) -> dict[str, list[float]]:
    """Run all in each round, in alternating order; return the seconds of each round by name."""
    for run in runs.values():  # to warm up
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(repeats):
        for name in list(runs)[:: 1 if number % 2 else -1]:
            begin = clock()
            runs[name]()
            seconds[name].append(clock() - begin)
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
    label: str, seconds: dict[str, list[float]], asked: float, difference: str, equal: str, peaks: dict[str, int]
) -> None:  # fmt: skip
    """Print a row of the comparison; what the peer is needed for is a dash without it."""
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    theirs = ratio = "-"
    met = "-"
    if "peer" in seconds:
        theirs = f"{medians['peer']:.2f}"
        paired = zip(seconds["ours"], seconds["peer"], strict=True)
        value = statistics.median(other / own for own, other in paired)
        ratio, met = f"{value:.2f}", reached(value, asked)
    memory = "".join(f"{peak / 1e6:9.0f}" for peak in peaks.values())
    print(
        f"{label:38}{medians['ours']:12.2f}{theirs:>9}{ratio:>12}{asked:7.1f}{met:>8}{difference:>11}{equal:>10}{memory}",
        flush=True,
    )


class Comparison:
    """Rows of questions and of generations, each timed with all libraries.

    Args:
        directory: of the model; files are written there.
        names: of the libraries.
        options: of the command.
    """

    def __init__(self, directory: Path, names: Sequence[str], options: argparse.Namespace) -> None:
        from transformers import AutoTokenizer  # noqa: PLC0415

        self._directory, self._names, self._options = directory, names, options
        self._tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(directory)
        self._libraries: dict[str, Library] = {name: LIBRARIES[name](directory) for name in names}

    def print(self) -> None:
        """Print times, ratios, agreement and memory for each shape of question, and for generation."""
        options = self._options
        print(
            f"{options.questions} questions, {CONTEXT}-token contexts, batch {BATCH}, medians of {options.repeats} "
            f"rounds, {options.clock} time"
        )
        print(
            f"{'':38}{'modelgate s':>12}{'peer s':>9}{'peer / ours':>12}{'asked':>7}{'reached':>8}{'max |dLL|':>11}"
            f"{'acc equal':>10}{'peak MB':>9}{'peer MB':>9}"
        )
        for label in list(SHAPES)[: options.shapes]:
            self._print_choices(label)
        self._print_generations()

    def _timed(self, run: Callable[[Library], object]) -> dict[str, list[float]]:
        runs: dict[str, Callable[[], object]] = {
            name: partial(run, library) for name, library in self._libraries.items()
        }
        return alternate(runs, self._options.repeats, CLOCKS[self._options.clock])

    def _print_choices(self, label: str) -> None:
        choices, length, asked = SHAPES[label]
        drawn = make_questions(self._tokenizer, self._options.questions, choices, length)
        difference = equal = "-"
        if "peer" in self._libraries:
            ours, peer = (self._libraries[name].score(drawn) for name in ("ours", "peer"))
            difference = f"{greatest_difference(ours, peer):.1e}"
            equal = str(accuracies(drawn, ours) == accuracies(drawn, peer))
        seconds = self._timed(lambda library: library.score(drawn))
        peaks = {}
        if not self._options.skip_memory:
            file = self._directory / "questions.json"
            file.write_bytes(msgspec.json.encode(drawn))
            peaks = {name: peak_bytes(self._directory, name, file) for name in self._names}
        print_row(label, seconds, asked, difference, equal, peaks)

    def _print_generations(self) -> None:
        count = max(1, self._options.questions // 4)
        prompts = [
            question.context for question in make_questions(self._tokenizer, count, 2, 1, context=PROMPT)
        ]
        (examples,) = make_questions(self._tokenizer, 1, 2, 2, context=EXAMPLES)
        self._print_generation(f"generation, {NEW_TOKENS} tokens", prompts)
        self._print_generation(
            "generation after shared examples", [f"{examples.context} {prompt}" for prompt in prompts]
        )
        # Random weights never end a text: a character that they write ends it, earlier or later.
        stop = uneven_stop(self._libraries["ours"].generate(prompts, NEW_TOKENS))
        self._print_generation("generation of unequal lengths", prompts, stop)

    def _print_generation(self, label: str, prompts: Sequence[str], stop: str = "\n") -> None:
        same = "-"
        if "peer" in self._libraries:
            texts = [library.generate(prompts, NEW_TOKENS, stop) for library in self._libraries.values()]
            same = f"{sum(own == other for own, other in zip(*texts, strict=True))}/{len(prompts)}"
        seconds = self._timed(lambda library: library.generate(prompts, NEW_TOKENS, stop))
        print_row(label, seconds, GENERATION, "", same, {})


def uneven_stop(texts: Sequence[str]) -> str:
    """Return the character whose first places in texts are spread most."""

    def spread(character: str) -> float:
        places = [text.find(character) if character in text else len(text) for text in texts]
        return statistics.pstdev(place / max(1, len(text)) for place, text in zip(places, texts, strict=True))

    return max(sorted(set("".join(texts)) - {"\ufffd"}) or ["\n"], key=spread)


# The command ------------------------------------------------------------------------------------------------


def _questions_of(directory: Path, count: int) -> list[dict[str, Any]]:
    from transformers import AutoTokenizer  # noqa: PLC0415

    choices, length, _ = next(iter(SHAPES.values()))
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
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="what is compared (default wall time)"
    )
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
        if not options.skip_shapes:
            Comparison(directory / "benchmark", names, options).print()
        if not (options.skip_peer or options.skip_ways):
            drawn = _questions_of(directory / "benchmark", options.questions)
            print_ways(directory / "benchmark", drawn, BATCH, options.repeats, options.clock)
        if not options.skip_suite:
            build_model(directory / "random", 128, 4)
            print_suite(directory, options.batches, options.rows, options.datasets, options.workers)


if __name__ == "__main__":
    main()
