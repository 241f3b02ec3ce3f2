"""Text regression: an encoder trained on scored texts, and how near its predictions are on texts it has not seen."""
