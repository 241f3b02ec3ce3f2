"""MMLU with each question asked once for each rotation of its options; right only if all rotations are.

Asked and answered like this:

    Question: What does a cow give us?
    A. wool
    B. milk
    C. honey
    D. eggs
    Answer: B
"""

from bench.language.spec import Dataset, Generation, Labels, Row, Source, letter_of


def prepare(row: Row) -> Row:
    """Return the row with its four choices under the name that rotation looks for, and the answer as a letter."""
    return {"question": row["question"], "options": row["choices"], "gold": letter_of(row["answer"], 4)}


DATASET = Dataset(
    source=Source(hub="cais/mmlu", rows="mmlu", subset="all", split="test", train_split="dev"),
    prompt="Question: {question}\nA. {options[0]}\nB. {options[1]}\nC. {options[2]}\nD. {options[3]}\nAnswer:",
    inference=Generation(max_out_len=10),
    labels=Labels("zero_based", "answer", options="choices"),
    group="subject",
    prepare=prepare,
    postprocess=("first_option",),
    metrics=("circular_accuracy",),
    circular=True,
)
