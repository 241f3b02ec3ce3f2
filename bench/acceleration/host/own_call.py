"""How a pipeline file is called: seen, not guessed.

In this order: its own ``generate``; the call that it makes when it is run as a script; the call in its text; and for a file
without any, the call of the target.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench.acceleration.host.arm_factory import ArmFactory
from bench.acceleration.protocol.messages import OwnCall, Probed
from bench.acceleration.source.reading import SourceReading, read_source
from bench.core.errors import INFRASTRUCTURE, ArmProblem, SourceProblem
from bench.core.record import Json


def preferred(role: str) -> str:
    """Return which of ``pipe`` and ``load_pipe`` counts in a file that has both.

    A candidate is what its loader returns, a target or baseline is the `pipe` that its author looked at.
    """
    return "load_pipe" if role == "candidate" else "pipe"


@dataclass(frozen=True)
class SeenCall:
    """What came of running a file as a script.

    Attributes:
        probed: what was seen.
        sent: the arguments of the call, for an arm with the same file.
        by: ``run``, or ``target`` for a call that is not the file's own.
    """

    probed: Probed = field(default_factory=Probed)
    sent: bytes = b""
    by: str = "run"

    @property
    def call(self) -> OwnCall | None:
        """The call, or None."""
        return self.probed.call

    def to_json(self) -> Json:
        """Return it as plain builtins."""
        return {
            "probed": msgspec.to_builtins(self.probed),
            "sent": base64.b64encode(self.sent).decode("ascii"),
        }

    @classmethod
    def from_json(cls, data: Json) -> SeenCall:
        """Return what plain builtins hold."""
        return cls(msgspec.convert(data["probed"], Probed), base64.b64decode(data["sent"]))


def read_file(file: Path, role: str) -> SourceReading:
    """Read the text of a pipeline file.

    Raises:
        ArmProblem: when it cannot be read.
    """
    try:
        return read_source(file, prefer_load_pipe=preferred(role) == "load_pipe")
    except SourceProblem as problem:
        raise ArmProblem("load_failed", f"the {role} {problem}", role=role) from problem


def see_call(arms: ArmFactory, file: Path, role: str, name: str) -> SeenCall:
    """Run a file as a script, in a process of its own, until it generates.

    Args:
        arms: starts the process.
        file: the pipeline file.
        role: ``target``, ``baseline`` or ``candidate``, for messages.
        name: of the case.

    Raises:
        ArmProblem: when the process cannot be started or its machine fails; what the file does wrong is in the answer.
    """
    if read_file(file, role).defines_own_generate:
        return SeenCall()
    try:
        with arms.start(role, f"{name}.probe") as process:
            header, sent, _ = process.ask(
                {"op": "probe", "file": str(file)}, timeout_s=arms.limits.load_timeout_s
            )
        return SeenCall(msgspec.convert(header.get("probed"), Probed), sent)
    except ArmProblem as problem:
        if problem.reason_code in INFRASTRUCTURE:
            raise
        return SeenCall(Probed(why=str(problem).removeprefix(f"the {role} ")))
    except msgspec.ValidationError as error:
        return SeenCall(Probed(why=f"sent a broken answer: {error}"))
