"""The example of docs/programs.md runs the programs that answers give, in the jail."""

from __future__ import annotations

import runpy

import pages
import pytest
from program_rows import COMPLETIONS, HUMANEVAL

from bench.language.executions import executions_of, require_jail_of
from bench.language.grading import grade
from bench.language.prompting import QuestionBuilder
from bench.machine.programs.runner import NoJail, ProgramRunner

PAGE = "docs/programs.md"


def test_the_dataset_of_the_page_runs_programs(tmp_path):
    try:
        with ProgramRunner():
            pass
    except NoJail as error:
        pytest.skip(f"no jail for programs on this system: {error}")
    pages.write(tmp_path, (PAGE, "A dataset of yours"))
    declared = runpy.run_path(str(tmp_path / "mine/tools_gen.py"))["DATASET"]
    require_jail_of(declared)
    questions = QuestionBuilder(declared, [], 0).build(HUMANEVAL)
    texts = (
        COMPLETIONS[0][0],
        COMPLETIONS[1][1],
        f"```python\n{HUMANEVAL[2]['prompt']}{COMPLETIONS[2][1]}```",
    )
    predictions = {
        question.key: {"key": question.key, "text": text, "cut": False}
        for question, text in zip(questions, texts, strict=True)
    }
    graded = grade(declared, questions, predictions)
    assert graded["accuracy"].values == [1, 0, 1]
    outcomes = [drawn[0]["outcome"] for drawn in executions_of(declared, questions, predictions).values()]
    assert outcomes == ["passed", "failed", "passed"]
