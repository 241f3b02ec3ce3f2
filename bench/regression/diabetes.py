"""scikit-learn's diabetes rows as text: ten measurements of a patient, and how far the disease was a year on."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

# Bradley Efron et al., "Least Angle Regression", Annals of Statistics 2004; the targets are from 25 to 346.
RANGE = (25.0, 346.0)
TRAINING_ROWS = 300
_SPLIT_SEED = 0


def measured(split: str) -> list[tuple[str, list[float], float]]:
    """Return the rows of a split, `train` or `evaluation`: key, measurements in their own units, target.

    The 442 rows are shuffled by a seed of their own and split into 300 and 142: the same in every run.
    """
    from sklearn.datasets import load_diabetes  # noqa: PLC0415  slow; needs no download

    loaded = load_diabetes(scaled=False)
    order = list(range(len(loaded.target)))
    random.Random(_SPLIT_SEED).shuffle(order)
    chosen = order[:TRAINING_ROWS] if split == "train" else order[TRAINING_ROWS:]
    return [
        (f"patient-{row:03d}", [float(value) for value in loaded.data[row]], float(loaded.target[row]))
        for row in chosen
    ]


def render(values: Sequence[float]) -> str:
    """Return a row's measurements as text, in whole numbers.

    Args:
        values: age (years), sex (1, 2), body mass index, mean blood pressure, then serum: total cholesterol,
            low and high density lipoproteins, their ratio, log of triglycerides, blood sugar.
    """
    age, _, mass, pressure, total, low, high, ratio, triglycerides, sugar = values
    return (
        f"A patient of {age:.0f} years with a body mass index of {mass:.0f} and a blood pressure of {pressure:.0f}. "
        f"Blood sugar {sugar:.0f}, triglycerides {math.exp(triglycerides):.0f}, cholesterol {total:.0f}, of which "
        f"low density {low:.0f} and high density {high:.0f}, ratio {ratio:.0f}."
    )
