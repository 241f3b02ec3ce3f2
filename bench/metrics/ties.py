"""Which of candidates with equal scores goes first; `bench.metrics.ranking.at_k` says what each rule is for."""

from typing import Literal

TieRule = Literal["pessimistic", "docid_desc", "stable"]
