"""WinoGrande: which of two options fills the blank.

Asked and answered like this:

    Anna helped Ben with the letter because | Anna was kind.
    Anna helped Ben with the letter because | Ben was kind.
"""

from bench.language.spec import Dataset, Labels, LogLikelihood, Row, Source


def prepare(row: Row) -> Row:
    """Return the text before the blank, and each option with the text after the blank.

    Raises:
        ValueError: no blank, or several.
    """
    parts = row["sentence"].split("_")
    if len(parts) != 2:
        raise ValueError(f"found {len(parts) - 1} blanks ('_') in {row['sentence']!r}, expected one")
    before, after = parts
    return {
        "before": before.rstrip(),
        "continuations": [row["option1"] + after, row["option2"] + after],
        "gold": row["answer"],
    }


DATASET = Dataset(
    source=Source(hub="allenai/winogrande", rows="winogrande", subset="winogrande_xl"),
    prompt="{before}",
    inference=LogLikelihood(),
    choices="continuations",
    labels=Labels("one_based", "answer", options=2),
    prepare=prepare,
    metrics=("accuracy",),
)
