"""Fixtures that several test files share."""

import gc
import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

# Several workers with a pool of threads each are many times slower than with one thread each. Set before
# anything imports torch, and inherited by what the tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Where a test has two threads all the same, they share the processors with the other worker's.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# Where there is no terminal, readline, which pytest imports, tells processes that are started later of one with 80 columns.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)

# Helpers are imported by their bare names, from every folder of tests.
sys.path.insert(0, str(Path(__file__).parent / "helpers"))
pytest_plugins = ("pytester",)
pytest.register_assert_rewrite("arms")

import arms  # noqa: E402
from comparing import one_thread  # noqa: E402, F401  a fixture for every folder

from bench.machine.imports import importing  # noqa: E402

# Warnings are errors in tests, but for these.
TOLERATED = (
    # diffusers' Euler schedulers hand torch tensors to NumPy 2 in a form that it will give up.
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning",
    # Tests make pipelines whose images hold NaN, which diffusers turns into bytes.
    "ignore:invalid value encountered in cast:RuntimeWarning:diffusers.image_processor",
)


def pytest_configure(config: pytest.Config) -> None:
    """Make warnings errors. Cases are not concerned: a model of a user's may warn."""
    for line in ("error", *TOLERATED):
        config.addinivalue_line("filterwarnings", line)


# Files whose tests start whole runs or a fork server, load frameworks in processes of their own, train, or run
# whole pipelines.
SLOW_FILES = frozenset(
    {
        "test_any_module", "test_bad_input", "test_clip_score", "test_compile_recipes", "test_counting",
        "test_detected_caches", "test_detected_hooks",
        "test_detected_packages", "test_effect_run", "test_every_script", "test_examples",
        "test_failures", "test_families", "test_fork_server", "test_inputs_in_arms", "test_isolation", "test_memory",
        "test_method_effects", "test_observation", "test_regression_encoder", "test_regression_run",
        "test_regression_training", "test_rerank_run", "test_rerank_shipped", "test_run", "test_service",
        "test_taskset", "test_tiny_lm", "test_torchvision_shim", "test_trainer_rerank", "test_two_runs",
        "test_unlike_pipelines", "test_video_families", "test_video_pipelines", "test_zoo",
    }
)  # fmt: skip


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while thousands of tests, and the frameworks that they import, are collected."""
    with importing():
        return (yield)


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of slow files, and put these files first, so that no worker is left alone with one at the end.

    Tests marked `exhaustive` are left out unless ``-m`` or the name of a test asks for them.
    """
    for item in items:
        if item.path.stem in SLOW_FILES:
            item.add_marker("slow")
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    named = any("::" in argument for argument in config.invocation_params.args)
    if not named and "exhaustive" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("exhaustive")]
        items[:] = [item for item in items if not item.get_closest_marker("exhaustive")]
        config.hook.pytest_deselected(items=left_out)


def pytest_collection_finish() -> None:
    """Take what was collected out of the search for garbage: it lives to the end."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def own_leases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the runs that tests start from waiting for those of other workers, and for anybody else's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELGATE_LEASE_DIR", str(tmp_path_factory.mktemp("leases")))
        # There are hundreds of runs. Each would compile the suite again where it may not keep what it compiles.
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        yield


@pytest.fixture(scope="session")
def fork_server() -> str:
    """The address of a fork server with torch and diffusers imported; it takes seconds to start."""
    return arms.kept_server()


@pytest.fixture
def arm_starter(fork_server: str, tmp_path: Path) -> arms.ArmStarter:
    """Starts arms on the session's fork server."""
    return arms.ArmStarter(fork_server, tmp_path)


@pytest.fixture
def bare_server() -> Iterator[subprocess.Popen]:
    """A fork server of the test's own, without the imports that make one slow: for files that never reach torch."""
    with arms.addressed_server(arms.SERVER_WITHOUT_IMPORTS) as server:
        yield server


@pytest.fixture
def bare_starter(bare_server: subprocess.Popen, tmp_path: Path) -> arms.ArmStarter:
    """Starts arms on a fork server without imports."""
    return arms.ArmStarter(bare_server.address, tmp_path)
