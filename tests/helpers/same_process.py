"""Arms in the test's own process: the same probe, the same loading and watching, but no fork, no jail and no clock.

What a test of many pipelines needs: what they import is imported once.
"""

from __future__ import annotations

import copy
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from bench.acceleration.arm.probe import probe
from bench.acceleration.arm.running import MODULE_NAME
from bench.acceleration.arm.serve import Arm, describe_error
from bench.acceleration.host import failures
from bench.acceleration.host.own_call import SeenCall, read_file
from bench.acceleration.host.pipeline_arm import Batch, PipelineArm
from bench.acceleration.prompts import Sample
from bench.acceleration.protocol.messages import Probed
from bench.core.errors import ArmProblem

_GENEROUS_S = 120.0


class SameProcess:
    """Stands for an arm's process, and answers in this one."""

    def __init__(self, role: str) -> None:
        self.role, self.pid = role, os.getpid()
        self._arm = Arm()

    def ask(
        self, request: dict[str, Any], payload: bytes = b"", *, timeout_s: float | None = None
    ) -> tuple[dict[str, Any], bytes, float]:
        """Answer a request in the form in which it would come over the channel."""
        began = time.perf_counter()
        try:
            header, answer = self._arm.answer(json.loads(json.dumps(request)), payload)
        except Exception as error:
            found = failures.raised(request["op"], describe_error(error)["error"], None)
            raise ArmProblem(
                found.reason_code, f"the {self.role} {found.message}", role=self.role, is_of_file=found.is_of_file,
                is_of_prompts=found.is_of_prompts, sample=found.index, output_tail=found.traceback,
            ) from error  # fmt: skip
        return json.loads(json.dumps(header)), answer, time.perf_counter() - began

    def pause(self) -> None:
        """Do nothing: nothing runs."""

    def close(self) -> None:
        """Do nothing either."""


class _Told(BaseException):
    """Ends a probe, which would stand still."""


@contextmanager
def _this_process_as_before() -> Iterator[None]:
    """Undo what running a file as a script does to the process that runs it."""
    argv, path, modules = (
        list(sys.argv),
        list(sys.path),
        {name: sys.modules.get(name) for name in ("__main__",)},
    )
    try:
        yield
    finally:
        sys.argv[:], sys.path[:] = argv, path
        sys.modules.update({name: module for name, module in modules.items() if module is not None})
        sys.modules.pop(MODULE_NAME, None)


def seen_call(file: Path, role: str = "candidate") -> SeenCall:
    """Return how a file calls its pipeline."""
    if read_file(file, role).defines_own_generate:
        return SeenCall()
    told: list[tuple[Probed, bytes]] = []

    def tell(probed: Probed, sent: bytes) -> None:
        if not told:
            told.append((msgspec.convert(msgspec.to_builtins(probed), Probed), sent))
            raise _Told

    with _this_process_as_before(), suppress(_Told):
        probe(str(file), tell)
    return SeenCall(*told[0])


def made(
    file: Path, samples: list[Sample], role: str = "candidate", *, run: bool = True
) -> tuple[PipelineArm, Batch]:
    """Load a file as an arm does, and return the arm with its first batch.

    Args:
        file: the pipeline file.
        samples: of the batch.
        role: of the arm.
        run: whether its call is seen, or read in its text.
    """
    seen = seen_call(file, role) if run else None
    arm = PipelineArm(SameProcess(role), file, "cpu", _GENEROUS_S)  # type: ignore[arg-type]
    with _this_process_as_before():
        arm.load(copy.deepcopy(seen))
        return arm, arm.first_call(samples)
