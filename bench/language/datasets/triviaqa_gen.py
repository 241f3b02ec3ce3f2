"""TriviaQA, closed book: a question of knowledge; any of several spellings is right. Two random examples.

Asked and answered like this:

    Question: Where do bees live?
    Answer: hive
"""

from bench.language.spec import Dataset, Examples, Generation, Row, Source


def prepare(row: Row) -> Row:
    """Return the question, the answer, and all of its spellings in lower case."""
    value = row["answer"]["value"]
    spellings = [value, *row["answer"]["aliases"]]
    return {
        "question": row["question"],
        "value": value,
        "gold": list(dict.fromkeys(spelling.strip().lower() for spelling in spellings)),
    }


DATASET = Dataset(
    source=Source(hub="mandarjoshi/trivia_qa", rows="triviaqa", subset="rc.nocontext"),
    prompt="Question: {question}\nAnswer:",
    inference=Generation(max_out_len=16, stop=("\n",)),
    prepare=prepare,
    examples=Examples(retriever="random", count=2),
    answer="{value}",
    postprocess=("first_line", "strip", "lower"),
    metrics=("exact_match", "f1"),
)
