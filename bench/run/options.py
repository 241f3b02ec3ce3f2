"""Options of every kind, from their dataclasses: added to pytest's parser, read back, checked.

A value comes from the environment, else from the command line, else from the ini file, else from the default. The
environment has the names of the ini file in capitals. `bench.core.options` says what a field may declare.
"""

from __future__ import annotations

import dataclasses
import math
import os
import secrets
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import pytest

from bench.core.errors import UsageProblem
from bench.core.kind import Kind
from bench.core.options import Option, Place, option
from bench.report.export import DEFAULT_FORMATS, WRITERS
from bench.report.junit import SCHEMAS
from bench.run.view import Seeds

O = TypeVar("O")  # noqa: E741  a dataclass of options


@dataclass(frozen=True)
class RunOptions:
    """Options that kinds share."""

    work_dir: Path = option(
        "folder that runs are written to", Path("outputs/default"), metavar="DIR", neutral=True
    )
    device: str = option("device of everything that computes", "cpu", choices=("cpu", "cuda"))
    seed: str | None = option(
        "seed of samples and statistics; `random` draws one and records it (default: random for what a candidate must not "
        "know, its prompts and their seeds; 0 for everything else)",
        metavar="N|random",
    )
    junit_schema: str = option(
        "form of the --junitxml file: full, or what the schema of Jenkins or of Apache Ant allows",
        SCHEMAS[0],
        choices=SCHEMAS,
        neutral=True,
    )
    inconclusive: str = option(
        "what an inconclusive case is to pytest", "fail", choices=("fail", "skip"), neutral=True
    )
    require: tuple[str, ...] = option(
        "what cases must reach, such as 'reranking:mrr@10>=0.6' or 'language:siqa_gen.accuracy>=60%%'",
        (), metavar="KIND:[NAME.]METRIC>=N",
    )  # fmt: skip
    user_dir: tuple[Path, ...] = option(
        "folders whose Python files register tasks, datasets, models, rankers, metrics and methods of your own",
        (), metavar="DIR", flags=("--user-dir", "--dataset-dir"), neutral=True,
    )  # fmt: skip
    exclusive: bool = option("one case at a time, on all cores", False)
    no_wait: bool = option(
        "fail where another run on this machine holds a core or GPU, instead of waiting for it",
        False,
        neutral=True,
    )
    batch_size: str | None = option(
        "images per call of a pipeline (default: 4), questions per batch of a language model (default: auto)",
        metavar="N|auto",
    )
    tables: tuple[str, ...] = option(
        f"formats of the tables of samples: {', '.join(WRITERS)} (default: {','.join(DEFAULT_FORMATS)})",
        DEFAULT_FORMATS, metavar="FORMAT", choices=tuple(WRITERS), neutral=True,
    )  # fmt: skip
    predictions: Path | None = option(
        "a table of predictions (csv, xlsx, parquet) that is judged in place of a model's: columns key and prediction, or "
        "query, candidate and score",
        metavar="TABLE",
        neutral=True,
    )
    reuse: str | None = option(
        "an earlier run whose results are taken over where they fit; of a language model, each prediction that does",
        metavar="latest|RUN|DIR", neutral=True,
    )  # fmt: skip
    only_cases: Path | None = option(
        "a file with a node id in each line: of all cases that are selected only these are run",
        metavar="FILE",
        neutral=True,
    )
    no_html: bool = option("write no report.html", False, neutral=True)
    compare_to: str | None = option(
        "an earlier run, or its evaluation_results.json, that this one is compared with at its end",
        metavar="latest|RUN|DIR|FILE", neutral=True,
    )  # fmt: skip
    fail_on: tuple[str, ...] = option(
        "what in that comparison fails the run: a case that passed and does not, or that got worse by more than chance",
        (), choices=("regression",), neutral=True,
    )  # fmt: skip
    history: Path | None = option(
        "SQLite file that collects what runs came to, for `history`", metavar="FILE", neutral=True
    )
    retries: int = option(
        "how often a case runs again that the machine ended and nothing was decided: a process that cases share or a worker "
        "died, the disk was full, a limit of pytest-timeout struck", 1, metavar="N", least=0,
        flags=("--retries", "--infrastructure-retries"), neutral=True,
    )  # fmt: skip
    pass_env: tuple[str, ...] = option("environment variables that pipelines may see", (), metavar="NAME")
    record_host: bool = option("write down the names of the host and of the user", False, neutral=True)


#: Shared options that concern the run itself; the others must be used by a kind that is run.
OF_THE_RUN = (
    "work_dir", "device", "seed", "junit_schema", "inconclusive", "require", "user_dir", "reuse",
    "record_host", "no_wait", "retries", "only_cases", "no_html", "compare_to", "fail_on", "history",
)  # fmt: skip


def add_options(parser: pytest.Parser, kinds: Iterable[Kind]) -> None:
    """Add the shared options and those of every kind, each with its ini value."""
    _add(parser.getgroup("modelgate", "Modelgate"), parser, RunOptions)
    for kind in kinds:
        _add(parser.getgroup(f"modelgate-{kind.name}", f"Modelgate: {kind.name} cases"), parser, kind.options)


def flags_of(field: dataclasses.Field[Any]) -> tuple[str, ...]:
    """Return the names of a field on the command line."""
    declared: Option = field.metadata["option"]
    return (f"--{field.name.replace('_', '-')}",) if declared.flags is None else declared.flags


def ini_of(field: dataclasses.Field[Any]) -> str | None:
    """Return the name of a field in an ini file, or None."""
    declared: Option = field.metadata["option"]
    return f"modelgate_{field.name}" if declared.ini == "" else declared.ini


def _add(group: Any, parser: pytest.Parser, options: type) -> None:
    hints = get_type_hints(options)
    for field in dataclasses.fields(options):
        declared: Option = field.metadata["option"]
        kind = _plain_type(hints[field.name])
        flags = flags_of(field)
        if flags:
            more: dict[str, Any] = {"metavar": declared.metavar or "|".join(declared.choices) or None}
            if kind is bool:
                more = {"action": "store_true"}
            elif _is_several(kind):
                more |= {"nargs": "+", "action": "extend"}
            free = _free(parser, flags)
            dest = field.name if free == flags else _own_dest(field)
            group.addoption(*free, dest=dest, default=None, help=_help(field, declared, kind), **more)
        ini = ini_of(field)
        if ini is not None:
            shown = f"{declared.help} ({flags[0]})" if flags else declared.help
            parser.addini(ini, shown.replace("%%", "%"), type=_ini_type(kind), default=None)


def _free(parser: pytest.Parser, flags: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that no other plugin has taken, such as pytest-retry ``--retries``; the last one is always ours."""
    if len(flags) == 1:
        return flags
    groups = (parser._anonymous, *parser._groups)
    taken = {name for group in groups for option in group.options for name in option.names()}
    return (*(flag for flag in flags[:-1] if flag not in taken), flags[-1])


def _own_dest(field: dataclasses.Field[Any]) -> str:
    """Return the place of a value next to another plugin that has the name of the field."""
    return f"modelgate_{field.name}"


def _dest(config: pytest.Config, field: dataclasses.Field[Any]) -> str:
    own = _own_dest(field)
    return own if hasattr(config.option, own) else field.name


def _help(field: dataclasses.Field[Any], declared: Option, kind: Any) -> str:
    default = field.default
    if "default:" in declared.help or kind is bool or default in (None, (), dataclasses.MISSING):
        return declared.help
    return f"{declared.help} (default: {default})"


def given_flags(arguments: Sequence[str], options: type) -> dict[str, str]:
    """Return the fields that a command line gives, each with the flag that it was given by."""
    given = {}
    for field in dataclasses.fields(options):
        for flag in flags_of(field):
            if any(argument == flag or argument.startswith(f"{flag}=") for argument in arguments):
                given[field.name] = flag
    return given


def given_by_environment(options: type) -> frozenset[str]:
    """Return the fields that the environment gives."""
    return frozenset(field.name for field in dataclasses.fields(options) if _variable(ini_of(field)))


def _variable(ini: str | None) -> str | None:
    """Return what the environment says of an option; an empty text, as of a CI's variable that is not set, says nothing."""
    return None if ini is None else os.environ.get(ini.upper()) or None


def read_options(config: pytest.Config, options: type[O]) -> O:
    """Return the options of a dataclass, parsed and checked.

    Raises:
        UsageProblem: a value that cannot be used, with the option, the value and what was expected.
    """
    hints = get_type_hints(options)
    values = {}
    for field in dataclasses.fields(options):  # type: ignore[arg-type]  # a dataclass by contract
        declared: Option = field.metadata["option"]
        kind = _plain_type(hints[field.name])
        flags, ini = flags_of(field), ini_of(field)
        raw: Any = _variable(ini)
        source, base = (ini or "").upper(), config.invocation_params.dir
        if raw is not None and kind is bool:
            raw = _switch(source, raw)
        if flags and raw is None:
            raw, source = getattr(config.option, _dest(config, field), None), flags[0]
            if declared.once:
                _refuse_second(config.invocation_params.args, flags)
            if _is_empty(raw):
                raise UsageProblem(
                    f"{source}: found an empty value, expected {declared.metavar or 'a value'}; give one, or leave the "
                    "option out"
                )
        if raw is None and ini is not None:
            raw, source = config.getini(ini), ini
            base = config.inipath.parent if config.inipath is not None else config.rootpath
        if raw is not None and raw not in ([], ""):
            values[field.name] = _Reading(source, declared, base).value(raw, kind)
        elif kind is Path and isinstance(field.default, Path):
            values[field.name] = _absolute(str(field.default), config.invocation_params.dir)
    return options(**values)


def _switch(source: str, text: str) -> bool:
    word = text.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    raise UsageProblem(f"{source}={text}: expected 1 or 0; correct it, or unset the variable")


@dataclass(frozen=True)
class _Reading:
    """Turns the text of one option into its value.

    Attributes:
        source: the option, for messages.
        declared: what its field says.
        base: what a relative path is relative to.
    """

    source: str
    declared: Option
    base: Path

    def value(self, raw: Any, kind: Any) -> Any:
        if kind is bool:
            return bool(raw)
        if _is_several(kind):
            texts = [str(item) for item in (raw if isinstance(raw, list | tuple) else [raw])]
            if get_origin(kind) is dict:
                return self._pairs(texts, get_args(kind)[1])
            words = [word for text in texts for word in text.split(",") if word]
            return tuple(dict.fromkeys(self.one(word, get_args(kind)[0]) for word in words))
        text = str(raw[0] if isinstance(raw, list) else raw)
        return self.one(text, kind)

    def one(self, text: str, kind: Any) -> Any:
        if kind is Path:
            return _absolute(text, self.base)
        if kind is Place:
            path = _absolute(text, self.base)
            return str(path) if path.exists() else text
        if kind in (int, float):
            return self._number(text, kind)
        if self.declared.choices and text not in self.declared.choices:
            raise UsageProblem(f"{self.source} {text}: expected one of {', '.join(self.declared.choices)}")
        return text

    def _number(self, text: str, kind: type[int] | type[float]) -> int | float:
        try:
            number = kind(text)
            known = math.isfinite(number)
        except (ValueError, OverflowError):
            number, known = kind(0), False
        if not known:
            expected = "a whole number" if kind is int else "a number"
            raise UsageProblem(f"{self.source} {text}: expected {expected}{self._range()}")
        least, above = self.declared.least, self.declared.above
        if (least is not None and number < least) or (above is not None and number <= above):
            raise UsageProblem(f"{self.source} {text}: expected{self._range(first=True)}")
        return number

    def _range(self, *, first: bool = False) -> str:
        if self.declared.least is not None:
            return f" at least {self.declared.least:g}" if first else f" of at least {self.declared.least:g}"
        if self.declared.above is not None:
            return f" more than {self.declared.above:g}" if first else f" above {self.declared.above:g}"
        return ""

    def _pairs(self, texts: Iterable[str], kind: Any) -> dict[str, Any]:
        pairs = {}
        words = texts if kind is str else [word for text in texts for word in text.split(",") if word]
        for text in words:
            name, equals, value = text.partition("=")
            if not (name and equals):
                example = self.declared.example or "KEY=VALUE"
                raise UsageProblem(
                    f"{self.source} {text}: expected {self.declared.metavar or 'KEY=VALUE'}, such as {example}"
                )
            if name in pairs:
                raise UsageProblem(
                    f"{self.source} {text}: {name} is given twice; expected each once; leave one out"
                )
            pairs[name] = (
                value
                if kind is str
                else _Reading(f"{self.source} {name}=", self.declared, self.base).one(value, kind)
            )
        return pairs


def _refuse_second(arguments: Sequence[Any], flags: tuple[str, ...]) -> None:
    """Refuse an option that a command line gives two values: the first one would be left out without a word."""
    words = [str(argument) for argument in arguments]
    values = [
        word.partition("=")[2] if "=" in word else next(iter(words[place + 1 : place + 2]), "")
        for place, word in enumerate(words)
        if word in flags or word.startswith(tuple(f"{flag}=" for flag in flags))
    ]
    if len(set(values)) > 1:
        raise UsageProblem(
            f"{flags[0]}: found it {len(values)} times, with {' and '.join(values)}; expected one value; give each in a run "
            "of its own, or several models in a --config"
        )


def _is_empty(raw: Any) -> bool:
    """Whether a command line gives a value that is none, such as a variable of a script that is not set."""
    texts = raw if isinstance(raw, list) else [raw]
    return any(isinstance(text, str) and not text.strip(" \t,") for text in texts)


def _plain_type(hint: Any) -> Any:
    """Return the type of a field without its None."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(part for part in get_args(hint) if part is not type(None))
    return hint


def _is_several(kind: Any) -> bool:
    return get_origin(kind) in (tuple, dict)


def _ini_type(kind: Any) -> Any:
    if kind is bool:
        return "bool"
    if kind is Path or (get_origin(kind) is tuple and get_args(kind)[0] is Path):
        return "paths"
    return "args" if _is_several(kind) else "string"


def _absolute(text: str, base: Path) -> Path:
    return (base / Path(text).expanduser()).absolute()


# A candidate sees seeds of images that follow from the run's. From so many, it cannot try which one that is and so know the
# images that it is asked for next. They fit into the numbers of JSON.
_SEEDS = 2**53
# numpy's old generator takes no larger one.
_STEADY_SEEDS = 2**32


def resolve_seed(text: str | None) -> Seeds:
    """Return the seeds that ``--seed`` names; ``random`` draws one, so that nobody can know it beforehand.

    Raises:
        UsageProblem: when it is neither ``random`` nor an integer from 0.
    """
    if text is None or text == "random":
        drawn = secrets.randbelow(_SEEDS)
        return Seeds(drawn, 0 if text is None else drawn % _STEADY_SEEDS)
    if not text.isascii() or not text.isdigit():
        raise UsageProblem(f"--seed {text}: expected an integer from 0, or `random`")
    return Seeds(int(text), int(text) % _STEADY_SEEDS)


def worker_count(config: pytest.Config) -> int:
    """Return how many processes run cases: the workers of xdist, or this one."""
    workerinput = getattr(config, "workerinput", None)
    if workerinput is not None:
        return int(workerinput["workercount"])
    return max(1, len(getattr(config.option, "tx", None) or []))
