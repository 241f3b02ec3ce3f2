"""Scoring and generation: every token is computed once, and results do not depend on the batch."""
