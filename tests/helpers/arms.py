"""Arms for tests: a fork server, and pipeline files that need no model."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import held
import pytest

from bench.acceleration.host.arm_factory import ArmFactory
from bench.acceleration.host.jail_plan import JailPlan
from bench.acceleration.host.pipeline_arm import PipelineArm
from bench.acceleration.host.process import ArmLimits
from bench.acceleration.host.reading import covered_places, readable_places
from bench.acceleration.prompts import Sample
from bench.acceleration.protocol.wire import READY
from bench.core.errors import ArmProblem
from bench.machine.cores import usable_cores
from bench.machine.scrub import scrubbed_environment

REPOSITORY = Path(__file__).resolve().parents[2]
SERVER = [sys.executable, "-m", "bench.acceleration.host.forkserver"]
KEPT_SERVER = [sys.executable, "-m", "bench.acceleration.host.kept_server"]
# Enough where an arm ends before it needs torch, and ready without waiting.
SERVER_WITHOUT_IMPORTS = [
    sys.executable,
    "-c",
    "import sys; from bench.acceleration.host import forkserver; forkserver.preload = lambda: None; "
    "forkserver.main(sys.argv[1], sys.argv[2:])",
]
# Generous: a limit is only reached by an arm that never comes to an end.
LIMIT_S = 120.0
# What the environment of a CI job holds, and no arm may see.
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "secret-aws",
    "GITHUB_TOKEN": "secret-github",
    "HF_TOKEN": "secret-hf",
    "WANDB_API_KEY": "secret-wandb",
}
SAMPLES = [Sample("a red star", 1), Sample("a blue circle", 2)]

# A pipeline without a model: one image per prompt, in a colour drawn from the image's own generator.
PAINTER = """
import PIL.Image
import torch
from diffusers import DiffusionPipeline


class Painter(DiffusionPipeline):
    def __init__(self):
        super().__init__()
        self.register_to_config()  # its parts: none

    def __call__(self, prompt, generator=None):
        colours = [tuple(torch.randint(256, (3,), generator=one).tolist()) for one in generator]
        return [PIL.Image.new("RGB", (8, 8), colour) for colour in colours]


pipe = Painter()
"""


def generating(body: str) -> str:
    """Return the source of a pipeline file that runs this body whenever it generates."""
    body = textwrap.indent(textwrap.dedent(body), "    ")
    return f"{PAINTER}\n\ndef generate(pipe, prompts, generators):\n{body}\n    return pipe(prompts, generators)\n"


@dataclass(frozen=True)
class KeptServer:
    """A fork server of all runs of these tests: its socket, and its process. No test may end it."""

    address: str
    pid: int


def kept_server() -> str:
    """Return the address of a fork server for all runs that the tests start, with what ships imported."""
    return kept_process().address


def kept_process() -> KeptServer:
    """Return that server; it is started when it is first asked for, and ends with this run of the tests."""
    address = str(held.folder() / "fork")
    command = [*KEPT_SERVER, address, str(REPOSITORY / "fixtures/shipped")]
    return KeptServer(
        address, held.held("fork-server", command, cwd=REPOSITORY, environment=_server_environment())
    )


@contextmanager
def addressed_server(command: list[str], *user_dirs: str) -> Iterator[subprocess.Popen]:
    """Run a fork server in a folder of its own until the context is left; its ``address`` is an attribute.

    The path of a Unix socket is limited to about 108 bytes, and pytest's own directories are long.
    """
    with tempfile.TemporaryDirectory(prefix="modelgate-", dir="/tmp") as directory:
        address = Path(directory) / "fork"
        with fork_server(address, command, *user_dirs) as server:
            server.address = str(address)
            yield server


@contextmanager
def fork_server(address: Path, command: list[str] = SERVER, *user_dirs: str) -> Iterator[subprocess.Popen]:
    """Run a fork server at an address, a path of at most about 100 bytes, until the context is left."""
    with subprocess.Popen(
        [*command, str(address), *user_dirs], cwd=REPOSITORY, env=_server_environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        try:
            assert server.stdout is not None
            assert server.stdout.readline().strip() == READY
            yield server
        finally:
            server.terminate()


def _server_environment() -> dict[str, str]:
    return scrubbed_environment(dict(os.environ) | SECRETS) | {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


@dataclass
class ArmStarter:
    """Writes pipeline files and starts arms for them.

    Args:
        server: address of the fork server.
        directory: for the files, the logs, and the arms' private directories.
        environment: what arms see of the environment.
    """

    server: str
    directory: Path
    environment: dict[str, str] = field(
        default_factory=lambda: scrubbed_environment(dict(os.environ) | SECRETS)
    )
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    jailed: bool = False

    def __post_init__(self) -> None:
        self.core = usable_cores()[0]
        self.logs = self.directory / "logs"
        self.scratch = self.directory / "scratch"
        self.logs.mkdir(parents=True)

    def write(self, source: str) -> Path:
        """Write a pipeline file into a directory of its own."""
        directory = self.directory / f"file{next(self._numbers)}"
        directory.mkdir()
        file = directory / "pipeline.py"
        file.write_text(textwrap.dedent(source))
        return file

    def factory(self, **limits: object) -> ArmFactory:
        """Return what starts arms; ``limits`` as in ArmLimits."""
        return ArmFactory(
            server=self.server, cores=(self.core,), gpu=None, environment=self.environment,
            limits=ArmLimits(**{"round_timeout_s": LIMIT_S} | limits), scratch=self.scratch, logs=self.logs,
            jail=self._jail() if self.jailed else None,
        )  # fmt: skip

    def _jail(self) -> JailPlan:
        files = list(self.directory.glob("file*/pipeline.py"))
        places = readable_places(
            files, begun_in=self.directory, environment=self.environment, hidden=(self.scratch, self.logs)
        )
        return JailPlan(
            tuple(places), tuple(covered_places(places, [self.scratch, Path(self.server).parent]))
        )

    @contextmanager
    def start(
        self,
        source: str = PAINTER,
        *,
        role: str = "candidate",
        load_timeout_s: float = LIMIT_S,
        **limits: object,
    ) -> Iterator[PipelineArm]:
        """Start an arm for a file with this source; leaving the context ends it. ``limits`` as in ArmLimits."""
        file = self.write(source)
        factory = self.factory(**limits)
        with factory.start(role, file.parent.name) as process:
            yield PipelineArm(process, file, factory.device, load_timeout_s)

    def log(self, arm: PipelineArm) -> str:
        """Return what an arm has printed."""
        return (self.logs / f"{arm.file.parent.name}.{arm.process.role}.log").read_text()


def load_in_vain(arm: PipelineArm) -> ArmProblem:
    """Load a file that defines no pipeline; its arm lives on."""
    with pytest.raises(ArmProblem) as caught:
        arm.load()
    return caught.value


def assert_works(starter: ArmStarter) -> None:
    """The next arm of the same server loads and generates."""
    with starter.start() as arm:
        arm.load()
        assert len(arm.generate(SAMPLES).outputs) == len(SAMPLES)


def load_and_generate(arm: PipelineArm) -> None:
    arm.load()
    arm.generate(SAMPLES)


def assert_explains(problem: ArmProblem, reason_code: str, message: list[str], output: str) -> None:
    assert problem.reason_code == reason_code, problem
    for part in message:
        assert part in str(problem)
    assert output in problem.output_tail
    assert "/bench/" not in problem.output_tail  # the file's frames, not the suite's
    f"{problem} {problem.output_tail}".encode()  # no half characters


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for what happens soon; the limit only ends a test that would otherwise hang."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()
