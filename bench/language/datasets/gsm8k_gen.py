"""GSM8K: word problems of primary school; the last number of the text is the answer. Three fixed examples.

Asked and answered like this:

    Question: Anna has 3 cups. She gets 4 more. How many cups does she have?
    Answer: 3 + 4 = 7
    #### 7
"""

from bench.language.spec import Dataset, Examples, Generation, Row, Source


def prepare(row: Row) -> Row:
    """Return the row with the number after ``####``, without thousands separators.

    Raises:
        ValueError: an answer without such a number.
    """
    _, mark, number = row["answer"].rpartition("#### ")
    if not mark:
        raise ValueError(
            f"found no '#### ' in the answer {row['answer']!r}, expected it before the final number"
        )
    return {**row, "gold": number.strip().replace(",", "")}


DATASET = Dataset(
    source=Source(hub="openai/gsm8k", rows="gsm8k", subset="main", split="test"),
    prompt="Question: {question}\nAnswer:",
    # Solutions run over several lines; an example ends with an empty one.
    inference=Generation(max_out_len=256, stop=("\n\n", "Question:")),
    prepare=prepare,
    examples=Examples(retriever="fixed", count=3),
    answer="{answer}",
    postprocess=("last_number",),
    metrics=("accuracy",),
)
