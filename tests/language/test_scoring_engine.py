"""Log-likelihoods and texts do not depend on the batch, on padding or on what is shared, whatever the architecture."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from random_models import ARCHITECTURES, VOCABULARY, Letters, make, tokens, written_alone
from small_models import save_model
from transformers import AutoTokenizer
from transformers.cache_utils import DynamicLayer

from bench.language.engine.batching import Batches
from bench.language.engine.caching import ROOM, InPlaceLayer, make_cache
from bench.language.engine.generating import Generator, Request
from bench.language.engine.loglikelihood import Scorer
from bench.language.engine.packing import Group, common_length, lay_out
from bench.language.engine.stopping import EndingTokens

# One of each way to place tokens and to mask is enough for `make check`.
NOT_SHARED = ("bloom", "gpt_neo", "mamba")
QUICK = ("gpt2", "llama", "gemma2", "bloom")


def each_of(names) -> list:
    """Return architectures as parameters; all but a few of them are slow."""
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in names]


def questions(rng: random.Random, count: int, prefix: tuple[int, ...] = ()) -> list[Group]:
    groups = []
    for _ in range(count):
        context = prefix + tokens(rng, rng.randrange(1, 30))
        begin = tokens(rng, rng.randrange(0, 3))  # choices may begin alike
        sequences = [context + begin + tokens(rng, rng.randrange(1, 7)) for _ in range(rng.randrange(1, 5))]
        groups.append(Group(tuple(sequences), (len(context),) * len(sequences)))
    return groups


def test_a_sequence_is_greedy_where_each_of_its_tokens_is_the_likeliest():
    model, context = make("llama"), tokens(random.Random(8), 12)
    likeliest = written_alone(model, context, 3)
    assert Letters.eos_token_id not in likeliest
    other = [*likeliest[:2], (likeliest[2] + 1) % VOCABULARY]
    group = Group((context + tuple(likeliest), context + tuple(other)), (12, 12))
    assert [score.is_greedy for score in Scorer(model, 0).score([group])[0]] == [True, False]


def alone(model, group: Group) -> list[list[float]]:
    """Score each sequence by itself, without padding, mask or cache."""
    scores = []
    for sequence, start in zip(group.sequences, group.starts, strict=True):
        with torch.inference_mode():
            logs = model(torch.tensor([sequence])).logits[0].double().log_softmax(-1)
        scores.append([float(logs[place - 1, sequence[place]]) for place in range(start, len(sequence))])
    return scores


def assert_equal(found, expected, tolerance=1e-4):
    for group, wanted in zip(found, expected, strict=True):
        for scores, values in zip(group, wanted, strict=True):
            np.testing.assert_allclose(scores.loglikelihoods, values, atol=tolerance)


@pytest.mark.parametrize("name", each_of(ARCHITECTURES))
def test_scores_equal_those_of_each_sequence_alone_at_any_batch_size_and_order(name):
    model, rng = make(name), random.Random(1)
    groups = questions(rng, 17)
    expected = [alone(model, group) for group in groups]
    for size in (1, 3, 32):
        assert_equal(Scorer(model, 0, size).score(groups), expected)
    order = list(range(len(groups)))
    rng.shuffle(order)
    shuffled = Scorer(model, 0, 5).score([groups[index] for index in order])
    assert_equal(shuffled, [expected[index] for index in order])


@pytest.mark.parametrize("name", each_of(name for name in ARCHITECTURES if name not in NOT_SHARED))
def test_a_prefix_of_all_questions_is_computed_once_and_changes_nothing(name):
    model, rng = make(name), random.Random(2)
    groups = questions(rng, 9, prefix=tokens(rng, 40))
    scorer = Scorer(model, 0, 4)
    assert scorer.shares
    before = scorer.fed_tokens
    assert_equal(scorer.score(groups), [alone(model, group) for group in groups])
    assert scorer.fed_tokens - before == 40 + sum(group.fed - 40 for group in groups)


@pytest.mark.parametrize("name", NOT_SHARED)
def test_what_takes_no_positions_or_masks_its_own_way_is_run_sequence_by_sequence(name):
    assert not Scorer(make(name), 0, 4).shares


def test_a_model_that_ignores_the_mask_it_is_given_is_found_out():
    model = make("llama")
    forward = model.forward

    def deaf(input_ids=None, attention_mask=None, position_ids=None, logits_to_keep=0, **rest):
        return forward(
            input_ids=input_ids, position_ids=position_ids, logits_to_keep=logits_to_keep, use_cache=False
        )

    model.forward = deaf
    assert not Scorer(model, 0, 4).shares


def test_each_token_is_fed_once():
    context, choices = tuple(range(3, 13)), ((20, 21, 22), (23, 24), (25,))
    group = Group(tuple(context + choice for choice in choices), (10, 10, 10))
    row = lay_out(group, 0)
    assert row.tokens == [*context, 20, 21, 23]
    assert row.positions == [*range(10), 10, 11, 10]
    assert row.segments == [0] * 10 + [1, 1, 2]
    assert row.queries == [[9, 10, 11], [9, 12], [9]]
    assert group.fed == len(row.tokens) == 10 + 3


def test_the_head_runs_only_where_something_is_predicted():
    model = make("gpt2")
    widths = []
    head = model.lm_head.register_forward_hook(lambda _m, inputs, _o: widths.append(inputs[0].shape[1]))
    scorer = Scorer(model, 0, 4)
    widths.clear()
    scorer.score([Group(((*range(3, 33), 40, 41, 42), (*range(3, 33), 50)), (30, 30))])
    head.remove()
    assert widths == [3]  # the last token of the context, and two of the longer choice


def test_identical_choices_and_choices_that_continue_each_other_are_scored():
    model = make("llama")
    context = tuple(range(3, 10))
    group = Group(((*context, 20), (*context, 20), (*context, 20, 21)), (7, 7, 7))
    assert_equal(Scorer(model, 0, 4).score([group]), [alone(model, group)])


def test_a_sequence_without_anything_to_score_is_refused():
    with pytest.raises(ValueError, match="at least one token"):
        Group(((5, 6),), (2,))
    with pytest.raises(ValueError, match="at least one token"):
        Group(((5, 6),), (0,))


def test_common_length_is_that_of_all_sequences():
    assert common_length([(1, 2, 3), (1, 2, 4), (1, 2)]) == 2
    assert common_length([(1, 2)]) == 2
    assert common_length([(1,), (2,)]) == 0


def test_batches_are_halved_when_memory_runs_out_and_go_on():
    sizes = []

    def run(items):
        sizes.append(len(items))
        if len(items) > 3:
            raise RuntimeError("CUDA out of memory. Tried to allocate")
        return [item * 10 for item in items]

    results = {}
    batches = Batches(16)
    batches.run(list(range(10)), lambda item: item, run, results.__setitem__)
    assert results == {index: index * 10 for index in range(10)}
    assert sizes == [10, 5, 2, 2, 2, 2, 2]
    assert (batches.size, batches.halvings) == (2, 2)


def test_an_item_that_does_not_fit_by_itself_is_an_error_and_so_is_any_other():
    def run(items):
        raise RuntimeError("out of memory" if items[0] else "shapes do not match")

    with pytest.raises(RuntimeError, match="out of memory"):
        Batches(4).run([1, 1], lambda item: item, run, print)
    with pytest.raises(RuntimeError, match="shapes"):
        Batches(4).run([0, 0], lambda item: item, run, print)


def test_longest_items_come_first():
    seen = []
    Batches(1).run([3, 9, 5], lambda item: item, lambda items: seen.extend(items) or items, lambda *_: None)
    assert seen == [9, 5, 3]


@pytest.mark.parametrize(
    "name", each_of(["gpt2", "opt", "llama", "mistral-sliding", "gemma2", "gpt_neox", "bloom", "mamba"])
)
@pytest.mark.parametrize("sampled", [False, True], ids=["greedy", "sampled"])
def test_texts_do_not_depend_on_the_batch(name, sampled):
    model, rng = make(name), random.Random(3)
    requests = [
        Request(tokens(rng, rng.randrange(1, 20)), rng.choice([4, 8]), seed=index) for index in range(11)
    ]
    options = {"do_sample": True, "temperature": 0.8, "top_p": 0.95} if sampled else {}
    texts = [Generator(model, Letters(), 0, size, options).generate(requests) for size in (1, 3, 32)]
    assert texts[0] == texts[1] == texts[2]
    assert all(len(text) <= request.max_out_len for text, request in zip(texts[0], requests, strict=True))


@pytest.mark.parametrize("name", each_of(ARCHITECTURES))
@pytest.mark.parametrize("shared", [0, 40], ids=["nothing shared", "shared beginning"])
def test_texts_are_those_that_the_model_writes_without_a_cache(name, shared):
    model, rng = make(name, seed=1), random.Random(6)
    prefix = tokens(rng, shared)
    # From one token to a prompt so much longer that others get less than half of the prefix from the cache.
    prompts = [prefix + tokens(rng, count) for count in (1, 2, 9, 30)]
    requests = [Request(prompt, 24) for prompt in prompts]
    generator = Generator(model, Letters(), 0, 4)
    texts = generator.generate(requests)
    assert texts == [Letters().decode(written_alone(model, p, 24), skip_special_tokens=True) for p in prompts]
    assert generator.continuous == (name not in NOT_SHARED)


def test_what_all_prompts_begin_with_is_read_once():
    model, rng = make("llama"), random.Random(7)
    generator = Generator(model, Letters(), 0, 8)
    generator.generate([Request((5,), 1)])  # what tests the model's cache is done once
    fed = []
    model.register_forward_pre_hook(
        lambda module, args, kwargs: fed.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    prefix = tokens(rng, 40)
    generator.generate([Request(prefix + tokens(rng, 5), 1) for _ in range(8)])
    assert fed == [(1, 40), (8, 5)]


def test_a_layer_that_writes_in_place_holds_what_transformers_layer_holds_whatever_is_done_to_it():
    """Beyond the room that is made first, and after rows or tokens were taken away."""
    ours, theirs, generator = InPlaceLayer(), DynamicLayer(), torch.Generator().manual_seed(0)

    def append(count: int) -> None:
        rows = theirs.keys.shape[0] if theirs.is_initialized else 3
        new = [torch.randn(rows, 2, count, 4, generator=generator) for _ in range(2)]
        for found, expected in zip(ours.update(*new), theirs.update(*new), strict=True):
            assert torch.equal(found, expected)
        assert ours.get_seq_length() == theirs.get_seq_length()

    append(5)
    for _ in range(2 * ROOM):
        append(1)
    for change in (
        lambda layer: layer.crop(-3),
        lambda layer: layer.reorder_cache(torch.tensor([2, 0, 1])),
        lambda layer: layer.batch_select_indices(slice(0, 2)),
        lambda layer: layer.batch_repeat_interleave(2),
        lambda layer: layer.reset(),
    ):
        change(ours), change(theirs)
        append(2)
        append(1)


@pytest.mark.parametrize(
    "options", [{"use_cache": False}, {"cache_implementation": "static"}, {"num_beams": 2}]
)
def test_options_of_a_cache_are_left_to_transformers(options):
    model = make("llama")
    assert make_cache(model, options) is None
    requests = [Request(tokens(random.Random(seed), 6 + seed), 6) for seed in range(3)]
    texts = Generator(model, Letters(), 0, 3, options).generate(requests)
    assert texts == Generator(model, Letters(), 0, 1, options).generate(requests)
    if "num_beams" not in options:
        assert texts == Generator(model, Letters(), 0, 3).generate(requests)


def test_sampling_follows_the_models_probabilities():
    model = make("gpt2")
    prompt = tuple(range(3, 12))
    with torch.inference_mode():
        expected = model(torch.tensor([prompt])).logits[0, -1].softmax(-1).numpy()
    requests = [Request(prompt, 1, seed=seed) for seed in range(3000)]
    texts = Generator(model, Letters(), 0, 500, {"do_sample": True}).generate(requests)
    top = int(expected.argmax())
    share = np.mean([text == chr(0x40 + top) for text in texts])
    assert abs(share - expected[top]) < 4 * np.sqrt(expected[top] * (1 - expected[top]) / 3000) + 1e-9


def test_a_text_ends_before_its_stop_string_and_no_other_row_is_cut():
    model = make("llama")
    requests = [Request(tokens(random.Random(seed), 6), 12) for seed in range(4)]
    free = Generator(model, Letters(), 0, 4).generate(requests)
    stop = free[0][3]
    stopped = [
        Request(request.tokens, 12, (stop,) if index == 0 else ()) for index, request in enumerate(requests)
    ]
    texts = Generator(model, Letters(), 0, 4).generate(stopped)
    assert texts[0] == free[0][: free[0].index(stop)]
    assert texts[1:] == free[1:]


@pytest.mark.parametrize("stop", ["\n", " B", "\n\n", "é", "Question:"])
def test_a_stop_string_appears_only_with_a_token_that_may_bring_its_last_character(stop, tmp_path):
    """Rows whose newest token is no such token are not turned into text at each step."""
    tokenizer = AutoTokenizer.from_pretrained(save_model(tmp_path))
    ending = EndingTokens(tokenizer).that_may_end({stop})
    rng, appeared = random.Random(5), 0
    text = f"one two{stop}three B é \n\n é Question: {stop}"
    for number in range(40):
        others = [rng.randrange(len(tokenizer)) for _ in range(40)]
        ids = others[:20] + tokenizer(text)["input_ids"] + others[20:]
        if number % 2:
            rng.shuffle(ids)
        for length in range(1, len(ids)):
            if stop in tokenizer.decode(ids[:length]) and stop not in tokenizer.decode(ids[: length - 1]):
                appeared += 1
                assert ids[length - 1] in ending
    assert appeared
    assert len(ending) < len(tokenizer)
