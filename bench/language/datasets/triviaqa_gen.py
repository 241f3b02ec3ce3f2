"""TriviaQA, closed book: a question of knowledge; any of several spellings is right.

Asked and answered like this:

    Question: Where do bees live??
    Answer: hive
"""

from bench.language.extraction import no_punctuation
from bench.language.spec import Dataset, Generation, Reading, Row, Source


def prepare(row: Row) -> Row:
    """Return the question, and the spellings of its answer as the model's answer is read."""
    golds = [no_punctuation(alias.lower(), row) for alias in row["answer"]["aliases"]]
    return {"question": row["question"], "gold": list(dict.fromkeys(filter(None, golds)))}


DATASET = Dataset(
    source=Source(hub="mandarjoshi/trivia_qa", rows="triviaqa", subset="rc.nocontext"),
    # The protocol's question mark follows the question's own.
    prompt="Question: {question}?\nAnswer:",
    inference=Generation(max_out_len=256, stop=("\n", ".", ",")),
    prepare=prepare,
    metrics=("exact_match",),
    readings={"exact_match": Reading("accuracy", ("strip", "lower", "no_punctuation"))},
    protocol="lm-eval:triviaqa@3",
    version=2,
)
