"""MMLU with each question asked once for each rotation of its options; right only if all rotations are.

Asked and answered like this, after five examples of the subject:

    There is a single choice question about farming. Answer the question by replying A, B, C or D.
    Q: What does a cow give us?
    A. wool
    B. milk
    C. honey
    D. eggs
    A: B
"""

from bench.language.spec import Dataset, Examples, Generation, Labels, Row, Source, letter_of

_HINT = "There is a single choice question about {about}. Answer the question by replying A, B, C or D.\n"
_OPTIONS = "A. {options[0]}\nB. {options[1]}\nC. {options[2]}\nD. {options[3]}\n"


def prepare(row: Row) -> Row:
    """Return the row with its four choices under the name that rotation looks for, and the answer as a letter."""
    return {
        "question": row["question"],
        "options": row["choices"],
        "subject": row["subject"],
        "about": row["subject"].replace("_", " "),
        "gold": letter_of(row["answer"], 4),
    }


DATASET = Dataset(
    source=Source(hub="cais/mmlu", rows="mmlu", subset="all", split="test", train_split="dev"),
    prompt=_HINT + "Q: {question}\n" + _OPTIONS + "A: ",
    inference=Generation(max_out_len=10),
    labels=Labels("zero_based", "answer", options="choices"),
    group="subject",
    prepare=prepare,
    examples=Examples(
        retriever="fixed",
        count=5,
        separator="\n",
        within="subject",
        template=_HINT + "Question: {question}\n" + _OPTIONS + "Answer: \n{gold}\n",
    ),
    postprocess=("first_option",),
    metrics=("circular_accuracy",),
    circular=True,
    protocol="opencompass:mmlu_gen_a484b3-circular-4",
    version=2,
)
