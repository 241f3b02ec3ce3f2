"""From which strength on do the gates that are in force by default see that images are worse?

    python benchmarks/power.py [--prompts 56] [--samples 32] [--trials 40] [--null-pairs 200]

Twelve corruptions in four strengths (corruptions.py) are applied to images of the shipped Stable Diffusion. A trial draws
samples from a pool of prompts and seeds and judges the corrupted images as a run of the suite does. Against the baseline's
images: constant or repeated images, the loss of the CLIP score (5 %), the safeguards. Against the target's own images at
secret seeds: a candidate that claims the target's configuration. Printed is the share of trials in which each corruption is
rejected, and from which strength on that is at least 95 %.

Null pairs are the baseline against itself in other batches, in another order and with another number of threads, each with
prompts and seeds of its own. Honest accelerations follow: they make other images, and no gate against the baseline may
reject them. Nothing is timed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from corruptions import CORRUPTIONS, STRENGTHS, WITHOUT_GUIDANCE, Image, Images
from suite import CLIP, PROMPTS, ROOT

sys.path.insert(0, str(ROOT))

from bench.acceleration.gates import judge_images, judge_quality
from bench.acceleration.image_rows import OF_BASELINE
from bench.acceleration.null_band import NullImages
from bench.acceleration.pair_scores import PairScores
from bench.acceleration.prompts import load_prompts
from bench.acceleration.safeguards import SAFEGUARDS, judge_safeguards
from bench.acceleration.target_images import compare, judge_target
from bench.core.verdict import Verdict
from bench.metrics.clip_score import clip_score
from bench.metrics.image_fidelity import constant_images, duplicate_images
from bench.metrics.image_statistics import copies_of, nearest, thumbnail
from bench.metrics.measuring import measured
from bench.metrics.shipped_images import IMAGE_METRICS
from bench.statistics.paired_times import quality_loss_interval
from bench.statistics.proportion import wilson_interval

STEPS, BATCH, ALLOWED_LOSS, AUDITED = 20, 8, 0.05, 4
CAUGHT, FALSE = 0.95, 0.05
MODEL = ROOT / "fixtures/zoo/tiny-sd"
HONEST = ("DDIM, 15 steps", "DPM-Solver++, 20 steps", "DeepCache, interval 3")


# Images -----------------------------------------------------------------------------------------------------


class Painter:
    """Makes images of prompts and seeds with the shipped Stable Diffusion."""

    def __init__(self) -> None:
        from bench.machine.torchvision_shim import ensure_torchvision  # noqa: PLC0415

        ensure_torchvision()
        import diffusers  # noqa: PLC0415

        self.library: Any = diffusers
        self.pipe: Any = self.library.StableDiffusionPipeline.from_pretrained(MODEL)
        self.pipe.set_progress_bar_config(disable=True)
        self.pipe.scheduler = self.library.DDIMScheduler.from_config(self.pipe.scheduler.config)
        self.ddim = self.pipe.scheduler

    def paint(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        *,
        batch: int = BATCH,
        steps: int = STEPS,
        **call: Any,
    ) -> list[Image]:
        """Return an image of each prompt."""
        import torch  # noqa: PLC0415

        made: list[Image] = []
        for start in range(0, len(prompts), batch):
            chunk = slice(start, start + batch)
            generators = [torch.Generator().manual_seed(seed) for seed in seeds[chunk]]
            found = self.pipe(
                list(prompts[chunk]),
                generator=generators,
                num_inference_steps=steps,
                output_type="np",
                **call,
            )
            made += list((found.images * 255).round().astype(np.uint8))
        return made

    def with_other_threads(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image]:
        """Return images that another number of threads makes, in other batches."""
        import torch  # noqa: PLC0415

        threads = torch.get_num_threads()
        torch.set_num_threads(1 if threads > 1 else 2)
        try:
            return self.paint(prompts, seeds, batch=5)
        finally:
            torch.set_num_threads(threads)

    def without_guidance(self, prompts: Sequence[str], seeds: Sequence[int], share: float) -> list[Image]:
        """Return images whose last steps, a share of all, are made without guidance."""
        if share >= 1:
            return self.paint(prompts, seeds, guidance_scale=1.0)
        last = round(STEPS * (1 - share))

        def drop(pipe: Any, step: int, _: Any, values: dict[str, Any]) -> dict[str, Any]:
            if step + 1 == last:
                values["prompt_embeds"] = values["prompt_embeds"].chunk(2)[-1]
                pipe._guidance_scale = 0.0
            return values

        return self.paint(
            prompts, seeds, callback_on_step_end=drop, callback_on_step_end_tensor_inputs=["prompt_embeds"]
        )

    def honest(self, prompts: Sequence[str], seeds: Sequence[int], name: str) -> list[Image]:
        """Return the images of an acceleration that makes other images, and good ones."""
        if name.startswith("DDIM"):
            return self.paint(prompts, seeds, steps=15)
        if name.startswith("DPM"):
            scheduler = self.library.DPMSolverMultistepScheduler
            self.pipe.scheduler = scheduler.from_config(self.ddim.config)
            try:
                return self.paint(prompts, seeds)
            finally:
                self.pipe.scheduler = self.ddim
        from DeepCache import DeepCacheSDHelper  # noqa: PLC0415

        helper = DeepCacheSDHelper(pipe=self.pipe)
        helper.set_params(cache_interval=3, cache_branch_id=0)
        helper.enable()
        try:
            return self.paint(prompts, seeds)
        finally:
            helper.disable()


def recipes(
    painter: Painter, prompts: Sequence[str], seeds: Sequence[int]
) -> dict[str, Callable[[], Images]]:
    """Return what makes all images that trials draw from, by name; those of an index have its prompt and seed."""
    found: dict[str, Callable[[], Images]] = {
        "base": lambda: painter.paint(prompts, seeds),
        "other order": lambda: painter.paint(prompts[::-1], seeds[::-1], batch=3)[::-1],
        "other threads": lambda: painter.with_other_threads(prompts, seeds),
        "one seed": lambda: painter.paint(prompts, [seeds[0]] * len(prompts)),
    }
    for level, share in enumerate(WITHOUT_GUIDANCE):
        found[f"guidance {level}"] = partial(painter.without_guidance, prompts, seeds, share)
    return found | {name: partial(painter.honest, prompts, seeds, name) for name in HONEST}


def make_pool(file: Path | None, prompts: Sequence[str], seeds: Sequence[int]) -> dict[str, Images]:
    """Return all images that trials draw from, those of a file where it has them; the file keeps them."""
    if file is not None and file.is_file():
        with np.load(file) as kept:
            return {name: list(kept[name]) for name in kept.files}
    pool = {name: make() for name, make in recipes(Painter(), prompts, seeds).items()}
    if file is not None:
        arrays: dict[str, Any] = {name: np.array(images) for name, images in pool.items()}
        np.savez_compressed(file, **arrays)
    return pool


# Judging ----------------------------------------------------------------------------------------------------


@dataclass
class Judge:
    """Judges a set of images as a run does. What is known of an image is kept: trials draw the same ones again.

    Attributes:
        prompts: of the pool.
        texts: their embeddings, unit rows.
        embed: embeds images.
    """

    prompts: Sequence[str]
    texts: np.ndarray
    embed: Callable[[Images], np.ndarray]
    _known: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    _pairs: dict[tuple[bytes, bytes], dict[str, float | None]] = field(default_factory=dict)

    def against_baseline(self, chosen: Sequence[int], baseline: Images, candidate: Images) -> Verdict:
        """Return the verdict of all gates that compare with the baseline."""
        problems = [f"{what}" for what in (constant_images(candidate), duplicate_images(candidate)) if what]
        if problems:
            return judge_images(problems)
        facts = [[self._facts(image) for image in arm] for arm in (baseline, candidate)]
        scores = [
            clip_score(np.array([one["embedding"] for one in arm]), self.texts[list(chosen)]) for arm in facts
        ]
        rows: list[dict[str, Any]] = [{} for _ in chosen]
        for prefix, arm in ((OF_BASELINE, facts[0]), ("", facts[1])):
            sets = {"diversity": nearest([one["thumbnail"] for one in arm])}
            sets["copies"] = copies_of(sets["diversity"])
            for index, (row, one) in enumerate(zip(rows, arm, strict=True)):
                row |= {f"{prefix}{name}": number for name, number in one["own"].items()}
                row |= {f"{prefix}{name}": values[index] for name, values in sets.items()}
        for row, image, reference in zip(rows, candidate, baseline, strict=True):
            row.update(self._pair(image, reference))
        loss = quality_loss_interval(*scores, seed=0)
        found = PairScores(loss, None, None, rows)
        verdicts = [judge_quality(loss, ALLOWED_LOSS), judge_safeguards(found)[0]]
        return next((one for one in verdicts if one.verdict == "fail"), verdicts[0])

    def _facts(self, image: Image) -> dict[str, Any]:
        key = image.tobytes()
        if key not in self._known:
            names = {guard.metric for guard in SAFEGUARDS} & set(IMAGE_METRICS.of_form("image"))
            self._known[key] = {
                "own": {name: measured(name, [image])[0] for name in names},
                "thumbnail": thumbnail(image),
                "embedding": self.embed([image])[0],
            }
        return self._known[key]

    def _pair(self, image: Image, reference: Image) -> dict[str, float | None]:
        key = (image.tobytes(), reference.tobytes())
        if key not in self._pairs:
            names = {guard.metric for guard in SAFEGUARDS} & set(IMAGE_METRICS.of_form("pair"))
            self._pairs[key] = {name: measured(name, [image], [reference])[0] for name in names}
        return self._pairs[key]


def against_target(pool: Mapping[str, Images], chosen: Sequence[int], candidate: Images) -> Verdict:
    """Return the verdict of the gate that compares with the target's own images; half of them were made again."""
    base = [pool["base"][index] for index in chosen]
    again = [pool["other order"][index] for index in chosen[: len(chosen) // 2]]
    return judge_target(compare(list(candidate), NullImages(base, {("batch",): again})))


# Trials -----------------------------------------------------------------------------------------------------


@dataclass
class Share:
    """In how many trials something was rejected."""

    rejected: int = 0
    of: int = 0

    def add(self, verdict: Verdict) -> None:
        """Count a trial."""
        self.of += 1
        self.rejected += verdict.verdict == "fail"

    def __str__(self) -> str:
        """Return the share with its interval, in percent."""
        if not self.of:
            return "-"
        low, high = wilson_interval(self.rejected, self.of)
        return f"{100 * self.rejected / self.of:.0f} [{100 * low:.0f}, {100 * high:.0f}]"

    @property
    def is_caught(self) -> bool:
        """Whether at least 95 % were rejected."""
        return self.rejected >= CAUGHT * self.of


def run_trials(
    judge: Judge,
    pool: Mapping[str, Images],
    change: Callable[[Sequence[int], random.Random], list[Image]],
    *,
    trials: int,
    samples: int,
    seed: int,
) -> tuple[Share, Share]:
    """Return how often changed images are rejected against the baseline, and against the target."""
    baseline, target = Share(), Share()
    for trial in range(trials):
        chance = random.Random(f"{seed}:{trial}")
        chosen = chance.sample(range(len(judge.prompts)), samples)
        changed = change(chosen, chance)
        baseline.add(judge.against_baseline(chosen, [pool["base"][index] for index in chosen], changed))
        audited = chosen[:AUDITED]
        target.add(against_target(pool, audited, changed[:AUDITED]))
    return baseline, target


def taken(images: Images, chosen: Sequence[int], _: random.Random) -> list[Image]:
    """Return the chosen images as they are."""
    return [images[index] for index in chosen]


def print_corruption(name: str, strengths: Sequence[str], found: Sequence[tuple[Share, Share]]) -> None:
    """Print two lines for a corruption: against the baseline, and against the target."""
    for which, shares in (("baseline", [one for one, _ in found]), ("target", [other for _, other in found])):
        caught = [share.is_caught for share in shares]
        first = next((level for level in range(len(caught)) if all(caught[level:])), None)
        cells = "".join(
            f"{strength + ': ' + str(share):>27}" for strength, share in zip(strengths, shares, strict=True)
        )
        print(f"{name:22}{which:9}{cells}   from {'-' if first is None else strengths[first]}", flush=True)


def main() -> None:
    """Make the images, run the trials, print the shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=56, help="prompts of the pool (default: 56)")
    parser.add_argument("--samples", type=int, default=32, help="images that a trial judges (default: 32)")
    parser.add_argument("--trials", type=int, default=40, help="trials of each strength (default: 40)")
    parser.add_argument("--null-pairs", type=int, default=200, help="null pairs (default: 200)")
    parser.add_argument(
        "--images", type=Path, help="file that keeps the images of the pool, for another run (.npz)"
    )
    parser.add_argument("--only", nargs="+", help="corruptions whose name holds one of these texts")
    parser.add_argument("--seed", type=int, default=0, help="of prompts, seeds and trials (default: 0)")
    options = parser.parse_args()
    if options.samples >= options.prompts:
        parser.error(
            f"--samples {options.samples}: expected fewer than --prompts {options.prompts}; lower it"
        )
    began = time.monotonic()
    chance = random.Random(options.seed)
    prompts = chance.sample(list(load_prompts(str(PROMPTS)).prompts), options.prompts)
    pool = make_pool(options.images, prompts, [chance.getrandbits(31) for _ in prompts])
    if len(pool["base"]) != options.prompts:
        parser.error(
            f"--images {options.images}: found {len(pool['base'])} prompts, expected {options.prompts}; name another file"
        )
    from bench.metrics.clip_model import ClipModel  # noqa: PLC0415  after the shim for torchvision

    clip = ClipModel(str(CLIP))
    judge = Judge(prompts, clip.embed_texts(prompts), clip.embed_images)
    sizes = {"samples": options.samples, "seed": options.seed}
    print(
        f"{sum(map(len, pool.values()))} images in {time.monotonic() - began:.0f} s; rejected, in percent of trials",
        flush=True,
    )
    for corruption in CORRUPTIONS:
        if options.only and not any(text in corruption.name for text in options.only):
            continue
        found = [
            run_trials(judge, pool, partial(corruption.apply, pool, level), trials=options.trials, **sizes)
            for level in range(STRENGTHS)
        ]
        print_corruption(corruption.name, corruption.strengths, found)
    both = [Share(), Share()]
    for name in ("other order", "other threads"):
        found_null = run_trials(
            judge, pool, partial(taken, pool[name]),
            trials=options.null_pairs // 2, samples=options.samples, seed=options.seed + 1,
        )  # fmt: skip
        for total, share in zip(both, found_null, strict=True):
            total.rejected, total.of = total.rejected + share.rejected, total.of + share.of
    print(
        f"null pairs rejected: against the baseline {both[0]} %, against the target {both[1]} % of {both[0].of}"
    )
    for name in HONEST:
        found_honest, _ = run_trials(
            judge, pool, partial(taken, pool[name]),
            trials=options.trials, **sizes,
        )  # fmt: skip
        print(f"{name}, which makes other images: rejected against the baseline {found_honest} %")
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
