"""Social IQa: the answer, of three, that makes the text most likely.

Asked and answered like this:

    Anna broke the lamp of Ben.
    Question: How does Anna feel?
    Answer: sorry
"""

from bench.language.spec import Dataset, Labels, Perplexity, Source

DATASET = Dataset(
    source=Source(hub="allenai/social_i_qa", rows="siqa", revision="refs/convert/parquet"),
    prompt="{context}\nQuestion: {question}\nAnswer:",
    inference=Perplexity(),
    choices=(" {answerA}", " {answerB}", " {answerC}"),
    gold="label",
    labels=Labels("one_based", options=3),
    metrics=("accuracy",),
)
