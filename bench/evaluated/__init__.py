"""Evaluations that a training script recorded, as cases."""
