"""What the options of acceleration cases resolve to, and which of them are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from records import case

from bench.acceleration.options import AccelerationOptions, ResolvedOptions, check, resolve
from bench.acceleration.timing import TimingPlan
from bench.core.errors import UsageProblem
from bench.core.options import Setting

TASKS, LISTS = (Path("/tasks.json"),), (Path("/candidates.json"),)
PROMPTS = Path(__file__).parents[2] / "fixtures/datasets/shapes_prompts.jsonl"
CLIP = PROMPTS.parents[1] / "zoo/tiny-clip"
OPTIONS = AccelerationOptions(tasks=TASKS, candidates=LISTS, clip=str(CLIP), prompts=str(PROMPTS))


def setting(*given: str, workers: int = 1, **run: object) -> Setting:
    shared = {"device": "cpu", "batch_size": None, **run}
    return Setting(
        run=SimpleNamespace(**shared), given=frozenset(given), directory=Path("/here"), workers=workers
    )


def resolved(*given: str, **fields: object) -> ResolvedOptions:
    return resolve(replace(OPTIONS, **fields), setting(*given))


@pytest.mark.parametrize(
    ("given", "candidates"),
    [((), LISTS), (("tasks",), ()), (("candidates",), LISTS), (("tasks", "candidates"), LISTS)],
)
def test_candidates_of_the_ini_file_belong_to_its_tasks(given: tuple[str, ...], candidates: tuple) -> None:
    assert resolved(*given).candidates == candidates


def test_the_plan_and_the_limits_are_those_of_the_options() -> None:
    found = resolved(
        warmup_rounds=3, max_rounds=10, ungated_rounds=8, ungated_precision=0.2, ungated_time=7.0, time_budget=5.0,
        max_launches=3, load_timeout=1.5, round_timeout=2.5, output_limit=0.5, memory_limit=2.0,
    )  # fmt: skip
    assert found.plan == TimingPlan(4, 3, 10, 8, 0.2, 7.0, 5.0, max_launches=3)
    assert (found.limits.load_timeout_s, found.limits.round_timeout_s) == (1.5, 2.5)
    assert (found.limits.memory_bytes, found.limits.output_bytes) == (2 * 2**30, 2**19)


def test_memory_is_a_fair_part_of_the_machines_and_none_on_a_gpu() -> None:
    total = psutil.virtual_memory().total
    assert resolve(OPTIONS, setting(workers=1)).limits.memory_bytes == max(4 * 2**30, total // 2)
    assert resolve(OPTIONS, setting(workers=1000)).limits.memory_bytes == 4 * 2**30
    assert resolve(OPTIONS, setting(device="cuda")).limits.memory_bytes is None


@pytest.mark.parametrize(("text", "size"), [(None, 4), ("auto", 4), ("1", 1), ("32", 32)])
def test_batch_size_is_four_unless_it_is_given(text: str | None, size: int) -> None:
    assert resolve(OPTIONS, setting(batch_size=text)).plan.batch_size == size


@pytest.mark.parametrize("text", ["0", "-1", "4.5", "many", "٣"])
def test_batch_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match=f"--batch-size {text}: expected an integer from 1, or `auto`"):
        resolve(OPTIONS, setting(batch_size=text))


def test_memory_limit_does_not_apply_to_a_gpu() -> None:
    limited = replace(OPTIONS, memory_limit=4.0)
    with pytest.raises(UsageProblem, match="--memory-limit 4: found it next to --device cuda"):
        resolve(limited, setting("memory_limit", device="cuda"))
    assert resolve(limited, setting(device="cuda")).limits.memory_bytes is None  # of the ini file


UNGATED, GATED = case(1), case(2, required_speedup=2.0)
TIMED, OWN = case(3, max_latency_s=1.0), case(4, max_quality_loss=0.01)
CONTROL, BROKEN = case(5, expect="crashed"), case(6, problem="bad", max_quality_loss=0.01)


@pytest.mark.parametrize(
    ("name", "cases", "is_refused"),
    [
        ("ungated_rounds", [UNGATED, GATED], False),
        ("ungated_rounds", [GATED, TIMED, CONTROL], True),
        ("ungated_precision", [GATED], True),
        ("ungated_time", [UNGATED, GATED], False),
        ("ungated_time", [GATED, CONTROL], True),
        ("max_quality_loss", [OWN, GATED], False),
        ("max_quality_loss", [OWN], True),
        ("max_quality_loss", [BROKEN], False),
        ("max_rounds", [OWN], False),
    ],
)
def test_an_option_that_concerns_no_case_that_is_run_is_refused(
    name: str, cases: list, is_refused: bool
) -> None:
    check(resolved(), cases)  # the default is no wish
    if is_refused:
        with pytest.raises(UsageProblem, match=rf"--{name.replace('_', '-')} \S+: found no case that is run"):
            check(resolved(name), cases)
    else:
        check(resolved(name), cases)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ViT-B-33:openai", "nearest names: ViT-B-32"),
        ("nope-model", "'nope-model' is neither a directory nor a model of open_clip"),
        (str(PROMPTS.parent), "the directory has no open_clip_config.json"),
    ],
)
def test_a_clip_model_that_there_is_not_is_refused_before_anything_runs(name: str, said: str) -> None:
    with pytest.raises(UsageProblem, match=f"--clip {name}.*{said}"):
        check(resolved(clip=name), [UNGATED])


@pytest.mark.parametrize("name", ["ViT-B-32:openai", "hf-hub:me/clip", str(CLIP)])
def test_what_may_be_a_clip_model_is_left_to_open_clip(name: str) -> None:
    check(resolved(clip=name), [UNGATED])


@pytest.mark.parametrize("name", ["clip", "prompts"])
def test_what_scoring_needs_is_asked_for_where_a_case_is_run(name: str) -> None:
    options = resolved(**{name: None})
    check(options, [BROKEN])
    with pytest.raises(
        UsageProblem, match=f"--{name}: none was given, expected .*; give it, or set modelgate_{name}"
    ):
        check(options, [UNGATED])
