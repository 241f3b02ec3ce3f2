"""The names of transformers' training arguments, read from its source: importing it takes seconds."""

from __future__ import annotations

import ast
import importlib.util
from functools import cache
from pathlib import Path

RESERVED = {
    "output_dir": "results stand in the run's directory",
    "use_cpu": "--device says where is trained",
    "no_cuda": "--device says where is trained",
    "remove_unused_columns": "a dataset's collator gets all that encode() gives",
    "label_names": "predictions are joined to rows by their order",
    "label_smoothing_factor": "the loss is the model's own",
    "do_train": "the suite calls the Trainer",
    "do_eval": "the suite calls the Trainer",
    "do_predict": "the suite calls the Trainer",
    "resume_from_checkpoint": "give --resume",
    "push_to_hub": "nothing leaves the machine",
}
"""Arguments that the suite sets itself, and why."""


@cache
def argument_names() -> tuple[str, ...]:
    """Return the names of the fields of `transformers.TrainingArguments`; empty where transformers is not installed."""
    spec = importlib.util.find_spec("transformers")
    if spec is None or spec.origin is None:
        return ()
    tree = ast.parse((Path(spec.origin).parent / "training_args.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == "TrainingArguments":
            return tuple(
                line.target.id
                for line in node.body
                if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
            )
    return ()
