"""ARC, the part that retrieval and co-occurrence fail on: the choice that makes the text most likely.

Asked and answered like this:

    Question: Which of these cannot fly?
    Answer: a horse
"""

from bench.language.spec import Dataset, Perplexity, Source


def prepare(row: dict) -> dict:
    """The texts of the choices; their number and their labels (A.. or 1..) vary."""
    choices = row["choices"]
    return {
        "question": row["question"],
        "texts": choices["text"],
        "gold": choices["label"].index(row["answerKey"]),
    }


DATASET = Dataset(
    source=Source(hub="allenai/ai2_arc", rows="arc_challenge", subset="ARC-Challenge", split="test"),
    prompt="Question: {question}\nAnswer:",
    inference=Perplexity(),
    choices="texts",
    prepare=prepare,
    metrics=("accuracy",),
)
