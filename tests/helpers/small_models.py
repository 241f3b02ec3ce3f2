"""A small random language model with a tokenizer of its own, saved as a hub model is."""

from __future__ import annotations

from pathlib import Path

from bench.machine.torchvision_shim import ensure_torchvision

ROWS = Path(__file__).resolve().parents[2] / "fixtures/datasets/language"


def save_model(directory: Path, seed: int = 0, positions: int = 256) -> Path:
    """Save a GPT-2 of random weights, spread enough that its choices differ, and a byte-level tokenizer."""
    ensure_torchvision()
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    trained = ByteLevelBPETokenizer()
    files = [str(ROWS / f"{name}.jsonl") for name in ("siqa", "piqa", "winograd")]
    trained.train(files, vocab_size=600, special_tokens=["<pad>", "<s>", "</s>"], show_progress=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )
    tokenizer.save_pretrained(directory)
    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        "gpt2", vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4, n_positions=positions,
        bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(directory)
    return directory
