"""Ranges of targets and groups, and what is measured on them: nothing is pooled that is on different scales."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from bench.core.errors import TuningProblem
from bench.metrics.regression_groups import mean_over_groups
from bench.regression.dataset import (
    ScoredText,
    ScoredTexts,
    groups_of,
    read_split,
    read_table_rows,
    scores_of,
)
from bench.regression.evaluation import _gates
from bench.regression.figures import figures, values
from bench.regression.kind import _with_groups
from bench.regression.measures import compute_metrics, metric_names
from bench.regression.record import RegressionBody
from bench.regression.scale import SINGLE, GroupRanges, Scale, ScoreRange
from bench.regression.task import RegressionTask, TrainingSettings

# The ranges of the eight prompts of the Automated Student Assessment Prize.
ASAP = {
    "1": (2, 12), "2": (1, 6), "3": (0, 3), "4": (0, 3), "5": (0, 4), "6": (0, 4), "7": (0, 30), "8": (0, 60),
}  # fmt: skip
PROMPTS = GroupRanges("prompt", {name: ScoreRange(*ends) for name, ends in ASAP.items()})
TWO = {"content": ScoreRange(1, 6), "style": ScoreRange(0, 100)}


def essays(per_prompt: int = 40, seed: int = 0):
    """Groups, whole scores on each prompt's range, and predictions from 0 to 1 that are near them."""
    rng = np.random.default_rng(seed)
    groups = [name for name in ASAP for _ in range(per_prompt)]
    scale = Scale.of(PROMPTS)
    low, high = scale.ends(groups)
    gold = np.rint(low + (high - low) * rng.uniform(0.1, 0.9, low.shape))
    raw = np.clip(scale.to_unit(gold, groups) + rng.normal(0, 0.1, low.shape), 0, 1)
    return scale, groups, gold, raw


def rows_of(groups):
    return {name: [place for place, one in enumerate(groups) if one == name] for name in ASAP}


# What is declared


def test_scores_of_every_group_come_back_from_the_unit_interval():
    scale, groups, gold, _ = essays()
    unit = scale.to_unit(gold, groups)
    assert unit.min() >= 0
    assert unit.max() <= 1
    assert scale.from_unit(unit, groups) == pytest.approx(gold)
    assert scale.from_unit([[0.5]] * 8, list(ASAP))[:, 0].tolist() == [7, 3.5, 1.5, 1.5, 2, 2, 15, 30]
    assert scale.to_plain()["ranges"]["8"] == [0, 60]
    assert Scale.of(TWO).to_plain() == {"targets": {"content": [1, 6], "style": [0, 100]}}


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({}, "expected a ScoreRange, GroupRanges"),
        ({"a": (1, 6)}, "expected a ScoreRange, GroupRanges"),
        ({"": ScoreRange(1, 6)}, "expected a ScoreRange, GroupRanges"),
        (
            {"a": PROMPTS, "b": GroupRanges("school", {"x": ScoreRange(0, 1)})},
            "groups of the targets in different",
        ),
    ],
)
def test_declaration_of_no_range_is_refused(scores, message):
    with pytest.raises(ValueError, match=message):
        RegressionTask("notes", "encoder", scores)
    with pytest.raises(ValueError, match="found no ranges for the groups of prompt"):
        GroupRanges("prompt", {})


def test_steps_must_divide_every_range_and_name_targets():
    task = RegressionTask("notes", "encoder", TWO, label_step={"content": 1})
    assert (task.step_of("content"), task.step_of("style")) == (1, None)
    assert "content_qwk" in metric_names(task)
    assert "style_qwk" not in metric_names(task)
    assert metric_names(RegressionTask("notes", "encoder", PROMPTS, label_step=1))[-1] == "qwk"
    with pytest.raises(
        ValueError, match="found label_step=2 for scores from 1 to 6, expected a step that divides"
    ):
        RegressionTask("notes", "encoder", PROMPTS, label_step=2)
    with pytest.raises(ValueError, match="found label_step of stile, expected targets: content, style"):
        RegressionTask("notes", "encoder", TWO, label_step={"stile": 1})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"num_train_epochs": 0},
            "found num_train_epochs=0, expected more than 0; to judge a model without training",
        ),
        ({"validation": 1.0}, "found validation=1, expected a share"),
        ({"early_stopping": 0}, "found early_stopping=0, expected a number of epochs"),
    ],
)
def test_settings_by_which_nothing_is_trained_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainingSettings(**settings)


# Rows


class Given(ScoredTexts):
    def __init__(self, *rows):
        self._rows = rows

    def rows(self, split):
        return self._rows


def row(key, score, text="a text", **fields):
    return ScoredText(key, text, score, fields)


def test_blank_texts_and_missing_scores_are_left_out_by_one_rule():
    rows = [
        row("a", 1),
        row("b", 2),
        row("c", None),
        row("d", 3, text=" \n"),
        row("e", 3, text=None),
        row("g", 3, text=float("nan")),
        row("f", "4"),
    ]
    used, excluded = read_split(Given(*rows), "train", ScoreRange(1, 6))
    assert [one.key for one in used] == ["a", "b"]
    assert excluded.counts == {
        "without a score": 1, "with a blank text": 3, "with a score that is no number": 1,
    }  # fmt: skip
    assert excluded.first == {
        "without a score": "c", "with a blank text": "d", "with a score that is no number": "f",
    }  # fmt: skip


def test_each_target_needs_a_score_and_the_reason_names_the_target():
    both = {"content": 2, "style": 50}
    rows = [
        row("a", both),
        row("b", both),
        row("c", {"content": 2}),
        row("d", {**both, "style": 101}),
        row("e", None),
    ]
    used, excluded = read_split(Given(*rows), "train", TWO)
    assert scores_of(used, Scale.of(TWO)) == [[2.0, 50.0], [2.0, 50.0]]
    assert excluded.counts == {
        "without a score of style": 1, "with a score of style outside 0 to 100": 1, "without a score of content": 1,
    }  # fmt: skip
    with pytest.raises(TuningProblem, match=r"a: the score is 3, expected a dictionary with content, style"):
        read_split(Given(row("a", 3)), "train", TWO)


def test_range_of_a_row_is_that_of_its_group_and_a_group_without_one_ends_the_case():
    rows = [row("a", 12, prompt="1"), row("b", 12, prompt="2"), row("c", 60, prompt="8")]
    used, excluded = read_split(Given(*rows), "train", PROMPTS)
    assert groups_of(used, Scale.of(PROMPTS)) == ["1", "8"]
    assert excluded.counts == {"with a score outside 1 to 6": 1}
    for wrong, found in ((row("x", 1, prompt="9"), "'9'"), (row("x", 1), "None")):
        with pytest.raises(
            TuningProblem, match=rf"x: found a prompt without a declared range, {found}, expected one of 1"
        ):
            read_split(Given(*rows, wrong), "train", PROMPTS)


def test_a_table_of_several_scores_is_read_with_its_gaps(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_bytes("\ufeffid;essay;content;style;prompt\n1;Ein Text;2,5;;7\n2;;3;40;8\n".encode())
    rows = read_table_rows(file, key="id", text="essay", score=("content", "style"), fields=("prompt",))
    assert rows == [
        ScoredText("1", "Ein Text", {"content": 2.5, "style": None}, {"prompt": "7"}),
        ScoredText("2", None, {"content": 3.0, "style": 40.0}, {"prompt": "8"}),
    ]
    assert read_table_rows(file, key="id", text="essay", score="content")[0].score == 2.5
    with pytest.raises(
        TuningProblem, match="found the columns id, essay, content, style, prompt, expected key, text"
    ):
        read_table_rows(file)


# Groups


def test_every_prompt_has_the_figures_of_its_own_range():
    scale, groups, gold, raw = essays()
    found = figures(scale, {SINGLE: 1}, gold, raw, groups, seed=0)
    assert [(one.group, one.low, one.high, one.n) for one in found.groups] == [
        (name, low, high, 40) for name, (low, high) in ASAP.items()
    ]
    predicted = scale.from_unit(raw, groups)
    kappas = []
    for one, rows in zip(found.groups, rows_of(groups).values(), strict=True):
        right, given = gold[rows, 0], predicted[rows, 0]
        assert one.metrics["mae"].value == pytest.approx(np.abs(right - given).mean())
        assert one.metrics["pearson"].value == pytest.approx(stats.pearsonr(right, given)[0])
        labels = range(int(one.low), int(one.high) + 1)
        kappa = cohen_kappa_score(
            right.astype(int), np.rint(given).astype(int), labels=labels, weights="quadratic"
        )
        assert one.metrics["qwk"].value == pytest.approx(kappa)
        kappas.append(kappa)
        assert one.gain.low > 0
    assert found.metrics["qwk"].value == pytest.approx(np.mean(kappas))
    assert found.metrics["qwk"].low < np.mean(kappas) < found.metrics["qwk"].high
    # Errors over all prompts are shares of each range: the widest would decide alone otherwise.
    assert found.metrics["mae"].value == pytest.approx(np.abs(scale.to_unit(gold, groups) - raw).mean())
    plain = values(scale, {SINGLE: 1}, gold, raw, groups)
    assert plain == {name: pytest.approx(one.value) for name, one in found.metrics.items()}


def test_knowing_the_prompt_alone_gains_nothing():
    scale, groups, gold, _ = essays()
    unit = scale.to_unit(gold, groups)
    means = unit.copy()
    for rows in rows_of(groups).values():
        means[rows] = unit[rows].mean()
    found = figures(scale, {SINGLE: 1}, gold, means, groups, seed=0)
    assert found.gains[SINGLE].over == "the mean of each prompt"
    assert found.gains[SINGLE].value == pytest.approx(0, abs=1e-12)
    assert not _gates(found)["gain"].holds
    assert found.metrics["pearson"].value is None
    assert "in 1: pearson does not exist where the prediction is constant" in found.metrics["pearson"].reason
    worse = figures(scale, {SINGLE: 1}, gold, np.full_like(unit, 0.5), groups, seed=0)
    assert _gates(worse)["gain"].reason_code == "baseline_not_beaten"


def test_gain_over_one_group_is_the_gain_over_the_mean():
    rng = np.random.default_rng(0)
    gold = np.rint(rng.uniform(1, 6, (50, 1)))
    raw = np.clip((gold - 1) / 5 + rng.normal(0, 0.1, gold.shape), 0, 1)
    alone = Scale.of(GroupRanges("prompt", {"a": ScoreRange(1, 6)}))
    grouped = figures(alone, {}, gold, raw, ["a"] * 50, seed=3).gains[SINGLE]
    plain = figures(Scale.of(ScoreRange(1, 6)), {}, gold, raw, [None] * 50, seed=3).gains[SINGLE]
    for end in ("value", "low", "high", "mean_rmse"):
        assert getattr(grouped, end) * 5 == pytest.approx(getattr(plain, end))


def test_a_mean_over_groups_counts_each_group_once_and_covers():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(60):
        groups = {}
        for name, n in (("small", 20), ("large", 80)):
            gold = rng.normal(size=n)
            groups[name] = (gold, 0.6 * gold + 0.8 * rng.normal(size=n), None)
        found = mean_over_groups("pearson", groups, seed)
        each = [stats.pearsonr(gold, given)[0] for gold, given, _ in groups.values()]
        assert found.value == pytest.approx(np.mean(each))
        covered += found.low <= 0.6 <= found.high
    assert covered / 60 > 0.85
    with pytest.raises(ValueError, match="found no groups"):
        mean_over_groups("mae", {}, 0)
    one = mean_over_groups("mae", {"a": ([1, 2], [1, 2], None), "b": ([1], [1], None)}, 0)
    assert (one.value, one.has_interval) == (0.0, False)
    assert "one sample" in one.reason


def test_the_summary_has_a_row_for_each_group():
    scale, groups, gold, raw = essays()
    found = figures(scale, {SINGLE: 1}, gold, raw, groups, seed=0)
    record = SimpleNamespace(body=RegressionBody(task="t", groups=found.groups))
    rows = _with_groups(
        [("case", "verdict", "n", "mae", "gain over the trivial"), ("t", "pass", "320", "x", "y")], [record]
    )
    assert len(rows) == 10
    assert rows[2][:3] == ("  1: 2 to 12", "-", "40")
    assert rows[2][3] == found.groups[0].metrics["mae"].text()
    assert {len(one) for one in rows} == {5}


# Targets


def test_each_target_has_a_column_and_a_gate_of_its_own_and_the_weakest_is_the_score():
    rng = np.random.default_rng(0)
    gold = np.stack([np.rint(rng.uniform(1, 6, 80)), rng.uniform(0, 100, 80)], axis=1)
    scale = Scale.of(TWO)
    raw = scale.to_unit(gold, [None] * 80)
    raw[:, 0] = np.clip(raw[:, 0] + rng.normal(0, 0.1, 80), 0, 1)
    raw[:, 1] = rng.uniform(0, 1, 80)  # guessed
    found = figures(scale, {"content": 1, "style": None}, gold, raw, [None] * 80, seed=0)
    assert list(found.metrics) == [
        "content_pearson", "content_spearman", "content_mae", "content_rmse", "content_qwk",
        "style_pearson", "style_spearman", "style_mae", "style_rmse",
    ]  # fmt: skip
    predicted = scale.from_unit(raw, [None] * 80)
    for place, name in enumerate(TWO):
        assert found.metrics[f"{name}_pearson"].value == pytest.approx(
            stats.pearsonr(gold[:, place], raw[:, place])[0]
        )
        assert found.metrics[f"{name}_mae"].value == pytest.approx(np.abs(gold - predicted)[:, place].mean())
        assert found.metrics[f"{name}_mae"].metric == f"{name}_mae"
    assert found.weakest == "style"
    gates = _gates(found)
    assert {name: gate.reason_code for name, gate in gates.items()} == {
        "gain": "baseline_not_beaten", "gain of content": "passed",
    }  # fmt: skip
    assert gates["gain"].reason.startswith("style_rmse")


# A Trainer of one's own


def predicted(predictions, labels):
    return SimpleNamespace(predictions=predictions, label_ids=labels)


RAW = np.array([1.0, 2, 3, 6, 5, 2])
NEAR = RAW + 0.5 * np.array([1, -1, 1, -1, 1, -1])


def test_labels_on_their_range_give_the_error_of_that_range_once_it_is_declared():
    found = compute_metrics(ScoreRange(1, 6), 1, given="scores")(predicted(NEAR[:, None], RAW))
    assert found["mae"] == pytest.approx(0.5)
    assert found["pearson"] == pytest.approx(stats.pearsonr(RAW, NEAR)[0])
    unit = ScoreRange(1, 6)
    assert compute_metrics(unit, 1)(predicted(unit.to_unit(NEAR), unit.to_unit(RAW))) == pytest.approx(found)


@pytest.mark.parametrize("scores", [(), (ScoreRange(1, 6),)])
def test_labels_outside_of_what_was_declared_are_refused(scores):
    with pytest.raises(
        ValueError, match=r"found the label 2 in row 1, expected one from 0 to 1; .*given='scores'"
    ):
        compute_metrics(*scores)(predicted(NEAR, RAW))
    with pytest.raises(
        ValueError, match=r"found the label 0\.5 in row 0, expected one from 1 to 6; declare the range"
    ):
        compute_metrics(ScoreRange(1, 6), given="scores")(predicted([0.5, 0.6], [0.5, 1]))
    with pytest.raises(ValueError, match="found given='raw', expected unit or scores"):
        compute_metrics(given="raw")


def test_two_targets_are_never_pooled():
    gold = np.stack([RAW, 7 - RAW], axis=1)
    given = np.stack([NEAR, 7 - RAW], axis=1)
    by_name = compute_metrics(ScoreRange(1, 6), given="scores", targets=("content", "style"))(
        predicted(given, gold)
    )
    assert by_name["content_pearson"] == pytest.approx(stats.pearsonr(RAW, NEAR)[0])
    assert (by_name["style_pearson"], by_name["style_mae"], by_name["content_mae"]) == (
        pytest.approx(1), pytest.approx(0), pytest.approx(0.5),
    )  # fmt: skip
    assert by_name["rmse"] == pytest.approx(np.sqrt(np.mean(((gold - given) / 5) ** 2)))
    numbered = compute_metrics(ScoreRange(1, 6), given="scores")(predicted(given, gold))
    assert numbered["target_0_mae"] == pytest.approx(0.5)
    assert "pearson" not in numbered
    mixed = compute_metrics({"a": ScoreRange(1, 6), "b": ScoreRange(0, 10)}, given="scores")(
        predicted(given, gold)
    )
    assert mixed["b_mae"] == pytest.approx(0)


def test_groups_of_a_trainer_of_ones_own_have_their_ranges():
    scale, groups, gold, raw = essays()
    found = compute_metrics(PROMPTS, 1, groups=groups)(predicted(raw, scale.to_unit(gold, groups)))
    assert found == pytest.approx(values(scale, {SINGLE: 1}, gold, raw, groups))
    with pytest.raises(ValueError, match="found no groups for 320 rows, expected the prompt of each row"):
        compute_metrics(PROMPTS)(predicted(raw, raw))


@pytest.mark.parametrize(
    ("predictions", "labels", "message"),
    [
        ((RAW, RAW), RAW, r"found predictions that are nested \(2 arrays\).*preprocess_logits_for_metrics"),
        ({"logits": RAW}, RAW, r"found predictions that are nested \(logits\)"),
        ([RAW[:4], RAW[4:]], RAW, r"found predictions as a list of 2 batches.*eval_do_concat_batches=True"),
        (RAW, (RAW, RAW), "found labels that are nested"),
        (RAW, None, "found no labels, expected an array; set label_names"),
        (RAW[:3], RAW, r"found predictions of shape \(3, 1\) and labels of shape \(6, 1\)"),
        (np.zeros((6, 2, 3)), RAW, r"found predictions of shape \(6, 2, 3\)"),
        ([0.5, 0.5], [0.1, "high"], r"found 'high' in row 1 of the labels, expected a number"),
        ([0.5, 0.5], [None, 0.5], r"found None in row 0 of the labels"),
        ([0.5, 0.5], ["0.1", "0.2"], r"found '0.1' in row 0 of the labels"),
    ],
)
def test_what_is_no_array_of_rows_says_what_to_do(predictions, labels, message):
    with pytest.raises(ValueError, match=message):
        compute_metrics(ScoreRange(1, 6), given="scores")(predicted(predictions, labels))
