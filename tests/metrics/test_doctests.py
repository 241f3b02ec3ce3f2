"""The examples in the docstrings of core, statistics and metrics give what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import bench.core
import bench.metrics
import bench.statistics
from bench.metrics.ranking import RANKING_METRICS
from bench.metrics.regression import REGRESSION_METRICS
from bench.metrics.shipped_images import IMAGE_METRICS
from bench.metrics.text import TEXT_METRICS, SampleMetric

ROOMS = (bench.core, bench.statistics, bench.metrics)
MODULES = [
    module.name for room in ROOMS for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
]
FUNCTIONS = {
    f"{registry.what} {name}": metric.function
    for registry in (IMAGE_METRICS, RANKING_METRICS, REGRESSION_METRICS, TEXT_METRICS)
    for name, metric in registry.items()
    if hasattr(metric, "function")
}
WITHOUT_EXAMPLE = {"ranking metric ndcg_exp"}  # as ndcg, but for the gain


def failures(examples):
    runner = doctest.DocTestRunner(verbose=False)
    for example in examples:
        runner.run(example)
    return runner.summarize(verbose=False).failed


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module_hold(name):
    assert failures(doctest.DocTestFinder().find(importlib.import_module(name))) == 0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_metric_has_an_example_that_holds(name):
    # The finder sees no function behind an object, such as that of a regression metric.
    examples = [found for found in doctest.DocTestFinder().find(FUNCTIONS[name]) if found.examples]
    assert bool(examples) == (name not in WITHOUT_EXAMPLE)
    assert failures(examples) == 0


def test_examples_that_do_not_hold_are_seen():
    parser = doctest.DocTestParser()
    assert failures([parser.get_doctest(">>> 1 + 1\n3\n", {}, "sum", None, None)]) == 1


def test_every_text_metric_of_single_answers_is_among_them():
    names = {name for name, metric in TEXT_METRICS.items() if isinstance(metric, SampleMetric)}
    assert names == {name.removeprefix("metric ") for name in FUNCTIONS if name.startswith("metric ")}
