"""Requirements, read from the text of a task."""
