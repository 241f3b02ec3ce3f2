"""The language kind: how well do language models do on datasets?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.core.evaluation import Evaluation, RunContext
from bench.core.kind import Kind
from bench.core.options import Setting
from bench.core.page import KindView, PageRequest
from bench.core.record import Record
from bench.language.case import LanguageCase
from bench.language.library import adopt
from bench.language.opencompass import refuse_file
from bench.language.options import LanguageOptions, LanguageSettings, check, resolve
from bench.language.record import LanguageBody
from bench.language.report import headline, section, write_files
from bench.language.shard_gaps import missing_shards


def _make_cases(settings: LanguageSettings, setting: Setting) -> list[LanguageCase]:
    from bench.language.cases import make_cases  # noqa: PLC0415  other kinds need none of it

    return make_cases(settings, setting)


def _adopt(path: Path, text: str) -> bool:
    """Register a dataset file of a user's folder; refuse a configuration of OpenCompass, which would register nothing."""
    if adopt(path, text):
        return True
    refuse_file(path, text)
    return False


def _evaluation(case: LanguageCase, context: RunContext, resources: Any) -> Evaluation[LanguageCase]:
    if resources.settings.mode == "viz":
        from bench.language.earlier import EarlierEvaluation  # noqa: PLC0415  not needed otherwise

        return EarlierEvaluation(case, context, resources.settings.reuse)
    harness = resources.settings.harness
    if harness is not None and case.dataset in harness.selection:
        if case.dataset in harness.selection.groups:
            from bench.language.harness.groups import GroupEvaluation  # noqa: PLC0415  as below

            return GroupEvaluation(case, context, resources)
        from bench.language.harness.evaluation import HarnessEvaluation  # noqa: PLC0415  as below

        return HarnessEvaluation(case, context, resources)
    from bench.language.evaluation import LanguageEvaluation  # noqa: PLC0415  imports numpy

    return LanguageEvaluation(case, context, resources)


def _page(request: PageRequest) -> KindView:
    from bench.language.page import view  # noqa: PLC0415  only the end of a run needs it

    return view(request)


def _samples(request: PageRequest, record: Record) -> Mapping[str, Mapping[str, float]]:
    from bench.language.page import samples  # noqa: PLC0415  only a comparison needs it

    return samples(request, record)


KIND = Kind(
    name="language",
    options=LanguageOptions,
    make_cases=_make_cases,
    evaluation=_evaluation,
    table=section,
    body=LanguageBody,
    resolve=resolve,
    check=check,
    headline=headline,
    finish=write_files,
    page=_page,
    samples=_samples,
    gaps=missing_shards,
    shared=("batch_size", "exclusive"),
    adopt=_adopt,
    resumes_itself=True,
)
