"""What is made of the videos of a pair: their checks, their scores, their place in configuration, record and folder."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import PIL.Image
import pytest
from records import case, record

from bench.acceleration import gates
from bench.acceleration.arm.scorer import measure_images
from bench.acceleration.comparison import Mismatch, differences
from bench.acceleration.configuration import Configuration, OutputShape
from bench.acceleration.evidence import Evidence
from bench.acceleration.freedom import split
from bench.acceleration.gallery import Gallery
from bench.acceleration.host.pipeline_arm import Batch
from bench.acceleration.kind import metric_names
from bench.acceleration.prompts import Sample
from bench.acceleration.protocol.messages import Observed
from bench.acceleration.protocol.pixels import unpack
from bench.acceleration.quality import PairScores, Scoring
from bench.acceleration.samples import FRAME_MS, animated_webp, sample_files, write_videos
from bench.acceleration.times import Round, Times
from bench.core.estimate import Estimate
from bench.core.requirement import parse_requirement, required_gates
from bench.metrics.image_fidelity import psnr, ssim
from bench.metrics.video_fidelity import temporal_difference


def video(seed: int, frames: int = 5, side: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, side, side, 3), dtype=np.uint8)


# The checks


def gallery(outputs: list[np.ndarray], role: str = "candidate", *, asked: int | None = None) -> Gallery:
    made = Gallery(role)
    indices = list(range(len(outputs) if asked is None else asked))
    made.add(indices, Batch(outputs, 1.0, Observed(), False))
    return made


@pytest.mark.parametrize(
    ("outputs", "problem"),
    [
        (
            [video(1), np.zeros_like(video(2))],
            "1 of 2 videos of the candidate are one flat colour (samples 1)",
        ),
        (
            [video(1)[[0] * 5], video(2)],
            "1 of 2 videos of the candidate are frozen: all frames are equal (samples 0)",
        ),
        ([video(1), video(1)], "1 of 2 videos of the candidate repeat another one"),
        (
            [video(1), video(2, frames=4)],
            "sample 1 of the candidate is 4 frames of 8 x 8 pixels, the baseline's is 5 frames of 8 x 8 pixels",
        ),
        ([video(1), video(2)[0]], "sample 1 of the candidate is 8 x 8 pixels, the baseline's is 5 frames of"),
    ],
)
def test_degenerate_videos_are_rejected_with_what_is_wrong(outputs: list[np.ndarray], problem: str) -> None:
    reference = gallery([video(8), video(9)], "baseline")
    (found,) = gallery(outputs).check(reference)
    assert problem in found
    assert gates.judge_images([found]).reason_code == "degenerate_output"


def test_sound_videos_are_not_rejected() -> None:
    reference = gallery([video(8), video(9)], "baseline")
    assert gallery([video(1), video(2)]).check(reference) == []
    assert gallery([video(1, frames=1), video(2, frames=1)]).check() == []  # a single frame cannot move
    assert gallery([video(1, frames=3), video(2, frames=3)]).check(reference, any_size=True) == []


def test_too_few_videos_are_rejected() -> None:
    (found,) = gallery([video(1)], asked=2).problems
    assert found == "the candidate returned 1 video for 2 prompts; expected one per prompt"


# The configuration


def shaped(frames: int | None, height: int = 64, width: int = 64, *, asked: Any = None) -> Configuration:
    """A configuration of which this came out, and that was given these arguments."""
    return Configuration(arguments=asked or {}, output=OutputShape(frames=frames, height=height, width=width))


def test_the_shape_is_that_of_the_array() -> None:
    assert OutputShape.of(np.zeros((5, 8, 9, 3))) == OutputShape(frames=5, height=8, width=9)
    assert OutputShape.of(np.zeros((8, 9, 3))) == OutputShape(frames=None, height=8, width=9)


@pytest.mark.parametrize(
    ("candidate", "found"),
    [
        (shaped(16), []),
        (shaped(8), ["output.frames: target 16, candidate 8"]),
        (shaped(None), ["output.frames: target 16, candidate None"]),
        (
            shaped(16, 32, 48),
            ["output.height: target 64, candidate 32", "output.width: target 64, candidate 48"],
        ),
        (Configuration(), []),  # of an earlier version
    ],
)
def test_the_number_and_the_size_of_frames_are_compared(candidate: Configuration, found: list[str]) -> None:
    listed = differences(shaped(16), candidate)
    assert [str(entry) for entry in listed] == found
    verdict = gates.judge_configuration(listed)
    assert verdict.reason_code == ("config_mismatch" if found else "passed")
    assert all(text in verdict.reason for text in found)


def test_a_default_that_makes_the_same_is_no_difference() -> None:
    asked, unasked = (
        shaped(16, asked={"num_frames": 16, "height": 64}),
        shaped(16, asked={"num_frames": None, "height": None}),
    )
    assert differences(asked, unasked) == differences(unasked, asked) == []
    fewer = shaped(8, asked={"num_frames": None, "height": 64})
    assert [entry.field for entry in differences(asked, fewer)] == ["arguments.num_frames", "output.frames"]
    # Asked for less, and stretched afterwards: what is computed differs.
    stretched = shaped(16, asked={"num_frames": 8, "height": 64})
    assert [entry.field for entry in differences(asked, stretched)] == ["arguments.num_frames"]


@pytest.mark.parametrize(
    ("free", "counting"),
    [
        ([], ["arguments.num_frames", "output.height", "output.width", "output.frames"]),
        (["frames"], ["output.height", "output.width"]),
        (["size"], ["arguments.num_frames", "output.frames"]),
        (["arguments.num_frames"], ["output.height", "output.width"]),  # what it asks for comes out
        (["frames", "size"], []),
    ],
)
def test_frames_and_size_can_be_freed(free: list[str], counting: list[str]) -> None:
    kept, _ = split(
        differences(shaped(16, asked={"num_frames": 16}), shaped(8, 32, 32, asked={"num_frames": 8})), free
    )
    assert sorted(entry.field for entry in kept) == sorted(counting)
    assert all(isinstance(entry, Mismatch) for entry in kept)


# Quality


class Scorer:
    """Embeds an image as the mean of its channels, and a text as the colour that it names."""

    def __init__(self) -> None:
        self.embedded: list[np.ndarray] = []

    def ask(self, request: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes, float]:
        if request["op"] == "measure":
            return measure_images(request, payload), b"", 0.0
        if request["op"] == "embed_texts":
            rows = np.eye(3)[[["red", "green", "blue"].index(text) for text in request["texts"]]]
        else:
            images = unpack(request["shapes"], payload)
            self.embedded += images
            rows = np.array([image.mean(axis=(0, 1)) for image in images])
        return {"shape": list(rows.shape)}, rows.astype(np.float32).tobytes(), 0.0


def compared(baseline: list[np.ndarray], candidate: list[np.ndarray]) -> tuple[PairScores, Scorer]:
    scorer = Scorer()
    cache: Any = SimpleNamespace(
        key=lambda *parts: parts, once=lambda key, make: make(), once_json=lambda key, make: make()
    )
    scoring = Scoring(scorer, "clip", cache)
    samples = [Sample("red", 1), Sample("green", 2)]
    return scoring.compare(samples, baseline, candidate, baseline_identity=[], seed=0), scorer


def test_a_video_is_scored_by_the_mean_of_four_frames() -> None:
    baseline, candidate = [video(1, 16), video(2, 16)], [video(3, 16), video(4, 16)]
    scores, scorer = compared(baseline, candidate)
    chosen = [0, 5, 10, 15]
    expected = [made[index] for made in (*baseline, *candidate) for index in chosen]
    np.testing.assert_array_equal(scorer.embedded, expected)
    row = scores.rows[1]
    colours = candidate[1][chosen].mean(axis=(1, 2))
    of_each = 100 * colours[:, 1] / np.linalg.norm(colours, axis=1)  # the cosine with "green"
    assert row["candidate_clip_score"] == pytest.approx(of_each.mean(), rel=1e-5)
    pairs = [(candidate[1][index], baseline[1][index]) for index in chosen]
    assert row["ssim"] == pytest.approx(np.mean([ssim(*pair) for pair in pairs]))
    assert row["psnr_db"] == pytest.approx(np.mean([psnr(*pair) for pair in pairs]))
    assert row["temporal_difference"] == temporal_difference(candidate[1], baseline[1]) > 0
    assert row["identical"] is False


def test_the_temporal_difference_is_an_estimate_with_an_interval() -> None:
    baseline, candidate = [video(1), video(2)], [video(3), video(2)]
    scores, _ = compared(baseline, candidate)
    found = scores.estimates()["temporal_difference"]
    one = temporal_difference(candidate[0], baseline[0])
    assert one is not None
    assert found.value == pytest.approx(one / 2)
    assert (found.n, found.higher_is_better) == (2, False)
    assert found.low is not None
    assert found.high is not None
    assert found.low < one / 2 < found.high
    assert scores.fidelity()["temporal_difference"] == found.value
    assert scores.fidelity()["identical_images"] == 1
    assert "temporal_difference" in metric_names()


def test_a_temporal_difference_can_be_required() -> None:
    scores, _ = compared([video(1), video(2)], [video(3), video(4)])
    for bound, verdict in (("500", "pass"), ("1", "fail")):
        requirement = parse_requirement(f"acceleration:temporal_difference<={bound}", ("acceleration",))
        (found,) = required_gates(
            [requirement], case(metrics=metric_names()), scores.estimates(), needs_interval=True
        ).values()
        assert found.verdict == verdict


def test_images_have_no_temporal_difference() -> None:
    baseline = [video(1)[0], video(2)[0]]
    scores, scorer = compared(baseline, baseline)
    assert len(scorer.embedded) == 4
    assert [row["temporal_difference"] for row in scores.rows] == [None, None]
    found = scores.estimates()["temporal_difference"]
    assert found.value is None
    assert "only videos" in (found.reason or "")
    assert scores.fidelity()["temporal_difference"] is None


def test_frames_that_are_equal_have_no_psnr_and_the_others_make_the_mean() -> None:
    baseline, candidate = [video(1, 4), video(2, 4)], [video(1, 4), video(2, 4)]
    candidate[0][3] = 255 - candidate[0][3]
    scores, _ = compared(baseline, candidate)
    assert scores.rows[0]["psnr_db"] == pytest.approx(psnr(candidate[0][3], baseline[0][3]))
    assert scores.rows[1]["psnr_db"] is None


def test_videos_of_several_lengths_are_scored_where_that_is_free() -> None:
    scores, _ = compared([video(1, 8), video(2, 8)], [video(3, 3), video(4, 6)])
    assert [row["clip_image_cosine"] is None for row in scores.rows] == [True, False]
    assert (
        [row["ssim"] for row in scores.rows]
        == [row["temporal_difference"] for row in scores.rows]
        == [None] * 2
    )
    assert scores.loss.value is not None


# Words and files


def test_seconds_are_per_video() -> None:
    latency = Estimate(metric="latency_s", value=2.0, low=1.9, high=2.1)
    assert (
        "2.000 s [1.900, 2.100] per video over 1 launch, 6 rounds is within 3 s"
        in gates.judge_latency(latency, 3.0, Evidence(1, 6), "video").reason
    )
    times = Times(per="video", rounds=[Round(first="baseline", baseline_s=4.0, candidate_s=2.0, images=2)])
    assert times.per_output_s("candidate") == [1.0]


def test_a_demand_per_video_is_read() -> None:
    from bench.acceleration.requirement.demands import read_demands

    assert read_demands("Generate each video in under 30 s per video.").latency_s == 30
    assert read_demands("at most 12 seconds per clip").latency_s == 12


def test_videos_are_kept_as_animated_webp(tmp_path) -> None:
    made = np.zeros((3, 16, 24, 3), dtype=np.uint8)
    for number, frame in enumerate(made):
        frame[:, 8 * number : 8 * number + 8] = 255
    with PIL.Image.open(io.BytesIO(animated_webp(made))) as file:
        assert (file.format, file.size, file.n_frames, file.info["loop"]) == ("WEBP", (24, 16), 3, 0)
        for number, frame in enumerate(made):
            file.seek(number)
            assert np.abs(np.asarray(file.convert("RGB")).astype(int) - frame).mean() < 10
            assert file.info["duration"] == FRAME_MS
    write_videos(tmp_path, "easy-toy-all-1", {"baseline": [made], "candidate": [made, made[:1]]})
    folder = sample_files("easy-toy-all-1", has_rows=True, has_videos=True)["videos"]
    assert folder == "predictions/toy/easy-toy-all-1"
    names = sorted(path.name for path in (tmp_path / folder).iterdir())
    assert names == ["0-baseline.webp", "0-candidate.webp", "1-candidate.webp"]


def test_of_images_no_video_is_kept(tmp_path) -> None:
    write_videos(tmp_path, "easy-toy-all-1", {})
    assert list(tmp_path.iterdir()) == []
    assert "videos" not in sample_files("easy-toy-all-1", has_rows=True)


def test_the_record_holds_the_shape_and_reads_back() -> None:
    made = record()
    made.body.config.candidate = shaped(16)
    plain = made.to_json()["config"]["candidate"]
    assert plain["output"] == {"frames": 16, "height": 64, "width": 64}
    assert Configuration.from_json(plain) == shaped(16)
    with pytest.raises(msgspec.ValidationError, match=re.escape("output.height")):
        Configuration.from_json({**plain, "output": {"frames": 1, "height": "x", "width": 1}})
