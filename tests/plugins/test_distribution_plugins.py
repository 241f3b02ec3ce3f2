"""pytest-xdist: on, off and absent; what is set where the user says nothing, and what is refused."""

from __future__ import annotations

import json

import pytest
from other_plugins import VERDICTS, needs_plugins, verdicts

pytestmark = [pytest.mark.slow, needs_plugins]

SHOW_OPTIONS = """
import json

def pytest_sessionstart(session):
    option = session.config.option
    if not hasattr(session.config, "workerinput"):
        scheduler = session.config.pluginmanager.getplugin("dsession")
        shown = {"chunk": option.maxschedchunk, "restarts": option.maxworkerrestart, "used": scheduler._max_worker_restart}
        json.dump(shown, open("options.json", "w"))
"""


@pytest.mark.parametrize(
    ("plugins", "arguments"),
    [("no:xdist", ()), ("xdist", ("-n", "0")), ("xdist", ("-n", "2")), ("xdist", ("-d", "--tx", "2*popen"))],
    ids=["absent", "off", "n2", "tx"],
)
def test_the_verdicts_are_those_of_one_process(place, plugins, arguments):
    finished = place.evaluated(*arguments, plugins=plugins)
    assert (finished.code, verdicts(finished)) == (1, VERDICTS), finished.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), {"chunk": 1, "restarts": "32", "used": 32}),
        (
            ("--maxschedchunk", "3", "--max-worker-restart", "2"),
            {"chunk": 3, "restarts": "2", "used": 2},
        ),
    ],
    ids=["defaults", "given"],
)
def test_what_the_user_leaves_out_of_the_distribution_is_set(place, arguments, expected):
    (place.directory / "show_options.py").write_text(SHOW_OPTIONS)
    finished = place.evaluated("-n", "1", *arguments, plugins="xdist show_options")
    assert json.loads((place.directory / "options.json").read_text()) == expected, finished.output


@pytest.mark.parametrize("arguments", [("-n", "2"), ("--tx", "2*popen")], ids=["n", "tx"])
def test_dist_each_is_refused_with_one_line(place, arguments):
    finished = place.evaluated(*arguments, "--dist", "each", plugins="xdist")
    assert finished.code == 4, finished.output
    (line,) = [line for line in finished.output.splitlines() if line]
    assert line.startswith("ERROR: --dist each: ")
    assert "use -n N" in line
    assert finished.results is None
