"""Lists of datasets that configurations share."""

reasoning = ["siqa_gen", "winograd_ppl", "piqa_ll"]
