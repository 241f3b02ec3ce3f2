"""Bad input of every kind: a clear error that names the culprit, and every other case goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from suites import BASELINE, NOISE, NOISE_CALLED, PLAIN, Finished, Suite

pytestmark = pytest.mark.slow

GOOD = "good"


def own_generate(line: str, *, head: str = "") -> str:
    """Return a pipeline file whose own generate function ends in this line; ``images`` holds the true images."""
    return (
        f"{head}\n{NOISE}\n"
        f"def generate(pipe, prompts, generators):\n    images = pipe(prompts, generators)\n    {line}\n"
    )


CANDIDATES = {
    "syntax": ("def (", "load_failed", "syntax"),
    "no-pipe": ("x = 1\n", "load_failed", "defines neither `pipe` nor `load_pipe()`"),
    "none": ("pipe = None\n", "load_failed", "`pipe` is None"),
    "number": ("def load_pipe():\n    return 7\n", "load_failed", "`load_pipe()` is a builtins.int"),
    "too-few": (own_generate("return images[:-1]"), "degenerate_output", "returned 1 image for 2 prompts"),
    "too-many": (
        own_generate("return images + images[:1]"),
        "degenerate_output",
        "returned 3 images for 2 prompts",
    ),
    "nan": (
        own_generate("return [np.full((32, 32, 3), np.nan) for _ in images]", head="import numpy as np"),
        "degenerate_output",
        "NaN",
    ),
    "constant": (
        own_generate("return [image.resize((1, 1)).resize(image.size) for image in images]"),
        "degenerate_output",
        "one flat colour",
    ),
    "size": (
        own_generate("return [image.resize((48, 32)) for image in images]"),
        "config_mismatch",
        "output.width: target 32, candidate 48",
    ),
    "sizes": (
        own_generate("return [*images[:-1], images[-1].resize((48, 32))]"),
        "degenerate_output",
        "sample 1 of the candidate is 48 x 32 pixels, the baseline's is 32 x 32 pixels",
    ),
    "no-images": (own_generate("return None"), "generation_failed", "NoneType"),
    "undefined": (
        PLAIN + "def main(steps):\n    return pipe('a star', num_inference_steps=steps)\n",
        "load_failed",
        "steps",
    ),
    "missing-model": (BASELINE.replace("tiny-sd", "no-such-model"), "load_failed", "no-such-model"),
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One run over all bad candidates and bad entries, with a good one among them."""
    suite = Suite(tmp_path_factory.mktemp("bad"), NOISE_CALLED)
    suite.add(GOOD)
    for name, (text, _, _) in CANDIDATES.items():
        suite.add(name, text)
    suite.add("nowhere", target_file="missing.py")
    suite.add("type", difficulty=3)
    suite.add("twice")
    suite.annotations.append(suite.annotations[-1])
    suite.add("ambiguous", prompt_context="make it 2x or 3x faster")
    suite.add("only-annotated")
    suite.generations.pop()
    suite.generations.append({"prompt_id": "only-generated", "candidate_file": "baseline.py"})
    suite.annotations.append("no object")
    suite.add("bad-baseline", baseline_file=suite.write("broken.py", "raise RuntimeError('broken baseline')"))
    return suite.run("--time-budget", "0")


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_bad_candidate_is_named_with_what_is_wrong(hostile: Finished, name: str) -> None:
    _, code, words = CANDIDATES[name]
    record = hostile.record(name)
    assert record["reason_code"] == code, record["reason"]
    assert words.lower() in record["reason"].lower()
    assert "candidate" in record["reason"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere", ["missing.py"]),
        ("type", ["difficulty", "3"]),
        ("ambiguous", ["2x", "3x"]),
        ("only-annotated", ["candidate"]),
        ("only-generated", ["gen.json"]),
    ],
)
def test_a_bad_entry_is_an_error_that_names_it(hostile: Finished, name: str, words: list[str]) -> None:
    record = hostile.record(name)
    assert (record["verdict"], record["reason_code"]) == ("error", "task_invalid")
    assert name in record["reason"]
    for word in words:
        assert word in record["reason"]


def test_a_duplicate_prompt_id_is_an_error_on_both(hostile: Finished) -> None:
    twins = [record for record in hostile.results["records"] if record["prompt_id"] == "twice"]
    assert [record["reason_code"] for record in twins] == ["task_invalid"] * 2
    assert len({record["id"] for record in twins}) == 2


def test_an_entry_that_is_no_object_is_reported_with_its_place(hostile: Finished) -> None:
    reasons = [record["reason"] for record in hostile.results["records"] if record["prompt_id"] is None]
    assert any("entry" in reason and "object" in reason for reason in reasons), reasons


def test_a_broken_baseline_is_not_held_against_the_candidate(hostile: Finished) -> None:
    record = hostile.record("bad-baseline")
    assert record["reason_code"] == "reference_failed"
    assert "broken baseline" in record["reason"]


def test_the_good_case_among_them_passes(hostile: Finished) -> None:
    assert hostile.record(GOOD)["verdict"] == "pass"
    assert hostile.code == 1


TASK_FILES = {
    "absent": (None, "does not exist"),
    "empty": ("", "empty"),
    "broken": ("{not json", "JSON"),
    "object": ('{"prompt_id": 1}', "list"),
    "nothing": ("[]", "no entries"),
}


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One run over all bad task files."""
    suite = Suite(tmp_path_factory.mktemp("files"), NOISE_CALLED)
    suite.add(GOOD)
    named = []
    for name, (text, _) in TASK_FILES.items():
        file = suite.directory / f"{name}_tasks.json"
        if text is not None:
            file.write_text(text)
        named += ["--tasks", str(file)]
    return suite.run("-k", "_tasks", *named)


@pytest.mark.parametrize("name", TASK_FILES)
def test_a_bad_task_file_is_a_failing_case_that_names_the_file(bad_files: Finished, name: str) -> None:
    assert bad_files.code == 1
    assert bad_files.results is not None, bad_files.output
    assert len(bad_files.results["records"]) == len(TASK_FILES), bad_files.output
    reasons = [record["reason"] for record in bad_files.results["records"]]
    (reason,) = [text for text in reasons if f"{name}_tasks.json" in text]
    assert TASK_FILES[name][1].lower() in reason.lower()
    assert reason in bad_files.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--clip", "ViT-B-32:nobody"], "ViT-B-32 has no weights 'nobody'")],
)
def test_an_unusable_model_of_the_score_is_the_reason_of_every_case(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    suite = Suite(tmp_path, NOISE_CALLED)
    suite.add(GOOD)
    finished = suite.run("--time-budget", "0", *[argument.format(dir=tmp_path) for argument in arguments])
    record = finished.record(GOOD)
    assert (record["verdict"], record["reason_code"]) == ("error", "scoring_failed")
    assert words in record["reason"]
    assert finished.code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--clip", "ViT-B-33:openai"], "nearest names: ViT-B-32"),
        (["--clip", "{dir}"], "the directory has no open_clip_config.json"),
        (["--prompts", ""], "--prompts: found an empty value, expected FILE|DIR|NAME; give one"),
        (["-o", "modelgate_prompts="], "--prompts: none was given, expected a dataset of prompts"),
        (["--prompts", "{dir}/empty.jsonl"], "found no rows, the file is empty"),
        (["--prompts", "{dir}/blank.jsonl", "-n", "2"], "found no rows, it has only blank lines"),
        (["--prompts", "{dir}/none.jsonl"], "no such file"),
        (["--prompts", "{dir}/three.jsonl"], "only 3 rows"),
        (["--prompts", "{dir}/three.jsonl", "--prompts-column", "title"], "title"),
    ],
)
def test_unusable_prompts_or_models_end_the_run_before_it_begins(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    suite = Suite(tmp_path, NOISE_CALLED)
    suite.add(GOOD)
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "blank.jsonl").write_text("\n  \n\n")
    (tmp_path / "three.jsonl").write_text('{"caption": "a red star"}\n' * 3)
    finished = suite.run(*[argument.format(dir=tmp_path) for argument in arguments])
    assert finished.code == 4, finished.output
    lines = [line for line in finished.output.splitlines() if line.startswith("ERROR: ")]
    assert len(lines) == 1, finished.output
    assert words in lines[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--num-samples", "1"], "--num-samples 1: expected at least 2"),
        (["--batch-size", "0"], "--batch-size 0: expected an integer from 1"),
        (["--seed", "soon"], "--seed soon: expected an integer"),
    ],
)
def test_an_option_out_of_range_is_refused_before_anything_runs(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    suite = Suite(tmp_path, NOISE_CALLED)
    suite.add(GOOD)
    finished = suite.run(*arguments)
    assert finished.code == 4
    assert words in finished.output
    assert "Traceback" not in finished.output
