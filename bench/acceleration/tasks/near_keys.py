"""Keys of other people's lists that mean a field: misspelled ones, other names of it, and gates under another name."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

NEAR_MISS = 0.84
_LONGEST = 60
_FILES = ("target_file", "baseline_file", "candidate_file")
# What the name of a gate has in it. Without such a field the gate would be dropped without a word.
_GATES = {
    **dict.fromkeys(("speedup", "faster"), "required_speedup"),
    "latency": "max_latency_s",
    **dict.fromkeys(("memory", "vram", "ram"), "max_memory_gb"),
    **dict.fromkeys(("loss", "drop", "degradation"), "max_quality_loss"),
}
# What else may stand in it. With any other word, such as in `measured_speedup` and `baseline_latency`, it is a note.
_QUALIFIERS = """
min minimum max maximum least most at target required require expected allowed acceptable tolerated
limit threshold goal wanted needed budget upper lower bound s sec seconds ms gb gib mb ratio factor
x times percent pct peak gpu quality clip score relative image per
"""
_OF_GATES = frozenset(_QUALIFIERS.split())
_LISTS = {
    **dict.fromkeys(("required_methods", "methods_required", "acceleration_methods", "must_have_methods"), "methods"),
    **dict.fromkeys(("prompts", "prompts_path", "prompt_path", "dataset_file", "prompt_dataset"), "prompts_file"),
    "lvl": "level",
}  # fmt: skip
# Words of keys that mean a field where that field is missing, and are a note of their own where it is not.
_MEANT = {
    "prompt_id": "id uid uuid pid qid index idx number key name no",
    "prompt_context": "prompt text task instruction instructions question query context description requirement goal input "
    "requirements content problem request",
    "target_file": "target gt truth reference ref expected label answer solution",
    "baseline_file": "baseline base basefile original orig source src input slow before",
    "candidate_file": "candidate gen generated generation answer output response prediction pred result submission solution "
    "optimized fast code file path model after",
    "difficulty": "difficulty hardness complexity difficult tier grade diff",
}  # fmt: skip
_WORDS = {field: frozenset(words.split()) for field, words in _MEANT.items()}


def words_of(key: str) -> tuple[str, ...]:
    """Return the words of a key in small letters, however they are put together.

    >>> words_of("promptID"), words_of("max-latency_s"), words_of("speed_up")
    (('prompt', 'id'), ('max', 'latency', 's'), ('speedup',))
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()
    joined = "_".join(re.findall(r"[^\W_]+", spaced)).replace("speed_up", "speedup")
    return tuple(joined.split("_")) if joined else ()


@functools.lru_cache(maxsize=4_096)
def near_miss(key: str, known: frozenset[str], every: frozenset[str]) -> str | None:
    """Return the field that an unknown key is too close to for a note; None for a note.

    Args:
        key: of an entry.
        known: the keys that are read.
        every: those of the other list too, which are ignored here and not suspected.
    """
    if key.startswith("_") or key in every or len(key) > _LONGEST:
        return None
    words = words_of(key)
    gates = {_GATES[word] for word in words if word in _GATES}
    rest = {word for word in words if word not in _GATES}
    if len(gates) == 1 and rest <= _OF_GATES and (gate := gates.pop()) in known:
        return gate
    if (field := _LISTS.get("_".join(words))) in known:
        return field
    close = difflib.get_close_matches(key.lower(), sorted(known), n=1, cutoff=NEAR_MISS)
    return close[0] if close else None


def stand_in(field: str, given: Mapping[str, Any], known: Iterable[str]) -> str | None:
    """Return the key of an entry that stands for a missing field; None where none seems to.

    Args:
        field: that is missing.
        given: the entry.
        known: the keys that are read, which stand for themselves.
    """
    wanted, read = _WORDS.get(field, frozenset()), frozenset(known)
    found = [
        key
        for key, value in given.items()
        if key not in read and len(key) <= _LONGEST and _is_meant(field, words_of(key), value, wanted)
    ]
    return min(found, key=lambda key: len(words_of(key)), default=None)


def _is_meant(field: str, words: tuple[str, ...], value: Any, wanted: frozenset[str]) -> bool:
    is_id = bool(words) and words[-1] in _WORDS["prompt_id"] - {"name", "number", "no", "key"}
    if field == "prompt_id":
        return bool(words) and words[-1] in wanted
    if is_id or not wanted & set(words):
        return False
    is_file = isinstance(value, str) and value.strip().lower().endswith(".py")
    return is_file == (field in _FILES)
