"""Social IQa: the answer, of three, that makes the text most likely.

Asked and answered like this:

    Anna broke the lamp of Ben.
    Question: How does Anna feel?
    Answer:
    sorry
"""

from bench.language.spec import Dataset, Perplexity, Row, Source


def prepare(row: Row) -> Row:
    """Return the row with its label "1" to "3" as an index."""
    return {**row, "gold": int(row["label"]) - 1}


DATASET = Dataset(
    source=Source(hub="allenai/social_i_qa", rows="siqa", revision="refs/convert/parquet"),
    prompt="{context}\nQuestion: {question}\nAnswer:",
    inference=Perplexity(),
    choices=("\n{answerA}", "\n{answerB}", "\n{answerC}"),
    prepare=prepare,
    metrics=("accuracy",),
    protocol="opencompass:siqa_ppl",
    version=2,
)
