"""Synthetic rows in the form that datasets have on the hub, for tasks of lm-evaluation-harness; the texts are our own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
LEAST = 6
THINGS = ("lamp", "river", "stone", "garden", "bell", "boat", "ladder", "window", "basket", "bridge")
COLOURS = ("red", "green", "blue", "white")


def thing(i: int) -> str:
    return THINGS[i % len(THINGS)]


def say(i: int) -> str:
    return f"The {COLOURS[i % 4]} {thing(i)} stood near the {thing(i + 3)} for {i + 2} days."


def ask(i: int) -> str:
    return f"What stood near the {thing(i + 3)} for {i + 2} days?"


def four(i: int) -> list[str]:
    return [f"a {COLOURS[(i + k) % 4]} {thing(i + 2 * k)}" for k in range(4)]


def letters(i: int) -> Row:
    return {"question": ask(i), **dict(zip("ABCD", four(i), strict=True)), "answer": "ABCD"[i % 4]}


def labelled(i: int) -> Row:
    return {"text": four(i), "label": list("ABCD")}


def pair(i: int) -> Row:
    return {"sentence1": say(i), "sentence2": say(i + 1), "label": i % 2}


def entailment(i: int) -> Row:
    return {"premise": say(i), "hypothesis": f"A {thing(i)} stood there.", "label": i % 3}


def summed(i: int) -> Row:
    steps = f"Tom has {i + 2} and gets {i + 3}. {i + 2} + {i + 3} = {2 * i + 5}."
    return {
        "question": f"Tom has {i + 2} stones and finds {i + 3} more. How many has he?",
        "answer": f"{steps}\n#### {2 * i + 5}",
    }


def solved(i: int) -> Row:
    return {
        "problem": f"What is the half of ${i + 1}$?", "level": "Level 1", "type": "Algebra",
        "solution": f"It is $\\boxed{{\\frac{{{i + 1}}}{{2}}}}$.",
    }  # fmt: skip


def sentences(i: int) -> Row:
    return {"sentence": f"The {thing(i)} did not fit into the {thing(i + 1)} because _ was too large.",
            "option1": f"the {thing(i)}", "option2": f"the {thing(i + 1)}", "answer": str(i % 2 + 1)}  # fmt: skip


def truths(i: int) -> Row:
    right, wrong = (
        [f"It was a {thing(i)}.", f"A {thing(i)} did."],
        [f"It was a {thing(i + 4)}.", "Nobody knows it."],
    )
    targets = {"choices": right[:1] + wrong, "labels": [1, 0, 0]}
    return {
        "question": ask(i), "best_answer": right[0], "correct_answers": right, "incorrect_answers": wrong,
        "mc1_targets": targets, "mc2_targets": {"choices": right + wrong, "labels": [1, 1, 0, 0]},
    }  # fmt: skip


def spans(i: int) -> Row:
    return {"spans": [thing(i)], "number": "", "date": {"day": "", "month": "", "year": ""}}


def dropped(i: int) -> Row:
    many = {"number": [""], "date": [{"day": "", "month": "", "year": ""}], "spans": [[thing(i)]],
            "worker_id": [""], "hit_id": [""]}  # fmt: skip
    own = {**spans(i), "worker_id": "", "hit_id": ""}
    return {"section_id": f"s{i}", "query_id": f"q{i}", "passage": say(i), "question": ask(i), "answer": own,
            "validated_answers": many}  # fmt: skip


def graduate(i: int) -> Row:
    names = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
    return {"Question": ask(i), **dict(zip(names, four(i), strict=True)), "Explanation": say(i)}


def instructed(i: int) -> Row:
    return {"key": i, "prompt": f"Write about a {thing(i)} without a comma.",
            "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{"num_words": None}]}  # fmt: skip


def talked(i: int) -> Row:
    return {
        "id": f"c{i}", "source": "own", "story": f"{say(i)} {say(i + 1)}",
        "questions": {"input_text": [ask(i), ask(i + 1)], "turn_id": [1, 2]},
        "answers": {"input_text": [thing(i), thing(i + 1)], "turn_id": [1, 2], "span_start": [0, 1],
                    "span_end": [2, 3], "span_text": ["", ""]},
        "additional_answers": {k: {"input_text": [thing(i), thing(i + 2)], "turn_id": [1, 2], "span_start": [0, 1],
                                   "span_end": [2, 3], "span_text": ["", ""]} for k in "012"},
    }  # fmt: skip


# By path on the hub, and by subset where those of a path differ.
ROWS: dict[str, Callable[[int], Row]] = {
    "allenai/ai2_arc": lambda i: {"id": f"a{i}", "question": ask(i), "choices": labelled(i), "answerKey": "ABCD"[i % 4]},
    "Rowan/hellaswag": lambda i: {
        "ind": i, "activity_label": "Building", "ctx_a": say(i), "ctx_b": f"the {thing(i)}", "ctx": say(i),
        "endings": [f"[title] falls near {one}." for one in four(i)], "label": str(i % 4)},
    "baber/piqa": lambda i: {"goal": f"Move the {thing(i)}.", "sol1": say(i), "sol2": say(i + 1), "label": i % 2},
    "allenai/winogrande": sentences,
    "aps/super_glue/boolq": lambda i: {"passage": say(i), "question": f"was it a {thing(i)}", "label": i % 2},
    "aps/super_glue/copa": lambda i: {"premise": say(i), "question": ("cause", "effect")[i % 2], "choice1": say(i + 1),
                                      "choice2": say(i + 2), "label": i % 2},
    "aps/super_glue/cb": entailment,
    "aps/super_glue/multirc": lambda i: {
        "paragraph": say(i), "question": ask(i), "answer": f"a {thing(i)}", "label": i % 2,
        "idx": {"paragraph": i, "question": i, "answer": i}},
    "allenai/openbookqa": lambda i: {
        "question_stem": f"A {thing(i)} is", "choices": labelled(i), "answerKey": "ABCD"[i % 4]},
    "allenai/sciq": lambda i: {
        "question": ask(i), "support": say(i), "correct_answer": thing(i), "distractor1": thing(i + 1),
        "distractor2": thing(i + 2), "distractor3": thing(i + 4)},
    "cais/mmlu": lambda i: {"question": ask(i), "choices": four(i), "answer": i % 4},
    "ceval/ceval-exam": letters,
    "haonan-li/cmmlu": lambda i: {"Question": ask(i), **dict(zip("ABCD", four(i), strict=True)), "Answer": "ABCD"[i % 4]},
    "truthfulqa/truthful_qa": truths,
    "Idavidrein/gpqa": graduate,
    "TIGER-Lab/MMLU-Pro": lambda i: {"question": ask(i), "options": four(i), "answer": "ABCD"[i % 4], "answer_index": i % 4,
                                     "cot_content": f"A: Let's think step by step. The answer is ({'ABCD'[i % 4]}).",
                                     "category": "biology"},
    "SaylorTwift/bbh": lambda i: {"input": f"not ( True ) and {bool(i % 2)} is", "target": "False"},
    "EleutherAI/drop": dropped,
    "openai/gsm8k": summed,
    "juletxara/mgsm": lambda i: {"question": summed(i)["question"], "answer": None, "answer_number": 2 * i + 5,
                                 "equation_solution": None},
    "EleutherAI/hendrycks_math": solved,
    "google/IFEval": instructed,
    "EleutherAI/lambada_openai": lambda i: {"text": f"{say(i)} Nobody had moved the {thing(i)}"},
    "EleutherAI/wikitext_document_level": lambda i: {
        "page": " \n ".join(f" = {thing(k)} = \n {say(k)}" for k in range(i, i + 3))},
    "mandarjoshi/trivia_qa": lambda i: {
        "question": ask(i), "answer": {"value": thing(i), "aliases": [thing(i), f"a {thing(i)}"]}},
    "google-research-datasets/nq_open": lambda i: {"question": ask(i).lower(), "answer": [thing(i), f"the {thing(i)}"]},
    "nyu-mll/glue": pair,
    "nyu-mll/glue/cola": lambda i: {"sentence": say(i), "label": i % 2},
    "nyu-mll/blimp": lambda i: {"sentence_good": say(i), "sentence_bad": f"Stood {thing(i)} the near days."},
    "EleutherAI/coqa": talked,
    "EleutherAI/asdiv": lambda i: {
        "body": summed(i)["question"], "question": "How many?", "answer": f"{2 * i + 5} (stones)"},
    "EleutherAI/unscramble": lambda i: {"context": f"Unscramble {thing(i)[::-1]}. ", "completion": thing(i)},
    "jannalu/crows_pairs_multilingual": lambda i: {"sent_more": say(i), "sent_less": say(i + 1), "bias_type": "age"},
    "lighteval/siqa": lambda i: {"context": say(i), "question": ask(i), "answerA": thing(i), "answerB": thing(i + 1),
                                 "answerC": thing(i + 2), "label": str(i % 3 + 1)},
    "EleutherAI/race": lambda i: {"article": say(i), "problems": json.dumps(
        [{"question": "It was _ .", "answer": "ABCD"[i % 4], "options": four(i)}])},
    "EleutherAI/mutual": lambda i: {"answers": "ABCD"[i % 4], "options": four(i), "article": f"m : {say(i)}", "id": f"{i}"},
    "wmt/wmt16": lambda i: {"translation": {"de": f"Das Ding {i} steht da.", "en": say(i)}},
    "lighteval/squad_v2": lambda i: {"id": f"s{i}", "title": "Own", "context": say(i), "question": ask(i),
                                     "answers": {"text": [thing(i)] * (i % 2), "answer_start": [4] * (i % 2)}},
    "own/stories": lambda i: {"story": say(i), "ending": f" The {thing(i)} stayed."},
}  # fmt: skip


def write_rows(folder: Path, path: str, name: str | None, splits: Iterable[str]) -> None:
    """Write rows of a dataset below a folder, each split with texts of its own; subsets differ in how many they have."""
    count = LEAST + sum(map(ord, name or "")) % 4
    make = ROWS.get(f"{path}/{name}") or ROWS[path]
    place = folder / path / name if name else folder / path
    place.mkdir(parents=True, exist_ok=True)
    for number, split in enumerate(sorted(splits)):
        rows = [make(i + 20 * number) for i in range(count)]
        (place / f"{split}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
        )
