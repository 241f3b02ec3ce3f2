"""A run of the shipped model on a few datasets. A configuration may import lists from files next to it."""

from demo_datasets import reasoning

models = ["tiny_lm"]
datasets = [*reasoning, {"name": "gsm8k_gen", "min_score": 10}]
summary_groups = [{"name": "reasoning", "datasets": reasoning, "rule": "average"}]
