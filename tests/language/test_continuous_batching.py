"""A text that ends leaves the batch and another one enters, and no text is changed by that."""

from __future__ import annotations

import random

import pytest
import torch
from random_models import Letters, make, tokens, written_alone

from bench.core.errors import LanguageProblem
from bench.language.chat import Marks
from bench.language.engine import continuous
from bench.language.engine.generating import Generator, Request, with_noise
from bench.language.engine.loglikelihood import Scorer
from bench.language.engine.packing import Group
from bench.language.engine.prefixes import TextPart, parts_by_beginning
from bench.language.engine.slots import ROOM, Slots, swaps


def uneven(count: int, seed: int = 0, shared: tuple[int, ...] = (), **fields) -> list[Request]:
    """Return requests with prompts and limits of unequal length."""
    rng = random.Random(seed)
    return [
        Request(
            shared + tokens(rng, rng.randrange(1, 24)), rng.choice([1, 2, 5, 9, 20]), seed=number, **fields
        )
        for number in range(count)
    ]


def alone(model, request: Request) -> str:
    """Return what a model writes without batch and cache."""
    text = Letters().decode(
        written_alone(model, request.tokens, request.max_out_len), skip_special_tokens=True
    )
    places = [place for stop in request.stop if (place := text.find(stop)) >= 0]
    return text[: min(places, default=None)]


@pytest.fixture
def fed(llama):
    """Rows and tokens of each forward of the model, after its cache has been tested once."""
    Generator(llama, Letters(), 0, 2).generate([Request((5,), 1)])
    shapes: list[tuple[int, int]] = []
    hook = llama.register_forward_pre_hook(
        lambda module, args, kwargs: shapes.append(tuple((*args, *kwargs.values())[0].shape)),
        with_kwargs=True,
    )
    yield shapes
    hook.remove()


def asking(model, size: int, shapes: list[tuple[int, int]], **options) -> Generator:
    """Return a generator that has tested the model's cache already."""
    generator = Generator(model, Letters(), 0, size, options)
    generator.generate([Request((5,), 1)])
    shapes.clear()
    return generator


def endless(model, length: int, count: int) -> tuple[int, ...]:
    """Return a prompt after which a model writes so many different tokens, none of which ends the text."""
    for seed in range(200):
        prompt = tokens(random.Random(seed), length)
        found = written_alone(model, prompt, count)
        if Letters.eos_token_id not in found and len(set(found)) == count:
            return prompt
    raise AssertionError("no such prompt")


@pytest.fixture(scope="module")
def llama():
    return make("llama", seed=1)


# Rows that enter and leave ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2", "gpt_neox", "mamba", "bloom"])
def test_texts_of_unequal_length_are_those_that_the_model_writes_alone_at_any_batch_size(name):
    model = make(name, seed=1)
    requests = uneven(13, stop=("k", "Zq"))
    expected = [alone(model, request) for request in requests]
    assert len({len(text) for text in expected}) > 3
    for size in (1, 4, 32):
        generator = Generator(model, Letters(), 0, size)
        assert generator.generate(requests) == expected
    assert generator.continuous == (name not in ("mamba", "bloom"))


def test_a_text_that_ends_makes_room_for_the_next_one(llama, fed):
    prompt = endless(llama, 5, 8)
    generator = asking(llama, 2, fed)
    done = []
    requests = [Request(prompt, length) for length in (8, 3, 3, 3)]
    generator.generate(requests, lambda index, text: done.append((index, len(text))))
    # The longest is read with the first short one; each other enters when one has left.
    assert fed == [(1, 5), (2, 1), (2, 1), (1, 5), (2, 1), (2, 1), (1, 5), (2, 1), (2, 1), (1, 1)]
    assert done == [(1, 3), (2, 3), (3, 3), (0, 8)]


def test_new_texts_enter_together_once_a_part_of_the_batch_is_free(llama, fed):
    prompts = [tokens(random.Random(seed), 4) for seed in range(12)]
    generator = asking(llama, 8, fed)
    generator.generate([Request(prompt, 3 + number % 4) for number, prompt in enumerate(prompts)])
    reads = [rows for rows, width in fed if width > 1]
    assert reads[0] == 8
    assert min(reads[1:-1], default=2) >= 8 // continuous.ENTERING
    assert sum(reads) == 12


def test_a_prompt_that_is_asked_several_times_is_read_once(llama, fed):
    generator = asking(llama, 8, fed, do_sample=True)
    prompt = tokens(random.Random(4), 7)
    texts = generator.generate([Request(prompt, 6, seed=number) for number in range(5)])
    assert fed[0] == (1, 7)
    assert all(width == 1 for _, width in fed[1:])
    assert len(set(texts)) == 5


def test_subjects_with_examples_of_their_own_each_have_theirs_read_once(llama, fed):
    rng = random.Random(5)
    header = tokens(rng, 4)
    subjects = [header + tokens(rng, 60) for _ in range(2)]
    prompts = [subjects[number % 2] + tokens(rng, 3 + number % 5) for number in range(24)]
    texts = asking(llama, 16, fed).generate([Request(prompt, 4) for prompt in prompts])
    fed_tokens = list(fed)
    assert texts == [alone(llama, Request(prompt, 4)) for prompt in prompts]
    assert fed_tokens.count((1, 64)) == 2
    assert max(width for _, width in fed_tokens if width != 64) <= 7
    groups = [Group(((*prompt, 5, 6), (*prompt, 7)), (len(prompt), len(prompt))) for prompt in prompts]
    scorer = Scorer(llama, 0, 16)
    before, found = scorer.fed_tokens, scorer.score(groups)
    assert scorer.fed_tokens - before == 2 * 64 + sum(group.fed - 64 for group in groups)
    for group, scores in zip(groups, found, strict=True):
        single = Scorer(llama, 0, 1).score([group])[0]
        for mine, other in zip(scores, single, strict=True):
            assert mine.loglikelihoods == pytest.approx(other.loglikelihoods, abs=1e-4)


def test_long_texts_outgrow_their_buffers_and_stay_the_same():
    model = make("gpt_neox", seed=2)
    rng = random.Random(6)
    requests = [
        Request(tokens(rng, length), new)
        for length, new in [(3, 90), (60, 30), (9, 9), (1, 95), (70, 4), (2, 80)]
    ]
    assert max(request.max_out_len for request in requests) > ROOM
    expected = [alone(model, request) for request in requests]
    assert sum(len(text) for text in expected) > 150
    for size in (2, 6):
        assert Generator(model, Letters(), 0, size).generate(requests) == expected


# How texts end ----------------------------------------------------------------------------------------------


def test_each_text_ends_by_its_own_limit_stop_string_or_end_token(llama):
    prompt = endless(llama, 6, 12)
    free = Generator(llama, Letters(), 0, 4).generate([Request(prompt, 12)])[0]
    stop = free[4:6]
    requests = [
        Request(prompt, 12), Request(prompt, 5), Request(prompt, 12, (stop,)), Request(prompt, 12, ("", free[0])),
    ]  # fmt: skip
    texts = Generator(llama, Letters(), 0, 4).generate(requests)
    assert texts == [free, free[:5], free[:4], ""]
    assert [text.cut for text in texts] == [True, True, False, False]
    ended = Generator(llama, Letters(), 0, 4, {"eos_token_id": ord(free[3]) - 0x40})
    (text,) = ended.generate([Request(prompt, 12)])
    assert text == free[:3]
    assert not text.cut


def test_a_stop_string_inside_a_thought_does_not_end_a_text(llama):
    prompt = endless(llama, 6, 12)
    free = str(Generator(llama, Letters(), 0, 4).generate([Request(prompt, 12)])[0])
    marks = Marks(free[0], free[7])
    for stop, answer in ((free[3], free[8:]), (free[10], free[8:10])):
        (text,) = Generator(llama, Letters(), 0, 4).generate([Request(prompt, 12, (stop,), marks=marks)])
        assert (text.thought, text) == (free[1:7], answer)


def test_nothing_is_asked_where_there_is_nothing_to_ask(llama):
    generator = Generator(llama, Letters(), 0, 4)
    assert generator.generate([]) == []
    assert generator.continuous is None


# Drawn texts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["llama", "gemma2", "mamba"])
def test_drawn_texts_depend_on_their_seed_and_on_nothing_else(name):
    model = make(name, seed=1)
    requests = uneven(11, seed=2, stop=("k",))
    options = {"do_sample": True, "temperature": 0.9, "top_p": 0.95}
    whole = Generator(model, Letters(), 0, 4, options).generate(requests)
    # A run that goes on asks what is left, in another order and with another batch size.
    left = [9, 2, 7, 4]
    resumed = Generator(model, Letters(), 0, 3, options).generate([requests[number] for number in left])
    assert resumed == [whole[number] for number in left]
    assert [
        Generator(model, Letters(), 0, 1, options).generate([request])[0] for request in requests
    ] == whole


def test_noise_is_that_of_the_seed_and_the_token():
    scores = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    drawn = [(5, 0), (5, 7), (2**62, 3)]
    found = with_noise(scores, drawn)
    for row, (seed, step) in enumerate(drawn):
        generator = torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)
        noise = torch.empty(50).exponential_(generator=generator)
        assert torch.equal(found[row], scores[row] - torch.log(noise))


@pytest.fixture(scope="module")
def some_that_end_early(llama) -> list[Request]:
    """Six requests, two of which end within five tokens."""
    prompts = [tokens(random.Random(seed), 8) for seed in range(40)]
    texts = Generator(llama, Letters(), 0, 40).generate([Request(prompt, 14) for prompt in prompts])
    early = [
        prompt for prompt, text in zip(prompts, texts, strict=True) if 0 < len(text) < 5 and not text.cut
    ]
    assert len(early) >= 2
    return [Request(prompt, 14) for prompt in [*prompts[:4], *early[:2]]]


@pytest.mark.parametrize(
    "options",
    [
        {"repetition_penalty": 1.4},
        {"no_repeat_ngram_size": 2},
        {"min_new_tokens": 6},
        {"bad_words_ids": [[9], "written"], "renormalize_logits": True},
        {"suppress_tokens": list(range(3, 40)), "begin_suppress_tokens": [50, 51]},
        {"exponential_decay_length_penalty": [2, 1.5], "sequence_bias": [[[12], 3.0]]},
    ],
    ids="-".join,
)
def test_what_penalises_a_text_for_what_it_holds_does_as_in_transformers(llama, some_that_end_early, options):
    requests = some_that_end_early
    options = dict(options)
    if "bad_words_ids" in options:
        options["bad_words_ids"] = [[9], written_alone(llama, requests[0].tokens, 4)[2:]]
    generator = Generator(llama, Letters(), 0, 4, options)
    texts = generator.generate(requests)
    assert generator.continuous
    with torch.inference_mode():
        written = llama.generate(
            input_ids=torch.tensor([request.tokens for request in requests]), max_new_tokens=14, do_sample=False,
            attention_mask=torch.ones(6, 8, dtype=torch.int64), pad_token_id=0, eos_token_id=2, **options,
        )[:, 8:].tolist()  # fmt: skip
    ends = [row.index(2) if 2 in row else len(row) for row in written]
    assert texts == [Letters().decode(row[:end], True) for row, end in zip(written, ends, strict=True)]
    assert texts != Generator(llama, Letters(), 0, 4).generate(requests)


def test_a_models_own_penalty_holds_where_none_is_given(llama, monkeypatch):
    requests = uneven(5, seed=3)
    asked = Generator(llama, Letters(), 0, 4, {"repetition_penalty": 1.5}).generate(requests)
    monkeypatch.setattr(llama.generation_config, "repetition_penalty", 1.5)
    assert Generator(llama, Letters(), 0, 4).generate(requests) == asked
    assert Generator(llama, Letters(), 0, 4, {"repetition_penalty": 1.0}).generate(requests) != asked


# What cannot be laid out ------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"num_beams": 2}, {"use_cache": False}, {"guidance_scale": 1.5}])
def test_another_way_than_one_token_after_the_other_is_left_to_transformers(llama, options):
    generator = Generator(llama, Letters(), 0, 3, options)
    generator.generate(uneven(3))
    assert generator.continuous is False
    generator.with_options({}).generate(uneven(3))
    assert generator.continuous is True


def test_a_model_that_ignores_its_positions_is_found_out_and_its_texts_are_right():
    model = make("llama", seed=1)
    forward = model.forward
    expected = [alone(model, request) for request in uneven(4)]

    def deaf(input_ids=None, attention_mask=None, position_ids=None, past_key_values=None, **rest):
        if attention_mask is not None and attention_mask.ndim == 4:
            attention_mask = None
        return forward(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids,
            past_key_values=past_key_values, **rest,
        )  # fmt: skip

    model.forward = deaf
    generator = Generator(model, Letters(), 0, 4)
    assert generator.generate(uneven(4)) == expected
    assert generator.continuous is False


def test_memory_that_runs_out_halves_the_batch_and_no_text_is_lost_or_told_twice():
    model = make("llama", seed=1)
    requests = uneven(9, seed=4)
    expected = Generator(model, Letters(), 0, 1).generate(requests)
    generator = Generator(model, Letters(), 0, 8)
    generator.generate([Request((5,), 1)])

    def small(module, args, kwargs):
        if kwargs["input_ids"].shape[0] > 3 and kwargs["input_ids"].shape[1] == 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate")

    model.register_forward_pre_hook(small, with_kwargs=True)
    told = []
    assert generator.generate(requests, lambda index, _: told.append(index)) == expected
    assert sorted(told) == list(range(9))
    assert generator.batches.size <= 3
    assert generator.batches.halvings


def test_any_other_failure_is_told():
    model = make("llama", seed=1)
    generator = Generator(model, Letters(), 0, 8)
    generator.generate([Request((5,), 1)])

    def broken(module, args):
        raise LanguageProblem("inference_failed", "a cable")

    model.lm_head.register_forward_pre_hook(broken)
    with pytest.raises(LanguageProblem, match="a cable"):
        generator.generate(uneven(3))


# Slots ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [None, 5])
def test_slots_hold_what_was_put_in_whatever_enters_and_leaves(window):
    """Against one list of tokens for each text; a value is a number, so that a wrong place shows."""
    rng, generator = random.Random(0), torch.Generator().manual_seed(0)
    kind = "full_attention" if window is None else "sliding_attention"
    slots = Slots(6, {kind: window}, [window, window], torch.float32, "cpu")
    texts: list[list[float]] = []
    for step in range(300):
        if len(texts) < 6 and rng.random() < 0.3:
            new = [
                [float(number) for number in torch.rand(rng.randrange(1, 40), generator=generator)]
                for _ in range(rng.randrange(1, 7 - len(texts)))
            ]
            width = max(map(len, new))
            keys = torch.tensor([row + [float("nan")] * (width - len(row)) for row in new])[:, None, :, None]
            pair = (keys, -keys)
            slots.enter([pair, pair], range(len(new)), [len(row) for row in new])
            texts += new
        if not texts:
            continue
        column = torch.rand(len(texts), generator=generator)
        (mask,) = [slots.advance()]
        for text, value in zip(texts, column.tolist(), strict=True):
            text.append(value)
        for number in range(2):
            keys, values = slots.update(column[:, None, None, None], -column[:, None, None, None], number)
            assert torch.equal(keys, -values)
            assert not keys.isnan().any()
            seen = mask[:, 0, 0] == 0
            assert keys.shape[2] == seen.shape[1] <= max(map(len, texts))
            for row, text in enumerate(texts):
                own = text if window is None else text[-window:]
                assert keys[row, 0, :, 0][seen[row]].tolist() == pytest.approx(own)
        assert slots.lengths == [len(text) for text in texts]
        leaving = sorted(rng.sample(range(len(texts)), rng.choice([0, 0, 0, 1, 2]) if len(texts) > 2 else 0))
        if step % 97 == 96:
            leaving = list(range(len(texts)))
        slots.leave(leaving)
        for source, target in swaps(len(texts), leaving):
            texts[target] = texts[source]
        del texts[len(texts) - len(leaving) :]


def test_swaps_bring_those_that_stay_to_the_front():
    assert swaps(5, [1, 3]) == [(4, 1)]
    assert swaps(5, [3, 4]) == []
    assert swaps(3, [0, 1, 2]) == []
    assert swaps(6, [0, 1]) == [(4, 0), (5, 1)]


# Beginnings -------------------------------------------------------------------------------------------------


def test_texts_are_parted_by_what_they_begin_with_where_that_saves_tokens():
    first, second = tuple(range(100)), tuple(range(200, 300))
    texts = (
        [(*first, number) for number in range(9)] + [(*second, number) for number in range(9)] + [(7,), (8,)]
    )
    usable = [len(text) - 1 for text in texts]
    assert parts_by_beginning(texts, usable) == [
        TextPart(tuple(range(9)), 100), TextPart(tuple(range(9, 18)), 100), TextPart((18, 19), 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([(1,) * 30 + (2,), (1,) * 30 + (3,)], [TextPart((0, 1), 30)]),
        ([(1,) * 10 + (2,), (1,) * 10 + (3,)], [TextPart((0, 1), 0)]),  # too short
        ([(1,) * 90], [TextPart((0,), 0)]),
        ([(1,) * 90, (1,) * 90], [TextPart((0, 1), 89)]),
        ([(1, *range(60)), (2, *range(60)), (3, *range(60))], [TextPart((0, 1, 2), 0)]),
        # Two of the texts share more than all do, but not enough to read them by themselves.
        ([(1,) * 40 + (5,) * 40, (1,) * 40 + (5,) * 40, (1,) * 40 + (6,) * 40], [TextPart((0, 1, 2), 40)]),
    ],
)
def test_one_part_has_all_that_no_other_part_has(texts, expected):
    assert parts_by_beginning(texts, [len(text) - 1 for text in texts]) == expected


def test_every_text_is_in_one_part_and_begins_as_its_part_does():
    rng = random.Random(11)
    stems = [tuple(rng.randrange(5) for _ in range(rng.randrange(20, 90))) for _ in range(4)]
    texts = [
        rng.choice(stems)[: rng.randrange(1, 90)] + tuple(rng.randrange(5) for _ in range(9))
        for _ in range(200)
    ]
    usable = [rng.randrange(1, len(text)) for text in texts]
    parts = parts_by_beginning(texts, usable)
    assert sorted(index for part in parts for index in part.members) == list(range(200))
    for part in parts:
        assert len({texts[index][: part.shared] for index in part.members}) == 1
        assert all(part.shared <= usable[index] for index in part.members)
    assert len(parts) > 1


def test_no_texts_have_no_parts():
    assert parts_by_beginning([], []) == []
