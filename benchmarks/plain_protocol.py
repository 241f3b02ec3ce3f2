"""The plain protocol, as scripts and papers time pipelines: our peer in verdict_cost.py and null_ratio.py.

One process on all cores. For each pair: load both files, two warm-up batches of each, the baseline on all
samples, then the candidate on all samples, then CLIP on all images. Nothing is alternated, shared or isolated.

Run as a program it judges the pairs of task files and prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.acceleration.prompts import draw_samples, load_prompts
from bench.acceleration.tasks.join import load_cases

WARM_UP_BATCHES = 2


def generate_all(pipeline, samples, batch_size: int) -> tuple[float, list]:
    """Return ``(seconds, images)`` of generating all samples batch by batch."""
    images = []
    begin = time.perf_counter()
    for start in range(0, len(samples), batch_size):
        chunk = samples[start : start + batch_size]
        images += pipeline.generate([s.prompt for s in chunk], [s.seed for s in chunk])
    return time.perf_counter() - begin, images


def judge_pair(baseline_file: Path, candidate_file: Path, samples, batch_size: int, clip=None) -> dict:
    """Time and score one pair one arm after the other; returns ``{"ratio", "loss"}``."""
    import numpy as np  # noqa: PLC0415

    from bench.acceleration.arm.loading import load  # noqa: PLC0415
    from bench.metrics.clip_score import clip_score  # noqa: PLC0415

    arms = [
        load(str(baseline_file), prefer="pipe", device="cpu"),
        load(str(candidate_file), prefer="load_pipe", device="cpu"),
    ]
    for arm in arms:
        generate_all(arm, samples[: WARM_UP_BATCHES * batch_size], batch_size)
    (baseline_s, baseline), (candidate_s, candidate) = (
        generate_all(arm, samples, batch_size) for arm in arms
    )
    result = {"ratio": baseline_s / candidate_s, "loss": None}
    if clip is not None:
        texts = clip.embed_texts([sample.prompt for sample in samples])
        base, cand = (
            clip_score(clip.embed_images([np.asarray(image) for image in images]), texts)
            for images in (baseline, candidate)
        )
        result["loss"] = float((base - cand).sum() / base.sum())
    return result


def main() -> None:
    """Judge the pairs of task files and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", type=Path, required=True)
    parser.add_argument("--candidates", nargs="+", type=Path, required=True)
    parser.add_argument("--prompts", required=True)
    parser.add_argument("--clip", default=None)
    parser.add_argument("--num-samples", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=None, help="prompt ids")
    arguments = parser.parse_args()

    from bench.machine.torchvision_shim import ensure_torchvision  # noqa: PLC0415

    ensure_torchvision()
    import torch  # noqa: PLC0415

    from bench.metrics.clip_model import ClipModel  # noqa: PLC0415

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    clip = ClipModel(arguments.clip) if arguments.clip else None
    samples = draw_samples(load_prompts(arguments.prompts), arguments.num_samples, 0)
    cases = [
        case
        for case in load_cases(arguments.tasks, arguments.candidates)
        if not case.is_control and (arguments.only is None or str(case.prompt_id) in arguments.only)
    ]
    results = [
        {"id": case.id}
        | judge_pair(case.baseline_file, case.candidate_file, samples, arguments.batch_size, clip)
        for _ in range(arguments.repeat)
        for case in cases
    ]
    print(json.dumps(results))


if __name__ == "__main__":
    main()
