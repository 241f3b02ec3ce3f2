"""Training a regression model: how it starts, what is kept, what ends it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from comparing import comparable
from safetensors.torch import load_file, save_file
from shipped_code import SHIPPED, import_shipped

from bench.core.errors import TuningProblem
from bench.core.evaluation import RunContext
from bench.core.requirement import check_requirements, parse_requirement
from bench.machine.torchvision_shim import ensure_torchvision
from bench.regression.builder import EncoderBuilder
from bench.regression.case import RegressionCase
from bench.regression.evaluation import RegressionEvaluation, RegressionResources
from bench.regression.options import RegressionOptions
from bench.regression.scale import ScoreRange
from bench.run.user_code import import_user_dir

ensure_torchvision()

import torch  # noqa: E402

OPTIONS = RegressionOptions(training_args={"num_train_epochs": "2"})
TINY_ENCODER = SHIPPED.parent / "zoo/tiny-encoder"
STEPS = 4  # of an epoch: 64 notes in batches of 16
SCORES = ScoreRange(1, 6)


@pytest.fixture(scope="module", autouse=True)
def notes():
    """The tasks of tests/regression_user_dir, trained on one thread."""
    import_shipped()
    import_user_dir(Path(__file__).with_name("regression_user_dir"))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def evaluation(directory: Path, task: str = "notes", seed: int = 0, **options) -> RegressionEvaluation:
    context = RunContext(directory, directory, seed=seed)
    return RegressionEvaluation(
        RegressionCase(task, task), context, RegressionResources(replace(OPTIONS, **options), ("csv",))
    )


def json_of(evaluation: RegressionEvaluation) -> dict:
    return evaluation.record.to_json()


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> RegressionEvaluation:
    """A task trained for two epochs, its checkpoint kept."""
    done = evaluation(tmp_path_factory.mktemp("first"), save_model=True)
    done.trained = done.train()
    done.evaluate()
    return done


@pytest.fixture
def checkpoint(first) -> Path:
    return first.context.directory / "results/notes" / f"checkpoint-{2 * STEPS}"


# How it starts


def test_finetuning_starts_anew_from_weights_and_resuming_goes_on(first, checkpoint, tmp_path):
    assert first.record.body.training.started_from == "pretrained tiny-encoder"
    assert (first.trained.first_step, first.trained.steps) == (0, 2 * STEPS)

    finetuned = evaluation(tmp_path / "finetuned", finetune_from=checkpoint)
    trained = finetuned.train()
    assert (trained.first_step, trained.steps, trained.epochs) == (0, 2 * STEPS, 2.0)
    assert trained.learning_rates == first.trained.learning_rates
    assert finetuned._fit._trainer.losses[0] < first._fit._trainer.losses[0] / 2
    assert finetuned.record.body.training.started_from == f"finetuned-from {checkpoint}"
    assert finetuned.record.body.training.missing == finetuned.record.body.training.unused == 0

    resumed = evaluation(tmp_path / "resumed", resume=checkpoint, training_args={"num_train_epochs": "3"})
    trained = resumed.train()
    assert (trained.first_step, trained.steps, trained.epochs) == (2 * STEPS, 3 * STEPS, 3.0)
    # The last rate of the checkpoint's schedule, which had ended, then the rates of the longer one: no warm-up again.
    longer = [1.5e-3 * (3 * STEPS - step) / 10 for step in range(2 * STEPS + 1, 3 * STEPS)]
    assert trained.learning_rates == pytest.approx([0.0, *longer])
    assert resumed.record.body.training.started_from == f"resumed {checkpoint}"


def test_resumed_training_ends_where_an_uninterrupted_one_does(tmp_path):
    settings = {"lr_scheduler_type": "constant", "warmup_steps": "0"}
    whole = evaluation(tmp_path / "whole", training_args=settings | {"num_train_epochs": "3"})
    whole.train()
    whole.evaluate()
    part = evaluation(tmp_path / "part", training_args=settings | {"num_train_epochs": "2"}, save_model=True)
    part.train()
    rest = evaluation(
        tmp_path / "rest",
        training_args=settings | {"num_train_epochs": "3"},
        resume=tmp_path / f"part/results/notes/checkpoint-{2 * STEPS}",
    )
    rest.train()
    rest.evaluate()
    assert rest.record.metrics == whole.record.metrics
    assert rest.record.body.training.steps == whole.record.body.training.steps


def test_complete_checkpoint_is_not_trained_further_and_says_so(first, checkpoint, tmp_path):
    resumed = evaluation(tmp_path, resume=checkpoint)
    trained = resumed.train()
    resumed.evaluate()
    assert trained.learning_rates == []
    assert trained.steps == 2 * STEPS
    assert resumed.record.metrics == first.record.metrics
    assert any("no step was taken" in warning for warning in resumed.record.warnings)


def test_encoder_alone_can_be_finetuned_from_and_what_it_lacks_is_named(tmp_path):
    finetuned = evaluation(tmp_path, finetune_from=TINY_ENCODER, model_args={"pretrained": "false"})
    finetuned.train()
    training = json_of(finetuned)["training"]
    assert training["missing_keys"] == ["extra.house.weight", "head.bias", "head.weight"]
    assert all("predictions" in name for name in training["unused_keys"])
    finetuned.evaluate()
    assert any("3 weights are not there" in warning for warning in finetuned.record.warnings)


def test_categories_keep_what_was_learnt_of_them_whatever_their_place(first, checkpoint):
    from bench.regression.weights import finetune_from

    learnt = load_file(checkpoint / "model.safetensors")["extra.house.weight"]
    model = EncoderBuilder(str(TINY_ENCODER)).build({"house": {"blue": 1, "green": 2, "red": 3}}, SCORES)
    fresh = model.extra["house"].weight.detach().clone()
    finetune_from(model, checkpoint)
    found = model.extra["house"].weight
    assert json.loads((checkpoint / "config.json").read_text())["vocabularies"] == {
        "house": {"blue": 1, "red": 2}
    }
    for place, expected in enumerate((learnt[0], learnt[1], fresh[2], learnt[2])):
        assert torch.equal(found[place], expected)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            {"layers.0.weight": torch.zeros(2)},
            r"found weights layers.0.weight, expected some of encoder.*and \d+ more",
        ),
        ({"head.weight": torch.zeros(1, 7)}, r"found head.weight of shape \(1, 7\), expected \(1, 128\)"),
        (None, r"found notes.txt, expected model.safetensors"),
    ],
)
def test_checkpoint_whose_weights_do_not_fit_is_refused_by_name(tmp_path, weights, message):
    (tmp_path / "notes.txt").write_text("")
    if weights is not None:
        save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(TuningProblem, match=message) as raised:
        evaluation(tmp_path / "run", finetune_from=tmp_path).train()
    assert raised.value.reason_code == "model_failed"


def test_broken_weights_are_no_internal_error(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(TuningProblem, match="cannot be read"):
        evaluation(tmp_path / "run", finetune_from=tmp_path).train()


def test_resuming_needs_a_checkpoint_of_the_same_task(checkpoint, tmp_path):
    with pytest.raises(TuningProblem, match=r"found no trainer_state.json .*give --finetune-from"):
        evaluation(tmp_path, resume=TINY_ENCODER).train()
    with pytest.raises(TuningProblem, match=r"found vocabularies=.*'house'.*expected .*'sex'"):
        evaluation(tmp_path, task="diabetes-text", resume=checkpoint).train()


def test_weights_in_shards_are_read(first, checkpoint, tmp_path):
    from bench.regression.weights import read_weights

    model = EncoderBuilder(str(TINY_ENCODER)).build({}, SCORES)
    model.save_pretrained(tmp_path, max_shard_size="500KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    assert read_weights(tmp_path).keys() == model.state_dict().keys()


# What is kept


def test_checkpoint_is_a_model_that_gives_the_same_predictions(first, checkpoint):
    from transformers import AutoTokenizer

    from bench.regression.model import EncoderRegressor

    model = EncoderRegressor.from_pretrained(checkpoint).eval()
    assert (model.config.score_low, model.config.score_high) == (1, 6)
    fit = first._fit
    rows = first._rows.used["evaluation"]
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    batch = tokenizer([row.text for row in rows], padding=True, return_tensors="pt")
    houses = model.config.vocabularies["house"]
    extra = torch.tensor([[houses[row.fields["house"]]] for row in rows])
    with torch.inference_mode():
        found = model(**batch, extra_ids=extra).logits
    assert found.numpy() == pytest.approx(fit.predict()[:, 0], abs=1e-5)
    with pytest.raises(ValueError, match="found no extra_ids"):
        model(**batch)


def test_nothing_is_kept_or_printed_unless_asked_for(tmp_path, capfd):
    done = evaluation(tmp_path, training_args={"num_train_epochs": "1"})
    done.train()
    done.evaluate()
    assert [path.name for path in (tmp_path / "results/notes").iterdir()] == ["samples.csv"]
    assert done.record.files == {"csv": "results/notes/samples.csv"}
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_same_seed_gives_the_same_record_and_another_seed_another(first, tmp_path):
    again = evaluation(tmp_path / "again", save_model=True)
    again.train()
    again.evaluate()
    assert comparable(json_of(again)) == comparable(json_of(first))
    assert again.record.files.keys() == {f"checkpoint-{2 * STEPS}", "csv"}
    other = evaluation(tmp_path / "other", seed=1)
    other.train()
    other.evaluate()
    assert other.record.metrics != first.record.metrics


def test_requirement_of_the_command_line_is_a_gate_of_its_own(tmp_path):
    asked = [
        parse_requirement(text, ("regression",)) for text in ("regression:notes.rmse<=0.01", "pearson>=-1")
    ]
    case = RegressionCase("notes", "notes", metrics=("pearson", "rmse"))
    check_requirements(asked, [case])
    context = RunContext(tmp_path, tmp_path, requirements=tuple(asked))
    found = RegressionEvaluation(case, context, RegressionResources(OPTIONS, ("csv",)))
    outcome = found.run()
    assert {name: verdict.reason_code for name, verdict in outcome if name != "gain"} == {
        "required regression:notes.rmse<=0.01": "requirement_missed",
        "required pearson>=-1": "passed",
    }
    assert not outcome.holds
    assert found.record.verdict == "fail"


# What ends it


def test_loss_that_is_no_number_ends_training(tmp_path):
    with pytest.raises(TuningProblem, match="the loss became nan in step 1") as raised:
        evaluation(tmp_path, task="diverging").train()
    assert raised.value.reason_code == "training_failed"


def test_learning_rate_that_breaks_the_model_ends_training(tmp_path):
    with pytest.raises(TuningProblem) as raised:
        evaluation(tmp_path, training_args={"learning_rate": "1e38", "warmup_steps": "0"}).train()
    assert raised.value.reason_code == "training_failed"


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("not-a-number", "inference_failed", "found the prediction nan for evaluation-0"),
        ("unlabelled", "data_failed", "64 without a score"),
        ("half-points", "data_failed", "train-0 has the score"),
    ],
)
def test_fault_is_found_where_it_arises(tmp_path, name, code, message):
    found = evaluation(tmp_path, task=name)
    verdict = found.verdict()
    assert (verdict.verdict, verdict.reason_code) == ("error", code), verdict.reason
    assert message in verdict.reason
    assert found.record.reason_code == code


def test_texts_that_are_cut_are_warned_of(tmp_path):
    cut = evaluation(tmp_path, training_args={"max_length": "5", "num_train_epochs": "1"})
    cut.train()
    cut.evaluate()
    for split, count in (("train", 64), ("evaluation", 40)):
        assert any(
            warning == f"{split} texts that reach max_length=5 and are not read beyond: {count}"
            for warning in cut.record.warnings
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_length": "512"}, "max_length=512, expected at most 256"),
        (
            {"num_train_epoch": "1"},
            "no training setting is named 'num_train_epoch'; nearest: num_train_epochs",
        ),
        ({"learning_rate": "fast"}, "found 'fast', expected a number"),
        ({"lr_scheduler_type": "liner"}, "transformers refuses the training settings: .*liner"),
    ],
)
def test_training_setting_that_cannot_be_used_is_named(tmp_path, settings, message):
    with pytest.raises(TuningProblem, match=message) as raised:
        evaluation(tmp_path, training_args=settings).train()
    assert raised.value.reason_code == "task_invalid"


@pytest.mark.parametrize("method", ["encode", "collator"])
def test_dataset_whose_code_raises_is_blamed(tmp_path, monkeypatch, method):
    from bench.regression.registry import DATASETS

    monkeypatch.setattr(DATASETS["notes"], method, lambda *arguments: 1 / 0)
    with pytest.raises(
        TuningProblem, match=rf"{method}\(\) raised ZeroDivisionError: .* \(.*\.py, line \d+\)"
    ) as raised:
        evaluation(tmp_path).train()
    assert raised.value.reason_code == "data_failed"


def test_own_tokenization_and_collator_are_what_the_model_sees(tmp_path, monkeypatch):
    from bench.regression.registry import DATASETS

    notes, seen = DATASETS["notes"], []

    def encode(self, row, tokenizer, max_length):
        return dict(tokenizer(f"{row.fields['house']}: {row.text}"))

    def collator(self, tokenizer):
        def collate(rows):
            padded = tokenizer.pad(
                [{"input_ids": row["input_ids"]} for row in rows], padding="max_length", max_length=32
            )
            batch = {name: torch.tensor(value) for name, value in padded.items()}
            seen.append(batch["input_ids"].shape)
            batch["extra_ids"] = torch.tensor([row["extra_ids"] for row in rows])
            return {**batch, "labels": torch.tensor([row["labels"] for row in rows])}

        return collate

    monkeypatch.setattr(notes, "encode", encode)
    monkeypatch.setattr(notes, "collator", collator)
    done = evaluation(tmp_path, training_args={"num_train_epochs": "1"})
    done.train()
    assert seen == [(16, 32)] * STEPS
    assert done._fit._tokenizer.decode(done._fit._encoded[0]["input_ids"]).split(":")[0].split()[-1] in (
        "red",
        "blue",
    )


def test_gpu_that_was_leased_is_the_only_one_taken(tmp_path):
    from bench.regression.training import stay_on_gpu, training_arguments

    arguments = training_arguments({}, tmp_path, seed=0, use_cpu=True, save=False)
    stay_on_gpu(arguments, 1)
    assert arguments.device == torch.device("cuda", 1)
    assert arguments.n_gpu == 1


# Encoders and batches


@pytest.mark.parametrize("kind", ["distilbert", "roberta", "electra"])
@pytest.mark.parametrize("pretrained", [True, False])
def test_any_encoder_will_do(tmp_path, kind, pretrained):
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(TINY_ENCODER)
    names = {
        "distilbert": {"dim": 32, "hidden_dim": 64, "n_layers": 1, "n_heads": 2},
        "roberta": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2},
        "electra": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
                    "embedding_size": 16},
    }  # fmt: skip
    config = AutoConfig.for_model(kind, vocab_size=len(tokenizer), **names[kind])
    AutoModel.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    builder = EncoderBuilder(encoder=str(tmp_path), pretrained=pretrained, dropout=0.0)
    model = builder.build({"house": {"red": 1}}, SCORES).eval()
    batch = builder.tokenizer()(["one", "a longer text"], padding=True, return_tensors="pt")
    batch.pop("token_type_ids", None)
    red = model(**batch, extra_ids=torch.tensor([[1], [1]]), labels=torch.tensor([0.0, 1.0]))
    unknown = model(**batch, extra_ids=torch.tensor([[0], [0]]))
    assert red.logits.shape == (2,)
    assert ((red.logits > 0) & (red.logits < 1)).all()
    assert math.isclose(
        red.loss.item(), ((red.logits - torch.tensor([0.0, 1.0])) ** 2).mean().item(), rel_tol=1e-5
    )
    assert not torch.equal(red.logits, unknown.logits)
    weights = load_file(tmp_path / "model.safetensors")
    same = [
        torch.equal(weights[name], value)
        for name, value in model.encoder.state_dict().items()
        if name in weights
    ]
    assert all(same) == pretrained


def test_encoder_without_some_of_its_weights_is_refused(tmp_path):
    model = EncoderBuilder(str(TINY_ENCODER)).build({}, SCORES)
    state = {name: value for name, value in model.encoder.state_dict().items() if "layer.1" not in name}
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    for file in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / file).write_bytes((TINY_ENCODER / file).read_bytes())
    with pytest.raises(TuningProblem, match=r"found no weights in .*layer\.1.*pretrained=false"):
        evaluation(tmp_path / "run", model_args={"encoder": str(tmp_path)}).train()


def test_padding_does_not_change_predictions():
    model = EncoderBuilder(str(TINY_ENCODER)).build({}, SCORES).eval()
    tokenizer = EncoderBuilder(str(TINY_ENCODER)).tokenizer()
    short = tokenizer("trees park", return_tensors="pt")
    padded = tokenizer("trees park", padding="max_length", max_length=40, return_tensors="pt")
    with torch.inference_mode():
        assert model(**short).logits.item() == pytest.approx(model(**padded).logits.item(), abs=1e-5)


def test_batch_is_padded_to_its_longest_row_and_rows_stay_as_they_are():
    from bench.regression.collation import PaddingCollator

    rows = [
        {"input_ids": [1, 7, 2], "attention_mask": [1, 1, 1], "extra_ids": [1], "labels": 0.25},
        {"input_ids": [1, 2], "attention_mask": [1, 1], "extra_ids": [0], "labels": 1.0},
    ]
    before = json.dumps(rows)
    batch = PaddingCollator(EncoderBuilder(str(TINY_ENCODER)).tokenizer())(rows)
    assert json.dumps(rows) == before
    assert batch["input_ids"].tolist() == [[1, 7, 2], [1, 2, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch["extra_ids"].tolist() == [[1], [0]]
    assert batch["labels"].dtype == torch.float32
    assert batch["labels"].tolist() == [0.25, 1.0]
