"""MMLU: the letter, of four, that makes the text most likely, after two examples.

Asked and answered like this:

    Question: What does a cow give us?
    A. wool
    B. milk
    C. honey
    D. eggs
    Answer: B
"""

from bench.language.spec import Dataset, Examples, Labels, Perplexity, Row, Source


def prepare(row: Row) -> Row:
    """Return the row with its four choices under the name that templates use."""
    return {"question": row["question"], "options": row["choices"], "gold": row["answer"]}


DATASET = Dataset(
    source=Source(hub="cais/mmlu", rows="mmlu", subset="all", split="test", train_split="dev"),
    prompt="Question: {question}\nA. {options[0]}\nB. {options[1]}\nC. {options[2]}\nD. {options[3]}\nAnswer:",
    inference=Perplexity(),
    choices=(" A", " B", " C", " D"),
    labels=Labels("zero_based", "answer", options="choices"),
    group="subject",
    prepare=prepare,
    # Similar questions: the first ones of the development split are all of one subject.
    examples=Examples(retriever="bm25", count=2),
    metrics=("accuracy",),
)
