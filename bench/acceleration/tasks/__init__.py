"""Annotation and generation lists, joined into cases."""
