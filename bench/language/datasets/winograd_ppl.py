"""Winograd schemas: who or what a pronoun stands for, of two.

Asked and answered like this:

    The cup did not fit in the bag because it was too big. Q: In the previous text, what does 'it' refer to?
    A: The cup
"""

from bench.language.spec import Dataset, Labels, Perplexity, Source

DATASET = Dataset(
    # The rows of winograd_wsc, whose own main branch holds a script.
    source=Source(
        hub="lighteval/winograd_wsc", rows="winograd", subset="wsc273", split="test", train_split=None
    ),
    prompt="{text} Q: In the previous text, what does '{pronoun}' refer to? A:",
    inference=Perplexity(),
    gold="label",
    labels=Labels("zero_based", options="options"),
    choices="options",
    metrics=("accuracy",),
)
