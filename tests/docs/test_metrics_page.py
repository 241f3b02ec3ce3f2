"""docs/metrics.md says what the registries of metrics say."""

from __future__ import annotations

import importlib.util
import json
import re

from suites import ROOT

from bench.acceleration.known_metrics import known_metrics
from bench.acceleration.quality_limits import read_limits
from bench.acceleration.safeguards import SAFEGUARDS
from bench.acceleration.target_images import BAND_FACTOR, LEAST_ALLOWED
from bench.metrics.distributions import LEAST_IMAGES
from bench.metrics.extra_metrics import EXTRAS

PAGE = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")


def rows_of(heading: str) -> dict[str, list[str]]:
    section = PAGE.split(f"## {heading}\n")[-1].split("\n## ")[0]
    cells = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row for row in cells}


def test_the_tables_are_what_the_code_says():
    spec = importlib.util.spec_from_file_location("make_metrics", ROOT / "docs/make_metrics.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert maker.page() == PAGE, "run `python docs/make_metrics.py`"


def test_every_metric_that_can_be_limited_has_a_row_with_its_range_and_source():
    rows = rows_of("Metrics that ship") | rows_of("Metrics of other packages")
    assert set(rows) == set(known_metrics())
    for name, row in rows.items():
        assert re.fullmatch(r"(any|-?[\d.]+) to (any|-?[\d.]+)", row[2]), name
        assert len(row[5]) > 10, name


def test_the_other_tables_and_figures_are_those_of_the_code():
    assert list(rows_of("The safeguards")) == [guard.metric for guard in SAFEGUARDS]
    text = " ".join(PAGE.split())
    assert f"`{LEAST_ALLOWED:g} + {BAND_FACTOR:g} x band` grey levels" in text
    assert f"(`max` alone) from {LEAST_IMAGES:,} images on" in text
    for name in EXTRAS:
        assert f"`{name}`" in PAGE.split("## Metrics that ship")[0], name


def test_the_example_of_limits_can_be_read():
    (example,) = (json.loads(line) for line in PAGE.splitlines() if line.startswith('{"quality"'))
    assert {limit.metric for limit in read_limits(example["quality"], known_metrics())} == set(
        example["quality"]
    )
