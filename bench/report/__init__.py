"""What a finished run shows: JSON, terminal tables and Markdown."""
