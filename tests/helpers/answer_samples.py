"""Answers with right ones, and the library's BLEU of them."""

from __future__ import annotations

from hypothesis import strategies as st

WORDS = st.lists(
    st.sampled_from(["the", "a", "cat", "sat", "on", "mat", "Cat", "mat,", "dog!", "x"]), max_size=12
).map(" ".join)
HYPOTHESES = [
    "the cat is on the mat",
    "there is a cat on a mat today",
    "completely different words here now",
    "",
    "the quick brown fox jumps over the lazy dog",
]
REFERENCES = [
    ["the cat sat on the mat", "a cat was on the mat"],
    ["there is a cat on the mat today"],
    ["nothing in common with that one"],
    ["something was expected here"],
    ["the quick brown fox jumped over the lazy dog", "a fast brown fox jumps over the lazy dog"],
]


def sacrebleu_of(predictions, golds):
    import sacrebleu

    # The library takes one list per reference, padded with None where a sample has fewer.
    most = max(len(each) for each in golds)
    streams = [[each[i] if i < len(each) else None for each in golds] for i in range(most)]
    return sacrebleu.corpus_bleu(predictions, streams).score
