"""A judge model for open answers: it scores them by a rubric, or compares them with other answers."""
