"""--require: what it may look like, what it is asked of, and that it is never ignored."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from bench.core.case import Case
from bench.core.errors import CaseProblem, UsageProblem
from bench.core.estimate import Estimate
from bench.core.requirement import check_requirements, parse_requirement, required_gates

KINDS = ("toy", "other")


@dataclass(frozen=True, slots=True)
class ToyCase(Case):
    kind: ClassVar[str] = "toy"
    dataset: str = "faq"

    @property
    def names(self):
        return (self.id, self.dataset)


def case(**fields):
    return ToyCase(**{"id": "model-faq", "metrics": ("mrr@10", "accuracy"), **fields})


def parsed(text):
    found = parse_requirement(text, KINDS)
    return (found.kind, found.name, found.metric, found.bound, found.at_most)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mrr@10>=0.6", (None, None, "mrr@10", 0.6, False)),
        ("toy:mrr@10>=0.6", ("toy", None, "mrr@10", 0.6, False)),
        ("toy:faq.mrr@10>=0.6", ("toy", "faq", "mrr@10", 0.6, False)),
        ("toy:qwen2.5/faq.acc<=1e-3", ("toy", "qwen2.5/faq", "acc", 0.001, True)),
        ("faq:rmse<=3", (None, "faq", "rmse", 3.0, True)),
        (" toy:acc >= 60% ", ("toy", None, "acc", 60.0, False)),
    ],
)
def test_forms(text, found):
    assert parsed(text.replace(" >= ", ">=")) == found


@pytest.mark.parametrize(
    "text", ["", "mrr", "mrr>0.6", "mrr=0.6", ">=1", "mrr>=", "mrr>=good", "mrr>=nan", "toy:>=1", "toy:.x>=1"]
)
def test_what_has_another_form_is_refused_with_the_right_one(text):
    with pytest.raises(UsageProblem, match=r"expected KIND:\[NAME\.\]METRIC>=N"):
        parse_requirement(text, KINDS)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("toy:mr@10>=0.6", "no metric of toy cases that are run is named 'mr@10'; nearest: mrr@10"),
        ("toy:fag.mrr@10>=0.6", r"nearest: faq\.mrr@10"),
        ("other:mrr@10>=0.6", "no metric of other cases that are run is named 'mrr@10'; nearest: none"),
    ],
)
def test_what_is_asked_of_nothing_is_refused_with_the_nearest_names(text, near):
    one = parse_requirement(text, KINDS)
    with pytest.raises(UsageProblem, match=near):
        check_requirements([one], [case()])


def test_what_is_asked_of_a_case_is_accepted():
    check_requirements([parse_requirement("toy:faq.mrr@10>=0.6", KINDS)], [case()])


def test_a_control_is_asked_nothing():
    one = parse_requirement("mrr@10>=0.6", KINDS)
    assert not one.asks(case(expect="crashed"))
    with pytest.raises(UsageProblem):
        check_requirements([one], [case(expect="crashed")])


def test_gates_are_those_of_the_requirements_that_the_case_is_asked():
    asked = [parse_requirement(text, KINDS) for text in ("mrr@10>=0.6", "elsewhere:mrr@10>=0.9")]
    good = Estimate(metric="mrr@10", value=0.7, low=0.65, high=0.75)
    gates = required_gates(asked, case(), {"mrr@10": good})
    assert {name: gate.verdict for name, gate in gates.items()} == {"required mrr@10>=0.6": "pass"}
    bad = Estimate(metric="mrr@10", value=0.5, low=0.45, high=0.55)
    (missed,) = required_gates(asked, case(), {"mrr@10": bad}).values()
    assert (missed.verdict, missed.reason_code) == ("fail", "requirement_missed")
    (unmeasured,) = required_gates(asked, case(), {}).values()
    assert (unmeasured.verdict, unmeasured.reason_code) == ("inconclusive", "requirement_undecided")


@pytest.mark.parametrize(
    ("text", "verdict"), [("accuracy>=0.6", "pass"), ("accuracy>=60%", "pass"), ("accuracy>=70%", "fail")]
)
def test_a_percentage_is_required_as_a_fraction_or_with_its_sign(text, verdict):
    shown = Estimate(metric="accuracy", value=65.0, low=62.0, high=68.0, unit="%")
    (gate,) = required_gates([parse_requirement(text, KINDS)], case(), {"accuracy": shown}).values()
    assert gate.verdict == verdict


def test_a_percentage_without_its_sign_is_not_guessed():
    shown = Estimate(metric="accuracy", value=65.0, low=62.0, high=68.0, unit="%")
    with pytest.raises(CaseProblem, match=r"write 0\.6 or 60%"):
        required_gates([parse_requirement("accuracy>=60", KINDS)], case(), {"accuracy": shown})
