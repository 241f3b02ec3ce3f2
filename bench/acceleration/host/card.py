"""The GPU that both arms of a pair have: together, or in turn where they do not fit on it together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeVar

from bench.core.errors import ArmProblem

if TYPE_CHECKING:
    from bench.acceleration.host.pipeline_arm import PipelineArm

T = TypeVar("T")
Sharing = Literal["together", "in_turn"]


class Card:
    """Says whose turn it is on a GPU.

    While both arms fit, both stay there. When one runs out of memory next to the other, from then on only the arm whose
    turn it is is there, and the other one's models wait in the memory of the machine. Neither is timed while it moves.
    """

    def __init__(self) -> None:
        self._arms: dict[str, PipelineArm] = {}
        self._away: set[str] = set()
        self.sharing: Sharing = "together"

    def add(self, arm: PipelineArm) -> None:
        """Let an arm that is loaded take part."""
        self._arms[arm.process.role] = arm

    def empty(self) -> None:
        """Forget the arms: they have ended, and others are started in their place."""
        self._arms.clear()
        self._away.clear()

    def give_to(self, role: str) -> bool:
        """Make an arm the only one there, where the arms take turns; return whether it has just come back.

        Raises:
            ArmProblem: an arm whose models cannot be moved.
        """
        if self.sharing == "together":
            return False
        for other, arm in self._arms.items():
            if other != role and other not in self._away:
                arm.move("cpu")
                arm.process.pause()
                self._away.add(other)
        if role not in self._away:
            return False
        self._arms[role].move(self._arms[role].device)
        self._away.discard(role)
        return True

    def with_room(self, role: str, call: Callable[[], T]) -> T:
        """Return what an arm's call gives; out of memory next to the other arm, it is made again without it there.

        Args:
            role: of the arm.
            call: asks it for something.

        Raises:
            ArmProblem: what the call raises; where it is out of memory alone too, that.
        """
        try:
            return call()
        except ArmProblem as problem:
            others, own = self._arms.keys() - {role}, self._arms.get(role)
            is_over = own is not None and not own.process.is_alive()
            if problem.reason_code != "out_of_memory" or self.sharing == "in_turn" or not others or is_over:
                raise
            self.sharing = "in_turn"
            self.give_to(role)
            return call()
