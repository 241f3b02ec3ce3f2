"""HellaSwag: which of four endings continues a text.

Asked and answered like this:

    Making tea: Anna boils water in a kettle. She | pours it over the tea leaves.
"""

from bench.language.spec import Dataset, Labels, LogLikelihood, Row, Source


def _clean(text: str) -> str:
    """Return the text without the marks of the scraped part of the data."""
    return " ".join(text.replace(" [title]", ".").split())


def prepare(row: Row) -> Row:
    """Return the context after its activity, cleaned endings, and the label."""
    return {
        "context": _clean(f"{row['activity_label']}: {row['ctx']}"),
        "endings": [_clean(ending) for ending in row["endings"]],
        "gold": row["label"],
    }


DATASET = Dataset(
    source=Source(hub="Rowan/hellaswag", rows="hellaswag"),
    prompt="{context}",
    inference=LogLikelihood(),
    choices="endings",
    labels=Labels("zero_based", options="endings"),
    prepare=prepare,
    # Endings differ much in length, so the score per character comes first.
    metrics=("acc_norm", "accuracy", "acc_bytes"),
)
