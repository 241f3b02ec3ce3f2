"""Text regression: an encoder with a head, fine-tuned on scored texts and evaluated on their range."""
