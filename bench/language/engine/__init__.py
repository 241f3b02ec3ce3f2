"""Scoring and generation: every token is computed once, and nothing depends on the batch."""
