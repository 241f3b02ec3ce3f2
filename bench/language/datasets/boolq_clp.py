"""BoolQ: yes or no, by the first token of the answer.

Asked and answered like this:

    Anna has a red bag. Ben has a blue cup.
    Question: does anna have a red bag?
    Answer: yes
"""

from bench.language.spec import Dataset, Labels, SingleToken, Source

DATASET = Dataset(
    source=Source(hub="google/boolq", rows="boolq"),
    prompt="{passage}\nQuestion: {question}?\nAnswer:",
    inference=SingleToken(),
    choices=(" yes", " no"),
    gold="answer",
    labels=Labels("boolean", "answer", true=0),
    metrics=("accuracy",),
)
