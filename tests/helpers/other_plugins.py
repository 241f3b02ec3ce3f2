"""Runs of a few quick cases next to other plugins of pytest, which lie in a folder of their own."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
import warm
from comparing import by_id, finished_in
from evaluated_files import ranking_file
from suites import ROOT, Finished, own_environment

PLUGINS = Path(os.environ.get("MODELGATE_TEST_PLUGINS", ROOT / ".venv/plugins"))
REQUIREMENTS = ROOT / "tests/plugins/requirements.txt"
needs_plugins = pytest.mark.skipif(
    not PLUGINS.is_dir(),
    reason=f"needs the plugins of {REQUIREMENTS.name} in {PLUGINS.name}/; run `make setup`",
)

# What each evaluation comes to.
VERDICTS = {
    "evaluated-bad": "fail",
    "evaluated-broken": "error",
    "evaluated-good": "pass",
    "evaluated-maybe": "inconclusive",
}
_FILES = {
    "bad": ranking_file(-0.5, -0.1),
    "broken": "{",
    "good": ranking_file(0.1, 0.5),
    "maybe": ranking_file(-0.5, 0.1),
}

# Rankers that do what a plugin reacts to. What happened once is noted in the folder of the run.
RANKERS = """
import os, time
from pathlib import Path
from bench.reranking.library import query_set, ranker
from bench.reranking.queries import QuerySet

def once(name):
    mark = Path(os.environ["ONCE"], name)
    try:
        mark.touch(exist_ok=False)
        return True
    except FileExistsError:
        return False

@query_set("words", queries="word", candidates="word")
def words():
    lists = [[f"w{(7 * q + 3 * c) % 29}" for c in range(3 + q % 5)] for q in range(40)]
    names = tuple(f"q{q}" for q in range(40))
    marks = [[float(c == q % 3) for c in range(len(texts))] for q, texts in enumerate(lists)]
    return QuerySet(names, [texts[q % 3] for q, texts in enumerate(lists)], lists, marks, lists)

def exact(queries):
    return [[float(query == text) for text in texts] for query, texts in zip(queries.queries, queries.candidates)]

@ranker("exact", queries="word", candidates="word")
def always(queries): return exact(queries)

@ranker("flaky", queries="word", candidates="word")
def flaky(queries):
    if once("flaky"):
        raise OSError("the index is away")
    return exact(queries)

@ranker("dying", queries="word", candidates="word")
def dying(queries):
    if once("dying"):
        os._exit(3)
    return exact(queries)

@ranker("sleepy", queries="word", candidates="word")
def sleepy(queries):
    time.sleep(60)

@ranker("sleepy_control", queries="word", candidates="word", expect="inference_failed")
def sleepy_control(queries):
    time.sleep(60)
"""


@dataclass
class Place:
    """A folder in which cases are run next to other plugins."""

    directory: Path

    def evaluated(self, *arguments: str, plugins: str = "", **environment: str) -> Finished:
        """Run the four evaluations; `plugins` are names for ``-p``, separated by blanks."""
        folder = self.directory / "evaluations"
        folder.mkdir(exist_ok=True)
        for name, content in _FILES.items():
            (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
        return self._run("evaluated", plugins, environment, "--evaluated", str(folder), *arguments)

    def ranked(self, *arguments: str, plugins: str = "", **environment: str) -> Finished:
        """Run rankers of a user's own: ``-k`` says which."""
        (self.directory / "rankers").mkdir(exist_ok=True)
        (self.directory / "rankers/rankers.py").write_text(RANKERS)
        (self.directory / "once").mkdir(exist_ok=True)
        environment = {"ONCE": str(self.directory / "once"), **environment}
        return self._run(
            "reranking", plugins, environment, "--user-dir", str(self.directory / "rankers"), *arguments
        )

    def testcases(self) -> dict[str, ElementTree.Element]:
        """Return the test cases of the JUnit file by id; each id must be there once."""
        found = list(ElementTree.parse(self.directory / "junit.xml").iter("testcase"))
        named = {testcase.get("name").partition("[")[2].removesuffix("]"): testcase for testcase in found}
        assert len(named) == len(found), [testcase.get("name") for testcase in found]
        return named

    def _run(self, kind: str, plugins: str, environment: dict[str, str], *arguments: str) -> Finished:
        named = [word for name in plugins.split() for word in ("-p", name)]
        cache = () if "cacheprovider" in plugins else ("-o", f"cache_dir={self.directory / 'cache'}")
        done = warm.run(
            [
                sys.executable, "-m", "pytest", str(ROOT / f"cases/test_{kind}.py"), *named, *cache, "--rootdir",
                str(ROOT), "-c", str(ROOT / "pytest.ini"), "--work-dir", str(self.directory / "out"),
                "--junitxml", str(self.directory / "junit.xml"), *arguments,
            ],
            cwd=self.directory, timeout=120,
            env=own_environment(
                {
                    "PYTHONPATH": os.pathsep.join([str(ROOT), str(PLUGINS), str(self.directory)]),
                    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "200", **environment,
                }
            ),
        )  # fmt: skip
        return finished_in(self.directory, done.returncode, done.stdout + done.stderr)


def verdicts(finished: Finished) -> dict[str, str]:
    """Return the verdicts of a run by id."""
    return {identity: record["verdict"] for identity, record in by_id(finished).items()}


def properties(testcase: ElementTree.Element) -> dict[str, str]:
    """Return the properties of a test case; each name must be there once."""
    pairs = [(one.get("name"), one.get("value")) for one in testcase.iter("property")]
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


def pinned() -> dict[str, str]:
    """Return the versions of the requirements, by name."""
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))
