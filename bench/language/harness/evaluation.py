"""One task of lm-evaluation-harness from its documents to its record: a language case like any other."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.core.errors import LanguageProblem
from bench.core.evaluation import RunContext
from bench.core.gate import gate
from bench.core.names import content_hash
from bench.core.verdict import PASSED, Outcome, Verdict
from bench.language.backend import Backend
from bench.language.case import LanguageCase
from bench.language.chat import WrittenText
from bench.language.evaluation import LanguageEvaluation, LanguageResources, score_limit
from bench.language.grading import Graded, describe_score
from bench.language.harness import asking, scoring
from bench.language.harness.declared import stand_in
from bench.language.harness.index import installed_version
from bench.language.harness.progress import Progress
from bench.language.harness.tasks import Document, Prompting, TaskLoader, document_count, documents
from bench.language.predictions import Fingerprint, PredictionStore, StoredPrediction, code_version
from bench.language.record import Engine, Reference
from bench.language.reference import held, reference_model
from bench.language.results import write_json
from bench.language.spec import Dataset, Generation

_HERE = Path(__file__).parent
# What a reader of a score should know of programs that did not pass.
_UNUSUAL = {
    "timed_out": "ran out of time",
    "memory": "ran out of memory",
    "refused": "asked for what the jail does not give",
    "bad_tests": "have tests with a syntax error",
}
_CODE = ("asking.py", "tasks.py", "data.py", "selection.py", "optional.py")


class HarnessEvaluation(LanguageEvaluation):
    """Evaluates a model on a task, or on a shard of one.

    Args:
        case: the case.
        context: of the run.
        resources: of the process.
    """

    def __init__(self, case: LanguageCase, context: RunContext, resources: LanguageResources) -> None:
        harness = resources.settings.harness
        assert harness is not None, "a task of lm-evaluation-harness comes from its options"
        self._harness, self._task = harness, harness.selection.tasks[case.dataset]
        super().__init__(case, context, resources)
        self._loader: TaskLoader = resources.tasks or TaskLoader(harness.data)
        self._prompting = Prompting()
        self._measured: dict[str, scoring.FilteredMetric] = {}
        self.record.body.protocol = self._task.protocol
        self._progress = Progress(context.scratch, case.model, case.id)
        self.resources.enter_context(self._progress)

    def infer(self) -> int:
        """Make sure that every document of this shard has its answers; return how many documents were asked.

        Raises:
            LanguageProblem: rows, model or answers that cannot be used.
        """
        with self.recording():
            self.record.data = self._harness.label
            self._questions = self._build(self.case.rows)
            self._note_file("predictions", self._store.path)
            return self._take_stored() if self._settings.mode == "eval" else self._ask()

    def evaluate(self) -> Outcome:
        """Score the predictions of this shard; the last shard scores the whole task."""
        outcome = super().evaluate()
        self._progress.done()
        return outcome

    # -- what a task does in its own way -----------------------------------------------------------

    def _declared(self) -> Dataset:
        return stand_in(self._task)

    def _build(self, span: tuple[int, int | None]) -> list[Any]:
        """Return the documents of a span."""
        if self._model.type == "chat":
            template = self._asked(self._load(self._model)).chat_template()
            as_turns = self._model.few_shot == "turns"
            self._prompting = Prompting(template, as_turns, self._model.system_prompt)
        first, end = span
        made = self._loader.load(self._task)
        limit, total = self._settings.limit, document_count(made)
        if limit is not None and limit < total:
            end = limit if end is None else min(end, limit)
            self._warn(
                f"the first {limit} of {total} documents, as lm-evaluation-harness takes them; where they are sorted, they "
                "are no sample of all"
            )
        found = documents(made, first, end, self._prompting)
        if not found and self.case.shards == 1:
            raise LanguageProblem(
                "data_failed", f"{self._task.name}: found no documents, expected some; see the rows"
            )
        return found

    def _ask(self) -> int:
        backend = self._load(self._model)
        model = self._asked(backend)
        self._body.fingerprint = wanted = self._fingerprint_of(backend)
        self._store.open(wanted)
        reused = self._reused(wanted)
        self._store.append(reused)
        done = {prediction["key"] for prediction in reused}
        left = [document for document in self._documents if document.key not in done]
        before, began = model.usage(), time.monotonic()

        def answered(document: Document, answers: list[list[Any]]) -> None:
            self._store.append([_prediction(document, answers)])

        asking.ask(left, model, self._model, self.context.seed, answered)
        engine = self._body.engine = Engine.between(
            before, model.usage(), seconds=time.monotonic() - began, asked=len(left), reused=len(reused)
        )
        self.record.warnings += engine.warnings()
        if not self.evaluates:
            text = f"{len(left)} documents asked, {len(reused)} reused; not evaluated"
            self.settle(Verdict("pass", "passed", text))
        return len(left)

    def _take_stored(self) -> int:
        """Copy the predictions of an earlier run.

        Raises:
            LanguageProblem: documents that differ from those of that run.
        """
        stored = self._earlier()
        assert stored is not None
        kept, differing_ones = self._fitting(stored)
        if differing_ones:
            raise LanguageProblem(
                "predictions_missing",
                f"--reuse {stored.path.parents[2].name}: found {_differing(differing_ones, self._documents)}, expected the "
                "same rows and prompts; ask again with --mode all",
            )
        self._store.open(stored.fingerprint() or {})
        self._store.append(kept)
        return 0

    def _reused(self, wanted: Fingerprint) -> list[StoredPrediction]:
        """Return the predictions of an earlier run that still fit; a warning says why others do not."""
        stored = self._earlier()
        fingerprint = None if stored is None else stored.fingerprint()
        if stored is None or fingerprint is None:
            return []
        parts = [part for part in wanted if fingerprint.get(part) != wanted[part]]
        if parts:
            self._warn(f"predictions of {self._settings.reuse} are not reused: {', '.join(parts)} differ")
            return []
        kept, differing_ones = self._fitting(stored)
        if differing_ones:
            self._warn(
                f"found {_differing(differing_ones, self._documents)} than in {self._settings.reuse}; they are asked again"
            )
        return kept

    def _fitting(self, stored: PredictionStore) -> tuple[list[StoredPrediction], list[str]]:
        """Return the stored predictions of the same documents, asked alike, and the keys of those that differ."""
        predictions, kept, unfit = stored.read(), [], []
        for document in self._documents:
            prediction = predictions.get(document.key)
            if prediction is None:
                continue
            if (prediction.get("row"), prediction.get("asked")) == (document.row, document.asked):
                kept.append(prediction)
            else:
                unfit.append(document.key)
        return kept, unfit

    def _fingerprint_of(self, backend: Backend) -> Fingerprint:
        """Return what the predictions depend on; what is asked of each document stands with its prediction."""
        model = self._model
        settings = {
            "type": model.type, "max_seq_len": model.max_seq_len, "max_out_len": model.max_out_len,
            "model_kwargs": dict(model.model_kwargs), "tokenizer_kwargs": dict(model.tokenizer_kwargs),
            "chat": [dict(model.chat_template_kwargs), list(model.think_marks)],
            "generation": dict(model.generation_kwargs), "seed": self.context.seed if self._is_drawn() else None,
        }  # fmt: skip
        return {
            "model": backend.fingerprint,
            "dtype": backend.dtype,
            "prompt": content_hash([self._task.protocol, installed_version()]),
            "settings": content_hash(settings),
            "code": f"{code_version()}-{content_hash([(_HERE / name).read_text() for name in _CODE])}",
        }

    def _grade(self) -> dict[str, Graded]:
        executions: dict[str, list[dict[str, str]]] = {}
        measured = self._measure(self._store, executions)
        if executions:
            self._note_file("executions", self._store.keep_executions(executions))
            self._warn_of(executions)
        self._measured = {one.name: one for one in measured}
        stored, cut = self._store.read(), None
        if isinstance(self._dataset.inference, Generation):
            cut = sum(bool(stored[document.key].get("cut")) for document in self._documents)
        return {one.name: scoring.estimate(one, self.context.seed, cut) for one in measured}

    def _conclude(self, metrics: dict[str, Graded]) -> Outcome:
        """Write scores and results, and hold the first metric against what is required."""
        case, record = self.case, self.record
        first = next(iter(metrics.values())).score
        record.score = msgspec.structs.replace(first, required=case.min_score)
        record.metrics = {name: graded.score for name, graded in metrics.items()}
        path = self.context.directory / "results" / case.model / f"{case.stem}.json"
        self._write_results(metrics, path)
        self._note_file("results", path)
        reference = PASSED
        if self._settings.reference is not None:
            self._body.reference, reference = self._compare(metrics, self._settings.reference)
        score = gate(first, score_limit(first, case.min_score), shown=describe_score(first))
        return self.conclude({"score": score, "reference": reference}, record.metrics)

    def _write_results(self, metrics: dict[str, Graded], path: Path) -> None:
        record, task = self.record, self._task
        alias = f"{task.config.get('task_alias', task.name)}"
        write_json(
            path,
            {
                "model": self.case.model,
                "dataset": self.case.dataset,
                "protocol": task.protocol,
                "lm_eval": {
                    "version": installed_version(),
                    "results": scoring.block(list(self._measured.values()), metrics, alias),
                    "num_fewshot": task.config.get("num_fewshot") or 0,
                },
                "data": self.context.places.tidy(record.data),
                "fingerprint": record.body.fingerprint,
                "metrics": {name: graded.score for name, graded in metrics.items()},
                "keys": [document.key for document in self._documents],
                "values": {name: graded.values for name, graded in metrics.items()},
            },
        )

    def _compare(self, metrics: dict[str, Graded], run: Path) -> tuple[Reference | None, Verdict]:
        """Compare the first metric with an earlier run's on the same documents.

        Raises:
            LanguageProblem: a run without predictions of these documents.
        """
        model = reference_model(run, self.case.model)
        store = PredictionStore(run / "predictions", model, self.case.dataset)
        stored = store.read()
        changed = [
            one.key for one in self._documents if one.key in stored and stored[one.key].get("row") != one.row
        ]
        if changed:
            raise LanguageProblem(
                "predictions_missing",
                f"--reference {run.name}: found {_differing(changed, self._documents)}, expected the same rows; name a run "
                "on these rows",
            )
        name = next(iter(metrics))
        other = next(one for one in self._measure(store) if one.name == name)
        difference = scoring.compare(self._measured[name], other, self.context.seed)
        return held(difference, f"{model} in {run.name}", self._settings.margin)

    # -- helpers -----------------------------------------------------------------------------------

    @property
    def _documents(self) -> list[Document]:
        found: list[Any] = self._questions
        return found

    def _measure(
        self, store: PredictionStore, executions: dict[str, list[dict[str, str]]] | None = None
    ) -> list[scoring.FilteredMetric]:
        answers = {key: one["answers"] for key, one in store.read().items()}
        return scoring.measure(self._loader.load(self._task), self._documents, answers, executions)

    def _warn_of(self, executions: Mapping[str, list[dict[str, str]]]) -> None:
        """Say which programs ended otherwise than by their tests."""
        outcomes = Counter(one["outcome"] for done in executions.values() for one in done)
        for outcome, words in _UNUSUAL.items():
            if outcomes[outcome]:
                self._warn(f"{outcomes[outcome]} of {outcomes.total()} programs {words}; see predictions/")

    def _asked(self, backend: Backend) -> asking.HarnessModel:
        return asking.harness_model(backend, self._model, self._settings.api_concurrency)

    def _is_drawn(self) -> bool:
        options = {**(self._task.config.get("generation_kwargs") or {}), **self._model.generation_kwargs}
        return bool(options.get("do_sample") or options.get("temperature"))

    def _warn(self, text: str) -> None:
        if text not in self.record.warnings:
            self.record.warnings.append(text)


def _prediction(document: Document, answers: list[list[Any]]) -> StoredPrediction:
    """Return a line of predictions; thoughts are no part of the answers."""
    line: StoredPrediction = {
        "key": document.key,
        "index": document.index,
        "row": document.row,
        "asked": document.asked,
        "requests": [_written(request) for request in document.requests],
        "answers": answers,
    }
    texts = [one for given in answers for one in given if isinstance(one, WrittenText)]
    thoughts = [one.thought for one in texts if one.thought is not None]
    if thoughts:
        line["thought"] = "\n\n".join(thoughts)
    if texts:
        line["cut"] = any(one.cut for one in texts)
    return line


def _differing(keys: Sequence[str], documents: Sequence[Document]) -> str:
    return (
        f"{len(keys)} of {len(documents)} documents, the first one {keys[0]}, with another content or prompt"
    )


def _written(request: Any) -> dict[str, Any]:
    """Return a request as a line of predictions keeps it."""
    names = {
        "loglikelihood": ("prompt", "continuation"),
        "loglikelihood_rolling": ("text",),
        "generate_until": ("prompt", "options"),
    }[request.request_type]
    return {"type": request.request_type, **dict(zip(names, request.args, strict=False))}
