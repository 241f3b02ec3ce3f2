"""Sets variables of the environment that libraries read."""

import os

os.environ.update(TOKENIZERS_PARALLELISM="false", PYTHONHASHSEED="0", HF_HUB_DISABLE_TELEMETRY="1")

from plain import draw, pipe  # noqa: E402


def generate(pipe, prompts, generators):
    return draw(pipe, prompts, generators)
