"""The plain protocol, as scripts and papers time pipelines: what verdict_cost.py and null_ratio.py compare with.

One process uses all cores. For each pair it loads both files, runs two warm-up batches of each, then the baseline on all
samples, then the candidate on all samples, then CLIP on all images. Nothing is alternated, shared or isolated.

It judges the pairs of task files and prints one line of JSON: a list of ``{"id", "ratio", "loss"}``.

How a file is called stands in its text, or in the file that ``--calls`` names: ``--see`` writes that, and judges nothing. An
author who times his own script knows it, so finding it out is no part of what the protocol costs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.acceleration.host.own_call import SeenCall
from bench.acceleration.prompt_inputs import NO_INPUTS
from bench.acceleration.prompts import Sample, draw_samples, load_prompts
from bench.acceleration.tasks.join import load_cases

if TYPE_CHECKING:
    from bench.acceleration.arm.loading import LoadedPipeline
    from bench.metrics.clip_model import ClipModel

WARM_UP_BATCHES = 2
Calls = Mapping[str, SeenCall]
"""How files are called, by their paths."""


def see_call(file: Path) -> SeenCall:
    """Run a file as a script in a process of its own, up to its call."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        _tell_call(file, theirs)
    os.close(theirs)
    with os.fdopen(ours, "rb") as told:
        answer = told.read()
    os.waitpid(child, 0)
    return SeenCall.from_json(json.loads(answer)) if answer else SeenCall()


def _tell_call(file: Path, descriptor: int) -> NoReturn:
    from bench.acceleration.arm.probe import probe  # noqa: PLC0415
    from bench.acceleration.protocol.messages import Probed  # noqa: PLC0415

    def tell(probed: Probed, sent: bytes) -> None:
        with os.fdopen(descriptor, "w") as telling:
            json.dump(SeenCall(probed, sent).to_json(), telling)
        os._exit(0)  # nothing behind the call runs

    try:
        probe(str(file), tell)
    finally:
        os._exit(1)


def load_arm(file: Path, prefer: str, calls: Calls) -> LoadedPipeline:
    """Load a pipeline file, which is called as was seen or as its text says."""
    from bench.acceleration.arm.loading import load  # noqa: PLC0415
    from bench.acceleration.arm.probe import arguments_of  # noqa: PLC0415

    seen = calls.get(str(file), SeenCall())
    return load(str(file), prefer=prefer, device="cpu", call=seen.call, sent=lambda: arguments_of(seen.sent))


def generate_all(
    pipeline: LoadedPipeline, samples: Sequence[Sample], batch_size: int
) -> tuple[float, list[Any]]:
    """Generate all samples batch by batch; return the seconds and the images."""
    images: list[Any] = []
    begin = time.perf_counter()
    for start in range(0, len(samples), batch_size):
        chunk = samples[start : start + batch_size]
        images += pipeline.generate([s.prompt for s in chunk], [s.seed for s in chunk])
    return time.perf_counter() - begin, images


def judge_pair(
    baseline_file: Path,
    candidate_file: Path,
    samples: Sequence[Sample],
    batch_size: int,
    clip: ClipModel | None = None,
    calls: Calls | None = None,
) -> dict[str, float | None]:
    """Time and score both arms of a pair, one after the other; return ``{"ratio", "loss"}``."""
    import numpy as np  # noqa: PLC0415

    from bench.metrics.clip_score import clip_score  # noqa: PLC0415

    arms = [load_arm(baseline_file, "pipe", calls or {}), load_arm(candidate_file, "load_pipe", calls or {})]
    for arm in arms:
        generate_all(arm, samples[: WARM_UP_BATCHES * batch_size], batch_size)
    (baseline_s, baseline), (candidate_s, candidate) = (
        generate_all(arm, samples, batch_size) for arm in arms
    )
    loss = None
    if clip is not None:
        texts = clip.embed_texts([sample.prompt for sample in samples])
        base, cand = (
            clip_score(clip.embed_images([np.asarray(image) for image in images]), texts)
            for images in (baseline, candidate)
        )
        loss = float((base - cand).sum() / base.sum())
    return {"ratio": baseline_s / candidate_s, "loss": loss}


def main() -> None:
    """Judge the pairs of task files and print the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", type=Path, required=True, help="annotation lists")
    parser.add_argument("--candidates", nargs="+", type=Path, required=True, help="generation lists")
    parser.add_argument("--prompts", required=True, help="dataset of prompts")
    parser.add_argument("--clip", help="open_clip model of the CLIP score (default: no score)")
    parser.add_argument("--num-samples", type=int, default=64, help="samples of each arm (default 64)")
    parser.add_argument("--batch-size", type=int, default=4, help="images per call (default 4)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    parser.add_argument("--repeat", type=int, default=1, help="how often each pair is judged (default 1)")
    parser.add_argument("--only", nargs="+", metavar="ID", help="prompt ids of the pairs (default: all)")
    parser.add_argument("--see", type=Path, metavar="FILE", help="only write how each file is called")
    parser.add_argument("--calls", type=Path, metavar="FILE", help="what --see wrote (default: by the text)")
    options = parser.parse_args()

    from bench.machine.torchvision_shim import ensure_torchvision  # noqa: PLC0415

    ensure_torchvision()
    import torch  # noqa: PLC0415

    from bench.metrics.clip_model import ClipModel  # noqa: PLC0415

    cases = [
        case
        for case in load_cases(options.tasks, options.candidates)
        if not case.is_control and (options.only is None or str(case.prompt_id) in options.only)
    ]
    for case in cases:
        if case.baseline_file is None or case.candidate_file is None:
            parser.error(f"{case.id}: {case.problem}")
    if options.see:
        files = {file for case in cases for file in (case.baseline_file, case.candidate_file) if file}
        options.see.write_text(json.dumps({str(file): see_call(file).to_json() for file in sorted(files)}))
        return
    given = json.loads(options.calls.read_text()) if options.calls else {}
    calls = {file: SeenCall.from_json(call) for file, call in given.items()}
    if options.threads:
        torch.set_num_threads(options.threads)
    clip = ClipModel(options.clip) if options.clip else None
    samples = draw_samples(load_prompts(options.prompts, inputs=[NO_INPUTS]), options.num_samples, 0)
    results = []
    for _ in range(options.repeat):
        for case in cases:
            assert case.baseline_file is not None
            assert case.candidate_file is not None
            found = judge_pair(
                case.baseline_file, case.candidate_file, samples, options.batch_size, clip, calls
            )
            results.append({"id": case.id, **found})
    print(json.dumps(results))


if __name__ == "__main__":
    main()
