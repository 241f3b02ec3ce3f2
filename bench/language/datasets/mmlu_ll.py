"""MMLU: the letter, of four, that is most likely after five examples of the same subject.

Asked and answered like this:

    What does a cow give us?
    A. wool
    B. milk
    C. honey
    D. eggs
    Answer: B
"""

from bench.language.spec import Dataset, Examples, Labels, LogLikelihood, Row, Source


def prepare(row: Row) -> Row:
    """Return the row with its four choices under the name that templates use, and the subject in words."""
    return {
        "question": row["question"].strip(),
        "options": row["choices"],
        "subject": row["subject"],
        "about": row["subject"].replace("_", " "),
        "gold": row["answer"],
    }


DATASET = Dataset(
    source=Source(hub="cais/mmlu", rows="mmlu", subset="all", split="test", train_split="dev"),
    prompt="{question}\nA. {options[0]}\nB. {options[1]}\nC. {options[2]}\nD. {options[3]}\nAnswer:",
    inference=LogLikelihood(),
    choices=(" A", " B", " C", " D"),
    labels=Labels("zero_based", "answer", options="choices"),
    prepare=prepare,
    examples=Examples(
        retriever="fixed",
        count=5,
        within="subject",
        instruction="The following are multiple choice questions (with answers) about {about}.\n\n",
    ),
    metrics=("accuracy",),
    group="subject",
    protocol="lm-eval:mmlu@2",
)
