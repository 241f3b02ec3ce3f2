"""tiny-encoder: the training script works, the shipped model is what its card says, and it helps."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ZOO = REPOSITORY / "fixtures" / "zoo"
SHIPPED = ZOO / "tiny-encoder"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    """The scripts import each other by bare name, as scripts do; training sets the threads of our process."""
    monkeypatch.syspath_prepend(str(ZOO))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_short_training_writes_an_encoder_that_loads_and_is_measured(tmp_path, monkeypatch):
    import train_tiny_encoder
    from transformers import AutoModel, AutoTokenizer

    monkeypatch.setattr(train_tiny_encoder, "CHUNK", 1)
    train_tiny_encoder.train(tmp_path, steps=2, threads=1)
    encoder = AutoModel.from_pretrained(tmp_path, dtype="float32", add_pooling_layer=False)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    facts = json.loads((tmp_path / "training.json").read_text(encoding="utf-8"))
    assert (facts["steps"], facts["seed"], facts["threads"]) == (2, train_tiny_encoder.SEED, 1)
    for text in ("Blood sugar 87, ratio 4.", "Zwölf 42\n\ta"):
        ids = tokenizer(text).input_ids
        assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
        assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text
    batch = tokenizer(["one", "two words"], padding=True, return_tensors="pt")
    assert encoder(**batch).last_hidden_state.isfinite().all()
    figures = train_tiny_encoder.evaluate(tmp_path, 20)
    assert {name: figure["texts"] for name, figure in figures.items()} == dict.fromkeys(
        train_tiny_encoder.SHARES, 20
    )
    assert "| answers |" in train_tiny_encoder.card(tmp_path, figures)


def test_no_evaluated_text_is_trained_on():
    import train_tiny_encoder

    held_out = {text for texts in train_tiny_encoder.held_out_texts(400).values() for text in texts}
    rows = (REPOSITORY / "fixtures/datasets/regression/synthetic_rubric.evaluation.jsonl").read_text(
        encoding="utf-8"
    )
    evaluated = {json.loads(line)["text"] for line in rows.splitlines()}
    evaluated |= set(train_tiny_encoder.held_out_texts(200)["patients"])
    texts = train_tiny_encoder.training_texts(seed=train_tiny_encoder.SEED)
    trained = {next(texts) for _ in range(5000)}
    assert not trained & evaluated
    # Three comparisons of small numbers may well be drawn twice.
    assert len(trained & held_out) <= 1


def test_masked_tokens_are_words_and_the_loss_is_of_them_alone():
    import torch
    import train_tiny_encoder as script

    tokenizer = script.build_tokenizer()
    model = script.build_model(tokenizer)
    batch = tokenizer(["a park", "Blood sugar 87, ratio 4."], padding=True, return_tensors="pt")
    chosen = []
    model.bert.register_forward_pre_hook(
        lambda module, args, kwargs: chosen.append(kwargs["input_ids"]), with_kwargs=True
    )
    for seed in range(20):
        loss, found, masked = script.masked_loss(
            model, batch, tokenizer.mask_token_id, torch.Generator().manual_seed(seed)
        )
        assert 1 <= masked <= batch["input_ids"].numel()
        assert found <= masked
        assert loss.isfinite()
    for ids in chosen:
        special = batch["input_ids"] < script.SPECIAL
        assert torch.equal(ids[special], batch["input_ids"][special])


# Files


def test_shipped_model_is_small_and_its_card_states_the_weights_that_are_there():
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < 3_000_000
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    weights = (SHIPPED / "model.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() in card
    figures = json.loads((SHIPPED / "figures.json").read_text(encoding="utf-8"))
    for name, figure in figures.items():
        assert f"| {name} | {100 * figure['found']:.0f} % |" in card
        assert figure["found"] > 2 * figure["guessing"]


def test_figures_are_those_that_the_script_measures():
    import torch
    import train_tiny_encoder

    torch.set_num_threads(1)
    figures = json.loads((SHIPPED / "figures.json").read_text(encoding="utf-8"))
    found = train_tiny_encoder.evaluate(SHIPPED)
    for name, figure in figures.items():
        assert found[name]["found"] == pytest.approx(figure["found"], abs=0.01)
