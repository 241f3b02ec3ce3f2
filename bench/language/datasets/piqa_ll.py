"""PIQA: which of two solutions reaches a goal in the physical world.

Asked and answered like this:

    Question: To cut the rope,
    Answer: use a knife.
"""

from bench.language.spec import Dataset, Labels, LogLikelihood, Row, Source


def prepare(row: Row) -> Row:
    """Return the row with a list of its solutions, blanks around them included."""
    return {**row, "solutions": [row["sol1"], row["sol2"]]}


DATASET = Dataset(
    source=Source(hub="baber/piqa", rows="piqa"),
    prompt="Question: {goal}\nAnswer:",
    inference=LogLikelihood(),
    gold="label",
    labels=Labels("zero_based", options=2),
    choices="solutions",
    prepare=prepare,
    metrics=("accuracy", "acc_norm"),
    protocol="lm-eval:piqa@1",
)
