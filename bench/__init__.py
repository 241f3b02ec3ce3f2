"""Modelgate: decides, with evidence, whether a model, or a faster version of it, is good enough."""

__version__ = "0.2.0.dev0"
