"""GSM8K: word problems of primary school, after five drawn examples. The number is read strictly and leniently.

Asked and answered like this:

    Question: Anna has 3 cups. She gets 4 more. How many cups does she have?
    Answer: 3 + 4 = 7
    #### 7
"""

from bench.language.extraction import plain_sum
from bench.language.spec import Dataset, Examples, Generation, Reading, Row, Source


def prepare(row: Row) -> Row:
    """Return the row with the number after ``####``, without thousands separators.

    Raises:
        ValueError: an answer without such a number.
    """
    if "#### " not in row["answer"]:
        raise ValueError(
            f"found no '#### ' in the answer {row['answer']!r}, expected it before the final number"
        )
    return {**row, "gold": plain_sum(row["answer"], row)}


DATASET = Dataset(
    source=Source(hub="openai/gsm8k", rows="gsm8k", subset="main", split="test"),
    prompt="Question: {question}\nAnswer:",
    inference=Generation(max_out_len=256, stop=("Question:", "</s>", "<|im_end|>")),
    prepare=prepare,
    examples=Examples(retriever="sequence", count=5),
    answer="{answer}",
    metrics=("strict_match", "flexible_extract"),
    readings={
        "strict_match": Reading("accuracy", ("number_after_hashes", "plain_sum")),
        "flexible_extract": Reading("accuracy", ("last_sum", "plain_sum")),
    },
    protocol="lm-eval:gsm8k@3",
    version=2,
)
