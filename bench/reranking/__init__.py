"""Reranking: rankers on queries with candidates."""
