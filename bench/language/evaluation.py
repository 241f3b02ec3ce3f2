"""One language case from its rows to its record: ask what is missing, score, compare, join shards."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from bench.core.errors import CaseProblem, LanguageProblem
from bench.core.evaluation import Evaluation, RunContext
from bench.core.gate import Limit, gate
from bench.core.names import content_hash
from bench.core.raised import told_in_one_line
from bench.core.record import Score
from bench.core.runs import become_latest
from bench.core.verdict import PASSED, Outcome, Verdict, verdict_of
from bench.language.backend import Backend
from bench.language.case import LanguageCase
from bench.language.executions import executions_of, require_jail_of
from bench.language.grading import Graded, check_names, describe_score, grade, grade_groups
from bench.language.inference import infer
from bench.language.joining import identity, join, require_all
from bench.language.judging.case import CaseJudge
from bench.language.library import load_dataset
from bench.language.models.config import ModelConfig
from bench.language.options import LanguageSettings
from bench.language.predictions import (
    Fingerprint,
    PredictionStore,
    StoredPrediction,
    decisive_settings,
    draws,
    fingerprint_of,
)
from bench.language.prompting import Question, QuestionBuilder, repeated
from bench.language.readable import readable_answers
from bench.language.record import Engine, LanguageBody
from bench.language.reference import compare_with_run
from bench.language.results import write_results
from bench.language.reuse import chosen, kept_before, reusable
from bench.language.rows import RowReader, Rows
from bench.language.sampling import Drawn
from bench.language.shards import is_last
from bench.language.spec import Dataset, Generation
from bench.language.unread import Unread


@dataclass(frozen=True)
class LanguageResources:
    """What the evaluations of a process share.

    Attributes:
        settings: options of the run.
        rows: where rows come from.
        load: returns the model of a configuration, loaded if it is not in memory yet.
        tasks: makes the objects of tasks of lm-evaluation-harness; None if there are none.
    """

    settings: LanguageSettings
    rows: RowReader
    load: Callable[[ModelConfig], Backend]
    tasks: Any = None


class LanguageEvaluation(Evaluation[LanguageCase]):
    """Evaluates a model on a dataset, or on a shard of it.

    Args:
        case: the case.
        context: of the run.
        resources: of the process.

    Raises:
        LanguageProblem: a dataset that cannot be used.
    """

    def __init__(self, case: LanguageCase, context: RunContext, resources: LanguageResources) -> None:
        super().__init__(case, context)
        self._settings, self._reader, self._load = resources.settings, resources.rows, resources.load
        self._model = self._settings.model(case.model)
        self._dataset = self._declared()
        self._store = PredictionStore(context.directory / "predictions", case.model, case.stem)
        self._questions: list[Question] = []

    def _declared(self) -> Dataset:
        """Return what is asked, and how."""
        return load_dataset(self.case.dataset)

    @property
    def evaluates(self) -> bool:
        """Whether this run scores predictions, and does not only make them."""
        return self._settings.mode != "infer"

    @property
    def _body(self) -> LanguageBody:
        body: LanguageBody = self.record.body
        return body

    def run(self) -> Outcome:
        """Ask what is missing, and evaluate unless the run only asks.

        Raises:
            LanguageProblem: rows, model, answers or predictions that cannot be used.
        """
        self.infer()
        if not self.evaluates:
            return Outcome({"inference": Verdict("pass", "passed", self.record.reason)})
        return self.evaluate()

    def infer(self) -> int:
        """Make sure that every question of this shard has a prediction; return how many questions were asked.

        Raises:
            LanguageProblem: rows, model or answers that cannot be used.
        """
        with self.recording():
            check_names(self._dataset)
            require_jail_of(self._dataset)
            self._settle_labels()
            self._questions = self._build(self.case.rows)
            self.record.data = self._reader.label
            self._note_file("predictions", self._store.path)
            drawn = self._drawn()
            self._body.sample = drawn.record
            self.record.warnings += [drawn.note] if drawn.note else []
            return self._take_stored() if self._settings.mode == "eval" else self._ask()

    def evaluate(self) -> Outcome:
        """Score the predictions of this shard; if all other shards have theirs, score those of the whole dataset.

        Raises:
            LanguageProblem: predictions that are missing or cannot be scored.
        """
        with self.recording():
            self._warn_of_dropped_examples()
            metrics = self._grade()
            if self.case.shards > 1:
                self._body.part = next((graded.score for graded in metrics.values()), None)
                if not is_last(self.case, self.context.scratch):
                    return self._wait_for_others()
                self._questions = self._build((0, None))
                metrics = self._grade()
            return self._conclude(metrics)

    def explain(self, error: Exception) -> Verdict:
        """Return the verdict that an exception means: whatever a model raises is an error of the inference."""
        if isinstance(error, CaseProblem):
            return verdict_of(error)
        return Verdict("error", "inference_failed", told_in_one_line(error, 1000))

    # -- asking ------------------------------------------------------------------------------------

    def _build(self, span: tuple[int, int | None]) -> list[Question]:
        """Return the questions of a span of rows."""
        rows, numbers = self._reader.evaluated(self._dataset.source), self._drawn().numbers
        first, end = span
        builder = QuestionBuilder(self._dataset, self._training(), self.context.seed)
        questions = builder.build_numbered([(number, rows[number]) for number in numbers[first:end]])
        drawn = self._settings.repeats if isinstance(self._dataset.inference, Generation) else 1
        return repeated(questions, drawn)

    def _drawn(self) -> Drawn:
        """Return which rows are asked."""
        return self._reader.drawn(
            self._dataset.source, self._settings.limit, self.context.seed, self._dataset.group
        )

    def _training(self) -> Rows:
        """Return the rows for in-context examples, if there are any."""
        has_examples = self._dataset.examples.retriever != "zero"
        return self._reader.training(self._dataset.source) if has_examples else []

    def _settle_labels(self) -> None:
        """Find the form of labels that only the whole column shows."""
        labels = self._dataset.labels
        if labels is not None:
            source = self._dataset.source
            try:
                settled = labels.settled([*self._reader.evaluated(source), *self._training()])
            except ValueError as error:
                raise LanguageProblem("data_failed", str(error)) from error
            self._dataset = replace(self._dataset, labels=settled)

    def _take_stored(self) -> int:
        """Copy the predictions of an earlier run, each to the question of its row.

        Raises:
            LanguageProblem: predictions that are missing, or of other rows or words.
        """
        stored, reuse = self._earlier(), self._settings.reuse
        assert stored is not None
        assert reuse is not None
        joined = join(stored.read(), self._questions)
        found = require_all(
            joined, self._dataset, f"--reuse {reuse.name}, {self.case.model} on {self.case.dataset}",
            f"ask what is missing with --mode all --reuse {reuse.name}, or give the rows of that run",
        )  # fmt: skip
        if joined.moved:
            self.record.warnings.append(
                f"{len(joined.moved)} rows stand at other places than in {reuse.name}; joined by their content"
            )
        self._store.open(stored.fingerprint() or {})
        self._store.append(found.values())
        return 0

    def _ask(self) -> int:
        backend = self._load(self._model)
        self._body.fingerprint = wanted = self._fingerprint(backend)
        kept = kept_before(self._store, wanted, self._questions)
        self._store.open(wanted)
        reused = [prediction for prediction in self._reused(wanted) if prediction["key"] not in kept]
        self._store.append(reused)
        done = kept | {prediction["key"] for prediction in reused}
        left = [question for question in self._questions if question.key not in done]
        identities = {question.key: identity(question) for question in left}
        before, began = backend.usage(), time.monotonic()

        began_writing, answered = False, len(done)
        self.context.doing(f"answer {answered}", f"of {answered + len(left)}")

        def write(prediction: StoredPrediction) -> None:
            nonlocal began_writing, answered
            answered += 1
            self.context.doing(f"answer {answered}", f"of {len(done) + len(left)}")
            # One by one, although batches would be cheaper: no answer of a killed run is asked for again.
            self._store.append([{**identities[prediction["key"]], **prediction}])
            if not began_writing:  # a run that is killed before its first record can be gone on with, too
                began_writing = True
                become_latest(self.context.directory)

        infer(
            self._dataset, left, backend, write, seed=self.context.seed, max_out_len=self._model.max_out_len
        )
        engine = self._body.engine = Engine.between(
            before, backend.usage(), seconds=time.monotonic() - began, asked=len(left), reused=len(done)
        )
        self.record.warnings += engine.warnings()
        if not self.evaluates:
            text = f"{len(left)} questions asked, {len(done)} reused; not evaluated"
            self.settle(Verdict("pass", "passed", text))
        return len(left)

    def _fingerprint(self, backend: Backend) -> Fingerprint:
        """Return what the predictions of this run depend on."""
        rows, training = self._reader.evaluated(self._dataset.source), self._training()
        return fingerprint_of(
            self._dataset, model=backend.fingerprint, dtype=backend.dtype,
            data=content_hash([rows[number] for number in self._drawn().numbers]),
            settings=decisive_settings(self._dataset, self._model, self.context.seed),
            examples=content_hash(training) if training else "",
        )  # fmt: skip

    def _earlier(self) -> PredictionStore | None:
        reuse = self._settings.reuse
        if reuse is None:
            return None
        return PredictionStore(reuse / "predictions", self.case.model, self.case.dataset)

    def _reused(self, wanted: Fingerprint) -> list[StoredPrediction]:
        """Return the predictions of an earlier run that still fit; a warning says why they do not."""
        stored = self._earlier()
        if stored is None:
            return []
        found = reusable(stored, wanted, self._questions, drawn=draws(self._model.generation_kwargs))
        for why in found.why_not:
            some = "some predictions" if found.predictions else "predictions"
            self.record.warnings.append(f"{some} of {self._settings.reuse} are not reused: {why}")
        return found.predictions

    # -- scoring -----------------------------------------------------------------------------------

    def _warn_of_dropped_examples(self) -> None:
        predictions = chosen(self._store.read(), self._questions)
        dropped = sum(bool(prediction.get("dropped_examples")) for prediction in predictions)
        if dropped:
            self.record.warnings.append(
                f"{dropped} prompts were too long and lost in-context examples; see dropped_examples in predictions/"
            )

    def _grade(self) -> dict[str, Graded]:
        stored = self._store.read()
        graded = grade(self._dataset, self._questions, stored, self.context.seed)
        executions = executions_of(self._dataset, self._questions, stored)
        if executions:
            self._note_file("executions", self._store.keep_executions(executions))
        return graded

    def _wait_for_others(self) -> Outcome:
        """Settle a shard that is not the last one; the score, and what is required of it, are the last one's."""
        verdict = Verdict(
            "pass", "passed", f"shard {self.case.shard} of {self.case.shards}: scored with the others"
        )
        self.settle(verdict)
        return Outcome({"score": verdict, "reference": PASSED})

    def _conclude(self, metrics: dict[str, Graded]) -> Outcome:
        """Write scores and results, and hold the first metric against what is required."""
        case, record, settings = self.case, self.record, self._settings
        stored, judge = self._store.read(), None
        if self._dataset.judge is not None:
            judge = CaseJudge(case, self._dataset, settings, self.context, record.warnings.append)
            self._note_file("judge", judge.path)
            metrics = {**metrics, **judge.judge(self._questions, stored)}
            self._body.judge = judge.notes
        first = next(iter(metrics.values())).score
        record.score = msgspec.structs.replace(first, required=case.min_score)
        record.metrics = {name: graded.score for name, graded in metrics.items()}
        is_judged = judge is not None and not self._dataset.metrics
        self._body.groups = grade_groups(self._dataset, self._questions, stored, self.context.seed)
        if judge is not None and is_judged:
            self._body.groups = judge.parts(self._questions)
        results = self.context.directory / "results" / case.model / f"{case.stem}.json"
        write_results(
            results, self._model, self._dataset, record, self._questions, metrics, self.context.places,
            readable_answers(self._dataset, self._questions, stored),
        )  # fmt: skip
        self._note_file("results", results)
        reference = PASSED
        if judge is not None and is_judged:
            self._body.reference, reference = judge.compare(self._questions, metrics)
        elif settings.reference is not None:
            self._body.reference, reference = compare_with_run(
                settings.reference, case, self._dataset, self._questions, metrics, settings.margin,
                self.context.seed, self.record.warnings.append,
            )  # fmt: skip
        own = Unread.of(first, chosen(stored, self._questions), settings.max_unparsed)
        record.warnings += [] if is_judged else own.warnings()

        def review(metric: str, verdict: Verdict) -> Verdict:
            of_judge = None if judge is None else judge.unread(metric)
            return (of_judge or own).verdict(verdict)

        name = next(iter(metrics))
        score = review(name, gate(first, score_limit(first, case.min_score), shown=describe_score(first)))
        if settings.reference is not None:
            reference = review(name, reference)
        gates = {"score": score, "reference": reference}
        if judge is not None:
            gates["judge"] = judge.verdict()
        return self.conclude(gates, record.metrics, review=review)

    def _note_file(self, what: str, path: Path) -> None:
        self.record.files = {
            **(self.record.files or {}), what: path.relative_to(self.context.directory).as_posix(),
        }  # fmt: skip


def score_limit(score: Score, required: float | None) -> Limit | None:
    """Return what a score is held against: at least the required value, at most for a perplexity."""
    if required is None:
        return None
    return Limit(
        bound=required,
        at_most=not score.higher_is_better,
        missed="score_missed",
        undecided="score_undecided",
        advice="use a better model or prompt",
        more="evaluate more rows, or change the requirement",
    )
