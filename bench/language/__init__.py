"""Language models on datasets: prompts, scoring, generation, scores."""
