"""The plain protocol, as scripts and papers time pipelines: what verdict_cost.py and null_ratio.py compare with.

One process uses all cores. For each pair it loads both files, runs two warm-up batches of each, then the baseline on all
samples, then the candidate on all samples, then CLIP on all images. Nothing is alternated, shared or isolated.

It judges the pairs of task files and prints one line of JSON: a list of ``{"id", "ratio", "loss"}``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.acceleration.prompt_inputs import NO_INPUTS
from bench.acceleration.prompts import Sample, draw_samples, load_prompts
from bench.acceleration.tasks.join import load_cases

if TYPE_CHECKING:
    from bench.acceleration.arm.loading import LoadedPipeline
    from bench.metrics.clip_model import ClipModel

WARM_UP_BATCHES = 2


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
) -> dict[str, float | None]:
    """Time and score both arms of a pair, one after the other; return ``{"ratio", "loss"}``."""
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
    options = parser.parse_args()

    from bench.machine.torchvision_shim import ensure_torchvision  # noqa: PLC0415

    ensure_torchvision()
    import torch  # noqa: PLC0415

    from bench.metrics.clip_model import ClipModel  # noqa: PLC0415

    if options.threads:
        torch.set_num_threads(options.threads)
    clip = ClipModel(options.clip) if options.clip else None
    samples = draw_samples(load_prompts(options.prompts, inputs=[NO_INPUTS]), options.num_samples, 0)
    results = []
    cases = [
        case
        for case in load_cases(options.tasks, options.candidates)
        if not case.is_control and (options.only is None or str(case.prompt_id) in options.only)
    ]
    for _ in range(options.repeat):
        for case in cases:
            if case.baseline_file is None or case.candidate_file is None:
                parser.error(f"{case.id}: {case.problem}")
            found = judge_pair(case.baseline_file, case.candidate_file, samples, options.batch_size, clip)
            results.append({"id": case.id, **found})
    print(json.dumps(results))


if __name__ == "__main__":
    main()
