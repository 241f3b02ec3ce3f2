"""Task files become cases, and a mistake in one entry or file never touches the others."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.acceleration.case import AccelerationCase
from bench.acceleration.kind import KIND
from bench.acceleration.methods import acceleration_method
from bench.acceleration.tasks.caseid import slug
from bench.acceleration.tasks.cost import REJECTED_EARLY
from bench.acceleration.tasks.entry import EXPECTABLE_CODES
from bench.acceleration.tasks.join import load_cases
from bench.core.errors import REASON_CODES
from bench.core.fingerprint import differing
from bench.run.resume import case_fingerprint

TARGET = """
from DeepCache import DeepCacheSDHelper
from diffusers import StableDiffusionPipeline
pipe = StableDiffusionPipeline.from_pretrained("org/tiny-sd")
helper = DeepCacheSDHelper(pipe=pipe)
helper.set_params(cache_interval=3)
helper.enable()
STEPS = 30
pipe("a cat", num_inference_steps=STEPS)
"""
BASELINE = (
    "pipe = StableDiffusionPipeline.from_pretrained('org/tiny-sd')\npipe('a', num_inference_steps=50)\n"
)


class Folder:
    """A folder with pipelines, to which task files are written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.given: dict[str, list[Path]] = {"anno": [], "gen": []}
        (path / "pipelines").mkdir()
        for name, text in {"target": TARGET, "baseline": BASELINE, "candidate": TARGET}.items():
            (path / "pipelines" / f"{name}.py").write_text(text)

    def write(self, name: str, content: Any) -> Path:
        file = self.path / name
        file.parent.mkdir(exist_ok=True)
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            file.write_text(content if isinstance(content, str) else json.dumps(content))
        return file

    def load(self, annotations: Any, generations: Any, **options: Any) -> list[AccelerationCase]:
        return load_cases(
            [self.write("tasks/anno.json", annotations)],
            [self.write("tasks/gen.json", generations)],
            **options,
        )


def anno(prompt_id: Any = 1, **fields: Any) -> dict[str, Any]:
    return {
        "prompt_id": prompt_id,
        "prompt_context": "Make it faster.",
        "difficulty": "hard",
        "target_file": "../pipelines/target.py",
        "baseline_file": "../pipelines/baseline.py",
    } | fields


def gen(prompt_id: Any = 1, **fields: Any) -> dict[str, Any]:
    return {"prompt_id": prompt_id, "candidate_file": "../pipelines/candidate.py"} | fields


def without(entry: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != name}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def problem_of(folder: Folder) -> Callable[..., str]:
    """The problem of entry 7, which stands between two good ones that must stay good."""

    def problem_of(annotation: Any, generation: Any = None) -> str:
        annotations = [anno(1), annotation, anno(2)]
        generations = [gen(1), *([gen(7)] if generation is None else [generation]), gen(2)]
        cases = folder.load(annotations, generations)
        good = [case for case in cases if case.problem is None]
        assert [case.prompt_id for case in good] == [1, 2]
        assert len({case.id for case in cases}) == len(cases)
        return "\n".join(case.problem for case in cases if case.problem)

    return problem_of


def test_a_task_has_all_that_its_entries_say(folder: Folder) -> None:
    (case,) = folder.load(
        [anno("p-1", difficulty="Hard", level="l4", required_speedup=2, max_quality_loss=0.1, max_latency_s=1.5,
              prompt_context="Be at least 3x faster.", expect="speedup_missed", requires=["cuda", "compiler"],
              methods=["deepcache", "tome"], free=["guidance", "arguments.eta"], notes="kept for people")],
        [gen("p-1")],
    )  # fmt: skip
    pipelines = folder.path / "pipelines"
    assert case == AccelerationCase(
        id="hard-tiny_sd-deepcache-p_1",
        prompt_id="p-1",
        prompt_context="Be at least 3x faster.",
        difficulty="hard",
        level="L4",
        target_file=pipelines / "target.py",
        baseline_file=pipelines / "baseline.py",
        candidate_file=pipelines / "candidate.py",
        required_speedup=2.0,
        max_quality_loss=0.1,
        max_latency_s=1.5,
        overruled_demands=(
            "'3x faster' of the text is overruled by required_speedup 2; leave one of the two",
        ),
        expect="speedup_missed",
        free=("methods", "guidance", "arguments.eta"),  # those of its level first
        required_methods=("deepcache", "tome"),
        requires=("cuda", "compiler"),
        order=0,
        cost=3.8,  # a compiler on top
    )


def test_only_the_required_fields_are_needed(folder: Folder) -> None:
    (case,) = folder.load([anno(level=None, required_speedup=None)], [gen()], default_max_quality_loss=0.02)
    assert case.problem is None
    assert (case.level, case.required_speedup, case.max_latency_s, case.expect) == (None, None, None, None)
    assert case.max_quality_loss == 0.02


@pytest.mark.parametrize("fields", [{}, {"expect": "speedup_missed"}])
def test_the_speedup_is_read_from_the_text_unless_a_field_names_it(folder: Folder, fields: dict) -> None:
    text = {"prompt_context": "Be twice as fast."}
    prose, both = folder.load([anno(1, **text, **fields), anno(2, required_speedup=1.5, **text, **fields)],
                              [gen(1), gen(2)])  # fmt: skip
    assert (prose.required_speedup, both.required_speedup) == (2.0, 1.5)


def test_other_names_of_target_and_candidate_are_accepted(folder: Folder) -> None:
    annotation = without(anno(), "target_file") | {"gt_file": "../pipelines/target.py"}
    generation = without(gen(), "candidate_file") | {"gen_file": "../pipelines/candidate.py"}
    (case,) = folder.load([annotation], [generation])
    assert case.problem is None
    assert (case.target_file.name, case.candidate_file.name) == ("target.py", "candidate.py")
    (case,) = folder.load([anno(gt_file="../pipelines/target.py")], [gen()])
    assert case.problem is None


def test_paths_are_relative_to_the_file_that_names_them(folder: Folder) -> None:
    annotations = folder.write(
        "pipelines/anno.json", [anno(target_file="target.py", baseline_file="./baseline.py")]
    )
    (folder.path / "deep").mkdir()
    generations = folder.write(
        "deep/gen.json", [gen(candidate_file=str(folder.path / "pipelines/candidate.py"))]
    )
    (case,) = load_cases([annotations], [generations])
    assert case.problem is None
    assert {case.target_file.parent, case.candidate_file.parent} == {folder.path / "pipelines"}


def test_json_lines_are_read_and_a_bad_line_is_one_problem(folder: Folder) -> None:
    lines = [
        json.dumps(anno(1)),
        "",
        "{broken",
        json.dumps(anno(2, prompt_context="a\u2028b"), ensure_ascii=False),
    ]
    annotations = folder.write("tasks/anno.jsonl", "\n".join(lines))
    cases = load_cases(
        [annotations], [folder.write("tasks/gen.jsonl", f"{json.dumps(gen(1))}\n{json.dumps(gen(2))}\n")]
    )
    assert [case.prompt_id for case in cases if case.problem is None] == [1, 2]
    (bad,) = [case for case in cases if case.problem]
    assert "anno.jsonl, line 3: this is not JSON (line 1, column 2" in bad.problem


def test_entries_are_joined_over_all_files_in_the_order_of_the_annotations(folder: Folder) -> None:
    tasks = [folder.write(f"tasks/anno{i}.json", [anno(f"{i}a"), anno(f"{i}b")]) for i in range(2)]
    candidates = [folder.write("tasks/gen.json", [gen("1b"), gen("0a"), gen("x")]),
                  folder.write("tasks/gen2.json", [gen("1a"), gen("0b")])]  # fmt: skip
    cases = load_cases(tasks, candidates)
    assert [case.prompt_id for case in cases] == ["0a", "0b", "1a", "1b", "x"]
    assert [case.order for case in cases] == [0, 1, 2, 3, 4]
    assert [case.problem is None for case in cases] == [True] * 4 + [False]


def test_a_number_and_its_text_are_the_same_prompt_id(folder: Folder) -> None:
    (case,) = folder.load([anno(7)], [gen("7")])
    assert case.problem is None
    assert case.prompt_id == 7


def test_the_same_file_given_twice_is_one_file(folder: Folder) -> None:
    annotations, generations = folder.write("tasks/a.json", [anno()]), folder.write("tasks/g.json", [gen()])
    assert len(load_cases([annotations, annotations], [generations])) == 1


BAD_FIELDS = {
    "difficulty": [("heavy", "one of easy, medium, hard"), (3, "the number 3"), ([], "a list []"), (True, "true")],
    "level": [("L6", "one of L1, L2, L3, L4, L5, or 1 to 5"), (0, "the number 0"), (True, "the boolean true"), (1.5, "1.5")],
    "required_speedup": [("2x", "a number above 0 and at most 1000"), (True, "the boolean true"), (math.nan, "NaN"),
                         (0, "the number 0"), (-1, "the number -1"), (1e9, "at most 1000"), (math.inf, "Infinity")],
    "max_quality_loss": [(-0.1, "from 0 to below 1"), (5, "where 0.05 is 5 %"), (False, "the boolean false"), ("5%", "5%")],
    "max_latency_s": [(0, "seconds above 0"), (math.nan, "NaN"), (10**400, "seconds above 0"), ({}, "an object {}")],
    "expect": [("passed", "mismatch, method_without_effect"), ("rejected_as_expected", "one of"), (1, "the number 1")],
    "requires": [("cuda", "a list of names from compiler, cuda"), (["gpu"], "one of compiler, cuda"), ([1], "[1]")],
    "free": [(["guidence"], "found 'guidence'"), ("methods", "put it in [ ]"), ([None], "found None")],
    "methods": [(["deep_cache"], "one of attention_backend"), ("tome", "put it in [ ]"), ([None], "null")],
    "prompt_context": [(5, "expected a text"), (["a"], "a list")],
    "target_file": [("../missing.py", "there is no such file"), ("../pipelines", "that is a directory"), ("", "Python file"),
                    (5, "a Python file"), ("a\x00b.py", "there is no such file"), ("a" * 5_000, "cannot be a path")],
    "baseline_file": [("../missing.py", "relative to the file that names it"), (None, "is null")],
    "prompts_file": [("none.jsonl", "there is no such file"), ("none.jsonl", "expected a file or folder of prompts"),
                     (7, "the path of prompts"), ("a" * 5_000, "cannot be a path")],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "expected"), [(name, *case) for name, cases in BAD_FIELDS.items() for case in cases]
)
def test_an_invalid_field_is_a_problem_of_its_entry_alone(
    problem_of: Callable[..., str], name: str, value: Any, expected: str
) -> None:
    message = problem_of(anno(7, **{name: value}))
    assert message.startswith("anno.json, entry [1] (prompt_id 7): ")
    assert f"{name} is " in message
    assert expected in message
    assert "expected" in message
    assert len(message) < 900


@pytest.mark.parametrize(
    ("key", "field"),
    [("id", "prompt_id"), ("Prompt", "prompt_context"), ("instruction", "prompt_context"), ("target", "target_file"),
     ("base", "baseline_file"), ("hardness", "difficulty"), ("taskId", "prompt_id"), ("case_id", "prompt_id"),
     ("promptId", "prompt_id"), ("user_prompt", "prompt_context"), ("requirements", "prompt_context"),
     ("ground_truth_file", "target_file"), ("target_script", "target_file"), ("source_file", "baseline_file"),
     ("difficulty_level", "difficulty")],
)  # fmt: skip
def test_a_key_that_stands_for_a_missing_field_is_named(
    problem_of: Callable[..., str], key: str, field: str
) -> None:
    entry = anno(7)
    entry[key] = entry.pop(field)
    assert f"{field} is missing; expected " in (problem := problem_of(entry))
    assert f"; rename the key {key!r}" in problem


def test_what_is_wrong_with_the_prompts_of_tasks_is_looked_for_once_and_is_their_problem_alone(
    folder: Folder,
) -> None:
    good, bad = folder.write("tasks/good.txt", "a cat"), folder.write("tasks/bad.txt", "a dog")
    asked: list[Path] = []

    def problem(file: Path) -> str | None:
        asked.append(file)
        return None if file == good else f"{file}: row 0 is wrong"

    annotations = [
        anno(1, prompts_file="good.txt"),
        *(anno(n, prompts_file="bad.txt") for n in (2, 3)),
        anno(4),
    ]
    one, two, three, four = folder.load(annotations, [gen(n) for n in (1, 2, 3, 4)], prompts_problem=problem)
    assert (one.prompts_file, one.problem, four.prompts_file, four.problem) == (good, None, None, None)
    for case in (two, three):
        assert case.problem is not None
        assert f"prompts_file: {bad}: row 0 is wrong" in case.problem
    assert sorted(asked) == sorted([good, bad])


def test_a_result_depends_on_the_prompts_of_its_task_and_on_the_images_that_they_name(folder: Folder) -> None:
    prompts, image = (
        folder.write("tasks/p.jsonl", '{"prompt": "a cat", "image": "a.png"}\n'),
        folder.path / "tasks/a.png",
    )
    Image.new("RGB", (8, 8), "red").save(image)
    (case,) = folder.load([anno(1, prompts_file="p.jsonl")], [gen(1)])
    before = case_fingerprint(KIND, case)
    Image.new("RGB", (8, 8), "blue").save(image)
    assert differing(before, case_fingerprint(KIND, case)) == ["files"]
    prompts.write_text('{"prompt": "a dog", "image": "a.png"}\n')
    assert "prompts_file" in differing(before, case_fingerprint(KIND, case))


def test_the_same_key_is_a_note_where_the_field_is_there(folder: Folder) -> None:
    (found,) = folder.load([anno(1, id="a", prompt="a cat", target="SD", base="x")], [gen(1)])
    assert found.problem is None


@pytest.mark.parametrize(
    ("key", "field"),
    [
        ("output", "candidate_file"),
        ("generatedFile", "candidate_file"),
        ("path", "candidate_file"),
        ("id", "prompt_id"),
    ],
)
def test_a_key_that_stands_for_a_missing_field_of_a_generation_is_named(
    problem_of: Callable[..., str], key: str, field: str
) -> None:
    entry = gen(7)
    entry[key] = entry.pop(field)
    assert f"; rename the key {key!r}" in problem_of(anno(7), entry)


@pytest.mark.parametrize("name", ["prompt_context", "difficulty", "target_file", "baseline_file"])
def test_a_missing_field_is_a_problem(problem_of: Callable[..., str], name: str) -> None:
    assert f"(prompt_id 7): {name} is missing; expected " in problem_of(without(anno(7), name))


@pytest.mark.parametrize("value", [True, None, 1.5, [], {}, "", "  "])
def test_an_invalid_prompt_id_is_a_problem_on_either_side(problem_of: Callable[..., str], value: Any) -> None:
    message = problem_of(anno(value), gen(value))
    assert "anno.json, entry [1]: prompt_id is " in message
    assert "gen.json, entry [1]: prompt_id is " in message


@pytest.mark.parametrize("item", [None, 5, "text", [], [{}], True])
def test_an_entry_that_is_no_object_is_a_problem(problem_of: Callable[..., str], item: Any) -> None:
    message = problem_of(item)
    assert "anno.json, entry [1]: this is " in message
    assert "expected an object with a prompt_id" in message
    assert "no annotation entry has the prompt_id 7" in message


@pytest.mark.parametrize(
    ("key", "meant"),
    [("max_latency", "max_latency_s"), ("expected", "expect"), ("requird_speedup", "required_speedup"),
     ("Level", "level"), ("speedup", "required_speedup"), ("method", "methods"), ("target-file", "target_file"),
     ("min_speed_up", "required_speedup"), ("targetSpeedup", "required_speedup"), ("latency_s", "max_latency_s"),
     ("vram", "max_memory_gb"), ("memory-limit", "max_memory_gb"), ("max_loss", "max_quality_loss"),
     ("Allowed Quality Drop", "max_quality_loss"), ("required_methods", "methods"), ("prompts", "prompts_file")],
)  # fmt: skip
def test_a_misspelled_key_is_a_problem_that_names_both(
    problem_of: Callable[..., str], key: str, meant: str
) -> None:
    message = problem_of(anno(7, **{key: "x"}))
    assert f"the key {key!r} is unknown and close to {meant!r}" in message


@pytest.mark.parametrize(
    "key",
    [
        "notes",
        "prompt",
        "source",
        "_expected",
        "category",
        "measured_speedup",
        "baseline_latency_s",
        "loss_curve",
    ],
)
def test_other_keys_are_notes(folder: Folder, key: str) -> None:
    (case,) = folder.load([anno(**{key: ["anything"]})], [gen(difficulty=3)])
    assert case.problem is None


def test_a_field_under_both_names_with_different_values_is_a_problem(problem_of: Callable[..., str]) -> None:
    assert "target_file and gt_file differ" in problem_of(anno(7, gt_file="../pipelines/baseline.py"))
    assert "candidate_file and gen_file differ" in problem_of(anno(7), gen(7, gen_file="other.py"))


def test_a_key_given_twice_in_one_object_is_a_problem(folder: Folder) -> None:
    text = json.dumps([anno()])[:-2] + ', "expect": "crashed", "difficulty": "easy"}]'
    (case,) = folder.load(text, [gen()])
    assert "difficulty given more than once" in case.problem


def test_an_ambiguous_text_is_a_problem_unless_a_field_decides(
    problem_of: Callable[..., str], folder: Folder
) -> None:
    text = "Be 1.5x to 2x faster."
    message = problem_of(anno(7, prompt_context=text))
    assert "prompt_context: the text names several speedups ('1.5x to 2x faster'" in message
    (case,) = folder.load([anno(prompt_context=text, required_speedup=1.5)], [gen()])
    assert case.problem is None


def test_an_invalid_speedup_field_is_not_replaced_by_the_text(folder: Folder) -> None:
    (case,) = folder.load([anno(required_speedup="fast", prompt_context="2x faster")], [gen()])
    assert case.required_speedup is None
    assert "required_speedup is the text" in case.problem


def test_every_mistake_of_an_entry_is_named_at_once(problem_of: Callable[..., str]) -> None:
    message = problem_of(anno(7, level="L9", max_latency_s=-1), gen(7, candidate_file="no.py"))
    assert message.count("; also: ") == 2
    assert all(
        name in message
        for name in ("level is", "max_latency_s is", "gen.json, entry [1] (prompt_id 7): candidate_file is")
    )


def test_an_id_on_one_side_only_is_a_problem_on_either_side(folder: Folder) -> None:
    cases = folder.load([anno(1), anno(2)], [gen(1), gen(3)])
    assert [(case.prompt_id, case.problem is None) for case in cases] == [(1, True), (2, False), (3, False)]
    assert "no generation entry has the prompt_id 2; expected exactly one" in cases[1].problem
    assert "or a candidate_file in this entry" in cases[1].problem
    assert "no annotation entry has the prompt_id 3; expected exactly one; add it" in cases[2].problem
    assert "--tasks" in cases[2].problem


# A task in one file


CANDIDATE = "../pipelines/candidate.py"


@pytest.mark.parametrize("key", ["candidate_file", "gen_file"])
def test_a_task_may_name_its_own_candidate(folder: Folder, key: str) -> None:
    cases = load_cases([folder.write("tasks/anno.json", [anno(1, **{key: CANDIDATE})])], [])
    assert [case.problem for case in cases] == [None]
    assert cases[0].candidate_file == folder.path / "pipelines" / "candidate.py"
    assert cases[0].cost > 0


def test_a_candidate_named_on_both_sides_must_be_the_same(folder: Folder) -> None:
    annotations = [anno(1, candidate_file=CANDIDATE), anno(2, candidate_file=CANDIDATE), anno(3)]
    generations = [gen(1, candidate_file=str(folder.path / "pipelines/candidate.py")), gen(3)]
    generations.append(gen(2, candidate_file="../pipelines/target.py"))
    same, other, plain = folder.load(annotations, generations)
    assert (same.problem, plain.problem) == (None, None)
    assert re.search(
        r"anno\.json, entry \[1\] \(prompt_id 2\): the candidate_file '\S+candidate\.py' differs from "
        r"'\S+target\.py' of gen\.json, entry \[2\] \(prompt_id 2\); expected one candidate",
        other.problem,
    )


def test_a_bad_candidate_of_its_own_is_the_only_problem_of_a_task(folder: Folder) -> None:
    (case,) = folder.load([anno(1, candidate_file="../missing.py")], [gen(9)])[:1]
    assert "candidate_file is the text" in case.problem
    assert "no generation entry" not in case.problem


def test_duplicates_with_candidates_of_their_own_are_still_duplicates(folder: Folder) -> None:
    cases = load_cases([folder.write("tasks/anno.json", [anno(7, candidate_file=CANDIDATE)] * 2)], [])
    assert len(cases) == 2
    assert all("occurs 2 times" in case.problem for case in cases)


def test_a_method_of_a_users_own_can_be_required(folder: Folder, own_methods: None) -> None:
    assert "free_u" in folder.load([anno(1, methods=["free_u"])], [gen(1)])[0].problem
    acceleration_method("free_u")(lambda loaded: None)
    (case,) = folder.load([anno(1, methods=["free_u"])], [gen(1)])
    assert (case.problem, case.required_methods) == (None, ("free_u",))


@pytest.mark.parametrize("code", EXPECTABLE_CODES)
def test_a_control_may_expect_all_that_a_candidate_can_bring_about(folder: Folder, code: str) -> None:
    (case,) = folder.load([anno(1, expect=code)], [gen(1)])
    assert (case.problem, case.expect, case.is_control) == (None, code, True)


@pytest.mark.parametrize(
    ("annotations", "generations", "count"),
    [(2, 1, 2), (1, 2, 2), (2, 2, 2), (3, 2, 3), (2, 0, 2), (0, 2, 2)],
)
def test_every_one_of_duplicates_is_a_problem(
    folder: Folder, annotations: int, generations: int, count: int
) -> None:
    ids = [7, "7", 7]
    cases = folder.load([*map(anno, ids[:annotations]), anno(1)], [*map(gen, ids[:generations]), gen(1)])
    bad = [case for case in cases if case.problem]
    assert len(bad) == count
    assert len(cases) == count + 1
    assert all("occurs 2 times" in case.problem or "occurs 3 times" in case.problem for case in bad)
    assert len({case.id for case in cases}) == len(cases)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"[]", "holds no entries"),
        (b"{}", "holds an object {}"),
        (b'"text"', "holds the text"),
        (b'[{"a": 1},\n {"b" 2}]', "is not JSON (line 2, column 7: Expecting ':' delimiter)"),
        (b"[" * 100_000, "is not JSON (nested too deeply)"),
        (b"[" + b"9" * 5_000 + b"]", "is not JSON (Exceeds the limit"),
        (b'[{"a": "\xff"}]', "is not UTF-8 (byte 0xff at offset 8)"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("role", ["tasks", "candidates"])
def test_a_bad_file_is_one_problem_and_the_other_files_go_on(
    folder: Folder, role: str, content: bytes, expected: str
) -> None:
    files = {
        "tasks": [folder.write("tasks/anno.json", [anno(1)])],
        "candidates": [folder.write("tasks/gen.json", [gen(1)])],
    }
    files[role].append(folder.write("tasks/hard bad.json", content))
    good, bad = sorted(load_cases(**files), key=lambda case: case.problem is not None)
    assert good.problem is None
    assert expected in bad.problem
    assert "expected" in bad.problem
    assert str(files[role][1]) in bad.problem
    assert re.fullmatch(rf"medium-{role}-file-h_rd_bad-\d", bad.id)


def test_a_missing_file_and_a_directory_are_problems(folder: Folder) -> None:
    generations = folder.write("gen.json", [gen(1)])
    missing, directory, orphan = load_cases(
        [folder.path / "no.json", folder.path / "pipelines"], [generations]
    )
    assert "does not exist" in missing.problem
    assert "is a directory" in directory.problem
    assert "(note that no.json, pipelines could not be read)" in orphan.problem


def test_no_files_are_no_cases() -> None:
    assert load_cases([], []) == []


def test_ids_tell_difficulty_model_method_and_number(folder: Folder) -> None:
    texts = {
        "plain.py": "pipe = make()",
        "ddim.py": "pipe = P.from_pretrained('runwayml/stable-diffusion-v1-5/')\npipe.scheduler = DDIMScheduler()",
        "hard.py": "pipe = P.from_pretrained('org/Hardware easy-MEDIUM')\npipe.scheduler = UniPCMultistepScheduler()",
        "broken.py": "pipe = (",
    }
    for name, text in texts.items():
        folder.write(f"pipelines/{name}", text)
    ids = ["p 1/ä", "hard-7", -3, "x" * 500]
    cases = folder.load(
        [
            anno(i, target_file=f"../pipelines/{name}", difficulty="easy")
            for i, name in zip(ids, texts, strict=True)
        ],
        [gen(i) for i in ids],
    )
    assert [case.id for case in cases[:3]] == [
        "easy-unknown-plain-p_1",
        "easy-stable_diffusion_v1_5-ddim-h_rd_7",
        "easy-h_rdware_e_sy_m_dium-unipc-3",
    ]
    assert cases[3].id.startswith("easy-unknown-unknown-xxx")
    assert len(cases[3].id) < 100
    assert all(case.problem is None for case in cases)


@given(st.text(), st.sampled_from(["x", "id"]))
def test_a_field_of_an_id_is_safe_to_select_by(text: str, otherwise: str) -> None:
    made = slug(text + "hard" + text, otherwise)
    assert re.fullmatch(r"[a-z0-9_.+]+", made)
    assert not re.search("hard|easy|medium", made)


def test_ids_are_unique_even_where_their_parts_are_equal(folder: Folder) -> None:
    ids = ["a b", "a_b", "a-b", "a_b_2"]
    cases = folder.load([anno(i) for i in ids], [gen(i) for i in ids])
    assert len({case.id for case in cases}) == 4
    assert [case.problem for case in cases] == [None] * 4


def test_controls_that_are_rejected_early_are_cheap(folder: Folder) -> None:
    cases = folder.load([anno(1), anno(2, expect="load_failed"), anno(3, expect="timed_out"), anno(4)],
                        [gen(1), gen(2), gen(3)])  # fmt: skip
    assert [case.cost for case in cases] == pytest.approx([0.8, 0.08, 0.8, 0.0])


def test_every_code_that_can_be_expected_is_a_reason_code() -> None:
    assert set(EXPECTABLE_CODES) <= set(REASON_CODES)
    assert set(EXPECTABLE_CODES) >= REJECTED_EARLY
    assert {"quality_undecided", "latency_undecided", "speedup_undecided"} <= set(EXPECTABLE_CODES)
    assert not {"passed", "task_invalid", "reference_failed", "worker_died"} & set(EXPECTABLE_CODES)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELD_NAMES = st.sampled_from(
    [*anno(), *gen(), "level", "required_speedup", "expect", "requires", "methods", "gt_file"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.lists(JSON_VALUES | st.dictionaries(FIELD_NAMES, JSON_VALUES), min_size=1, max_size=5))
def test_any_json_next_to_a_good_entry_leaves_it_alone(
    tmp_path_factory: pytest.TempPathFactory, items: list
) -> None:
    folder = Folder(tmp_path_factory.mktemp("any"))
    cases = folder.load([anno("the good one"), *items], [gen("the good one"), *items])
    assert cases[0].problem is None
    assert cases[0].prompt_id == "the good one"
    assert len({case.id for case in cases}) == len(cases)
    assert all(case.problem for case in cases[1:])


def test_a_thousand_tasks_load_fast_and_without_frameworks(folder: Folder) -> None:
    annotations, generations = [], []
    for i in range(1_000):
        for role, text in {"t": TARGET, "b": BASELINE, "c": TARGET}.items():
            (folder.path / "pipelines" / f"{role}{i}.py").write_text(text.replace("30", str(20 + i)))
        annotations.append(anno(i, prompt_context="At least 1.8x faster at 512x512, quality loss within 5%.",
                                target_file=f"../pipelines/t{i}.py", baseline_file=f"../pipelines/b{i}.py"))  # fmt: skip
        generations.append(gen(i, candidate_file=f"../pipelines/c{i}.py"))
    files = folder.write("tasks/anno.json", annotations), folder.write("tasks/gen.json", generations)
    program = (
        "import sys, time\nfrom pathlib import Path\nstarted = time.process_time()\n"
        "from bench.acceleration.tasks.join import load_cases\n"
        "cases = load_cases([Path(sys.argv[1])], [Path(sys.argv[2])])\n"
        "assert sum(case.problem is None and case.required_speedup == 1.8 for case in cases) == 1000\n"
        "assert not {'torch', 'diffusers', 'numpy'} & set(sys.modules)\n"
        "print(time.process_time() - started)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *map(str, files)], check=True, capture_output=True,
                          text=True, cwd=Path(__file__).parents[2])  # fmt: skip
    assert float(done.stdout) < 4.0  # about 1 s where nothing else runs


def test_a_thousand_duplicates_are_quick(folder: Folder) -> None:
    started = time.process_time()
    cases = folder.load([anno(1)] * 1_000, [gen(1)] * 1_000)
    assert len(cases) == 1_000
    assert time.process_time() - started < 4.0
