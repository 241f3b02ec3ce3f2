"""What a dataset file declares of its judge: what it is asked, and which rows people have judged already."""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from typing import Literal

PASS_FAIL = "pass/fail"
PASSED, FAILED = "pass", "fail"
FIRST, SECOND, TIE = "A", "B", "tie"


@dataclass(frozen=True, slots=True)
class Rubric:
    """Each answer gets a score by itself.

    Metric: ``judge_score``, the mean, in points of the scale; of ``pass/fail`` the percentage that passed.

    Attributes:
        prompt: template of what the judge is asked, filled from the prepared row and ``{answer}``. How the judge has to
            write its score is added to it.
        scale: the lowest and the highest score, whole numbers, or ``pass/fail``.
        label: field of the row with the verdict of a person on `label_of`; rows without one are left out. It adds the
            metrics ``judge_agreement`` and ``judge_kappa``.
        label_of: field of the row with the answer that the person judged.
        max_out_len: new tokens of the judge at most.
    """

    prompt: str
    scale: tuple[int, int] | Literal["pass/fail"] = (1, 5)
    label: str | None = None
    label_of: str | None = None
    max_out_len: int = 1024
    form: str = field(default="rubric", init=False)

    def __post_init__(self) -> None:
        """Refuse a declaration by which nothing can be judged.

        Raises:
            ValueError: a prompt without the answer, no scale, or labels of no known answer.
        """
        _require_fields(self.prompt, ("answer",))
        _require_both(self.label, self.label_of, "the field with the answer that was labelled")
        if self.scale != PASS_FAIL and not _is_scale(self.scale):
            raise ValueError(
                f"found the scale {self.scale!r}, expected the lowest and the highest score as whole numbers from 0, such "
                "as (1, 5), or 'pass/fail'"
            )

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that the judge adds."""
        return ("judge_score", *_AGREEMENT) if self.label else ("judge_score",)


@dataclass(frozen=True, slots=True)
class Pairwise:
    """Each answer is compared with another one, twice: each of the two stands first once.

    Metrics: ``win_rate``, the percentage of answers that are preferred, ties as half; ``judge_inconsistent``, the percentage
    of pairs whose verdict changed with the position, which count as ties.

    Attributes:
        prompt: template of what the judge is asked, filled from the prepared row, ``{answer_a}`` and ``{answer_b}``. How the
            judge has to write its verdict is added to it.
        against: field of the row with the other answer. None is the answer of the run that ``--reference`` names.
        label: field of the row with the verdict of a person on `label_of`: A, B or tie. Rows without one are left out. It
            adds the metrics ``judge_agreement`` and ``judge_kappa``.
        label_of: fields of the row with the answers A and B that the person compared.
        max_out_len: new tokens of the judge at most.
    """

    prompt: str
    against: str | None = None
    label: str | None = None
    label_of: tuple[str, str] | None = None
    max_out_len: int = 1024
    form: str = field(default="pairwise", init=False)

    def __post_init__(self) -> None:
        """Refuse a declaration by which nothing can be judged.

        Raises:
            ValueError: a prompt without one of the answers, or labels of no known answers.
        """
        _require_fields(self.prompt, ("answer_a", "answer_b"))
        _require_both(self.label, self.label_of, "the fields with the two answers that were labelled")
        if self.label_of is not None and (isinstance(self.label_of, str) or len(self.label_of) != 2):
            raise ValueError(f"found label_of={self.label_of!r}, expected two fields: of answer A and B")

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that the judge adds."""
        own = ("win_rate", "judge_inconsistent")
        return (*own, *_AGREEMENT) if self.label else own


Judging = Rubric | Pairwise
_AGREEMENT = ("judge_agreement", "judge_kappa")


def _require_fields(prompt: str, names: tuple[str, ...]) -> None:
    try:
        used = {name for _, name, _, _ in string.Formatter().parse(prompt) if name}
    except ValueError as error:
        raise ValueError(
            f"found a prompt of the judge that is no template ({error}); write braces that are text twice"
        ) from error
    missing = [f"{{{name}}}" for name in names if name not in used]
    if missing:
        raise ValueError(
            f"found a prompt of the judge without {' and '.join(missing)}, expected the answer in it; add it to `prompt`"
        )


def _require_both(label: str | None, label_of: object, what: str) -> None:
    if (label is None) != (label_of is None):
        raise ValueError(
            f"found label={label!r} with label_of={label_of!r}, expected both or neither: a label is a person's verdict on "
            f"an answer of the row; name {what}"
        )


def _is_scale(scale: object) -> bool:
    if not isinstance(scale, tuple) or len(scale) != 2:
        return False
    if not all(isinstance(end, int) and not isinstance(end, bool) for end in scale):
        return False
    low, high = scale
    return bool(0 <= low < high)
