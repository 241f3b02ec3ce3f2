"""One language case from its rows to its record: infer what is missing, score, judge, join shards."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.core.case import LanguageCase
from bench.core.errors import LanguageProblem
from bench.core.names import content_hash
from bench.core.record import Verdict, apply_verdict, blank_record, verdict_of, worst
from bench.language import judge
from bench.language.backend import Backend
from bench.language.grading import Scored, compare, score
from bench.language.inference import infer
from bench.language.models.config import ModelConfig, ModelProblem
from bench.language.predictions import Prediction, PredictionStore, differing, fingerprint_of
from bench.language.prompting import Asker, Question
from bench.language.rows import RowReader, Rows
from bench.language.spec import Dataset, Generation


@dataclass(frozen=True)
class RunSettings:
    """What all language cases of a run share.

    Attributes:
        directory: of the run.
        scratch: shared by the workers, gone after the run.
        seed: of the run.
        mode: ``all``, ``infer`` or ``eval``.
        rows: where rows come from.
        limit: rows of each dataset at most.
        reuse: run whose predictions are taken over where they fit.
        reference: run that no model may be worse than, and by how much, as a table shows it.
    """

    directory: Path
    scratch: Path
    seed: int
    mode: str
    rows: RowReader
    limit: int | None = None
    reuse: Path | None = None
    reference: Path | None = None
    margin: float = 0.0


@dataclass
class Outcome:
    """What a case comes to. ``reason`` is that of the gate that decides."""

    score: Verdict
    reference: Verdict = field(default_factory=lambda: Verdict("pass", "passed", ""))

    @property
    def verdict(self) -> Verdict:
        """The verdict that decides the case."""
        return worst([self.score, self.reference])

    @property
    def reason(self) -> str:
        """Why the case ends as it does."""
        return self.verdict.reason


class CombinationEvaluation:
    """Evaluates a model on a dataset, or on a shard of it.

    Args:
        case: the case.
        model: configuration of the model.
        dataset: what the dataset's file declares.
        backend: gives the model, loaded when it is first asked for.
        settings: of the run.

    Attributes:
        record: the case's record, complete at every moment as far as things went.
    """

    def __init__(
        self, case: LanguageCase, model: ModelConfig, dataset: Dataset, backend: Callable[[], Backend],
        settings: RunSettings,
    ) -> None:  # fmt: skip
        self.case, self._model, self._dataset = case, model, dataset
        self._backend, self._settings = backend, settings
        self.record = blank_record(case)
        self._started = time.monotonic()
        self._store = PredictionStore(settings.directory / "predictions", case.model, case.dataset)
        self._questions: list[Question] = []

    @property
    def evaluates(self) -> bool:
        """Whether predictions are scored in this run, and not only made."""
        return self._settings.mode != "infer"

    def infer(self) -> int:
        """Make sure that every question of this shard has a prediction; returns how many were asked anew.

        Raises:
            LanguageProblem: when rows, model or answers cannot be used.
        """
        with self._recording():
            return self._infer()

    def evaluate(self) -> Outcome:
        """Score the predictions of this shard, and those of the whole dataset if no other shard is still out.

        Raises:
            LanguageProblem: when predictions are missing or cannot be scored.
        """
        with self._recording():
            outcome = self._evaluate()
            self._settle(outcome.verdict)
            return outcome

    # -- asking ------------------------------------------------------------------------------------

    def _infer(self) -> int:
        settings = self._settings
        self._questions = self._ask(self.case.rows)
        self.record["data"] = settings.rows.label
        if settings.mode == "eval":
            stored = self._earlier()
            assert stored is not None
            self._store.open(stored.fingerprint() or {})
            self._store.append(self._chosen(stored.read()))
            return 0
        backend = self._backend()
        max_out_len = self._model.max_out_len
        wanted = fingerprint_of(
            self._dataset, model=backend.fingerprint, dtype=backend.dtype, data=content_hash(self._rows()),
            settings=self._decisive(),
        )  # fmt: skip
        self.record["fingerprint"] = wanted
        self._store.open(wanted)
        reused = self._reused(wanted)
        self._store.append(reused)
        done = {prediction["key"] for prediction in reused}
        left = [question for question in self._questions if question.key not in done]
        before = backend.effort()
        began = time.monotonic()

        def write(prediction: Prediction) -> None:
            # At once, although many at a time would be cheaper: what was asked is not asked again.
            self._store.append([prediction])

        infer(self._dataset, left, backend, write, seed=settings.seed, max_out_len=max_out_len)
        self._note_effort(backend.effort(), before, time.monotonic() - began, len(left), len(reused))
        if settings.mode == "infer":
            self._settle(
                Verdict("pass", "passed", f"{len(left)} questions asked, {len(reused)} reused; not evaluated")
            )
        return len(left)

    def _ask(self, span: tuple[int, int | None]) -> list[Question]:
        """Return the questions of a span of rows."""
        rows, training = self._rows()
        asker = Asker(self._dataset, training, self._settings.seed)
        first, end = span
        return asker.ask(rows[first:end], first)

    def _rows(self) -> tuple[Rows, Rows]:
        """Return the rows to evaluate, and those for in-context examples where there are any."""
        source, reader = self._dataset.source, self._settings.rows
        rows = reader.evaluated(source)[: self._settings.limit]
        return rows, reader.training(source) if self._dataset.examples.retriever != "zero" else []

    def _decisive(self) -> dict[str, Any]:
        """Return the settings on which predictions depend besides model, data and prompt."""
        model = self._model
        generates = isinstance(self._dataset.inference, Generation)
        seeded = self._dataset.examples.retriever == "random" or "do_sample" in model.generation_kwargs
        return {
            "type": model.type,
            "max_seq_len": model.max_seq_len,
            "max_out_len": model.max_out_len if generates else None,
            "generation": dict(model.generation_kwargs) if generates else None,
            "model_kwargs": dict(model.model_kwargs),
            "tokenizer_kwargs": dict(model.tokenizer_kwargs),
            "seed": self._settings.seed if seeded else None,
        }

    def _reused(self, wanted: dict[str, str]) -> list[Prediction]:
        """Return the predictions of an earlier run that still fit; where they do not, say which part differs."""
        stored = self._earlier()
        if stored is None:
            return []
        fingerprint = stored.fingerprint()
        if fingerprint is None:
            return []
        parts = differing(fingerprint, wanted)
        if parts:
            self.record["warnings"].append(
                f"predictions of {self._settings.reuse} are not reused: {', '.join(parts)} differ"
            )
            return []
        return self._chosen(stored.read())

    def _earlier(self) -> PredictionStore | None:
        reuse = self._settings.reuse
        if reuse is None:
            return None
        return PredictionStore(reuse / "predictions", self.case.model, self.case.dataset)

    def _chosen(self, predictions: dict[str, Prediction]) -> list[Prediction]:
        return [predictions[q.key] for q in self._questions if q.key in predictions]

    def _note_effort(
        self, after: dict[str, Any], before: dict[str, Any], seconds: float, asked: int, reused: int
    ) -> None:
        counted = ("halvings", "fed_tokens", "cut_prompts")
        effort = after | {name: after[name] - before.get(name, 0) for name in counted if name in after}
        self.record["engine"] = effort | {"seconds": seconds, "asked": asked, "reused": reused}
        if effort.get("cut_prompts"):
            self.record["warnings"].append(
                f"{effort['cut_prompts']} texts were cut at their beginning: the model cannot read them in one piece"
            )
        if effort.get("halvings"):
            self.record["warnings"].append(
                f"memory ran out {effort['halvings']} times; the batch size is down to {effort['batch_size']}"
            )

    # -- scoring -----------------------------------------------------------------------------------

    def _evaluate(self) -> Outcome:
        case = self.case
        predictions = self._store.read()
        dropped = sum(
            bool(predictions[q.key].get("dropped_examples")) for q in self._questions if q.key in predictions
        )
        if dropped:
            self.record["warnings"].append(
                f"{dropped} prompts were too long and lost in-context examples; see dropped_examples in predictions/"
            )
        part = score(self._dataset, self._questions, predictions, self._settings.seed)
        first = next(iter(part.values()))
        if case.shards > 1:
            self.record["part"] = first.to_record()
            if not self._is_last():
                return Outcome(
                    Verdict("pass", "passed", f"shard {case.shard} of {case.shards}: scored with the others")
                )
            questions = self._ask((0, None))
            part = score(self._dataset, questions, self._store.read(), self._settings.seed)
            first = next(iter(part.values()))
            self._questions = questions
        self.record["score"] = first.to_record(case.min_score)
        self.record["metrics"] = {name: scored.to_record() for name, scored in part.items()}
        self._write_results(part)
        return Outcome(judge.judge_score(first, case.min_score), self._compare(part))

    def _is_last(self) -> bool:
        """Whether all other shards have their predictions; asked once, when this one has."""
        folder = self._settings.scratch / "shards" / self.case.model
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / f"{self.case.dataset}.done", "a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(f"{self.case.shard}\n")
            file.flush()
            file.seek(0)
            return len(set(file.read().split())) == self.case.shards

    def _compare(self, scores: dict[str, Scored]) -> Verdict:
        """Compare the first metric with the reference run's on the same questions."""
        settings, case = self._settings, self.case
        if settings.reference is None:
            return Verdict("pass", "passed", "")
        model = _reference_model(settings.reference, case.model)
        stored = PredictionStore(settings.reference / "predictions", model, case.dataset).read()
        other = score(self._dataset, self._questions, stored, settings.seed)
        first = next(iter(scores.values()))
        comparison = compare(first, next(iter(other.values())), settings.margin, settings.seed)
        run = f"{model} in {settings.reference.name}"
        scale = first.scale
        self.record["reference"] = {
            "run": run,
            "difference": comparison.difference * scale,
            "low": comparison.low * scale,
            "high": comparison.high * scale,
            "margin": settings.margin,
            "n": comparison.n,
        }
        return judge.judge_comparison(comparison, scale, run)

    def _write_results(self, scores: dict[str, Scored]) -> None:
        folder = self._settings.directory / "results" / self.case.model
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(
            {
                "model": asdict(self._model),
                "dataset": self.case.dataset,
                "version": self._dataset.version,
                "data": self.record["data"],
                "fingerprint": self.record["fingerprint"],
                "metrics": self.record["metrics"],
                "keys": [question.key for question in self._questions],
                "values": {name: scored.values for name, scored in scores.items()},
            },
            indent=1,
        )
        (folder / f"{self.case.dataset}.json").write_text(text + "\n")

    # -- record ------------------------------------------------------------------------------------

    @contextmanager
    def _recording(self) -> Iterator[None]:
        """Write whatever is raised into the record, on its way to pytest."""
        try:
            yield
        except LanguageProblem as problem:
            self._settle(verdict_of(problem))
            raise
        except ModelProblem as problem:
            said = LanguageProblem("model_failed", str(problem))
            self._settle(verdict_of(said))
            raise said from problem
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            self._settle(Verdict("error", "inference_failed", text[:1000]))
            raise

    def _settle(self, verdict: Verdict) -> None:
        apply_verdict(self.record, verdict)
        self.record["duration_s"] = time.monotonic() - self._started


def _reference_model(run: Path, model: str) -> str:
    """Return which model of a reference run to compare with: the one of the same name, or the only one.

    Raises:
        LanguageProblem: when it is neither.
    """
    folder = run / "predictions"
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
    if model in names:
        return model
    if len(names) != 1:
        raise LanguageProblem(
            "predictions_missing",
            f"--reference {run}: found predictions of {', '.join(names) or 'no model'}, expected those of {model} or of "
            "one model only",
        )
    return names[0]


def shard_spans(rows: int, shards: int) -> Sequence[tuple[int, int]]:
    """Return spans of rows of nearly equal length."""
    return [(rows * index // shards, rows * (index + 1) // shards) for index in range(shards)]


class StoredEvaluation:
    """A combination as an earlier run recorded it: for showing its table anew.

    Args:
        case: the case.
        run: directory of the earlier run.

    Raises:
        LanguageProblem: when that run has no record of the case.
    """

    evaluates = True

    def __init__(self, case: LanguageCase, run: Path) -> None:
        results = run / "evaluation_results.json"
        try:
            records = json.loads(results.read_text())["records"]
        except (OSError, ValueError, KeyError) as error:
            raise LanguageProblem(
                "predictions_missing",
                f"{results}: {type(error).__name__}: {error}; expected the results of a run",
            ) from error
        names = (case.kind, case.model, case.dataset)
        shards = [r for r in records if (r["kind"], r.get("model"), r.get("dataset")) == names]
        if not shards:
            raise LanguageProblem(
                "predictions_missing",
                f"{results}: found no record of {case.id}; evaluate it, or name another run",
            )
        # The scores of the whole dataset are on one shard's record, and what went wrong may be on another's.
        scored = next((r for r in shards if r["metrics"]), shards[0])
        wrong = next((r for r in shards if r["verdict"] not in ("pass", "skip")), scored)
        verdict = {key: wrong[key] for key in ("verdict", "reason_code", "reason")}
        own = {"id": case.id, "order": case.order, "shard": case.blank()["shard"]}
        self.record: dict[str, Any] = blank_record(case) | scored | verdict | own

    def infer(self) -> int:
        """Ask nothing."""
        return 0

    def evaluate(self) -> Outcome:
        """Return the verdict of that run."""
        record = self.record
        return Outcome(Verdict(record["verdict"], record["reason_code"], record["reason"]))
