"""What was timed in a pair, raw, as records hold it."""

from __future__ import annotations

import msgspec


class Round(msgspec.Struct, kw_only=True, frozen=True):
    """One timed round: both arms made the same samples, one right after the other.

    Attributes:
        first: the arm that began, ``baseline`` or ``candidate``.
        baseline_s, candidate_s: seconds for the whole batch.
        images: images or videos in the batch.
        launch: the launch that it belongs to, from 0.
    """

    first: str
    baseline_s: float
    candidate_s: float
    images: int
    launch: int = 0


class Launch(msgspec.Struct, kw_only=True):
    """A launch: both arms started, loaded, warmed up, timed for some rounds, and ended.

    Attributes:
        order: the arms in the order in which they were started.
        cores: the leased cores, each as its logical processors; both arms have all of them, one at a time.
        load_s, first_call_s: seconds by arm.
        warmup_s: seconds of the untimed calls after the first, by arm.
        rounds: how many were timed.
        peak_bytes: the memory that each arm took, as its limit counts it; None where it could not be read.
    """

    order: list[str]
    cores: list[list[int]] = msgspec.field(default_factory=list)
    load_s: dict[str, float | None] = msgspec.field(default_factory=dict)
    first_call_s: dict[str, float | None] = msgspec.field(default_factory=dict)
    warmup_s: dict[str, list[float]] = msgspec.field(
        default_factory=lambda: {"baseline": [], "candidate": []}
    )
    rounds: int = 0
    peak_bytes: dict[str, int | None] = msgspec.field(default_factory=dict)

    @property
    def cost_s(self) -> float:
        """Seconds until the first round, of both arms together."""
        once = [*self.load_s.values(), *self.first_call_s.values()]
        return sum(seconds or 0.0 for seconds in once) + sum(map(sum, self.warmup_s.values()))


class NullLaunch(msgspec.Struct, kw_only=True):
    """A launch of a baseline against itself, whose true ratio is 1: how far launches differ on this machine.

    Attributes:
        of: the case whose baseline it was, the first of the run that needed it.
        rounds: its rounds; the arms are two processes of the baseline.
        peak_bytes: the memory that each took.
        problem: why there is none; None where there is.
    """

    of: str
    rounds: list[Round] = msgspec.field(default_factory=list)
    peak_bytes: dict[str, int | None] = msgspec.field(default_factory=dict)
    problem: str | None = None


class CardTimes(msgspec.Struct, kw_only=True, frozen=True):
    """A GPU while a pair was timed on it, as its driver says; None is what it does not say.

    Attributes:
        sharing: whether both arms were there ``together``, or ``in_turn`` since they do not fit.
        clock_mhz: of its processors, the lowest and the highest.
        temperature_c: likewise.
        foreign_processes: how many processes of others computed there, at most.
        foreign_bytes: what they held of its memory, at most.
    """

    sharing: str = "together"
    clock_mhz: list[int] | None = None
    temperature_c: list[int] | None = None
    foreign_processes: int | None = None
    foreign_bytes: int | None = None


class Times(msgspec.Struct, kw_only=True):
    """Everything that was timed in a pair, raw.

    Attributes:
        per: what the pair makes of a prompt, ``image`` or ``video``.
        threads: compute threads that each arm was started with; None on a GPU, where they decide nothing.
        thread_s: seconds of a call of the target's denoisers by number of threads, of which the arms' was chosen; empty
            where there is no choice.
        load_s, first_call_s: seconds by arm, in the first launch; the first call holds compiling and warming up.
        compile_s: seconds of both that torch.compile took, by arm, as its torch says; None where it compiled nothing.
        warmup_s: seconds of the untimed calls after the first, by arm, in the first launch.
        rounds: the timed rounds of all launches in their order.
        launches: in their order.
        null: the launch of a baseline against itself that the interval counts; None where no gate asks for the speedup.
        step_s: median seconds between two steps of the scheduler in a warm call for a whole batch, by arm, as the arm says.
            That call is none of the rounds, in which nothing is watched. None where it was not made, or has no second step.
        part_s: seconds that each sort of part of the pipeline takes in that call, by arm: ``text encoder``, ``denoiser``,
            ``decoder``, ``image encoder`` and ``rest``.
        foreign_load: share of the leased cores' time that neither the pair nor its evaluator used during the rounds, from
            0 to 1; None where no cores are leased or the system does not tell.
        card: the GPU during the rounds; None on a processor.
    """

    per: str = "image"
    threads: int | None = None
    thread_s: dict[str, float] = msgspec.field(default_factory=dict)
    load_s: dict[str, float | None] = msgspec.field(default_factory=dict)
    first_call_s: dict[str, float | None] = msgspec.field(default_factory=dict)
    compile_s: dict[str, float | None] = msgspec.field(default_factory=dict)
    warmup_s: dict[str, list[float]] = msgspec.field(
        default_factory=lambda: {"baseline": [], "candidate": []}
    )
    rounds: list[Round] = msgspec.field(default_factory=list)
    launches: list[Launch] = msgspec.field(default_factory=list)
    null: NullLaunch | None = None
    step_s: dict[str, float | None] = msgspec.field(default_factory=dict)
    part_s: dict[str, dict[str, float] | None] = msgspec.field(default_factory=dict)
    foreign_load: float | None = None
    card: CardTimes | None = None

    def per_output_s(self, arm: str) -> list[float]:
        """Return the seconds per image, or per video, of an arm in each timed round."""
        return [getattr(entry, f"{arm}_s") / entry.images for entry in self.rounds]
