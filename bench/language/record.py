"""What the record of a language case holds besides the common keys."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from bench.core.estimate import PERCENT, Estimate
from bench.core.record import Body, Json, Record, Score
from bench.language.judging.record import JudgeNotes


class Shard(msgspec.Struct, frozen=True):
    """Which shard of a dataset a case is.

    Attributes:
        index: from 1.
        of: number of shards.
    """

    index: int = 1
    of: int = 1


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison with an earlier run on the same questions, in the unit of the table.

    Attributes:
        run: model and name of that run.
        difference: above 0 if this run is better.
        low, high: interval of the difference.
        margin: how much worse is still good enough.
        n: samples.
    """

    run: str
    difference: float
    low: float
    high: float
    margin: float
    n: int


class DrawnRows(msgspec.Struct, frozen=True, kw_only=True):
    """The rows that ``--limit`` left.

    Attributes:
        rows: how many were drawn, without replacement.
        of: how many there are.
        seed: of the drawing.
        by: field whose values each have their share; None for a simple random sample.
        groups: how many values the field has.
    """

    rows: int
    of: int
    seed: int
    by: str | None = None
    groups: int | None = None


class Usage(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What a model has done since it was loaded. A server's work is not known: all None.

    Attributes:
        batch_size: in use now.
        halvings: how often memory ran out.
        fed_tokens: tokens that were scored or read, padding not counted.
        shared_prefixes: whether tokens that choices share are computed once.
        continuous_batching: whether a text that ends leaves its batch and another one enters. Else each batch takes as
            long as its longest text: a model with recurrent states or ALiBi, or a beam search. None if nothing was
            written.
        cut_prompts: texts that the model could not read in one piece.
        short_answers: prompts that left less room for an answer than it was allowed.
        repeated_starts: prompts that begin with more than one start token, since the template or the question writes them.
    """

    batch_size: int | None = None
    halvings: int | None = None
    fed_tokens: int | None = None
    shared_prefixes: bool | None = None
    continuous_batching: bool | None = None
    cut_prompts: int | None = None
    short_answers: int | None = None
    repeated_starts: int | None = None


class Engine(Usage, kw_only=True):
    """What the questions of one case took.

    Attributes:
        seconds: of asking.
        asked: questions that the model was asked.
        reused: predictions taken from an earlier run.
    """

    seconds: float
    asked: int
    reused: int

    @classmethod
    def between(cls, before: Usage, after: Usage, *, seconds: float, asked: int, reused: int) -> Engine:
        """Return what the model did between two moments."""
        return cls(
            batch_size=after.batch_size,
            halvings=_increase(before.halvings, after.halvings),
            fed_tokens=_increase(before.fed_tokens, after.fed_tokens),
            shared_prefixes=after.shared_prefixes,
            continuous_batching=after.continuous_batching,
            cut_prompts=_increase(before.cut_prompts, after.cut_prompts),
            short_answers=_increase(before.short_answers, after.short_answers),
            repeated_starts=_increase(before.repeated_starts, after.repeated_starts),
            seconds=seconds,
            asked=asked,
            reused=reused,
        )

    def warnings(self) -> list[str]:
        """Return what a reader of the score should know, as sentences."""
        found = []
        if self.cut_prompts:
            found.append(
                f"{self.cut_prompts} texts lost their beginning: the model cannot read them in one piece"
            )
        if self.short_answers:
            found.append(
                f"{self.short_answers} prompts left less room for an answer than it was allowed; see max_out_len and "
                "--max-seq-len"
            )
        if self.repeated_starts:
            found.append(
                f"{self.repeated_starts} prompts begin with more than one start token, as the chat template or the question "
                "writes them; the model reads them so; correct the template of its tokenizer if it was trained with one"
            )
        if self.halvings:
            found.append(f"memory ran out {self.halvings} times; the batch size is down to {self.batch_size}")
        return found


def _increase(before: int | None, after: int | None) -> int | None:
    return None if after is None else after - (before or 0)


class LanguageBody(Body, kw_only=True):
    """What was asked of which model, and how it went.

    The score and the metrics of a whole dataset are on the record of the shard that finished last.

    Attributes:
        model, dataset: names.
        mode: kind of inference: ``gen``, ``ppl``, ``ll``, ``clp``, ``rolling``.
        protocol: ``lm-eval:TASK@VERSION``, ``opencompass:CONFIGURATION`` or ``own``; empty if it is not known.
        protocol_note: what a reader of the score should know of the protocol; None for a published one.
        shard: which part of the dataset.
        reference: comparison with an earlier run.
        part: score of this shard alone; None if it is the only one.
        sample: the rows that ``--limit`` left; None where all rows are asked.
        groups: the first metric of each part of the dataset, such as a subject; None where it has no parts.
        fingerprint: what the predictions depend on, part by part.
        engine: what asking took.
        judge: who judged the answers, and how it went; None where nobody did.
    """

    metric_type: ClassVar[type[Estimate]] = Score

    model: str
    dataset: str
    mode: str = ""
    protocol: str = ""
    protocol_note: str | None = None
    shard: Shard = Shard()
    reference: Reference | None = None
    part: Score | None = None
    sample: DrawnRows | None = None
    groups: dict[str, Score] | None = None
    fingerprint: dict[str, str] | None = None
    engine: Engine | None = None
    judge: JudgeNotes | None = None


def decode_record(record: Json) -> Record:
    """Return the record of a JSON object, also of version 0.1.

    Raises:
        msgspec.ValidationError: a key with a value of another type.
    """
    known: Json = {
        key: _with_unit(value) if key in ("score", "part") else value for key, value in record.items()
    }
    if known.get("metrics") is not None:
        known["metrics"] = {name: _with_unit(value) for name, value in known["metrics"].items()}
    return Record.from_json(known, LanguageBody)


def _with_unit(score: Json | None) -> Json | None:
    """Return a score with its unit; records of version 0.1 say only whether it is a percentage."""
    if score is None or "unit" in score:
        return score
    return {**score, "unit": PERCENT if score.get("percent") else ""}
