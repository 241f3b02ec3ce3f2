"""The quality of a candidate's images or videos against its baseline's: CLIP score, and how close they are.

A video counts by its scored frames, evenly spaced ones, each of which is scored as an image is; the mean over them is the
video's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

from msgspec import convert, to_builtins
from msgspec.structs import replace

from bench.acceleration.cache import ContentCache
from bench.acceleration.host.failures import scorer_died
from bench.acceleration.host.scoring_process import LeasedScorer
from bench.acceleration.image_records import Distribution, NullBand
from bench.acceleration.image_rows import OF_BASELINE, Found, close_rows, own_values
from bench.acceleration.null_band import NullImages
from bench.acceleration.null_metrics import band_of
from bench.acceleration.pair_scores import PairScores
from bench.acceleration.prompts import Sample
from bench.core.errors import ArmProblem, ScoringProblem
from bench.core.estimate import Estimate
from bench.core.record import Json
from bench.metrics.clip_score import clip_score
from bench.metrics.distributions import bias_warning, distances
from bench.metrics.extra_metrics import EXTRAS, ExtraRunner
from bench.metrics.measuring import Values
from bench.metrics.video_fidelity import middle_frame, scored_frames
from bench.statistics.paired_times import quality_loss_interval

if TYPE_CHECKING:
    import numpy as np

_CLIP_ROWS = ("baseline_clip_score", "candidate_clip_score", "clip_image_cosine")


class Scoring:
    """CLIP embeddings through the trusted scoring process; prompts and baselines once per run.

    Args:
        scorer: the scoring process.
        clip: name of the model, part of every key.
        cache: the run's cache.
        extras: computes metrics of other packages.
    """

    def __init__(
        self, scorer: LeasedScorer, clip: str, cache: ContentCache, extras: ExtraRunner | None = None
    ) -> None:
        self._extras = extras
        self._scorer, self._clip, self._cache = scorer, clip, cache
        self._distribution: Distribution | None = None

    def prepare(self) -> None:
        """Let the scoring process load its model, while arms do what is not timed."""
        self._scorer.prepare()

    def wait(self) -> None:
        """Return when its model is loaded, and it computes nothing any more.

        Raises:
            UsageProblem: when the model cannot be loaded.
        """
        self._scorer.wait()

    def compare(
        self,
        samples: list[Sample],
        baseline: list[np.ndarray],
        candidate: list[np.ndarray],
        *,
        baseline_identity: list[Any],
        seed: int,
        look_alpha: float = 0.05,
        extras: Sequence[str] = (),
    ) -> PairScores:
        """Score both arms on the same samples.

        A score that cannot be computed is among the problems of the answer, and the others are in it.

        Args:
            samples: prompts, seeds and inputs, [n].
            baseline, candidate: uint8 images [height, width, 3], or videos [frames, height, width, 3], n each.
            baseline_identity: what determines the baseline's outputs besides the samples.
            seed: seed of the bootstrap.
            look_alpha: two-sided error of the interval of the loss, smaller where it is one of several looks.
            extras: names of extra metrics.

        Raises:
            InfrastructureProblem: when the scoring process has died.
        """
        closeness, problems = close_rows(candidate, baseline, self.measure)
        own, of_baseline, wrong = self._own_values(samples, baseline, candidate, baseline_identity)
        problems += [problem for problem in wrong if problem not in problems]
        of_extras, wrong = self._extra_columns(samples, baseline, candidate, baseline_identity, extras)
        problems += wrong
        scores: dict[str, np.ndarray] = {}
        loss = Estimate(metric="quality_loss", higher_is_better=False)
        try:
            scores = self._clip_scores(samples, baseline, candidate, baseline_identity)
            loss = _loss_of(scores, seed, look_alpha)
        except ScoringProblem as problem:
            if str(problem) not in problems:
                problems.insert(0, str(problem))
            loss = replace(loss, reason=str(problem))
        rows = [
            {
                **sample.shown(),
                **{name: _known(scores[name][index]) if scores else None for name in _CLIP_ROWS},
                **closeness[index],
                **{name: values[index] for name, values in own.items()},
                **{f"{OF_BASELINE}{name}": values[index] for name, values in of_baseline.items()},
                **{name: values[index] for name, values in of_extras.items()},
            }
            for index, sample in enumerate(samples)
        ]
        base_mean, cand_mean = (float(scores[name].mean()) if scores else None for name in _CLIP_ROWS[:2])
        return PairScores(
            loss,
            base_mean,
            cand_mean,
            rows,
            seed,
            tuple(problems),
            self._distribution if scores else None,
            tuple(extras),
        )

    def _extra_columns(
        self,
        samples: list[Sample],
        baseline: list[np.ndarray],
        candidate: list[np.ndarray],
        baseline_identity: list[Any],
        names: Sequence[str],
    ) -> tuple[dict[str, Values], list[str]]:
        """Return the values of extra metrics by column, and what could not be computed; the baseline's once per run."""
        columns: dict[str, Values] = {}
        problems = []
        prompts = [sample.prompt for sample in samples]
        middle = [[middle_frame(output) for output in arm] for arm in (baseline, candidate)]
        for name in names:
            assert self._extras is not None, "extra metrics have a runner"
            run, is_pair = self._extras, EXTRAS[name].form == "pair"
            try:
                if is_pair:
                    columns[name] = run.values(name, prompts, middle[1], middle[0])
                    continue
                key = self._cache.key("extra", name, baseline_identity, [s.identity() for s in samples])
                of_baseline = partial(run.values, name, prompts, middle[0])
                columns[f"{OF_BASELINE}{name}"] = self._cache.once_json(key, of_baseline)
                columns[name] = run.values(name, prompts, middle[1])
            except ScoringProblem as problem:
                problems.append(str(problem))
                columns |= {name: [None] * len(samples)}
        return columns, problems

    def _own_values(
        self,
        samples: list[Sample],
        baseline: list[np.ndarray],
        candidate: list[np.ndarray],
        baseline_identity: list[Any],
    ) -> tuple[dict[str, Values], dict[str, Values], list[str]]:
        """Return what the candidate's and the baseline's outputs are like by themselves, the baseline's once per run."""
        key = self._cache.key("own values", baseline_identity, [sample.identity() for sample in samples])
        of_baseline, wrong = self._cache.once_json(key, lambda: own_values(baseline, self.measure))
        own, also_wrong = own_values(candidate, self.measure)
        return own, of_baseline, list(dict.fromkeys([*wrong, *also_wrong]))

    def null_band(
        self, samples: Sequence[Sample], images: NullImages, baseline_identity: list[Any]
    ) -> NullBand:
        """Return how far a baseline's metrics are from those of equal images when it computes in another way.

        Args:
            samples: the secret ones.
            images: the baseline's of them.
            baseline_identity: as in :meth:`compare`.
        """
        key = self._cache.key(
            "null band",
            self._clip,
            baseline_identity,
            [s.identity() for s in samples],
            [list(names) for names in images.again],
        )  # fmt: skip
        data = self._cache.once_json(key, lambda: to_builtins(band_of(images, self.measure, self._clip_rows)))
        return convert(data, NullBand)

    def _clip_rows(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return the embeddings of images or of the middle frames of videos, unit rows [n, width]."""
        return self._embed_images([middle_frame(image) for image in images])

    def measure(
        self, names: Sequence[str], images: Sequence[np.ndarray], references: Sequence[np.ndarray] | None
    ) -> Found:
        """Return metrics that need torch, from the scoring process, and what is wrong with the others.

        Raises:
            InfrastructureProblem: when the scoring process has died.
        """
        if not images:
            return {name: [] for name in names}, {}
        both = [*images, *(references or ())]
        request = {
            "op": "measure",
            "metrics": list(names),
            "shapes": [list(image.shape[:2]) for image in both],
            "paired": references is not None,
        }
        try:
            header, _, _ = self._ask(request, b"".join(image.tobytes() for image in both))
        except ScoringProblem as problem:
            return {}, dict.fromkeys(names, str(problem))
        return header["values"], header["problems"]

    def _clip_scores(
        self,
        samples: list[Sample],
        baseline: list[np.ndarray],
        candidate: list[np.ndarray],
        baseline_identity: list[Any],
    ) -> dict[str, np.ndarray]:
        """Return the CLIP scores of both arms, and the cosines of their images, each [n]."""
        import numpy as np  # noqa: PLC0415

        identities = [sample.identity() for sample in samples]
        texts = self._once(["texts", identities], lambda: self._embed_texts(samples))
        base_frames, cand_frames = (
            [scored_frames(output) for output in arm] for arm in (baseline, candidate)
        )
        base_rows = self._once(
            ["images", baseline_identity, identities], lambda: self._embed_images(list(chain(*base_frames)))
        )
        cand_rows = self._embed_images(list(chain(*cand_frames)))
        self._distribution = _distribution(cand_rows, base_rows)
        base_of, cand_of = _of_each(base_rows, base_frames), _of_each(cand_rows, cand_frames)
        try:
            found = (
                _scores(base_of, texts),
                _scores(cand_of, texts),
                np.array([_cosine(*rows) for rows in zip(base_of, cand_of, strict=True)]),
            )
        except ValueError as error:  # what the model made of an image or text is no direction
            raise ScoringProblem(f"no CLIP score can be computed: {error}") from error
        return dict(zip(_CLIP_ROWS, found, strict=True))

    def _once(self, parts: list[Any], embed: Any) -> np.ndarray:
        key = self._cache.key("embeddings", self._clip, *parts)
        return self._cache.once(key, lambda: {"rows": embed()})["rows"]

    def _embed_texts(self, samples: list[Sample]) -> np.ndarray:
        return self._rows({"op": "embed_texts", "texts": [sample.prompt for sample in samples]})

    def _embed_images(self, images: list[np.ndarray]) -> np.ndarray:
        shapes = [list(image.shape[:2]) for image in images]
        pixels = b"".join(image.tobytes() for image in images)
        return self._rows({"op": "embed_images", "shapes": shapes}, pixels)

    def _rows(self, request: Json, payload: bytes = b"") -> np.ndarray:
        import numpy as np  # noqa: PLC0415

        header, answer, _ = self._ask(request, payload)
        return np.frombuffer(answer, dtype=np.float32).reshape(header["shape"])

    def _ask(self, request: Json, payload: bytes) -> tuple[Json, bytes, float]:
        try:
            return self._scorer.ask(request, payload)
        except ArmProblem as problem:  # it says nothing of the candidate
            died = scorer_died(problem)
            if died is not None:
                raise died from problem
            raise ScoringProblem(f"{problem}; see the scorer's log in the run's logs/") from problem


def _distribution(candidate: np.ndarray, baseline: np.ndarray) -> Distribution | None:
    count = min(len(candidate), len(baseline))
    if count < 2:
        return None
    return Distribution(images=count, **distances(candidate, baseline), note=bias_warning(count))


def _known(value: float) -> float | None:
    """Return a value as a plain number, None where there is none."""
    return None if math.isnan(value) else float(value)


def _loss_of(scores: dict[str, np.ndarray], seed: int, look_alpha: float) -> Estimate:
    baseline, candidate, _ = (scores[name] for name in _CLIP_ROWS)
    try:
        found = quality_loss_interval(baseline, candidate, confidence=1 - look_alpha, seed=seed)
        return replace(found, confidence=0.95)  # of all looks together
    except ValueError as error:  # scores that are not positive in sum, so that nothing can be lost
        raise ScoringProblem(f"no quality loss can be computed: {error}") from error


def _of_each(rows: np.ndarray, frames: list[list[np.ndarray]]) -> list[np.ndarray]:
    """Return the rows of each output apart, one for each of its frames."""
    ends = list(accumulate(len(of_one) for of_one in frames))
    return [rows[end - len(of_one) : end] for end, of_one in zip(ends, frames, strict=True)]


def _scores(rows: list[np.ndarray], texts: np.ndarray) -> np.ndarray:
    """Return the CLIP score of each output: the mean over its frames."""
    import numpy as np  # noqa: PLC0415

    return np.array(
        [
            clip_score(of_one, np.repeat(texts[index : index + 1], len(of_one), axis=0)).mean()
            for index, of_one in enumerate(rows)
        ]
    )


def _cosine(rows: np.ndarray, others: np.ndarray) -> float:
    """Return the mean cosine frame by frame; NaN where one has more frames."""
    return float(clip_score(rows, others).mean() / 100) if len(rows) == len(others) else math.nan
