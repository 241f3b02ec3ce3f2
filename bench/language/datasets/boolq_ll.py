"""BoolQ: yes or no.

Asked and answered like this:

    Anna has a red bag. Ben has a blue cup.
    Question: does anna have a red bag?
    Answer: yes
"""

from bench.language.spec import Dataset, Labels, LogLikelihood, Source

DATASET = Dataset(
    source=Source(hub="aps/super_glue", rows="boolq", subset="boolq"),
    prompt="{passage}\nQuestion: {question}?\nAnswer:",
    inference=LogLikelihood(),
    gold="label",
    labels=Labels("boolean"),
    choices=(" no", " yes"),
    metrics=("accuracy",),
    protocol="lm-eval:boolq@2",
)
