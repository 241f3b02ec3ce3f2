"""What messages show of names and values out of somebody's file is never longer than a line or two."""

import pytest

from bench.core.names import listed, quoted


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], "none"),
        (["prompt", "seed"], "prompt, seed"),
        (["a" * 41], "a" * 40 + "..."),
        (range(23), ", ".join(map(str, range(20))) + ", and 3 more"),
    ],
)
def test_names_are_cut_and_counted(names, expected):
    assert listed(names) == expected


def test_a_value_is_cut():
    assert quoted("steps") == "'steps'"
    assert quoted("a" * 500) == "'" + "a" * 59 + "..."
    assert quoted(None) == "None"
