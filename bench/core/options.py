"""Options as fields of a frozen dataclass: each carries its help, and its type says how it is parsed.

    @dataclass(frozen=True)
    class LanguageOptions:
        limit: int | None = option("rows of each dataset at most", metavar="N", least=1)

From such a class come the command-line options, their help, ini values named ``modelgate_<field>``, checks, and what a
run's ``configs/`` says. `bench.run.options` does that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NewType, Protocol

if TYPE_CHECKING:
    from bench.core.requirement import Requirement

#: A path on this machine, made absolute where it exists, or a name on a hub, left alone.
Place = NewType("Place", str)


@dataclass(frozen=True, slots=True)
class Option:
    """What a field says besides its name, type and default.

    Attributes:
        help: one line.
        metavar: what stands for the value in the help.
        choices: the only values.
        least: the smallest value.
        above: what the value must be greater than.
        flags: names on the command line; empty for a value that only an ini file has.
        ini: name in an ini file, or None for none.
        example: a value, for messages.
        neutral: whether no result depends on it, as on where results go or on which cases there are: what a case depends on
            is in the case.
        once: whether a second value on the command line is refused. Otherwise it takes the place of the first one.
        files: returns the files that a value leads to besides those that it names itself; a result depends on them too.
    """

    help: str
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    least: float | None = None
    above: float | None = None
    flags: tuple[str, ...] | None = None
    ini: str | None = ""
    example: str = ""
    neutral: bool = False
    files: Callable[[Any], Iterable[Path]] | None = None
    once: bool = False


def option(
    help: str,
    default: Any = None,
    *,
    metavar: str | None = None,
    choices: tuple[str, ...] = (),
    least: float | None = None,
    above: float | None = None,
    flags: tuple[str, ...] | None = None,
    ini: str | None = "",
    example: str = "",
    neutral: bool = False,
    files: Callable[[Any], Iterable[Path]] | None = None,
    once: bool = False,
) -> Any:
    """Return a dataclass field that is an option; arguments as for `Option`.

    Flags and ini name follow from the field's name where they are left out: ``max_rounds`` is ``--max-rounds`` and
    ``modelgate_max_rounds``. The field's type is one of ``str``, ``int``, ``float``, ``bool``, ``Path``, `Place`, tuples of
    ``str`` or ``Path``, ``dict[str, str]`` and ``dict[str, float]``, or one of these or None.
    """
    declared = Option(help, metavar, choices, least, above, flags, ini, example, neutral, files, once)
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata={"option": declared})
    return dataclasses.field(default=default, metadata={"option": declared})


class RunOptionsLike(Protocol):
    """The options that kinds may share; `bench.run.options.RunOptions` has them."""

    @property
    def work_dir(self) -> Path: ...
    @property
    def device(self) -> str: ...
    @property
    def seed(self) -> str | None: ...
    @property
    def inconclusive(self) -> str: ...
    @property
    def exclusive(self) -> bool: ...
    @property
    def batch_size(self) -> str | None: ...
    @property
    def tables(self) -> tuple[str, ...]: ...
    @property
    def user_dir(self) -> tuple[Path, ...]: ...
    @property
    def pass_env(self) -> tuple[str, ...]: ...
    @property
    def reuse(self) -> str | None: ...


@dataclass(frozen=True)
class Setting:
    """What a kind may know of the run when its options are resolved and its cases are made.

    Attributes:
        run: options that kinds share.
        given: names of the kind's own fields, and of shared ones, that the command line gave.
        directory: where the command was given; relative paths are relative to it.
        workers: processes that run cases.
        user_dirs: folders whose files register things: those of the command line first, then those of the ini file.
        own_dirs: those of the command line alone.
        requirements: what ``--require`` asks for.
        latest: the newest run in the work directory when this one began, or None. The link ``latest`` itself moves.
    """

    run: RunOptionsLike
    given: frozenset[str]
    directory: Path
    workers: int
    user_dirs: tuple[Path, ...] = ()
    own_dirs: tuple[Path, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    latest: Path | None = None

    def local_path(self, text: str) -> Path:
        """Return a path of the command line as an absolute one."""
        return (self.directory / Path(text).expanduser()).absolute()
