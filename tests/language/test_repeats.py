"""Several answers to a question: their mean, pass@k and maj@k, with intervals over questions."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from language_toys import MODEL, Place, keep_registered, options, setting

from bench.core.errors import LanguageProblem, UsageProblem
from bench.core.requirement import parse_requirement
from bench.language.backend import text_seed
from bench.language.chat import WrittenText
from bench.language.grading import grade, metric_names
from bench.language.library import DATASETS
from bench.language.models.config import ModelConfig
from bench.language.options import resolve
from bench.language.prompting import QuestionBuilder, repeated
from bench.language.record import Usage
from bench.language.repeats import evaluate_repeated, majority, pass_at_k, repeated_names
from bench.language.spec import Dataset, Generation, Source
from bench.metrics.text import TEXT_METRICS
from bench.statistics.proportion import wilson_interval

ACCURACY = TEXT_METRICS["accuracy"]
DRAWN = """
from bench.language.spec import Dataset, Generation, Source

DATASET = Dataset(
    source=Source(hub="nobody/toy", rows="toy"), prompt="{q}", gold="gold", inference=Generation(max_out_len=20),
    postprocess=("last_number",), metrics=("accuracy",),
)
"""


@pytest.mark.parametrize(("right", "drawn", "k"), [(0, 4, 2), (1, 4, 2), (3, 6, 4), (2, 8, 8), (5, 5, 1)])
def test_pass_at_k_is_the_share_of_all_choices_of_k_with_a_right_one(right, drawn, k):
    answers = [1] * right + [0] * (drawn - right)
    shares = [max(chosen) for chosen in itertools.combinations(answers, k)]
    assert pass_at_k(right, drawn, k) == pytest.approx(np.mean(shares))


@pytest.mark.parametrize(
    ("answers", "value"),
    [
        (["4", "4", "3", None], 1.0),
        (["3", "3", "4", "4"], 0.5),
        (["3", "3", "4", None], 0.0),
        ([None, None], 0.0),
        (["4", None, None, None], 1.0),
        (["3", "4", "5"], 1 / 3),
    ],
)
def test_the_most_frequent_answer_decides_and_ties_count_in_part(answers, value):
    assert majority(answers, ACCURACY, ["4"]) == pytest.approx(value)


def test_the_mean_is_over_questions_and_its_interval_too():
    rng = np.random.default_rng(0)
    chances = rng.uniform(0, 1, 40)
    answers = [["1" if rng.uniform() < chance else "0" for _ in range(4)] for chance in chances]
    found = evaluate_repeated(ACCURACY, answers, [["1"]] * 40)
    assert list(found) == ["accuracy", "pass@2", "pass@4", "maj@4"]
    values, score = found["accuracy"]
    assert values == [row.count("1") / 4 for row in answers]
    assert score.value == pytest.approx(np.mean(values))
    assert score.stderr == pytest.approx(np.std(values, ddof=1) / 40**0.5)
    whole, alone = wilson_interval(sum(values) * 4, 160), wilson_interval(sum(values), 40)
    length = score.high - score.low
    assert whole[1] - whole[0] < length < alone[1] - alone[0]
    assert length == pytest.approx(2 * 1.96 * score.stderr, rel=0.1)


@pytest.mark.parametrize("alike", [True, False])
def test_answers_that_are_alike_count_once_and_those_that_are_not_all(alike):
    rows = [["1"] * 4, ["0"] * 4] * 10 if alike else [["1", "0", "1", "0"]] * 20
    _, score = evaluate_repeated(ACCURACY, rows, [["1"]] * 20)["accuracy"]
    expected = wilson_interval(9.5, 19) if alike else wilson_interval(40, 80)
    assert (score.low, score.high) == pytest.approx(expected, abs=0.012)


def test_all_right_still_leaves_an_interval_of_the_number_of_questions():
    _, score = evaluate_repeated(ACCURACY, [["1"] * 8] * 5, [["1"]] * 5)["accuracy"]
    assert (score.low, score.high) == wilson_interval(5, 5)


def test_unread_answers_are_counted_and_other_metrics_are_means():
    _, score = evaluate_repeated(ACCURACY, [["1", None], [None, None]], [["1"]] * 2)["accuracy"]
    assert (score.value, score.unparsed) == (0.25, 3)
    found = evaluate_repeated(TEXT_METRICS["f1"], [["x y", "x"], ["y", "y"]], [["x y"], ["y"]])
    assert list(found) == ["f1"]
    assert found["f1"][0] == pytest.approx([(1 + 2 / 3) / 2, 1.0])
    bleu = evaluate_repeated(
        TEXT_METRICS["bleu"], [["a b c d"] * 2, ["e f g h"] * 2], [["a b c d"], ["e f g h"]]
    )
    assert bleu["bleu"][1].value == pytest.approx(100.0)


def test_a_rotated_question_is_right_in_a_draw_only_if_all_its_rotations_are():
    rule = TEXT_METRICS["circular_accuracy"]
    answers = [["A", "A"], ["B", "A"], ["A", "A"], ["B", "B"]]
    golds = [["A"], ["B"], ["A"], ["B"]]
    found = evaluate_repeated(rule, answers, golds, [0, 0, 1, 1])
    assert found["circular_accuracy"][0] == [0.5, 1.0]
    assert found["pass@2"][0] == [1.0, 1.0]
    assert "maj@2" not in found


def test_names_of_scores_are_known_before_anything_is_asked():
    assert repeated_names("accuracy", 6) == ("pass@2", "pass@4", "pass@6", "maj@6")
    assert repeated_names("accuracy", 1) == repeated_names("f1", 4) == ()
    made = Dataset(Source("a", "b"), "{q}", Generation(), metrics=("accuracy", "f1"))
    assert metric_names(made, 2) == ("accuracy", "pass@2", "maj@2", "f1")


def test_draws_of_a_question_have_keys_and_seeds_of_their_own_and_the_first_is_that_of_a_single_one():
    made = Dataset(Source("a", "b"), "{q}", Generation())
    questions = QuestionBuilder(made, [], 0).build([{"q": "x", "gold": "1"}, {"q": "y", "gold": "2"}])
    drawn = repeated(questions, 3)
    assert [question.key for question in drawn] == ["0", "0s1", "0s2", "1", "1s1", "1s2"]
    assert repeated(questions, 1) == questions
    assert len({text_seed(0, question.key) for question in drawn}) == 6
    texts = {question.key: {"key": question.key, "text": str(question.sample)} for question in drawn}
    found = grade(made, drawn, texts)
    assert found["accuracy"].values == [1 / 3, 1 / 3]
    assert found["pass@2"].score.value == pytest.approx(200 / 3)
    assert found["maj@3"].score.value == pytest.approx(100 / 3)


class Drawing:
    """Is right in three of four draws of each question."""

    fingerprint, dtype, max_len = "drawing", "float32", None

    def __init__(self):
        self.seeds = []

    def generate(self, prompts, max_out_len, stop, seeds, done):
        self.seeds += seeds
        for index, _ in enumerate(prompts):
            done(index, WrittenText("7" if index % 4 else "8"))

    def lengths(self, texts):
        return [1 for _ in texts]

    def usage(self):
        return Usage()


@pytest.fixture
def place(tmp_path, monkeypatch):
    keep_registered(monkeypatch, DATASETS)
    made = Place(tmp_path)
    made.declare(DRAWN)
    made.write([{"q": f"{i}", "gold": "7"} for i in range(6)])
    return made


def test_a_case_draws_scores_and_gates_all_repeats(place):
    drawing = Drawing()
    demand = parse_requirement("language:toy.maj@4>=0.99", ["language"])
    evaluation = place.evaluation(
        drawing, repeats=4, case={"mode": "gen", "metrics": ("accuracy", "pass@2", "pass@4", "maj@4")},
        context={"requirements": (demand,)},
    )  # fmt: skip
    outcome = evaluation.run()
    assert len(set(drawing.seeds)) == 24
    assert {name: round(e.value, 6) for name, e in evaluation.record.metrics.items()} == {
        "accuracy": 75.0, "pass@2": 100.0, "pass@4": 100.0, "maj@4": 100.0,
    }  # fmt: skip
    assert evaluation.record.score.n == 6
    # Six questions cannot show 99 %.
    assert outcome.verdict.reason_code == "requirement_undecided"
    results = json.loads((place.root / "run/results/toy/toy.json").read_text())
    assert results["keys"] == [str(number) for number in range(6)]
    assert results["values"]["accuracy"] == [0.75] * 6


def test_a_reference_without_as_many_draws_is_refused(place):
    place.evaluation(Drawing(), run="earlier", case={"mode": "gen"}).run()
    with pytest.raises(LanguageProblem, match="0s1"):
        place.evaluation(Drawing(), repeats=4, case={"mode": "gen"}, reference=place.root / "earlier").run()
    same = place.evaluation(Drawing(), run="four", repeats=4, case={"mode": "gen"})
    same.run()
    again = place.evaluation(
        Drawing(), run="again", repeats=4, case={"mode": "gen"}, reference=place.root / "four"
    )
    assert again.run().reference.holds
    assert again.record.body.reference.difference == 0


@pytest.mark.parametrize("drawn", [{}, {"do_sample": "False"}, {"do_sample": "True", "temperature": "0"}])
def test_repeats_of_a_greedy_model_are_refused(tmp_path, drawn):
    given = options(hf_path="x/y", repeats=4, generation_kwargs=drawn)
    with pytest.raises(UsageProblem, match="--repeats 4: y would give the same answer each time"):
        resolve(given, setting(tmp_path, "hf_path", "repeats", "generation_kwargs"))


def test_repeats_of_a_sampling_model_are_taken(tmp_path):
    given = options(hf_path="x/y", repeats=4, generation_kwargs={"do_sample": "True"})
    assert resolve(given, setting(tmp_path, "hf_path", "repeats")).repeats == 4
    served = ModelConfig(
        "s", "s", backend="server", api_base="http://x", generation_kwargs={"temperature": 0.5}
    )
    assert served.samples
    assert not MODEL.samples
