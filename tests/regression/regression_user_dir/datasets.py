"""Made-up notes whose score is 1 and how many of their five words are good ones; and such notes with faults."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

from bench.regression.dataset import ScoredText, ScoredTexts, Split
from bench.regression.registry import register_dataset

GOOD, OTHER = ("students", "trees", "fruit", "park", "choir"), ("soup", "shoes", "film", "sofa", "cat")
COUNTS = {"train": 64, "evaluation": 40}


@register_dataset("notes")
class Notes(ScoredTexts):
    """Rows as they should be."""

    label = "made-up notes of a test"
    fields = ("house",)

    def rows(self, split: Split) -> Iterable[ScoredText]:
        """Return a few rows."""
        rng = random.Random(f"notes {split}")
        for number in range(COUNTS[split]):
            good = rng.randint(0, 5)
            words = [rng.choice(GOOD) for _ in range(good)] + [rng.choice(OTHER) for _ in range(5 - good)]
            rng.shuffle(words)
            house = {"house": rng.choice(["red", "blue"])}
            yield ScoredText(f"{split}-{number}", " ".join(words), 1 + good, house)


@register_dataset("notes_with_gaps")
class NotesWithGaps(Notes):
    """Rows of which some have no score that can be used, and one a house that training does not know."""

    def rows(self, split: Split) -> Iterable[ScoredText]:
        """Return the rows."""
        scores = {1: None, 2: float("nan"), 3: 7, 4: 0.5, 5: float("inf")}
        for number, row in enumerate(super().rows(split)):
            house = "green" if split == "evaluation" and number == 0 else row.fields["house"]
            yield replace(row, score=scores.get(number, row.score), fields={"house": house})


@register_dataset("unlabelled")
class Unlabelled(Notes):
    """Nobody has scored these."""

    def rows(self, split: Split) -> Iterable[ScoredText]:
        """Return the rows."""
        return [replace(row, score=None) for row in super().rows(split)]


@register_dataset("twice")
class Twice(Notes):
    """A key names two rows."""

    def rows(self, split: Split) -> Iterable[ScoredText]:
        """Return the rows."""
        return [replace(row, key="the-same") for row in super().rows(split)]


@register_dataset("houseless")
class Houseless(Notes):
    """The declared field is not there."""

    def rows(self, split: Split) -> Iterable[ScoredText]:
        """Return the rows."""
        return [replace(row, fields={}) for row in super().rows(split)]


@register_dataset("half_points")
class HalfPoints(Notes):
    """Scores between the labels that the task declares."""

    def rows(self, split: Split) -> Iterable[ScoredText]:
        """Return the rows."""
        return [replace(row, score=min(row.score + 0.5, 6)) for row in super().rows(split)]
