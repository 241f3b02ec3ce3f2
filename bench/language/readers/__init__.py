"""Readers: they take the answer out of what a model wrote, and read nothing where they would have to guess."""
