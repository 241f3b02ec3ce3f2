"""Shows what an earlier run recorded of a case, for ``--mode viz``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec

from bench.core.errors import LanguageProblem
from bench.core.evaluation import Evaluation, RunContext
from bench.core.record import Record
from bench.core.verdict import PASSED, Outcome, Verdict
from bench.language.case import LanguageCase
from bench.language.record import Shard, decode_record


class EarlierEvaluation(Evaluation[LanguageCase]):
    """The evaluation of a case as an earlier run recorded it.

    Args:
        case: the case, of a whole dataset.
        context: of this run.
        run: directory of the earlier run.

    Raises:
        LanguageProblem: that run has no record of the case.
    """

    evaluates = True

    def __init__(self, case: LanguageCase, context: RunContext, run: Path) -> None:
        super().__init__(case, context)
        self.record = recorded(run, case)
        self._duration_s = self.record.duration_s
        self.record.files = {
            what: os.path.relpath(run / path, context.directory)
            for what, path in (self.record.files or {}).items()
        }

    def infer(self) -> int:
        """Ask nothing."""
        return 0

    def evaluate(self) -> Outcome:
        """Return the verdict of that run, and what ``--require`` asks of its estimates."""
        record = self.record
        found = Verdict(record.verdict, record.reason_code, record.reason)
        outcome = self.conclude({"score": found, "reference": PASSED}, record.metrics or {})
        record.duration_s = self._duration_s
        return outcome

    def run(self) -> Outcome:
        """Return the verdict of that run."""
        return self.evaluate()


def recorded(run: Path, case: LanguageCase) -> Record:
    """Return the record of a whole dataset, from the records of its shards.

    Args:
        run: directory of a run.
        case: of the whole dataset.

    Raises:
        LanguageProblem: no results, or no record of the case in them.
    """
    results = run / "evaluation_results.json"
    try:
        records = json.loads(results.read_text(encoding="utf-8"))["records"]
        names = (case.kind, case.model, case.dataset)
        shards = [
            decode_record(record)
            for record in records
            if (record["kind"], record.get("model"), record.get("dataset")) == names
        ]
    except (OSError, ValueError, KeyError, TypeError, msgspec.MsgspecError) as error:
        raise LanguageProblem(
            "predictions_missing",
            f"{results}: {type(error).__name__}: {error}; expected the results of a run; name another run",
        ) from error
    if not shards:
        raise LanguageProblem(
            "predictions_missing",
            f"{results}: found no record of {case.id}; evaluate it, or name another run",
        )
    # The scores of the whole dataset are on one shard's record, an error may be on another's.
    record = next((shard for shard in shards if shard.metrics), shards[0])
    wrong = next((shard for shard in shards if shard.verdict not in ("pass", "skip")), record)
    record.apply(Verdict(wrong.verdict, wrong.reason_code, wrong.reason))
    record.id, record.order = case.id, case.order
    record.body.shard = Shard(case.shard, case.shards)
    return record
