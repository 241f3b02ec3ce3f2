"""WinoGrande: which of two options fills the blank, by how likely the rest of the sentence is after each.

Asked and answered like this:

    Anna helped Ben with the letter because Anna | was kind.
    Anna helped Ben with the letter because Ben | was kind.
"""

from bench.language.spec import Dataset, Labels, PartialLogLikelihood, Row, Source


def prepare(row: Row) -> Row:
    """Return the text before the blank, the options, and the text after the blank.

    Raises:
        ValueError: no blank, or several.
    """
    parts = row["sentence"].split("_")
    if len(parts) != 2:
        raise ValueError(f"found {len(parts) - 1} blanks ('_') in {row['sentence']!r}, expected one")
    before, after = parts
    return {
        "before": before,
        "after": after.strip(),
        "options": [row["option1"], row["option2"]],
        "gold": row["answer"],
    }


DATASET = Dataset(
    source=Source(hub="allenai/winogrande", rows="winogrande", subset="winogrande_xl"),
    prompt="{before}",
    inference=PartialLogLikelihood(ending=" {after}"),
    choices="options",
    labels=Labels("one_based", "answer", options=2),
    separator="",
    prepare=prepare,
    metrics=("accuracy",),
    protocol="lm-eval:winogrande@1",
    version=2,
)
