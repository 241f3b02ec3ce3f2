"""What one process knows of the run before any case runs: the options of each kind, and its cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bench.core.case import Case
from bench.core.errors import UsageProblem
from bench.core.kind import Kind
from bench.core.options import Setting
from bench.core.requirement import Requirement, check_requirements
from bench.run.user_code import skipped_hint

ReadOptions = Callable[[Kind], tuple[Any, Setting]]


class Plan:
    """Resolves the options of a kind and makes its cases when they are first asked for.

    Args:
        kinds: by name.
        read: returns a kind's options as they were given, and its setting.
        flags: by kind, the options that the command line gave: field and flag.
        shared: the same for options that kinds share and that not every kind uses.
        requirements: what ``--require`` asks for.

    Attributes:
        problem: why no case can run, or None. It is raised when collection is complete, so that one line and an exit code
            say it, and not a traceback for each file.
    """

    def __init__(
        self,
        kinds: Mapping[str, Kind],
        read: ReadOptions,
        flags: Mapping[str, Mapping[str, str]],
        shared: Mapping[str, str],
        requirements: Sequence[Requirement] = (),
    ) -> None:
        self.kinds, self.requirements = kinds, tuple(requirements)
        self._read, self._flags, self._shared = read, flags, shared
        self._options: dict[str, tuple[Any, Setting]] = {}
        self._cases: dict[str, list[Case]] = {}
        self.problem: UsageProblem | None = None

    def setting(self, kind: Kind) -> Setting:
        """Return the setting of a kind."""
        return self._resolved(kind)[1]

    def options(self, kind: Kind) -> Any:
        """Return the resolved options of a kind.

        Raises:
            UsageProblem: options that cannot be used.
        """
        return self._resolved(kind)[0]

    def given(self, kind: Kind) -> Any:
        """Return the options of a kind before they are resolved, for the run's ``configs/``."""
        return self._read(kind)[0]

    def _resolved(self, kind: Kind) -> tuple[Any, Setting]:
        if kind.name not in self._options:
            options, setting = self._read(kind)
            self._options[kind.name] = kind.resolve(options, setting), setting
        return self._options[kind.name]

    def cases(self, kind: Kind) -> list[Case]:
        """Return the cases of a kind; none where its options cannot be used, which `problem` then says."""
        if kind.name not in self._cases:
            self._cases[kind.name] = []
            try:
                self._cases[kind.name] = list(kind.make_cases(*self._resolved(kind)))
            except UsageProblem as problem:
                self.problem = self.problem or problem
        return self._cases[kind.name]

    def check(self, selected: Sequence[Case]) -> None:
        """Refuse what was asked for and would be asked of nothing.

        Args:
            selected: the cases that are run.

        Raises:
            UsageProblem: an option of a kind of which no case is run, or a gate that names none.
        """
        if self.problem is not None:
            raise self.problem
        names = {case.kind for case in selected}
        for name, flags in self._flags.items():
            if flags and name not in names:
                raise UsageProblem(_idle(next(iter(flags.values())), [name]))
        for field, flag in self._shared.items():
            users = [name for name, kind in self.kinds.items() if field in kind.shared]
            if not names & set(users):
                raise UsageProblem(_idle(flag, users))
        for name in names:
            kind = self.kinds[name]
            kind.check(self.options(kind), [case for case in selected if case.kind == name])
        check_requirements(self.requirements, selected)

    def hints(self) -> list[str]:
        """Return what to tell a user at the end, of the kinds whose cases were asked for."""
        found: list[str] = []
        for name in self._cases:
            kind = self.kinds[name]
            if kind.hints is not None and self.problem is None:
                found += kind.hints(*self._resolved(kind))
        folders = dict.fromkeys(
            folder for name in self._cases for folder in self._read(self.kinds[name])[1].own_dirs
        )
        skipped = [skipped_hint(folder) for folder in folders]
        return [*found, *(hint for hint in skipped if hint is not None)]


def _idle(flag: str, kinds: Iterable[str]) -> str:
    files = " or ".join(f"cases/test_{kind}.py" for kind in kinds)
    return f"{flag}: applies to {' and '.join(kinds)} cases, and none of them is run; leave it out, or run {files} too"
