"""benchmarks/collection.py: collecting many tasks imports no heavy module."""

import re
from pathlib import Path

import pytest

LINE = r"{name} +\d+\.\d\d s, \d+\.\d\d s of processor time, {count} collected, heavy modules: none"


@pytest.mark.slow
def test_it_prints_what_collecting_takes(run_script):
    lines = run_script("collection.py", "--tasks", "2").splitlines()
    assert re.fullmatch(LINE.format(name="1 task", count=1), lines[0])
    assert re.fullmatch(LINE.format(name="2 tasks", count=2) + r"; \d+\.\d times as long", lines[1])


@pytest.mark.slow
def test_a_heavy_module_is_named(scripts, tmp_path):
    import collection
    from suite import write_tasks

    (tmp_path / "heavy_modules.py").write_text(f"import torch\n{collection.PLUGIN}")
    (tmp_path / "torch.py").write_text("")  # importing the real one takes seconds
    tasks = [collection.make_task(tmp_path, number) for number in range(2)]
    found = collection.collect(tmp_path, write_tasks(tmp_path, tasks))
    assert found.heavy == ("torch",)


def test_each_task_has_three_files_of_its_own(scripts, tmp_path):
    import collection

    tasks = [collection.make_task(tmp_path, number) for number in range(3)]
    files = {task[key] for task in tasks for key in ("target_file", "baseline_file", "candidate_file")}
    texts = {Path(file).read_text(encoding="utf-8") for file in files}
    assert (len(files), len(texts)) == (9, 3)
