"""PIQA: which of two solutions reaches a goal in the physical world.

Asked and answered like this:

    Question: To cut the rope,
    Answer: use a knife.
"""

from bench.language.spec import Dataset, Labels, LogLikelihood, Source

DATASET = Dataset(
    # The parquet branch has one subset, so none is named.
    source=Source(hub="ybisk/piqa", rows="piqa", revision="refs/convert/parquet"),
    prompt="Question: {goal}\nAnswer:",
    inference=LogLikelihood(),
    gold="label",
    labels=Labels("zero_based", options=2),
    choices=(" {sol1}", " {sol2}"),
    metrics=("accuracy", "acc_norm"),
)
