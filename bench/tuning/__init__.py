"""Models that are trained or that rank: tasks of the user's own, regression, reranking, the Trainer's pieces."""
