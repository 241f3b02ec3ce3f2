"""Scoring and generating speed beside lm-evaluation-harness: the same model, rows and machine, in turns.

Needs the extra ``benchmark`` (``pip install -e '.[benchmark]'``). The model is a GPT-2 of 5 million parameters with
random weights, built here with a tokenizer trained on our own rows: speed does not depend on what a model knows,
and log-likelihoods are compared with it as well as with any other. Peak memory is taken in processes of their own.

    python benchmarks/language.py [--questions 400] [--repeats 3] [--skip-suite]
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from suite import ROOT, pinned

sys.path.insert(0, str(ROOT))

ROWS = ROOT / "fixtures/datasets/language"
BATCH = 32


def build_model(directory: Path, width: int = 256, layers: int = 6) -> None:
    """Save a GPT-2 with random weights and a byte-level tokenizer trained on our rows."""
    import torch  # noqa: PLC0415
    from tokenizers import ByteLevelBPETokenizer  # noqa: PLC0415
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast  # noqa: PLC0415
    from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

    disable_progress_bar()
    trained = ByteLevelBPETokenizer()
    files = [str(file) for file in sorted(ROWS.glob("*.jsonl"))]
    trained.train(files, vocab_size=1000, special_tokens=["<pad>", "<s>", "</s>"])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )
    tokenizer.save_pretrained(directory)
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "gpt2", vocab_size=len(tokenizer), n_embd=width, n_layer=layers, n_head=8, n_positions=512,
        bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(directory)


def make_questions(tokenizer, count: int, choices: int, length: int, context: int = 150) -> list[dict]:
    """Return questions of contexts of about so many tokens and choices of about ``length`` tokens."""
    rng = random.Random(choices * 100 + length)
    texts = [line for file in sorted(ROWS.glob("*.jsonl")) for line in file.read_text().splitlines()]
    vocabulary = sorted(
        {word for text in texts for word in text.split() if word.isalpha() and word.islower()}
    )

    def text(tokens: int) -> str:
        chosen: list[str] = []
        while len(tokenizer(" ".join(chosen))["input_ids"]) < tokens:
            chosen.append(rng.choice(vocabulary))
        return " ".join(chosen)

    single = [word for word in vocabulary if len(tokenizer(f" {word}")["input_ids"]) == 1]
    rows = []
    for _ in range(count):
        several = [text(length + rng.randrange(2)) for _ in range(choices)] if length > 1 else None
        answers = several or rng.sample(single, choices)
        rows.append({"context": text(context), "choices": answers, "gold": rng.randrange(choices)})
    return rows


class Ours:
    """Modelgate's backend."""

    name = "modelgate"

    def __init__(self, directory: Path) -> None:
        """Load the model."""
        from bench.language.backend import LocalBackend  # noqa: PLC0415
        from bench.language.models.config import ModelConfig  # noqa: PLC0415
        from bench.language.models.loading import load_model  # noqa: PLC0415

        config = ModelConfig("benchmark", str(directory), dtype="float32", batch_size=BATCH)
        self.backend = LocalBackend(load_model(config), BATCH)
        self.tokenizer = self.backend._tokenizer

    def score(self, rows: list[dict]) -> list[list[float]]:
        """Return the log-likelihood of each choice."""
        found: list[list[float]] = [[] for _ in rows]
        self.backend.continuations(
            [row["context"] for row in rows],
            [[f" {choice}" for choice in row["choices"]] for row in rows],
            lambda index, scores: found.__setitem__(index, [score.loglikelihood for score in scores]),
        )
        return found

    def generate(self, prompts: list[str], length: int) -> list[str]:
        """Return greedy continuations."""
        texts = ["" for _ in prompts]
        self.backend.generate(prompts, length, ["\n"], [0] * len(prompts), texts.__setitem__)
        return texts


class Peer:
    """lm-evaluation-harness."""

    name = "lm-evaluation-harness"

    def __init__(self, directory: Path) -> None:
        """Load the model."""
        import logging  # noqa: PLC0415

        logging.disable(logging.WARNING)
        from lm_eval.models.huggingface import HFLM  # noqa: PLC0415

        self.lm = HFLM(pretrained=str(directory), dtype="float32", batch_size=BATCH, device="cpu")

    def score(self, rows: list[dict]) -> list[list[float]]:
        """Return the log-likelihood of each choice."""
        from lm_eval.api.instance import Instance  # noqa: PLC0415

        requests = [
            Instance("loglikelihood", {}, (row["context"], f" {choice}"), place)
            for row in rows
            for place, choice in enumerate(row["choices"])
        ]
        found = iter(self.lm.loglikelihood(requests, disable_tqdm=True))
        return [[next(found)[0] for _ in row["choices"]] for row in rows]

    def generate(self, prompts: list[str], length: int) -> list[str]:
        """Return greedy continuations."""
        from lm_eval.api.instance import Instance  # noqa: PLC0415

        options = {"until": ["\n"], "max_gen_toks": length, "do_sample": False}
        requests = [Instance("generate_until", {}, (prompt, options), 0) for prompt in prompts]
        return self.lm.generate_until(requests, disable_tqdm=True)


def accuracies(rows: list[dict], scores: list[list[float]]) -> tuple[float, float]:
    """Return acc and acc_norm, the latter by characters of the choice."""
    plain = [max(range(len(s)), key=s.__getitem__) for s in scores]
    normed = [
        max(range(len(s)), key=lambda place, s=s, row=row: s[place] / len(row["choices"][place]))
        for s, row in zip(scores, rows, strict=True)
    ]
    golds = [row["gold"] for row in rows]
    return tuple(
        sum(p == g for p, g in zip(picked, golds, strict=True)) / len(golds) for picked in (plain, normed)
    )  # type: ignore[return-value]


def in_turns(
    ours: Callable[[], object], peer: Callable[[], object], repeats: int
) -> tuple[float, float, float]:
    """Run both alternately; return ``(our median seconds, the peer's, median of the paired ratios)``."""
    ours(), peer()  # warm-up
    times: list[tuple[float, float]] = []
    for number in range(repeats):
        pair = {}
        for name, run in (("ours", ours), ("peer", peer))[:: 1 if number % 2 else -1]:
            begin = time.perf_counter()
            run()
            pair[name] = time.perf_counter() - begin
        times.append((pair["ours"], pair["peer"]))
    mine, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    return mine, theirs, statistics.median(their / my for my, their in times)


def peak_bytes(directory: Path, who: str, file: Path) -> int:
    """Return the peak memory of a process that loads the model and scores the rows of a file."""
    command = [sys.executable, __file__, "--peak-of", who, "--model", str(directory), "--rows", str(file)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def compare(directory: Path, questions: int, repeats: int) -> None:
    """Print times, ratios, agreement and memory for each shape of question."""
    ours, peer = Ours(directory), Peer(directory)
    print(
        f"{questions} questions, 150-token contexts, batch {BATCH}, median of {repeats} runs each, in turns"
    )
    print(
        f"{'':34}{'modelgate s':>12}{'peer s':>9}{'peer / ours':>12}{'max |dLL|':>11}{'acc equal':>10}"
        f"{'peak MB':>9}{'peer MB':>9}"
    )
    for label, choices, length in (
        ("3 choices of 8 to 9 tokens", 3, 8),
        ("4 choices of 8 to 9 tokens", 4, 8),
        ("4 choices of one token", 4, 1),
    ):
        rows = make_questions(ours.tokenizer, questions, choices, length)
        mine, theirs = ours.score(rows), peer.score(rows)
        worst = max(abs(a - b) for s, t in zip(mine, theirs, strict=True) for a, b in zip(s, t, strict=True))
        equal = accuracies(rows, mine) == accuracies(rows, theirs)
        a, b, ratio = in_turns(
            lambda rows=rows: ours.score(rows), lambda rows=rows: peer.score(rows), repeats
        )
        file = directory / "rows.json"
        file.write_text(json.dumps(rows))
        memory = [peak_bytes(directory, who, file) / 1e6 for who in ("ours", "peer")]
        print(
            f"{label:34}{a:12.2f}{b:9.2f}{ratio:12.2f}{worst:11.1e}{equal!s:>10}{memory[0]:9.0f}{memory[1]:9.0f}",
            flush=True,
        )
    prompts = [row["context"] for row in make_questions(ours.tokenizer, questions // 4, 2, 1, context=60)]
    mine, theirs = ours.generate(prompts, 40), peer.generate(prompts, 40)
    same = sum(a == b for a, b in zip(mine, theirs, strict=True))
    a, b, ratio = in_turns(lambda: ours.generate(prompts, 40), lambda: peer.generate(prompts, 40), repeats)
    print(f"{'generation, 40 tokens':34}{a:12.2f}{b:9.2f}{ratio:12.2f}{'':11}{f'{same}/{len(prompts)}':>10}")


# Questions of each dataset for each batch size: about as much work.
ROWS_OF_BATCH = {"1": 400, "4": 600, "auto": 1500}


def suite_throughput(directory: Path) -> None:
    """Print how much faster a run of several models and all datasets is with ``-n 4`` than serial, and than on a core.

    A serial run has all cores for each batch, four workers have one each. What four workers gain is what threads
    leave unused: most of three cores where a batch is one question, little where it is large enough to keep four
    threads busy. "At most" is what they would gain if each did as much as one core does alone.
    """
    shipped = {"name": "shipped", "path": str(ROOT / "fixtures/zoo/tiny-lm"), "dtype": "float32"}
    # Random weights never say that a text is over.
    models = [shipped, random_model(directory, 128, 4) | {"max_out_len": 16}]
    config = directory / "eval.py"
    config.write_text(f"models = {models!r}\n")
    what = f"all datasets with tiny-lm and a GPT-2 ({len(models)} models), seconds of a whole run"
    print(
        f"\n{what}\n{'':24}{'one core':>9}{'serial':>8}{'-n 4':>8}{'serial / -n 4':>15}{'one core / -n 4':>17}"
        f"{'at most':>9}"
    )
    for batch, rows in ROWS_OF_BATCH.items():
        folder = make_data(directory / f"rows{rows}", rows)
        options = ["--config", str(config), "--data", str(folder), "--batch-size", batch]
        one = run_cases(directory, *options, cores={0})
        serial, workers = (run_cases(directory, *options, *more) for more in ((), ("-n", "4")))
        print(
            f"{f'batch {batch}, {rows:,} rows each':24}{one:9.1f}{serial:8.1f}{workers:8.1f}{serial / workers:15.2f}"
            f"{one / workers:17.2f}{4 * serial / one:9.2f}",
            flush=True,
        )


def random_model(directory: Path, width: int, layers: int) -> dict[str, str]:
    """Build a model of random weights; return its configuration."""
    name = f"gpt2_{width}x{layers}"
    build_model(directory / name, width, layers)
    return {"name": name, "path": str(directory / name), "dtype": "float32"}


def make_data(folder: Path, rows: int) -> Path:
    """Write so many rows of each dataset to a folder."""
    import make_rows  # type: ignore[import-not-found]  # noqa: PLC0415

    folder.mkdir()
    for file in sorted(ROWS.glob("*.jsonl")):
        name, part, _ = file.name.split(".") if file.name.count(".") > 1 else (file.stem, "evaluation", "")
        count = rows if part == "evaluation" else 200
        made = make_rows.rows(name, part, count, seed=7, distinct=False)
        (folder / file.name).write_text("".join(json.dumps(row) + "\n" for row in made))
    return folder


def run_cases(directory: Path, *options: str, cores: set[int] | None = None) -> float:
    """Run the language cases on some cores, all where None; return the seconds that the whole run took."""
    command = [
        *pinned(cores), sys.executable, "-m", "pytest", "cases/test_language.py", "-q", "-p", "no:cacheprovider",
        "--work-dir", str(directory / "out"), *options,
    ]  # fmt: skip
    begin = time.perf_counter()
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begin
    if finished.returncode:
        raise RuntimeError(finished.stdout[-3000:])
    return seconds


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip-suite", action="store_true")
    parser.add_argument("--skip-peer", action="store_true")
    parser.add_argument("--peak-of", choices=("ours", "peer"))
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rows", type=Path)
    arguments = parser.parse_args()

    from bench.machine.torchvision_shim import ensure_torchvision  # noqa: PLC0415

    ensure_torchvision()
    sys.path.insert(0, str(ROWS))
    if arguments.peak_of:
        rows = json.loads(arguments.rows.read_text())
        {"ours": Ours, "peer": Peer}[arguments.peak_of](arguments.model).score(rows)
        # Not ru_maxrss, which a process that was started by a larger one inherits from it.
        status = Path("/proc/self/status").read_text()
        print(int(status.partition("VmHWM:")[2].split()[0]) * 1024)
        return
    with tempfile.TemporaryDirectory(prefix="modelgate-language-") as name:
        directory = Path(name)
        build_model(directory)
        if not arguments.skip_peer:
            compare(directory, arguments.questions, arguments.repeats)
        if not arguments.skip_suite:
            suite_throughput(directory)


if __name__ == "__main__":
    main()
