"""Reranking inside a Trainer: both routes, every trap, and what is left for the suite to judge."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
from comparing import by_id, run_kind
from evaluated_files import regression_file
from suites import ROOT, own_environment

from bench.core.errors import TuningProblem, UsageProblem
from bench.machine.torchvision_shim import ensure_torchvision
from bench.reranking.measures import join, measure
from bench.reranking.queries import QuerySet

ensure_torchvision()

torch = pytest.importorskip("torch")

LETTERS = "abcdefghij"


def toy_set(count: int = 11) -> QuerySet:
    """Queries with 1 to 6 candidates of one letter each; a later letter is better, mostly."""
    rng = np.random.default_rng(0)
    candidates = [list(rng.permutation(list(LETTERS))[: 1 + place % 6]) for place in range(count)]
    relevances = [[float(text == (max(texts) if place % 3 else min(texts))) for text in texts]
                  for place, texts in enumerate(candidates)]  # fmt: skip
    return QuerySet(
        tuple(f"q{place}" for place in range(count)), ["which?"] * count, candidates, relevances, candidates
    )


class Letters:
    """A tokenizer by which a later letter is more equal tokens, so that batches are of different width."""

    pad_token_id = 0
    model_input_names = ("input_ids",)

    def __call__(self, queries, candidates, **_):
        return {"input_ids": [[number + 1] * (1 + number) for number in map(LETTERS.index, candidates)]}


class Slope(torch.nn.Module):
    """Scores a letter by its place times a slope; what is padding gets the best score of all."""

    def __init__(self, slope: float = 1.0, *, falls: bool = False) -> None:
        super().__init__()
        self._falls = falls
        self.slope = torch.nn.Parameter(torch.tensor(slope))

    def forward(self, input_ids, attention_mask, candidate_mask, labels=None, row_id=None):
        scores = (self.slope * input_ids[:, :, 0]).masked_fill(candidate_mask == 0, 1e9)
        inside = candidate_mask == 1
        loss = self.slope if self._falls else ((scores - labels) ** 2)[inside].mean()
        return {"loss": loss, "logits": scores}


@pytest.fixture
def parts():
    """Trainer, collator and the rest, imported once torch is there."""
    from bench.reranking import batches, compute, trainer

    return SimpleNamespace(
        RerankCollator=batches.RerankCollator,
        rerank_rows=batches.rerank_rows,
        LABEL_NAMES=compute.LABEL_NAMES,
        RerankMetrics=compute.RerankMetrics,
        RerankTrainer=trainer.RerankTrainer,
    )


@pytest.fixture
def make(parts, tmp_path):
    def make(*, model=None, arguments=None, queries=None, **more):
        from transformers import TrainingArguments

        queries = queries or toy_set()
        rows = parts.rerank_rows(queries, Letters())
        given = {
            "output_dir": str(tmp_path / "out"), "use_cpu": True, "per_device_eval_batch_size": 4, "report_to": [],
            "remove_unused_columns": False, "disable_tqdm": True, "label_names": ["labels"],
            "per_device_train_batch_size": 4, **(arguments or {}),
        }  # fmt: skip
        return parts.RerankTrainer(
            model=model or Slope(),
            args=TrainingArguments(**given),
            **{
                "data_collator": parts.RerankCollator(),
                "train_dataset": rows,
                "eval_dataset": rows[:4],
                "rerank_dataset": rows,
                "rerank_metrics": parts.RerankMetrics(queries),
                **more,
            },
        )

    return make


def expected() -> dict[str, float]:
    queries = toy_set()
    scores = [[LETTERS.index(text) for text in texts] for texts in queries.candidates]
    return measure(*join(queries, scores)).values()


def rows_of(table: dict) -> list[tuple]:
    return list(zip(*(list(column) for column in table.values()), strict=True))


# Both routes


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"per_device_eval_batch_size": 3},
        {"train_sampling_strategy": "group_by_length"},
        {"eval_accumulation_steps": 1},
        {"batch_eval_metrics": True},
        {"prediction_loss_only": True},
        {"include_for_metrics": ["inputs", "loss"]},
        {"eval_do_concat_batches": False},
    ],
    ids=str,
)
def test_the_second_pass_gives_the_metrics_of_the_whole_set_however_it_is_batched(make, arguments):
    trainer = make(arguments=arguments, processing_class=None)
    if "train_sampling_strategy" in arguments:
        trainer.processing_class = Letters()
    found = trainer.evaluate()
    wanted = expected()
    assert "eval_loss" in found
    assert {name: found[f"eval_rerank_{name}"] for name in wanted} == pytest.approx(wanted)
    assert all(type(value) in (int, float) for value in found.values())
    queries = toy_set()
    direct = measure(
        *join(queries, [[LETTERS.index(t) + 1.0 for t in texts] for texts in queries.candidates])
    )
    assert rows_of(trainer.rerank_metrics.measured.table()) == rows_of(direct.table())


def test_the_shared_dataloader_gives_the_same(make, parts):
    metrics = parts.RerankMetrics(toy_set())
    rows = parts.rerank_rows(toy_set(), Letters())
    trainer = make(
        arguments={"label_names": list(parts.LABEL_NAMES)},
        rerank_dataset=None,
        eval_dataset=rows,
        compute_metrics=metrics,
    )
    found = trainer.evaluate()
    assert {name: found[f"eval_{name}"] for name in expected()} == pytest.approx(expected())
    assert not any(name.startswith("eval_rerank") for name in found)
    unnamed = parts.RerankMetrics()
    trainer.compute_metrics = unnamed
    assert trainer.evaluate()["eval_mrr@10"] == pytest.approx(expected()["mrr@10"])


def test_everything_is_put_back_also_after_an_error(make):
    trainer = make(compute_metrics=lambda prediction: {"own": 1.0})
    before = {name: getattr(trainer, name) for name in ("data_collator", "compute_metrics", "label_names")}
    arguments = dict(vars(trainer.args))
    assert trainer.evaluate()["eval_own"] == 1.0
    trainer.rerank_metrics.queries = toy_set(12)  # a row is missing
    with pytest.raises(TuningProblem, match="first missing one is 'q11'"):
        trainer.evaluate()
    assert {name: getattr(trainer, name) for name in before} == before
    assert dict(vars(trainer.args)) == arguments
    assert not hasattr(trainer, "_eval_dataloaders")


def test_several_evaluation_sets_are_followed_by_one_reranking(make, parts):
    rows = parts.rerank_rows(toy_set(), Letters())
    trainer = make(eval_dataset={"seen": rows[:3], "unseen": rows[3:]})
    passes = []
    trainer.rerank_metrics, real = (
        lambda prediction: passes.append(1) or real(prediction),
        trainer.rerank_metrics,
    )
    trainer.rerank_metrics.__dict__.update(primary=real.primary)
    found = trainer.evaluate()
    assert {"eval_seen_loss", "eval_unseen_loss", "eval_rerank_mrr@10"} <= found.keys()
    assert len(passes) == 1
    assert not any("rerank" in name for name in trainer.evaluate(rows[:2]))  # a set of the caller's own


def test_workers_that_persist_do_not_bring_the_wrong_set_back(make):
    trainer = make(arguments={"dataloader_num_workers": 1, "dataloader_persistent_workers": True})
    for _ in range(2):
        found = trainer.evaluate()
        assert found["eval_rerank_queries_total"] == 11
        assert found["eval_rerank_mrr@10"] == pytest.approx(expected()["mrr@10"])


def test_without_an_evaluation_set_only_the_reranking_is_evaluated(make):
    found = make(eval_dataset=None).evaluate()
    assert "eval_loss" not in found
    assert found["eval_rerank_mrr@10"] == pytest.approx(expected()["mrr@10"])


# Training


def test_the_best_model_is_chosen_by_a_reranking_metric_and_loaded_at_the_end(make, tmp_path):
    from bench.evaluated.callback import RecordCallback, Watched

    steps = {
        "eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1, "max_steps": 4,
        "eval_on_start": True, "load_best_model_at_end": True, "metric_for_best_model": "eval_rerank_mrr@10",
        "learning_rate": 0.1, "lr_scheduler_type": "constant", "optim": "sgd",
    }  # fmt: skip
    trainer = make(model=Slope(0.25, falls=True), arguments=steps)
    watched = Watched(
        "eval_rerank", "reranking", model="slope", dataset="toy", metrics=trainer.rerank_metrics
    )
    trainer.add_callback(RecordCallback(tmp_path / "records", watched))
    trainer.train()
    history = json.loads((tmp_path / "records/slope-toy.json").read_text())["history"]
    values = {one["step"]: one["value"] for one in history}
    assert list(values) == [0, 1, 2, 3, 4]  # eval_on_start is there too
    assert (
        values[1] == values[2] > values[3] == values[4]
    )  # the slope fell below zero: the order turned round
    best = values[1]
    assert trainer.state.best_metric == pytest.approx(best)
    assert trainer.evaluate()["eval_rerank_mrr@10"] == pytest.approx(best)
    assert float(trainer.model.slope.detach()) == pytest.approx(0.15)


@pytest.mark.parametrize("asked", ["eval_rerank_mrr@10", "eval_loss"])
def test_early_stopping_sees_the_evaluation_that_has_its_metric_and_no_other(make, caplog, asked):
    from transformers import EarlyStoppingCallback
    from transformers.utils import logging as library_logging

    stopping = EarlyStoppingCallback(early_stopping_patience=2)
    trainer = make(
        # The reranking gets no better, and the loss of Slope(falls=True) falls with every step.
        model=Slope(falls=True),
        arguments={
            "max_steps": 6, "eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1,
            "load_best_model_at_end": True, "metric_for_best_model": asked, "learning_rate": 1e-4,
        },
        callbacks=[stopping],
    )  # fmt: skip
    library_logging.enable_propagation()
    try:
        trainer.train()
    finally:
        library_logging.disable_propagation()
    assert "early stopping is disabled" not in caplog.text
    assert trainer.state.global_step == (3 if asked == "eval_rerank_mrr@10" else 6)
    assert stopping in trainer.callback_handler.callbacks


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("eval_rerank_mrr@11", "eval_rerank_mrr@10"),
        ("rerank_ndgc@10", "eval_rerank_ndcg@10"),
        ("mrr@10", "eval_rerank_mrr@10"),
    ],
)
def test_a_metric_for_the_best_model_that_does_not_exist_is_refused_before_training(make, asked, nearest):
    with pytest.raises(UsageProblem, match=nearest):
        make(arguments={"metric_for_best_model": asked})


@pytest.mark.parametrize("asked", ["eval_rerank_map", "rerank_recall@5", "loss", "eval_rerank_loss"])
def test_a_metric_that_exists_is_accepted(make, asked):
    make(arguments={"metric_for_best_model": asked})


def test_a_metric_of_the_users_own_function_is_left_to_the_trainer(make):
    make(arguments={"metric_for_best_model": "own"}, compute_metrics=lambda prediction: {"own": 1.0})


# Bad input


def test_removing_columns_is_refused(make):
    with pytest.raises(UsageProblem, match="remove_unused_columns=True"):
        make(arguments={"remove_unused_columns": True})


def test_predictions_in_batches_or_nested_say_which_setting_to_change(parts):
    one = np.ones((2, 3))
    labels = (one, one, np.arange(2))
    for predictions, of_rows, message in (
        ([one, one], [labels, labels], r"lists of 2 batches.*eval_do_concat_batches=True"),
        ((one, one), labels, r"nested \(2 outputs\).*preprocess_logits_for_metrics"),
        ({"logits": one}, labels, r"nested \(1 outputs\)"),
    ):
        with pytest.raises(TuningProblem, match=message):
            parts.RerankMetrics()(SimpleNamespace(predictions=predictions, label_ids=of_rows))


def test_labels_that_are_none_are_an_error_and_not_silence(make, parts):
    class Forgetful(parts.RerankCollator):
        def __call__(self, rows):
            batch = super().__call__(rows)
            del batch["row_id"]
            return batch

    with pytest.raises(TuningProblem, match="skips metrics where a label is None"):
        make(rerank_collator=Forgetful()).evaluate()


def test_label_names_that_are_missing_are_named(make, parts):
    rows = parts.rerank_rows(toy_set(), Letters())
    trainer = make(rerank_dataset=None, eval_dataset=rows, compute_metrics=parts.RerankMetrics())
    with pytest.raises(TuningProblem, match="set label_names=LABEL_NAMES"):
        trainer.evaluate()


def test_scores_that_are_no_numbers_are_refused_with_their_query(make):
    with pytest.raises(ValueError, match="a score of nan in query 'q0'"):
        make(model=Slope(float("nan"))).evaluate()


def test_scores_of_another_shape_and_repeated_rows_are_refused(parts):
    metrics = parts.RerankMetrics()
    labels = (np.ones((2, 3)), np.ones((2, 3)), np.array([0, 1]))
    with pytest.raises(TuningProblem, match=r"\(queries, candidates\)"):
        metrics(SimpleNamespace(predictions=np.ones(6), label_ids=labels))
    with pytest.raises(TuningProblem, match="row_id 1 twice"):
        metrics(SimpleNamespace(predictions=np.ones((2, 3)), label_ids=(*labels[:2], np.array([1, 1]))))
    with pytest.raises(TuningProblem, match=r"nearest: mrr@5"):
        parts.RerankMetrics(primary="mrr@9")


def test_a_row_without_its_columns_says_why(parts):
    with pytest.raises(KeyError, match="remove_unused_columns=False"):
        parts.RerankCollator()([{"input_ids": [[1]]}])


# The cross-encoder


def test_a_cross_encoder_ignores_padding_and_its_losses_fall_where_the_order_is_right(parts):
    from transformers import BertConfig, BertForSequenceClassification

    from bench.reranking.cross_encoder import CrossEncoder
    from bench.reranking.losses import LOSSES

    config = BertConfig(
        vocab_size=12,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        num_labels=1,
    )
    encoder = BertForSequenceClassification(config).eval()
    queries = toy_set(4)
    batch = parts.RerankCollator()(parts.rerank_rows(queries, Letters()))
    scores = CrossEncoder(encoder)(**batch)["logits"]
    assert scores.shape == (4, 4)
    alone = parts.RerankCollator()(parts.rerank_rows(queries, Letters())[1:2])
    assert torch.allclose(CrossEncoder(encoder)(**alone)["logits"], scores[1:2, :2], atol=1e-6)

    mask, relevances = batch["candidate_mask"] == 1, batch["labels"]
    for name, loss in LOSSES.items():
        right, wrong = loss(4 * relevances, relevances, mask), loss(-4 * relevances, relevances, mask)
        assert right < wrong, name
        padded = torch.where(mask, 4 * relevances, torch.tensor(50.0))
        assert loss(padded, relevances, mask) == pytest.approx(float(right)), name
        nothing = loss(relevances, relevances, torch.zeros_like(mask))
        assert float(nothing) == 0, name
    with pytest.raises(TuningProblem, match="num_labels=1"):
        CrossEncoder(BertForSequenceClassification(BertConfig(**{**config.to_dict(), "num_labels": 3})))
    with pytest.raises(KeyError, match="nearest: pairwise"):
        CrossEncoder(encoder, loss="pairwize")


# What it is logged to


def test_tensorboard_is_given_the_reranking_metrics(make, tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "events"))
    trainer = make(arguments={"report_to": ["tensorboard"]})
    found = trainer.evaluate()
    for callback in trainer.callback_handler.callbacks:
        if hasattr(callback, "tb_writer"):
            callback.tb_writer.flush()
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    (event,) = events.Scalars("eval/rerank_mrr@10")
    assert event.value == pytest.approx(found["eval_rerank_mrr@10"])
    assert "eval/loss" in events.Tags()["scalars"]


# Whole scripts


def write_queries(directory: Path) -> tuple[Path, Path]:
    """Write queries to train on and to evaluate on, which the shipped model gets partly right."""
    rng = np.random.default_rng(1)
    words = [
        "socket",
        "queue",
        "parser",
        "thread",
        "buffer",
        "archive",
        "locale",
        "mailbox",
        "token",
        "signal",
    ]
    files = []
    for name, count in (("train", 8), ("held_out", 25)):
        lines = []
        for number in range(count):
            shown = list(rng.permutation(words)[: 3 + number % 7])
            asked = shown[0] if number % 5 else "thing"
            lines.append(
                {
                    "id": f"{name}-{number}",
                    "query": f"return the {asked} of this object",
                    "candidates": [
                        f"the {word} that it holds is given back to the caller" for word in sorted(shown)
                    ],
                    "relevances": [int(word in shown[: 1 + number % 2]) for word in sorted(shown)],
                    "documents": sorted(shown),
                }
            )
        files.append(directory / f"{name}.jsonl")
        files[-1].write_text("".join(json.dumps(line) + "\n" for line in lines))
    return files[0], files[1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The script of fixtures/training, evaluated by one process here, and trained and evaluated by two."""
    directory = tmp_path_factory.mktemp("trained")
    train, held_out = write_queries(directory)
    common = ["--train", str(train), "--evaluate", str(held_out), "--batch-size", "3"]
    script = str(ROOT / "fixtures/training/train_reranker.py")
    two = subprocess.run(
        [
            str(Path(sys.executable).with_name("torchrun")), "--standalone", "--nproc_per_node", "2", script, *common,
            # Training is real, but moves nothing: what is evaluated is the same.
            "--out", str(directory / "two"), "--steps", "2", "--learning-rate", "0",
        ],
        capture_output=True, text=True, check=False, timeout=300,
        env=own_environment({"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}),
    )  # fmt: skip
    assert two.returncode == 0, two.stdout + two.stderr

    sys.path.insert(0, str(ROOT / "fixtures/training"))
    import train_reranker

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_DIR", str(directory))
        patch.setenv("WANDB_SILENT", "true")
        patch.setenv("WANDB_DISABLE_CODE", "true")
        train_reranker.main([*common, "--out", str(directory / "one"), "--steps", "1", "--learning-rate", "0",
                             "--report-to", "wandb"])  # fmt: skip
        import wandb

        wandb.finish()
    sys.path.remove(str(ROOT / "fixtures/training"))
    return directory


def test_two_processes_give_the_table_of_one_row_for_row(trained):
    from pyarrow import parquet

    one, two = (
        parquet.read_table(trained / name / "evaluations/reranker-held_out.parquet").to_pydict()
        for name in ("one", "two")
    )
    for name in ("query", "document", "rank", "relevance", "tied", "data"):
        assert one[name] == two[name], name
    np.testing.assert_allclose(one["score"], two["score"], atol=1e-4)
    records = [
        json.loads((trained / name / "evaluations/reranker-held_out.json").read_text())
        for name in ("one", "two")
    ]
    for name in ("score", "metrics", "gain", "queries", "data"):
        assert {**records[0][name], "loss": 0} == {**records[1][name], "loss": 0} or name == "metrics"
    metrics = [{k: v for k, v in record["metrics"].items() if k != "loss"} for record in records]
    assert metrics[0] == metrics[1]
    assert records[0]["queries"]["total"] == 25
    assert 0 < records[0]["score"]["value"] < 1


def test_two_processes_leave_the_row_of_each_query_that_one_leaves(trained):
    one, two = (
        pandas.read_csv(trained / name / "metric.csv").drop(columns="step") for name in ("one", "two")
    )
    assert len(one) == 25
    pandas.testing.assert_frame_equal(one, two, rtol=0, atol=1e-12)


def test_wandb_is_given_the_reranking_metrics_without_a_network(trained):
    (run,) = (trained / "wandb").glob("offline-run-*/*.wandb")
    assert b"eval/rerank_mrr@10" in run.read_bytes()


def test_what_a_script_evaluated_is_judged_by_the_suite(trained, tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more/broken.json").write_text("{")
    (tmp_path / "more/reg-notes.json").write_text(json.dumps(regression_file()))
    finished = run_kind(
        "evaluated", tmp_path, "--junitxml", str(tmp_path / "junit.xml"), "--evaluated",
        str(trained / "two/evaluations"), str(tmp_path / "more"), "--require", "mrr@10>=0.99", "reg-notes:mae<=3", "mae<=1",
    )  # fmt: skip
    found = by_id(finished)
    assert {name: record["reason_code"] for name, record in found.items()} == {
        "evaluated-reranker-held_out": "requirement_missed",
        "evaluated-broken": "task_invalid",
        "evaluated-reg-notes": "requirement_missed",
    }, finished.output
    assert {record["kind"] for record in found.values()} == {"evaluated"}
    ranked = found["evaluated-reranker-held_out"]
    assert ranked["score"]["required"] == 0.99
    assert ranked["evaluated"]["step"] == 2
    assert "at most 1 required" in found["evaluated-reg-notes"]["reason"]
    assert any("no interval known of mae" in warning for warning in found["evaluated-reg-notes"]["warnings"])
    assert found["evaluated-reg-notes"]["score"]["required"] == 1
    assert "broken.json: this is not JSON" in found["evaluated-broken"]["reason"]
    assert "reranker" in finished.output
    assert 'name="required_score" value="0.99"' in (tmp_path / "junit.xml").read_text()


# Configurations for GPUs


@pytest.mark.parametrize("stage", [2, 3])
def test_deepspeed_configurations_are_filled_in_without_a_contradiction(stage, tmp_path):
    """By transformers' and accelerate's own readers; DeepSpeed itself is not installed and checks nothing here."""
    from accelerate.utils.deepspeed import HfDeepSpeedConfig
    from transformers import TrainingArguments
    from transformers.integrations import deepspeed

    file = ROOT / f"configs/deepspeed_zero{stage}.json"
    read = HfDeepSpeedConfig(str(file))
    assert (read.is_zero2(), read.is_zero3(), read.is_offload()) == (stage == 2, stage == 3, False)

    class WithoutDeepSpeed(deepspeed.HfTrainerDeepSpeedConfig, HfDeepSpeedConfig):
        """The Trainer's class without its constructor, which insists on the package."""

        def __init__(self, file):
            HfDeepSpeedConfig.__init__(self, file)
            self._dtype, self.mismatches = None, []

    config = WithoutDeepSpeed(str(file))
    arguments = TrainingArguments(
        output_dir=str(tmp_path), use_cpu=True, bf16=True, per_device_train_batch_size=3, max_grad_norm=0.5,
        gradient_accumulation_steps=2, report_to=[],
    )  # fmt: skip
    config.trainer_config_process(arguments)
    config.trainer_config_finalize(arguments, SimpleNamespace(config=SimpleNamespace(hidden_size=96)), 10)
    assert config.mismatches == []
    assert "auto" not in json.dumps(config.config)
    assert config.config["train_micro_batch_size_per_gpu"] == 3
    assert config.config["gradient_clipping"] == 0.5


@pytest.mark.parametrize("name", ["two_gpus", "deepspeed_zero2"])
def test_accelerate_configurations_are_read_and_what_they_name_is_there(name):
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(ROOT / f"configs/accelerate_{name}.yaml"))
    assert config.num_processes == 2
    assert not config.use_cpu
    if name.startswith("deepspeed"):
        assert (ROOT / config.deepspeed_config["deepspeed_config_file"]).is_file()
