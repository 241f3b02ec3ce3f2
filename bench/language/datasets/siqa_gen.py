"""Social IQa: what a person feels or does, of three options; the model writes the letter.

Asked and answered like this:

    Anna broke the lamp of Ben.
    Question: How does Anna feel?
    A. proud
    B. sorry
    C. hungry
    Answer: B
"""

from bench.language.spec import Dataset, Generation, Labels, Row, Source, letter_of


def prepare(row: Row) -> Row:
    """Return the row with its label as a letter, and its options, so that D is not taken for an answer."""
    options = [row["answerA"], row["answerB"], row["answerC"]]
    return {**row, "options": options, "gold": letter_of(row["label"], len(options))}


DATASET = Dataset(
    source=Source(hub="allenai/social_i_qa", rows="siqa", revision="refs/convert/parquet"),
    prompt="{context}\nQuestion: {question}\nA. {answerA}\nB. {answerB}\nC. {answerC}\nAnswer:",
    inference=Generation(),
    labels=Labels("one_based", options=3),
    prepare=prepare,
    postprocess=("first_option",),
    metrics=("accuracy",),
)
