"""BoolQ: yes or no, by the first token of the answer.

Asked and answered like this:

    Anna has a red bag. Ben has a blue cup.
    Question: does anna have a red bag?
    Answer: yes
"""

from bench.language.spec import Dataset, Row, SingleToken, Source


def prepare(row: Row) -> Row:
    """Return the row with its truth value as an index: yes is choice 0, no is choice 1."""
    return {**row, "gold": 0 if row["answer"] else 1}


DATASET = Dataset(
    source=Source(hub="google/boolq", rows="boolq"),
    prompt="{passage}\nQuestion: {question}?\nAnswer:",
    inference=SingleToken(),
    choices=(" yes", " no"),
    prepare=prepare,
    metrics=("accuracy",),
)
