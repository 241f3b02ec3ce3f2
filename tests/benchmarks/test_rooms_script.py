"""benchmarks/rooms.py: which files a case of a kind enters."""

import re

import pytest


@pytest.mark.slow
def test_it_prints_the_files_that_a_case_enters(run_script):
    header, row, *files = run_script("rooms.py", "--kinds", "reranking", "--list").splitlines()
    assert re.split(r"  +", header) == ["kind", "files entered", "of its room", "shared", "of another kind"]
    kind, entered, own, shared, others = row.split()
    assert kind == "reranking"
    assert int(entered) == int(own) + int(shared) + int(others) == len(files)
    assert "    bench/reranking/evaluation.py" in files


def test_files_of_other_kinds_are_told_apart(scripts):
    import rooms

    files = ["bench/core/case.py", "bench/reranking/case.py", "bench/language/spec.py"]
    assert rooms.of_other_kinds("reranking", files) == ["bench/language/spec.py"]
