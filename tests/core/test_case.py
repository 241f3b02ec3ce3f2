"""Cases: what is shown of one, and what tells two of one apart."""

from __future__ import annotations

from pathlib import Path

from toys import ToyCase

from bench.acceleration.case import AccelerationCase
from bench.evaluated.case import EvaluatedCase
from bench.language.case import LanguageCase
from bench.regression.case import RegressionCase
from bench.reranking.case import RerankingCase

CASES = (
    AccelerationCase("easy-sd-all-1", prompt_id=1),
    EvaluatedCase("evaluated-mine", Path("mine.json")),
    LanguageCase("tiny-piqa", "tiny", "piqa"),
    RegressionCase("rubric", "rubric"),
    RerankingCase("exact-words", "exact", "words"),
    ToyCase("toy-1"),
)


def test_a_case_of_every_kind_is_shown_as_its_id():
    for case in CASES:
        assert (repr(case), str(case), f"{case}") == (case.id,) * 3


def test_a_variant_has_an_id_and_files_of_its_own():
    case = LanguageCase("tiny-piqa", "tiny", "piqa")
    assert case.stem == "piqa"
    first, second = case.varied("1-2"), case.varied("2-2")
    assert (first.id, second.id) == ("tiny-piqa-1-2", "tiny-piqa-2-2")
    assert (first.stem, second.stem) == ("piqa-1-2", "piqa-2-2")
    assert first.blank().id == "tiny-piqa-1-2"
    assert first.dataset == "piqa"
    assert ToyCase("toy-1").varied("../a b").id == "toy-1-.._a_b"
