"""Attention of one new token is torch's, also where sums of a table's rows take the place of products."""

from __future__ import annotations

import math
import random

import pytest
import torch
from random_models import Letters, make, tokens, written_alone
from torch.nn.functional import scaled_dot_product_attention

from bench.language.engine import one_token
from bench.language.engine.generating import Generator, Request
from bench.language.engine.one_token import are_rows_of_a_table, of_one

ROWS, SLOTS, HEADS, COLUMNS, SIZE = 3, 5, 4, 16, 8

fast_sums = pytest.mark.skipif(
    not torch.backends.cpu.get_cpu_capability().startswith(("AVX2", "AVX512")),
    reason="torch has no code for sums of rows on this processor",
)


@pytest.fixture
def summed(monkeypatch):
    """Sums of rows whatever their size, and the shapes of the values that were summed."""
    shapes: list[tuple[int, ...]] = []
    original = one_token.sums_of_rows

    def noting(weights, value):
        shapes.append(tuple(value.shape))
        return original(weights, value)

    monkeypatch.setattr(one_token, "LEAST_VALUES", 0)
    monkeypatch.setattr(one_token, "sums_of_rows", noting)
    return shapes


def asked(begin: int = 2, end: int = 13):
    """Return a query, keys and values in buffers with nothing usable around them, and a mask."""
    random_numbers = torch.Generator().manual_seed(begin)
    query = torch.randn(ROWS, HEADS, 1, SIZE, generator=random_numbers)
    parts = []
    for _ in range(2):
        buffer = torch.full((SLOTS, HEADS, COLUMNS, SIZE), math.nan)
        buffer[:ROWS, :, begin:end] = torch.randn(ROWS, HEADS, end - begin, SIZE, generator=random_numbers)
        parts.append(buffer[:ROWS, :, begin:end])
    mask = torch.zeros(ROWS, 1, 1, end - begin)
    mask[1, ..., :4] = torch.finfo(torch.float32).min
    return query, *parts, mask


@fast_sums
@pytest.mark.parametrize(("begin", "end"), [(0, COLUMNS), (2, 13), (15, 16)])
@pytest.mark.parametrize("scaling", [None, 0.3])
def test_sums_of_rows_are_torchs_attention(summed, begin, end, scaling):
    query, key, value, mask = asked(begin, end)
    found = of_one(query, key, value, mask, scaling)
    right = scaled_dot_product_attention(query, key, value, mask, scale=scaling)
    torch.testing.assert_close(found, right.transpose(1, 2))
    assert summed == [(ROWS, HEADS, end - begin, SIZE)]


@pytest.mark.parametrize(
    "laid_out",
    [
        lambda value: value.transpose(2, 3).contiguous().transpose(2, 3),
        lambda value: torch.cat([value, value])[1 : 1 + ROWS],
        lambda value: value.expand(ROWS, HEADS, -1, SIZE)[:, :, ::2],
        lambda value: value[:, :1].expand_as(value),
    ],
    ids=["other dimensions", "not from the first row on", "every other column", "one head for all"],
)
def test_values_in_another_layout_are_multiplied(summed, laid_out):
    query, key, value, mask = asked()
    value = laid_out(value)
    key, mask = key[:, :, : value.shape[2]], mask[..., : value.shape[2]]
    assert not are_rows_of_a_table(value)
    found = of_one(query, key, value, mask, None)
    torch.testing.assert_close(found, scaled_dot_product_attention(query, key, value, mask).transpose(1, 2))
    assert summed == []


@fast_sums
def test_texts_are_those_that_are_written_alone(summed):
    model = make("gpt2")
    rng = random.Random(3)
    requests = [Request(tokens(rng, rng.randrange(1, 20)), 9, seed=number) for number in range(7)]
    texts = Generator(model, Letters(), 0, 4).generate(requests)
    alone = [
        Letters().decode(written_alone(model, one.tokens, 9), skip_special_tokens=True) for one in requests
    ]
    assert texts == alone
    assert summed, "expected sums of rows while texts are written"


def test_heads_that_share_keys_are_multiplied(summed):
    model = make("llama")
    assert model.config.num_key_value_heads < model.config.num_attention_heads
    Generator(model, Letters(), 0, 4).generate([Request((5, 6, 7), 5), Request((8,), 5)])
    assert summed == []
