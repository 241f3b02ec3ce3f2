"""Metrics, as plain functions on arrays; they know nothing of pytest."""
