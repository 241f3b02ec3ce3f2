"""The tasks of lm-evaluation-harness on our engine, and our engine as a model of lm-evaluation-harness."""
