"""Any `nn.Module` trains, resumes, is fine-tuned and judged; what `forward` may return, and what a checkpoint must fit."""

from __future__ import annotations

import argparse
import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from comparing import comparable

from bench.core.errors import TuningProblem, UsageProblem
from bench.core.evaluation import RunContext
from bench.core.tables import read_table
from bench.machine.torchvision_shim import ensure_torchvision
from bench.regression.case import RegressionCase
from bench.regression.dataset import ScoredText, ScoredTexts
from bench.regression.evaluation import RegressionEvaluation, RegressionResources
from bench.regression.options import RegressionOptions, resolve
from bench.regression.registry import DATASETS, register_dataset, register_model, register_task
from bench.regression.scale import GroupRanges, ScoreRange
from bench.regression.task import RegressionTask, TrainingSettings
from bench.report.export import write_table
from bench.run.user_code import import_user_dir

ensure_torchvision()

import torch  # noqa: E402
from torch import nn  # noqa: E402

TINY_ENCODER = Path(__file__).resolve().parents[2] / "fixtures/zoo/tiny-encoder"
STEPS = 4  # of an epoch: 64 notes in batches of 16


class Bag(nn.Module):
    """A mean of embeddings and a line; the line's weights have a second name, as tied weights do."""

    def __init__(self, size: int, width: int, outputs: int = 1, form: str = "dictionary") -> None:
        super().__init__()
        self.words = nn.Embedding(size, width, padding_idx=0)
        self.line = nn.Linear(width, outputs)
        self.other_name = self.line
        self.form = form
        self.outputs = outputs

    def forward(self, input_ids, attention_mask, labels=None, extra_ids=None, **others):
        assert not others, others
        mask = attention_mask[:, :, None].to(self.words.weight.dtype)
        found = self.line((self.words(input_ids) * mask).sum(dim=1) / mask.sum(dim=1)).sigmoid()
        logits = found.squeeze(-1) if self.outputs == 1 else found
        loss = None if labels is None else ((logits - labels) ** 2).mean()
        return {
            "dictionary": {"loss": loss, "logits": logits, "hidden": (logits, logits)},
            "tuple": (loss, logits),
            "object": SimpleNamespace(loss=loss, logits=logits),
            "bare": logits,
            "nested": {"loss": loss, "logits": (logits, logits)},
            "wide": {"loss": loss, "logits": logits[:, None, None]},
        }[self.form]


@dataclass(frozen=True)
class BagBuilder:
    """Builds it; `half` stores it in half precision."""

    form: str = "dictionary"
    half: bool = False

    origin = "scratch"

    def tokenizer(self):
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(TINY_ENCODER)

    def build(self, vocabularies, scores):
        if self.form == "nothing":
            return None
        outputs = len(scores) if isinstance(scores, dict) else 1
        model = Bag(len(self.tokenizer()), 8, outputs, self.form)
        return model.half() if self.half else model


WORDS = ("soup", "film", "trees", "park", "choir")


class Graded(ScoredTexts):
    """Two scores for each text, on a range that depends on the prompt; fields with names that modules have."""

    label = "made up"
    fields = ("type", "keys", "a.b")

    def rows(self, split):
        rng = np.random.default_rng(len(split))
        for number in range(32 if split == "train" else 20):
            prompt, good = ("long", "short")[number % 2], int(rng.integers(0, 6))
            words = ["trees"] * good + ["soup"] * (5 - good)
            most = 60 if prompt == "long" else 10
            fields = {"prompt": prompt, "type": "x", "keys": str(number % 3), "a.b": "z"}
            yield ScoredText(
                f"{split}-{number}", " ".join(words), {"content": good * most / 5, "style": 5 - good}, fields
            )


TASKS = {
    "bag": RegressionTask(
        "notes", "bag", ScoreRange(1, 6), label_step=1,
        training=TrainingSettings(num_train_epochs=2, learning_rate=0.05),
    ),
}  # fmt: skip
TASKS["bag-graded"] = replace(
    TASKS["bag"], dataset="graded", label_step=None,
    scores={
        "content": GroupRanges("prompt", {"long": ScoreRange(0, 60), "short": ScoreRange(0, 10)}),
        "style": ScoreRange(0, 5),
    },
)  # fmt: skip
TASKS["bag-encoder"] = replace(
    TASKS["bag-graded"], model="encoder", model_args={"encoder": str(TINY_ENCODER)},
    training=TrainingSettings(num_train_epochs=1, learning_rate=1e-3),
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def registered():
    """The tasks of this file, on one thread; the notes are those of the user's folder."""
    import_user_dir(Path(__file__).with_name("regression_user_dir"))
    if "graded" not in DATASETS:
        register_dataset("graded")(Graded)
        register_model("bag")(BagBuilder)
        for name, task in TASKS.items():
            register_task(name)(lambda task=task: task)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def evaluation(
    directory: Path, task: str = "bag", predictions: Path | None = None, **options
) -> RegressionEvaluation:
    context = RunContext(directory, directory)
    resources = RegressionResources(RegressionOptions(**options), ("csv",))
    return RegressionEvaluation(RegressionCase(task, task, predictions=predictions), context, resources)


def done(directory: Path, **given) -> RegressionEvaluation:
    found = evaluation(directory, **given)
    found.outcome = found.run()
    found.resources.close()
    return found


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The bag, trained for two epochs and kept."""
    return done(tmp_path_factory.mktemp("bag"), save_model=True)


@pytest.fixture
def checkpoint(first) -> Path:
    return first.context.directory / f"results/bag/checkpoint-{2 * STEPS}"


# How it starts


def test_a_plain_module_is_kept_with_tied_weights_and_a_note_of_its_rows(first, checkpoint):
    from safetensors.torch import load_file

    assert {"line.weight", "other_name.weight", "words.weight"} <= load_file(
        checkpoint / "model.safetensors"
    ).keys()
    note = json.loads((checkpoint / "modelgate.json").read_text())
    assert note["rows"] == first._rows.hashes()
    assert (note["scores"], note["vocabularies"]) == ([1, 6], {"house": {"blue": 1, "red": 2}})


def test_a_plain_module_resumes_where_an_uninterrupted_training_is(tmp_path):
    steady = {"lr_scheduler_type": "constant", "warmup_steps": "0"}
    whole = done(tmp_path / "whole", training_args={**steady, "num_train_epochs": "3"})
    done(tmp_path / "part", training_args={**steady, "num_train_epochs": "2"}, save_model=True)
    rest = done(
        tmp_path / "rest",
        training_args={**steady, "num_train_epochs": "3"},
        resume=tmp_path / f"part/results/bag/checkpoint-{2 * STEPS}",
    )
    assert rest.record.body.training.first_step == 2 * STEPS
    assert rest.record.metrics == whole.record.metrics


def test_a_plain_module_is_fine_tuned_from_a_folder_and_from_a_file(first, checkpoint, tmp_path):
    file = tmp_path / "old.pt"
    state = {f"module.{name}": value for name, value in first._fit._model.state_dict().items()}
    torch.save(
        {"model": state, "args": argparse.Namespace(lr=[0.1]), "best": np.float64(1), "optimizer": None}, file
    )
    bare = tmp_path / "bare.pth"
    torch.save(first._fit._model.state_dict(), bare)
    found = [done(tmp_path / f"from-{path.stem}", finetune_from=path) for path in (checkpoint, file, bare)]
    for one in found:
        assert one.record.metrics == found[0].record.metrics
        assert (one.record.body.training.missing, one.record.body.training.unused) == (0, 0)
        assert one._fit._trainer.losses[0] < first._fit._trainer.losses[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model": {"layer.0": torch.zeros(1)}}, r"found weights layer\.0, expected some of line"),
        ({"step": 3}, r"found \['step'\], expected tensors by name, alone or under `model` or `state_dict`"),
        ([1], "found list, expected tensors by name"),
        (
            {"model": SimpleNamespace()},
            r"found what cannot be read as weights .*torch\.save\(model\.state_dict",
        ),
        (b"not a file of torch", "found what cannot be read as weights"),
    ],
)
def test_a_file_without_weights_says_what_it_has(tmp_path, content, message):
    file = tmp_path / "old.pt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(TuningProblem, match=message) as raised:
        evaluation(tmp_path / "run", finetune_from=file).train()
    assert raised.value.reason_code == "model_failed"


# The rows of a checkpoint


class Changed(ScoredTexts):
    """The notes, with another score of one row of a split."""

    changed = "train"

    def rows(self, split):
        rows = list(NOTES().rows(split))
        if split == self.changed:
            rows[0] = replace(rows[0], score=7 - rows[0].score)
        return rows


NOTES = None


@pytest.fixture
def other_rows(monkeypatch, registered):
    global NOTES  # noqa: PLW0603  the class that the registry gives while the test has another one there
    NOTES = DATASETS["notes"]
    monkeypatch.setattr(Changed, "fields", NOTES.fields)

    def change(split):
        monkeypatch.setattr(Changed, "changed", split)
        monkeypatch.setitem(DATASETS._things, "notes", Changed)

    return change


def test_resuming_with_other_training_rows_is_refused_unless_it_is_asked_for(
    checkpoint, tmp_path, other_rows
):
    other_rows("train")
    more = {"training_args": {"num_train_epochs": "3"}}
    with pytest.raises(
        TuningProblem, match=r"trained on train rows with the hash .*--resume-anyway"
    ) as raised:
        evaluation(tmp_path / "refused", resume=checkpoint, **more).train()
    assert raised.value.reason_code == "data_failed"
    resumed = evaluation(tmp_path / "anyway", resume=checkpoint, resume_anyway=True, **more)
    assert resumed.train().first_step == 2 * STEPS
    assert any(text.startswith("--resume-anyway") for text in resumed.record.warnings)


def test_resuming_with_other_evaluation_rows_is_said(checkpoint, tmp_path, other_rows):
    other_rows("evaluation")
    resumed = evaluation(tmp_path, resume=checkpoint, training_args={"num_train_epochs": "3"})
    resumed.train()
    assert any(
        "the evaluation rows are not those of the checkpoint" in text for text in resumed.record.warnings
    )


def test_resuming_a_checkpoint_that_does_not_name_its_rows_is_refused(checkpoint, tmp_path):
    import shutil

    copy = Path(shutil.copytree(checkpoint, tmp_path / checkpoint.name))
    (copy / "modelgate.json").unlink()
    with pytest.raises(
        TuningProblem, match=r"found no modelgate\.json that says which rows it was trained on"
    ):
        evaluation(tmp_path / "run", resume=copy).train()
    (copy / "modelgate.json").write_text(json.dumps({"scores": [0, 1]}))
    with pytest.raises(TuningProblem, match=r"found scores=.* there, expected"):
        evaluation(tmp_path / "run", resume=copy).train()


# Judging without training


def test_a_checkpoint_is_judged_as_it_is(first, checkpoint, tmp_path):
    file = tmp_path / "weights.pt"
    torch.save(first._fit._model.state_dict(), file)
    for path in (checkpoint, file):
        judged = done(tmp_path / f"from-{path.stem}", checkpoint=path)
        assert judged.record.metrics == first.record.metrics
        training = judged.record.body.training
        assert (training.started_from, training.steps, training.seconds) == (f"checkpoint {path}", None, None)
    assert list(done(tmp_path / "rows", checkpoint=checkpoint).record.data.rows) == ["evaluation"]


def test_a_checkpoint_that_lacks_weights_is_not_judged(first, tmp_path):
    state = first._fit._model.state_dict()
    torch.save(
        {name: value for name, value in state.items() if not name.startswith("line")}, tmp_path / "part.pt"
    )
    with pytest.raises(
        TuningProblem, match=r"found no weights for line\.bias, line\.weight \(2 missing\), expected all"
    ):
        evaluation(tmp_path / "run", checkpoint=tmp_path / "part.pt").train()


@pytest.mark.parametrize("form", ["csv", "csv-bom", "xlsx", "parquet"])
def test_predictions_of_a_table_get_the_figures_of_the_model_that_made_them(first, tmp_path, form):
    samples = read_table(first.context.directory / first.record.files["csv"])
    keys = [*reversed(samples["key"]), "train-1"]
    numbers = [*map(float, reversed(samples["prediction"])), 3.0]
    (table,) = write_table(
        tmp_path / "mine", {"key": keys, "prediction": numbers, "note": ["="] * 41}, (form,)
    )
    judged = done(tmp_path / "run", predictions=table)
    for name, metric in first.record.metrics.items():
        assert judged.record.metrics[name].value == pytest.approx(metric.value, abs=1e-12)
    assert judged.outcome.gain.verdict == first.outcome.gain.verdict
    assert (judged.record.body.predictions, judged.record.body.training) == (table.name, None)
    assert f"predictions of {table.name} for no evaluated row: 1 (first: train-1)" in judged.record.warnings


def test_a_result_is_not_reused_for_another_table(tmp_path):
    from bench.regression.kind import KIND
    from bench.run.resume import case_fingerprint

    found = []
    for number in (3, 4):
        file = tmp_path / f"{number}" / "mine.csv"
        file.parent.mkdir()
        file.write_text(f"key,prediction\na,{number}\n")
        found.append(case_fingerprint(KIND, RegressionCase("bag", "bag", predictions=file)))
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (lambda t: t["key"].__setitem__(0, "evaluation-1"), "predictions_missing", "found the key 'evaluation-1' twice"),
        (lambda t: t["key"].__setitem__(0, "x"), "predictions_missing", r"found no prediction for 1 of 40 rows"),
        (lambda t: t.pop("prediction"), "predictions_missing", "found the columns key, expected key, prediction"),
        (lambda t: t["prediction"].__setitem__(2, None), "inference_failed", "found the prediction None for evaluation-2"),
        (lambda t: t["prediction"].__setitem__(2, math.nan), "inference_failed", "for evaluation-2, expected a finite"),
        (
            lambda t: t.update(prediction=[0.5] * 40), "inference_failed",
            r"found every prediction outside the range, such as 0\.5 for evaluation-0 of 1 to 6, expected the real range",
        ),
    ],
)  # fmt: skip
def test_predictions_that_do_not_fit_the_rows_are_refused(tmp_path, change, code, message):
    table = {"key": [f"evaluation-{number}" for number in range(40)], "prediction": [3.0] * 40}
    change(table)
    (file,) = write_table(tmp_path / "mine", table, ("parquet",))
    judged = evaluation(tmp_path / "run", predictions=file)
    verdict = judged.verdict()
    assert (verdict.verdict, verdict.reason_code) == ("error", code)
    assert re.search(message, verdict.reason), verdict.reason


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"finetune_from": "model.pt", "checkpoint": "model.pt"},
            "--finetune-from and --checkpoint: found both",
        ),
        ({"resume": "model.pt"}, "--resume .*model.pt: found a file, expected the folder .*--finetune-from"),
        (
            {"finetune_from": "notes.txt"},
            "found a file, expected a folder with a saved model, or a file that ends in .*pt",
        ),
        ({"checkpoint": "nowhere.pt"}, "nowhere.pt: no such folder or file"),
        ({"resume_anyway": True}, "--resume-anyway: found no --resume"),
        (
            {"checkpoint": "model.pt", "training_args": {"learning_rate": "1"}},
            "--checkpoint and --training-args: found both",
        ),
        ({"checkpoint": "model.pt", "save_model": True}, "--checkpoint and --save-model: found both"),
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path, given, message):
    for name in ("model.pt", "notes.txt"):
        (tmp_path / name).write_text("")
    given = {name: tmp_path / value if isinstance(value, str) else value for name, value in given.items()}
    with pytest.raises(UsageProblem, match=message):
        resolve(RegressionOptions(**given), SimpleNamespace())
    fitting = {"checkpoint": tmp_path / "model.pt", "training_args": {"max_length": "64"}}
    assert resolve(RegressionOptions(**fitting), SimpleNamespace())
    table = SimpleNamespace(run=SimpleNamespace(predictions=Path("table.csv")))
    with pytest.raises(UsageProblem, match="--predictions and --model-args: found both"):
        resolve(RegressionOptions(model_args={"a": "1"}), table)


# What forward returns


def test_a_model_may_return_its_loss_and_predictions_in_any_usual_form(first, tmp_path):
    for form in ("tuple", "object"):
        assert done(tmp_path / form, model_args={"form": form}).record.metrics == first.record.metrics


@pytest.mark.parametrize(
    ("form", "code", "message"),
    [
        (
            "bare",
            "training_failed",
            r"found no loss in what forward returned \(a tensor of shape \(16,\)\), expected `loss` and",
        ),
        ("nested", "inference_failed", r"found logits that are nested \(a tuple of 2\), expected one tensor"),
        ("wide", "inference_failed", r"found logits of shapes \(40, 1, 1\), expected \(batch,\)"),
        (
            "nothing",
            "model_failed",
            "found NoneType as what build.. of bag returned, expected a torch.nn.Module",
        ),
    ],
)
def test_what_no_prediction_can_be_read_from_is_refused(tmp_path, form, code, message):
    found = evaluation(tmp_path, model_args={"form": form})
    verdict = found.verdict()
    assert verdict.reason_code == code, verdict.reason
    assert re.search(message, verdict.reason), verdict.reason


def test_weights_of_half_precision_are_trained_in_full_and_the_record_says_so(tmp_path):
    half = done(tmp_path, model_args={"half": "true"}, training_args={"num_train_epochs": "4"})
    training = half.record.body.training
    assert training.upcast == {"float16": training.parameters}
    assert all(map(math.isfinite, half._fit._trainer.losses))
    assert half._fit._trainer.losses[-1] < half._fit._trainer.losses[0]
    assert half.record.body.training.steps == 4 * STEPS


def test_several_targets_and_ranges_by_group_go_from_rows_to_tables(tmp_path):
    graded = done(tmp_path, task="bag-graded", training_args={"num_train_epochs": "6"})
    record = graded.record
    assert set(record.body.targets) == {"content", "style"}
    assert [(one.target, one.group, one.high) for one in record.body.groups] == [
        ("content", "long", 60), ("content", "short", 10), ("style", "long", 5), ("style", "short", 5),
    ]  # fmt: skip
    samples = read_table(tmp_path / record.files["csv"])
    assert {"group", "gold_content", "prediction_content", "error_style", "raw_style"} <= set(samples)
    for raw, prediction, group in zip(
        samples["raw_content"], samples["prediction_content"], samples["group"], strict=True
    ):
        assert float(prediction) == pytest.approx(float(raw) * {"long": 60, "short": 10}[group])
    groups = read_table(tmp_path / record.files["groups_csv"])
    assert groups["high"] == ["60", "10", "5.0", "5.0"] or list(map(float, groups["high"])) == [60, 10, 5, 5]
    assert float(groups["mae"][0]) == pytest.approx(record.body.groups[0].metrics["mae"].value)
    judged = done(tmp_path / "again", task="bag-graded", predictions=tmp_path / record.files["csv"])
    assert judged.record.score.value == pytest.approx(record.score.value)


def test_fields_may_have_the_names_of_a_modules_own_attributes(tmp_path):
    trained = done(tmp_path, task="bag-encoder", save_model=True)
    folder = tmp_path / "results/bag-encoder/checkpoint-2"
    assert json.loads((folder / "config.json").read_text())["vocabularies"]["keys"] == {
        "0": 1,
        "1": 2,
        "2": 3,
    }
    judged = done(tmp_path / "judged", task="bag-encoder", checkpoint=folder)
    assert comparable(judged.record.to_json())["metrics"] == comparable(trained.record.to_json())["metrics"]
    assert (
        done(tmp_path / "tuned", task="bag-encoder", finetune_from=folder).record.body.training.missing == 0
    )


# The best epoch, and any training argument


def test_the_best_epoch_of_the_validation_rows_is_kept(tmp_path):
    # The rate grows until the model forgets: the last epoch is not the best.
    settings = {
        "validation": "0.25",
        "num_train_epochs": "6",
        "learning_rate": "8",
        "lr_scheduler_type": "constant",
    }
    found = done(tmp_path, training_args=settings)
    chosen = found.record.body.training.validation
    assert (chosen.rows, chosen.metric, len(chosen.history)) == (16, "rmse", 6)
    assert chosen.best == min(chosen.history, key=lambda one: one.value)
    assert found.record.data.rows == {"train": 48, "evaluation": 40, "validation": 16}
    assert chosen.best != chosen.history[-1]
    validation = found._fit._trainer.evaluate()
    assert validation["eval_rmse"] == pytest.approx(chosen.best.value)
    assert list((tmp_path / "results/bag").glob("checkpoint-*")) == []


def test_training_ends_early_and_says_nothing_false(tmp_path, caplog):
    from transformers.utils import logging

    settings = {"validation": "0.25", "early_stopping": "2", "num_train_epochs": "30", "learning_rate": "20"}
    logging.enable_propagation()
    try:
        found = done(tmp_path, training_args=settings, save_model=True)
    finally:
        logging.disable_propagation()
    chosen = found.record.body.training.validation
    assert chosen.stopped_early
    assert len(chosen.history) < 30
    assert chosen.history[-3].value == chosen.best.value or chosen.best in chosen.history[:-2]
    assert "early stopping" not in caplog.text
    assert len(list((tmp_path / "results/bag").glob("checkpoint-*"))) <= 2


def test_any_training_argument_is_taken(first, tmp_path):
    halved = {"per_device_train_batch_size": "8", "gradient_accumulation_steps": "2"}
    accumulated = done(tmp_path / "accumulated", training_args=halved)
    # Two halves of a batch make the same step: the loss is a mean.
    for name, metric in first.record.metrics.items():
        assert accumulated.record.metrics[name].value == pytest.approx(metric.value, abs=1e-3)
    settings = accumulated.record.body.training.settings
    assert (settings["gradient_accumulation_steps"], settings["num_train_epochs"]) == ("2", 2.0)
    # Rows are judged by their order, whatever sorts or drops batches in training.
    sampled = {"train_sampling_strategy": "group_by_length", "dataloader_drop_last": "true"}
    sorted_rows = done(
        tmp_path / "sorted", training_args={**sampled, "num_train_epochs": "20", "max_length": "32"}
    )
    assert sorted_rows.record.metrics["pearson"].value > 0.8
    stopped = done(tmp_path / "stopped", training_args={"max_steps": "3", "eval_do_concat_batches": "false"})
    assert stopped.record.body.training.steps == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"gradient_acumulation_steps": "2"},
            "nearest: gradient_accumulation_steps.*any of TrainingArguments",
        ),
        (
            {"output_dir": "here"},
            "found the training setting output_dir, which the suite sets: results stand in",
        ),
        ({"early_stopping": "2"}, "found early_stopping=2 and no validation rows"),
        ({"eval_strategy": "epoch"}, r"found eval_strategy=.* and no validation rows.*set validation=0\.1"),
        ({"metric_for_best_model": "pearson"}, "found metric_for_best_model and no validation rows"),
        ({"load_best_model_at_end": "true"}, "found load_best_model_at_end and no validation rows"),
        ({"validation": "0.01"}, "found 1 validation rows of 64 training rows, expected at least 2"),
        ({"num_train_epochs": "0"}, "found num_train_epochs=0, expected more than 0; .*give --checkpoint"),
        ({"max_grad_norm": "much"}, "max_grad_norm=much: found 'much', expected a number"),
        ({"metric_for_best_model": "f1", "validation": "0.2"}, "found no eval_f1 among eval_pearson"),
    ],
)
def test_training_setting_that_cannot_be_meant_says_what_to_do(tmp_path, settings, message):
    with pytest.raises(TuningProblem, match=message):
        evaluation(tmp_path, training_args=settings).train()


def test_a_dataset_may_bring_validation_rows_of_its_own(tmp_path, monkeypatch):
    notes = DATASETS["notes"]

    class Own(notes):
        has_validation = True

        def rows(self, split):
            return super().rows("train" if split == "train" else "evaluation") if split != "validation" else [
                replace(row, key=f"v-{row.key}") for row in super().rows("evaluation")
            ]  # fmt: skip

    monkeypatch.setitem(DATASETS._things, "notes", Own)
    found = done(tmp_path)
    assert found.record.body.training.validation.rows == 40
    assert any(
        "training texts too: 40" in text for text in found.record.warnings
    )  # validation rows are seen, too
    with pytest.raises(
        TuningProblem, match=r"found validation=0\.2 and a dataset with validation rows of its own"
    ):
        evaluation(tmp_path, training_args={"validation": "0.2"}).train()


# How much a model reads


@pytest.mark.parametrize(
    ("kind", "positions", "readable"),
    [("bert", 32, 32), ("roberta", 34, 32), ("distilbert", 32, 32), ("electra", 32, 32), ("mpnet", 34, 32)],
)
def test_max_length_is_held_against_the_positions_of_the_model(tmp_path, kind, positions, readable):
    from transformers import AutoConfig, AutoModel

    from bench.regression.lengths import check_length, learnt_positions

    names = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    if kind == "distilbert":
        names = {"dim": 16, "hidden_dim": 16, "n_layers": 1, "n_heads": 2}
    padding = {"roberta": 1, "mpnet": 1}.get(kind, 0)
    config = AutoConfig.for_model(
        kind, vocab_size=50, max_position_embeddings=positions, pad_token_id=padding, **names
    )
    model = nn.ModuleDict({"inner": AutoModel.from_config(config)})
    assert learnt_positions(model)[0] == readable
    reads = torch.full((1, readable), 7)
    assert model["inner"](input_ids=reads).last_hidden_state.shape[1] == readable  # and one more would not do
    with pytest.raises((IndexError, RuntimeError)):
        model["inner"](input_ids=torch.full((1, readable + 1), 7))
    task = replace(TASKS["bag"], training=TrainingSettings(max_length=readable + 1))
    with pytest.raises(
        TuningProblem, match=f"found max_length=33, expected at most {readable}, which is all that .*position"
    ):
        check_length(task, SimpleNamespace(model_max_length=512), model, [])
    check_length(replace(task, training=TrainingSettings(max_length=readable)), SimpleNamespace(), model, [])


def test_positions_that_are_computed_are_only_warned_of():
    from bench.regression.lengths import check_length, learnt_positions

    model = nn.Linear(1, 1)
    model.config = SimpleNamespace(max_position_embeddings=64)
    warnings = []
    check_length(TASKS["bag"], SimpleNamespace(), model, warnings)
    assert learnt_positions(model) is None
    assert warnings == ["max_length=128 is beyond the 64 positions that the model's configuration names"]
