"""benchmarks/ranking.py: the ranking metrics next to pytrec_eval-terrier, and on many candidates."""

import re

import pytest


@pytest.mark.slow
def test_it_prints_both_tables_and_the_values_agree(run_script):
    printed = run_script(
        "ranking.py", "--repeats", "2", "--queries", "20", "--candidates", "30", "--millions", "0.01"
    )
    assert printed.startswith("20 queries x 30 candidates, medians of 2 rounds, pytrec_eval-terrier ")
    number = r" +(\d+\.\d+(?:e[+-]\d+)?)"
    compared = re.findall(rf"^(.+, (?:docid_desc|pessimistic, no ids)){number * 7}$", printed, re.MULTILINE)
    assert [row[0] for row in compared] == [
        "recall and MRR, docid_desc",
        "recall and MRR, pessimistic, no ids",
        "six metrics, docid_desc",
        "six metrics, pessimistic, no ids",
    ]
    assert all(float(row[-1]) < 1e-6 for row in compared)
    large = re.findall(rf"^(lists|rows) in .+?{number * 5}\n    \d+ of 20 queries .*", printed, re.MULTILINE)
    assert [row[0] for row in large] == ["lists", "lists", "rows", "lists"]
