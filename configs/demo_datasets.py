"""A list of datasets that several configurations share."""

reasoning = ["siqa_gen", "winograd_ppl", "piqa_ll"]
