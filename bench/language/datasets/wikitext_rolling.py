"""WikiText: how well the model predicts whole pages. Words and bytes are those of the page as that corpus spaces it.

Asked like this:

    = Tea = Anna boils water in a kettle, and pours it over the tea leaves.
"""

import re

from bench.language.spec import Dataset, Rolling, Row, Source

# Pairs of what is replaced and by what, in this order.
_MARKS = (
    (" @-@ ", "-"), (" @,@ ", ","), (" @.@ ", "."),
    (" : ", ": "), (" ; ", "; "), (" . ", ". "), (" ! ", "! "), (" ? ", "? "), (" , ", ", "),
)  # fmt: skip
_REST = (
    ("= = = =", "===="), ("= = =", "==="), ("= =", "=="), (" ° ", "°"),
    (" \n", "\n"), ("\n ", "\n"), (" N ", " 1 "), (" 's", "'s"),
)  # fmt: skip
_PAIRS = (r"\(", r"\)"), (r"\[", r"\]"), ("{", "}"), ('"', '"'), ("'", "'")


def prepare(row: Row) -> Row:
    """Return the page, and the text that is scored: without the blanks around marks and within pairs of them."""
    text = row["page"].replace("s '", "s'")
    # The protocol's own replacement, although it rarely finds anything: its pattern includes the slashes.
    text = re.sub(r"/' [0-9]/", "/'[0-9]/", text)
    for found, wanted in _MARKS:
        text = text.replace(found, wanted)
    for begin, end in _PAIRS:
        inner = rf"[^{end}]"
        text = re.sub(
            rf"{begin}\s*({inner}*?)\s*{end}", lambda pair: f"{pair[0][0]}{pair[1]}{pair[0][-1]}", text
        )
    for found, wanted in _REST:
        text = text.replace(found, wanted)
    return {"page": row["page"], "text": text}


DATASET = Dataset(
    source=Source(
        hub="EleutherAI/wikitext_document_level", rows="wikitext", subset="wikitext-2-raw-v1", split="test",
        train_split=None,
    ),
    prompt="",
    inference=Rolling(counted="page", special=True),
    prepare=prepare,
    gold="text",
    metrics=("word_perplexity", "byte_perplexity", "bits_per_byte"),
    protocol="lm-eval:wikitext@2",
)  # fmt: skip
