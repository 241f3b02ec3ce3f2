"""Commands besides pytest: ``python -m bench COMMAND``."""
