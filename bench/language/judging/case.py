"""The judging of one case: who judges, where the judge's texts are kept, and what follows for the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.core.errors import LanguageProblem
from bench.core.estimate import PERCENT, Estimate
from bench.core.evaluation import RunContext
from bench.core.record import Score
from bench.core.verdict import PASSED, Verdict
from bench.language.case import LanguageCase
from bench.language.grading import Graded, parts_of_dataset
from bench.language.judging.asking import Judge
from bench.language.judging.declared import Pairwise
from bench.language.judging.options import judge_problem
from bench.language.judging.record import JudgeNotes
from bench.language.judging.scoring import graded
from bench.language.judging.verdicts import Judged, Predictions, judge_answers
from bench.language.options import LanguageSettings
from bench.language.predictions import PredictionStore
from bench.language.prompting import Question
from bench.language.record import Reference
from bench.language.reference import compare_with_run, held, reference_model, reference_predictions
from bench.language.spec import Dataset
from bench.language.unread import Unread

_AGREEMENT = ("judge_agreement", "judge_kappa")
_MOST_INCONSISTENT = 0.5


@dataclass(frozen=True, slots=True)
class UnreadVerdicts(Unread):
    """How many verdicts of a judge could not be read, and how many answers were not there to be judged."""

    unanswered: int = 0

    def text(self) -> str:
        """Return the counts as a sentence, with what to do."""
        absent = (
            f"; {self.unanswered} of them are answers that are empty or an endless thought"
            if self.unanswered
            else ""
        )
        return (
            f"{self.unparsed} of {self.n} verdicts of the judge could not be read ({self.percent:.0f} %){absent}; see them "
            "in predictions/, correct the prompt of the judge, or name a better one"
        )


class CaseJudge:
    """Judges the answers of a case.

    Args:
        case: the case.
        dataset: that declares a judge.
        settings: of the run.
        context: of the run.
        warn: takes a sentence for a reader of the scores.

    Attributes:
        path: of the file with the judge's texts.

    Raises:
        LanguageProblem: no judge, or nothing to compare with.
        InfrastructureProblem: a server that cannot be asked.
    """

    def __init__(
        self, case: LanguageCase, dataset: Dataset, settings: LanguageSettings, context: RunContext,
        warn: Callable[[str], None],
    ) -> None:  # fmt: skip
        problem = judge_problem(dataset, settings.judge, has_reference=settings.reference is not None)
        if problem is not None:
            raise LanguageProblem("task_invalid", problem)
        assert dataset.judge is not None
        assert settings.judge is not None
        self._case, self._dataset, self._judging = case, dataset, dataset.judge
        self._settings, self._seed, self._warn = settings, context.seed, warn
        store = PredictionStore(context.directory / "predictions", case.model, f"{case.stem}.judge")
        self.path = store.path
        runs = [] if settings.reuse is None else [(settings.reuse, case.model)]
        if settings.reference is not None:
            runs.append((settings.reference, reference_model(settings.reference, case.model)))
        earlier = [PredictionStore(run / "predictions", name, f"{case.dataset}.judge") for run, name in runs]
        self._judge = Judge(
            settings.judge, store, earlier, concurrency=settings.api_concurrency, seed=context.seed
        )
        self._judged: Judged | None = None

    @property
    def notes(self) -> JudgeNotes:
        """What the record says of the judge."""
        return self._found.notes

    @property
    def _found(self) -> Judged:
        assert self._judged is not None, "judge() comes first"
        return self._judged

    def judge(self, questions: Sequence[Question], predictions: Predictions) -> dict[str, Graded]:
        """Return the metrics of the judge for the answers of the whole dataset.

        Args:
            questions: of the dataset.
            predictions: by question.

        Raises:
            LanguageProblem: rows or a reference run without what is compared.
            InfrastructureProblem: a judge that cannot be asked.
        """
        others, against = None, None
        if self._is_comparison:
            run = self._settings.reference
            assert run is not None
            model, others = reference_predictions(run, self._case, self._dataset, questions, self._warn)
            against = f"{model} in {run.name}"
        self._judged = judge_answers(
            self._judging, self._judge, questions, predictions, others, against=against, seed=self._seed
        )
        self._note()
        return self._judged.metrics

    @property
    def _is_comparison(self) -> bool:
        """Whether answers are compared with those of the reference run."""
        return isinstance(self._judging, Pairwise) and self._judging.against is None

    def compare(
        self, questions: Sequence[Question], metrics: Mapping[str, Graded]
    ) -> tuple[Reference | None, Verdict]:
        """Return the comparison with the reference run by the judge's first metric, and its verdict.

        Where answers are compared with those of that run, it is the distance of the win rate from one half.

        Args:
            questions: of the dataset.
            metrics: of this run, the judge's first.

        Raises:
            LanguageProblem: a run without predictions of these rows.
            InfrastructureProblem: a judge that cannot be asked.
        """
        run, margin = self._settings.reference, self._settings.margin
        if run is None:
            return None, PASSED
        if not self._is_comparison:
            found = compare_with_run(
                run, self._case, self._dataset, questions, metrics, margin, self._seed, self._warn,
                lambda stored: self._scores(questions, stored),
            )  # fmt: skip
            self.notes.asked, self.notes.reused = self._judge.asked, self._judge.reused
            return found
        rate = metrics["win_rate"].score
        value, low, high = (None if end is None else end - 50 for end in (rate.value, rate.low, rate.high))
        difference = Estimate(metric="difference", value=value, low=low, high=high, n=rate.n, unit=PERCENT)
        return held(difference, str(self.notes.against), margin)

    def _scores(self, questions: Sequence[Question], predictions: Predictions) -> dict[str, Graded]:
        return judge_answers(
            self._judging, self._judge, questions, predictions, seed=self._seed, with_labels=False
        ).metrics

    def parts(self, questions: Sequence[Question]) -> dict[str, Score] | None:
        """Return the first metric of each part of the dataset; None for a dataset without parts."""
        values, parts = self._found.values, parts_of_dataset(self._dataset, questions)
        found = {
            name: graded(self._found.scale, {one.index: values[one.index] for one in parts[name]}, self._seed)
            for name in sorted(parts)
        }
        return {name: part.score for name, part in found.items()} or None

    def unread(self, metric: str) -> UnreadVerdicts | None:
        """Return how many verdicts behind a metric could not be read; None for a metric that is not the judge's."""
        if metric not in self._found.metrics:
            return None
        notes, limit = self.notes, self._settings.max_unparsed
        if metric in _AGREEMENT:
            n = notes.labelled or 0
            return UnreadVerdicts(notes.labelled_unparsed or 0, n, 0, n, limit)
        n = notes.verdicts
        return UnreadVerdicts(notes.unparsed + notes.unanswered, n, 0, n, limit, notes.unanswered)

    def verdict(self) -> Verdict:
        """Return whether enough verdicts could be read, also where nothing is required of the judge's metrics."""
        verdict = PASSED
        for name in self._found.metrics:
            unread = self.unread(name)
            verdict = verdict if unread is None or not verdict.holds else unread.verdict(verdict)
        return verdict

    def _note(self) -> None:
        """Tell a reader of the scores what weakens them."""
        notes, judge = self.notes, self._judge.config
        names = [name for name in self._found.metrics if name not in ("judge_inconsistent", "judge_kappa")]
        for unread in (self.unread(name) for name in names):
            for text in [] if unread is None else unread.warnings():
                self._warn(text)
        read = notes.verdicts - notes.unparsed
        if notes.inconsistent and notes.inconsistent > _MOST_INCONSISTENT * read:
            self._warn(
                f"the judge changed its verdict with the position in {notes.inconsistent} of {read} pairs, which count as "
                "ties; it says little of the answers"
            )
        own = self._settings.model(self._case.model)
        if (own.api_base, own.path) == (judge.api_base, judge.path):
            self._warn(f"the judge {judge.name} is the model that is judged; models prefer their own answers")
