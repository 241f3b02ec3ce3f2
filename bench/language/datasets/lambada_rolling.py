"""LAMBADA as plain text: how well the model predicts whole passages.

Asked and answered like this:

    Anna lost her key. She looked under the bed and behind the door until at last she found the key
"""

from bench.language.spec import Dataset, Rolling, Source

DATASET = Dataset(
    source=Source(
        hub="EleutherAI/lambada_openai", rows="lambada", subset="default", split="test", train_split=None
    ),
    prompt="",
    inference=Rolling(),
    gold="text",
    metrics=("word_perplexity", "byte_perplexity", "bits_per_byte"),
)
