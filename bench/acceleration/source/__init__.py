"""Pipeline files, read as text."""
