"""Reranking: queries with candidates, rankers, their evaluation, and the pieces that a Trainer takes."""
