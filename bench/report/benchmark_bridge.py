"""pytest-benchmark's table, JSON, storage and comparison, fed with our times, with and without xdist.

pytest-benchmark switches itself off under xdist, because a worker's timings are worth nothing when the
workers share cores. Ours are taken on leased cores. So the times travel in the records, and the process
that owns the run hands them to pytest-benchmark's session as if its own fixture had taken them. This is
the only module that touches its semi-private names; pyproject.toml pins the range they were tried with.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.core.record import Json


def add(config: pytest.Config, nodeid: str, record: Json) -> None:
    """Add two benchmarks, the candidate and its baseline, in seconds per image or video."""
    session = getattr(config, "_benchmarksession", None)
    times = record.get("times")
    if record.get("reused"):  # times of another day are not today's
        return
    if session is None or not times or session.skip or config.getoption("benchmark_disable", False):
        return
    if not _is_asked_for(config):
        session.quiet = True  # kept for --benchmark-json and its like, and not shown
    for arm in ("baseline", "candidate"):
        seconds = [entry[f"{arm}_s"] / entry["images"] for entry in times["rounds"]]
        if seconds:
            session.benchmarks.append(_benchmark(nodeid, record, arm, seconds))


def _is_asked_for(config: pytest.Config) -> bool:
    """Whether the command line has any option of pytest-benchmark: only then its table is shown."""
    return any(str(argument).startswith("--benchmark") for argument in config.invocation_params.args)


def _benchmark(nodeid: str, record: Json, arm: str, seconds: list[float]) -> Any:
    from pytest_benchmark import stats  # noqa: PLC0415  absent when the plugin is blocked

    name = f"{record['id']}:{arm}"
    fixture = SimpleNamespace(
        name=name,
        fullname=f"{nodeid}:{arm}",
        group=record["id"],  # so that both arms of a pair stand together
        param=record["id"],
        params={"id": record["id"], "arm": arm},
        extra_info={
            "unit": f"seconds per {record['times'].get('per', 'image')}",
            "speedup": record["speedup"]["value"],
            **{
                name: record["times"].get(name, {}).get(arm)
                for name in ("first_call_s", "compile_s", "step_s")
            },
        },
        cprofile_stats=None,
        has_error=False,
    )
    metadata: Any = stats.Metadata  # has no types
    benchmark = metadata(fixture, iterations=1, options={"timer": "perf_counter"})
    for value in seconds:
        benchmark.update(value)
    return benchmark
