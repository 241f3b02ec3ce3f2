"""What a record says of the judge."""

from __future__ import annotations

import msgspec


class JudgeNotes(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Who judged, and how it went.

    Attributes:
        model: name of the judge.
        form: ``rubric`` or ``pairwise``.
        against: what the answers were compared with: a field of the row, or model and run.
        asked, reused: texts of the judge that were asked for, and taken from an earlier run.
        verdicts: on answers of the model; a pair has one.
        unparsed: verdicts that could not be read.
        unanswered: answers that were not there: empty, or a thought that did not end. They have the worst value.
        wins, losses, ties, inconsistent: of pairs; inconsistent ones are ties too.
        labelled: rows with the label of a person.
        labelled_unparsed: of them, verdicts that could not be read.
    """

    model: str
    form: str
    against: str | None = None
    asked: int = 0
    reused: int = 0
    verdicts: int = 0
    unparsed: int = 0
    unanswered: int = 0
    wins: int | None = None
    losses: int | None = None
    ties: int | None = None
    inconsistent: int | None = None
    labelled: int | None = None
    labelled_unparsed: int | None = None
