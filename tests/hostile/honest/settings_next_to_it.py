"""Reads its settings from a file next to it."""

import json
from pathlib import Path

from plain import pipe

SETTINGS = json.loads(Path(__file__).with_name("settings.json").read_text())


def generate(pipe, prompts, generators):
    return pipe(prompts, generator=generators, **SETTINGS).images
