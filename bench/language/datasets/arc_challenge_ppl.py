"""ARC, the part that retrieval and co-occurrence fail on: the choice that makes the text most likely.

Asked and answered like this:

    Question: Which of these cannot fly?
    Answer: a horse
"""

from bench.language.datasets.arc_easy_ll import LABELS, prepare
from bench.language.spec import Dataset, Perplexity, Source

DATASET = Dataset(
    source=Source(hub="allenai/ai2_arc", rows="arc_challenge", subset="ARC-Challenge", split="test"),
    prompt="Question: {question}\nAnswer:",
    inference=Perplexity(),
    choices="texts",
    labels=LABELS,
    prepare=prepare,
    metrics=("accuracy",),
)
