"""Videos as sequences of frames: which of them are scored, and how close their motion is to that of a reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.metrics.image_fidelity import Pixels, frames_of

SCORED_FRAMES = 4
"""How many frames of a video are scored like images, the first and the last among them."""

TEMPORAL_DIFFERENCE = "temporal_difference"
"""Name of the measure of motion in records and requirements."""


def scored_frames(output: Pixels) -> list[Pixels]:
    """Return the frames that stand for a video: evenly spaced, first and last included; all of them where they are few.

    Args:
        output: a video [frames, height, width, 3]; an image [height, width, 3] stands for itself.

    Example:
        >>> video = np.arange(16, dtype=np.uint8).repeat(12).reshape(16, 2, 2, 3)
        >>> [int(frame[0, 0, 0]) for frame in scored_frames(video)]
        [0, 5, 10, 15]
    """
    frames = frames_of(output)
    last, gaps = len(frames) - 1, min(SCORED_FRAMES, len(frames)) - 1
    # Whole numbers, rounded to the nearest one.
    return [frames[(2 * number * last + gaps) // (2 * gaps) if gaps else 0] for number in range(gaps + 1)]


def middle_frame(output: Pixels) -> Pixels:
    """Return the frame in the middle of a video; an image stands for itself.

    Example:
        >>> video = np.arange(4, dtype=np.uint8).repeat(12).reshape(4, 2, 2, 3)
        >>> int(middle_frame(video)[0, 0, 0]), middle_frame(video[0]).shape
        (2, (2, 2, 3))
    """
    frames = frames_of(output)
    middle: Pixels = frames[len(frames) // 2]
    return middle


def temporal_difference(video: Pixels, reference: Pixels) -> float | None:
    """Return how differently two videos change from frame to frame, in grey levels from 0 to 510; lower is closer.

    It is the mean over pixels, channels and steps from a frame to the next one of
    ``|(video[t + 1] - video[t]) - (reference[t + 1] - reference[t])|``. What is wrong in the same way in every frame, such
    as another brightness, counts nothing: the image metrics see that.

    Args:
        video, reference: uint8 arrays [frames, height, width, 3].

    Returns:
        None for images, for a single frame, and where the shapes differ.

    Example:
        >>> still = np.full((3, 2, 2, 3), 100, np.uint8)
        >>> flickering = still.copy()
        >>> flickering[1] += np.uint8(10)
        >>> temporal_difference(still, still), temporal_difference(flickering, still)
        (0.0, 10.0)
    """
    if video.ndim != 4 or video.shape != reference.shape or len(video) < 2:
        return None
    changes = []
    before: Pixels | None = None
    for frame, other in zip(video, reference, strict=True):
        # The difference of the changes is the change of the difference, so that two frames are held at a time.
        distance = frame.astype(np.int16) - other
        if before is not None:
            changes.append(float(np.abs(distance - before).mean()))
        before = distance
    return float(np.mean(changes))


def frozen_videos(outputs: Sequence[Pixels]) -> list[int]:
    """Return the indices of videos of several frames, all of which are equal in every pixel.

    Example:
        >>> moving = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
        >>> frozen_videos([moving, moving[[0, 0]], moving[:1], moving[0]])
        [1]
    """
    return [
        index
        for index, output in enumerate(outputs)
        if output.ndim == 4 and len(output) > 1 and all((frame == output[0]).all() for frame in output[1:])
    ]
