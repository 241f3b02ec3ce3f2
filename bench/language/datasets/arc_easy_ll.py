"""ARC, easy part: science questions of primary school, with the most similar training question as an example.

Asked and answered like this:

    Question: Which of these is an animal?
    Answer: a horse
"""

from bench.language.spec import Dataset, Examples, Labels, LogLikelihood, Row, Source


def prepare(row: Row) -> Row:
    """Return the question and the texts of the choices; their number and their labels (A.. or 1..) vary."""
    return {"question": row["question"], "texts": row["choices"]["text"], "gold": row["answerKey"]}


LABELS = Labels("listed", "answerKey", options="choices.label")
DATASET = Dataset(
    source=Source(hub="allenai/ai2_arc", rows="arc_easy", subset="ARC-Easy", split="test"),
    prompt="Question: {question}\nAnswer:",
    inference=LogLikelihood(),
    choices="texts",
    labels=LABELS,
    prepare=prepare,
    examples=Examples(retriever="bm25", count=1),
    metrics=("accuracy", "acc_norm"),
)
