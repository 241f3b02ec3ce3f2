"""LAMBADA: the last word of a passage, which only the whole passage gives away.

Asked and answered like this:

    Anna lost her key. She looked under the bed and behind the door until at last she found the | key
"""

from bench.language.spec import Cloze, Dataset, Row, Source


def prepare(row: Row) -> Row:
    """Return the passage without its last word, and that word."""
    context, _, word = row["text"].rpartition(" ")
    return {"context": context, "gold": word}


DATASET = Dataset(
    source=Source(
        hub="EleutherAI/lambada_openai", rows="lambada", subset="default", split="test", train_split=None
    ),
    prompt="{context}",
    inference=Cloze(),
    prepare=prepare,
    metrics=("accuracy", "perplexity"),
    protocol="lm-eval:lambada_openai@1",
)
