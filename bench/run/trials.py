"""The hooks around each test of a case, in the process that runs it: from the begin of an attempt to its report."""

from __future__ import annotations

from collections.abc import Generator, Mapping

import pytest

from bench.core.kind import Kind
from bench.run.attempts import TRIAL, begin_trial
from bench.run.outcome import attach_record
from bench.run.process import OPTIONS, case_of, places_of, teller_of
from bench.run.retries import Retries


def follow_trials(config: pytest.Config, kinds: Mapping[str, Kind], retries: Retries) -> None:
    """Register what follows the attempts at each case."""
    reports = Reports(kinds, retries)
    config.pluginmanager.register(reports, "modelgate-reports")
    config.pluginmanager.register(Trials(reports), "modelgate-trials")
    config.pluginmanager.register(retries, "modelgate-retries")


class Reports:
    """Lets each report of a case carry its record."""

    def __init__(self, kinds: Mapping[str, Kind], retries: Retries) -> None:
        self._kinds, self._retries = kinds, retries

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach the record to the report of an attempt."""
        report = yield
        if TRIAL in item.stash:
            item.stash[TRIAL].error = None if call.excinfo is None else call.excinfo.value
            self.attach(item, report)
        return report

    def attach(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Attach the record of the attempt that the item has come to."""
        case = case_of(item)
        if case is None:
            return
        skip_inconclusive = item.config.stash[OPTIONS].inconclusive == "skip"
        trial = item.stash[TRIAL]
        if trial.evaluated is not None and trial.not_reused:
            trial.evaluated.warnings.append(trial.not_reused)
            trial.not_reused = ""
        kind, places = self._kinds[case.kind], places_of(item.config)
        attach_record(item, report, case, kind, trial, skip_inconclusive, places)
        self._retries.review(report, trial)


class Trials:
    """Follows the attempts at each test."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Begin an attempt."""
        case = case_of(item)
        if case is not None:
            begin_trial(item)
            teller_of(item.config).begin(case.id)
        return (yield from self._noting_errors(item))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Say that nothing is being done."""
        teller_of(item.config).end()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Note what ends the test."""
        return (yield from self._noting_errors(item))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let the report carry the record of the last attempt, where a plugin made more while it was made."""
        report = yield
        if report.when == "call" and TRIAL in item.stash and item.stash[TRIAL].reported is None:
            self._reports.attach(item, report)
        return report

    @staticmethod
    def _noting_errors(item: pytest.Item) -> Generator[None, object, object]:
        try:
            return (yield)
        except BaseException as error:
            trial = item.stash.get(TRIAL, None)
            if trial is not None:
                trial.error = trial.error or error
            raise
