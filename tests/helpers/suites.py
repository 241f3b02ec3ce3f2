"""Small suites of acceleration tasks on the shipped model, and runs of the real command on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import arms
import warm

from bench.acceleration.host import kept_server

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "fixtures/zoo/tiny-sd-small"
STEPS = 4
SAMPLES, BATCH = 4, 2
WITHOUT = "-p no:anyio -p no:hypothesispytest"

PLAIN = f"""
from diffusers import DDIMScheduler, StableDiffusionPipeline
pipe = StableDiffusionPipeline.from_pretrained({str(MODEL)!r})
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
"""
CALL = f"""
if __name__ == "__main__":
    image = pipe("a small red star", num_inference_steps={STEPS}).images[0]
"""
BASELINE = PLAIN + CALL
# A pipeline without a model, which draws noise from each image's own generator: a case of it costs a third of one of the
# shipped model, and is for tests of what happens to a case, whatever its pipeline.
NOISE = """
import PIL.Image
import torch
from diffusers import DiffusionPipeline


class Noise(DiffusionPipeline):
    def __init__(self):
        super().__init__()
        self.register_to_config()

    def __call__(self, prompt, generator=None):
        drawn = [torch.randint(256, (32, 32, 3), generator=one, dtype=torch.uint8) for one in generator]
        return [PIL.Image.fromarray(image.numpy()) for image in drawn]


pipe = Noise()
"""
NOISE_CALLED = f"""{NOISE}
if __name__ == "__main__":
    pipe(["a small red star"], [torch.Generator()])
"""

# What a run needs here: few samples; every gate is as in a long run. A verdict usually falls at the first look, after 6
# rounds; other tests on the same cores may make it need more.
QUICK = (
    "--num-samples",
    str(SAMPLES),
    "--batch-size",
    str(BATCH),
    "--warmup-rounds",
    "1",
    "--time-budget",
    "90",
    "--max-rounds",
    "28",
    "--seed",  # the same images in every run
    "0",
    "--max-foreign-load",  # other tests run next to it
    "1",
)


def own_generate(body: str, *, head: str = "") -> str:
    """Return a pipeline file whose own generate function has this body; ``images`` holds the true images."""
    indented = "\n".join("    " + line for line in body.strip().splitlines())
    return (
        f"{head}\n{PLAIN}\n"
        "def generate(pipe, prompts, generators):\n"
        f"    images = pipe(prompts, generator=generators, num_inference_steps={STEPS}).images\n{indented}\n"
    )


@dataclass(frozen=True)
class Finished:
    """A finished run of the suite.

    Attributes:
        code: pytest's exit code.
        output: what it printed.
        results: ``evaluation_results.json``, or None where it was not written.
        directory: the run's directory.
    """

    code: int
    output: str
    results: dict[str, Any] | None
    directory: Path

    def record(self, prompt_id: int | str) -> dict[str, Any]:
        """Return the only record of a task."""
        assert self.results is not None, self.output
        found = [record for record in self.results["records"] if record["prompt_id"] == prompt_id]
        assert len(found) == 1, (prompt_id, found, self.output)
        return found[0]


@dataclass
class Suite:
    """Task files and pipeline files in a directory of their own.

    Attributes:
        directory: the directory.
        baseline: text of the target, which is the baseline and, unless it is given, the candidate too.
    """

    directory: Path
    baseline: str = BASELINE

    def __post_init__(self) -> None:
        """Begin without tasks."""
        self.annotations: list[Any] = []
        self.generations: list[Any] = []
        self.write("baseline.py", self.baseline)

    def write(self, name: str, text: str) -> str:
        """Write a pipeline file; return its name."""
        (self.directory / name).write_text(text)
        return name

    def add(self, prompt_id: int | str, candidate: str | None = None, **fields: Any) -> None:
        """Add a task whose target and baseline are the plain pipeline and whose candidate has this text."""
        name = self.write(f"candidate_{prompt_id}.py", self.baseline if candidate is None else candidate)
        self.annotations.append(
            {
                "prompt_id": prompt_id,
                "difficulty": "easy",
                "prompt_context": "",
                "target_file": "baseline.py",
                "baseline_file": "baseline.py",
                **fields,
            }
        )
        self.generations.append({"prompt_id": prompt_id, "candidate_file": name})

    def options(self) -> list[str]:
        """Write the task files and return the options that name them."""
        for name, entries in (("anno.json", self.annotations), ("gen.json", self.generations)):
            (self.directory / name).write_text(json.dumps(entries))
        return [
            "--tasks",
            str(self.directory / "anno.json"),
            "--candidates",
            str(self.directory / "gen.json"),
        ]

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a run of this suite."""
        return [
            "taskset", "--cpu-list", own_cores(arguments),
            sys.executable, "-m", "pytest", str(ROOT / "cases/test_acceleration.py"), "-p", "no:cacheprovider",
            "--rootdir", str(ROOT), "-c", str(ROOT / "pytest.ini"), *self.options(), *QUICK,
            "--work-dir", str(self.directory / "out"), *self._first_look(arguments), *arguments,
        ]  # fmt: skip

    def _first_look(self, arguments: tuple[str, ...]) -> list[str]:
        """Return the option that ends ungated timing at its first look, where the run has a task that it concerns."""
        ungated = any(
            isinstance(entry, dict)
            and not {"required_speedup", "max_latency_s"} & entry.keys()
            and not entry.get("prompt_context")
            for entry in self.annotations
        )
        return ["--ungated-time", "0"] if ungated and "-k" not in arguments else []

    def run(
        self,
        *arguments: str,
        environment: dict[str, str] | None = None,
        timeout_s: float = 300,
        own_server: bool = False,
    ) -> Finished:
        """Run the suite as a user would; its arms come from the tests' fork server unless it is to have its own.

        A run with a server of its own is started as a user's; others are forked, see `warm`.
        """
        server = {} if own_server else {kept_server.VARIABLE: arms.kept_server()}
        run = started if own_server else warm.run
        finished = run(
            self.command(*arguments), cwd=self.directory, timeout=timeout_s,
            env=own_environment({**server, **(environment or {})}),
        )  # fmt: skip
        return self.finished(finished.returncode, finished.stdout + finished.stderr)

    def finished(self, code: int, output: str) -> Finished:
        """Return what a run left behind."""
        directory = (self.directory / "out" / "latest").resolve()  # a later run moves the link
        results = directory / "evaluation_results.json"
        return Finished(
            code, output, json.loads(results.read_text()) if results.is_file() else None, directory
        )


def started(
    command: list[str], *, cwd: Path, env: dict[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process that is started for it; arguments and result as of `warm.run`."""
    return subprocess.run(
        command, cwd=cwd, env=env, timeout=timeout, capture_output=True, text=True, check=False
    )


def own_cores(arguments: tuple[str, ...]) -> str:
    """Return as many cores as the run has workers, so that each arm has one thread.

    An arm of several threads waits for its slowest one at every layer, and next to other tests one of them
    is always slow. Cores come first that fewer runs have for themselves, then those of this outer worker: of two runs on
    one core each takes twice as long while another core may have nothing to do.
    """
    count = int(arguments[arguments.index("-n") + 1]) if "-n" in arguments else 1
    cores = sorted(os.sched_getaffinity(0))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    turned = [cores[(worker * count + index) % len(cores)] for index in range(len(cores))]
    taken = _processes_on_one_core()
    return ",".join(str(core) for core in sorted(turned, key=lambda core: taken[core])[:count])


def _processes_on_one_core() -> Counter[int]:
    """Return how many Python processes may run on each core and on no other."""
    found: Counter[int] = Counter()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has ended, or it is the kernel's
                cores = os.sched_getaffinity(int(entry.name))
                if len(cores) == 1 and "python" in (entry / "exe").readlink().name:
                    found.update(cores)
    return found


def own_environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a run that is started from within another pytest run.

    Plugins that are installed for other tests take a third of the time of a short run; it does without those, and without
    its page, which a sixth goes into.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    own = {"PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": WITHOUT, "MODELGATE_NO_HTML": "1"}
    return {**kept, **own, **(more or {})}
