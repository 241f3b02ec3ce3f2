"""ARC, easy part: science questions of primary school.

Asked and answered like this:

    Question: Which of these is an animal?
    Answer: a horse
"""

from bench.language.spec import Dataset, Labels, LogLikelihood, Row, Source


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
    # The score per character is what is usually published.
    metrics=("acc_norm", "accuracy"),
    protocol="lm-eval:arc_easy@1",
    version=2,
)
