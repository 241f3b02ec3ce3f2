"""Options from dataclasses: parsed by the type of their field, checked, with the ini file and the default behind them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.core.errors import UsageProblem
from bench.core.options import Place, option
from bench.run.options import _add, given_by_environment, given_flags, read_options, resolve_seed
from bench.run.view import Seeds


@dataclass(frozen=True)
class ToyOptions:
    toy_rounds: int = option("rounds", 4, metavar="N", least=2)
    toy_share: float | None = option("a share", metavar="FRACTION", above=0)
    toy_names: tuple[str, ...] = option("names", (), metavar="NAME")
    toy_files: tuple[Path, ...] = option("files", (), metavar="FILE")
    toy_model: Place | None = option("a model", metavar="NAME|DIR")
    toy_kwargs: dict[str, str] = option("arguments", {}, metavar="KEY=VALUE", example="dropout=0.2")
    toy_scores: dict[str, float] = option("scores", {}, metavar="NAME=N")
    toy_mode: str = option("a mode", "all", choices=("all", "none"))
    toy_fast: bool = option("be fast", False)
    toy_rows: Path = option("rows", Path("rows"), flags=())


@pytest.fixture
def read(pytester, monkeypatch):
    """Read options of a command line and an ini file, as the plugin does."""

    def read(*arguments: str, ini: str = "") -> ToyOptions:
        pytester.makeini(f"[pytest]\n{ini}")
        config = pytester.parseconfig("-p", "no:cacheprovider", *arguments)
        return read_options(config, ToyOptions)

    class Plugin:
        @staticmethod
        def pytest_addoption(parser):
            _add(parser.getgroup("toy"), parser, ToyOptions)

    pytester.plugins = [Plugin()]
    return read


def test_defaults(read, pytester):
    assert read() == ToyOptions(toy_rows=pytester.path / "rows")


def test_the_environment_comes_before_the_command_line_and_that_before_the_ini_file(read, monkeypatch):
    assert read(ini="modelgate_toy_rounds = 5").toy_rounds == 5
    assert read("--toy-rounds=6", ini="modelgate_toy_rounds = 5").toy_rounds == 6
    monkeypatch.setenv("MODELGATE_TOY_ROUNDS", "7")
    assert read("--toy-rounds=6", ini="modelgate_toy_rounds = 5").toy_rounds == 7
    assert given_by_environment(ToyOptions) == {"toy_rounds"}


def test_the_environment_has_every_type(read, monkeypatch):
    monkeypatch.setenv("MODELGATE_TOY_NAMES", "a,b")
    monkeypatch.setenv("MODELGATE_TOY_KWARGS", "a=1")
    monkeypatch.setenv("MODELGATE_TOY_FAST", "1")
    found = read()
    assert (found.toy_names, found.toy_kwargs, found.toy_fast) == (("a", "b"), {"a": "1"}, True)
    monkeypatch.setenv("MODELGATE_TOY_FAST", "off")
    assert read("--toy-fast").toy_fast is False


def test_an_empty_variable_takes_no_place(read, monkeypatch):
    for name in ("ROUNDS", "NAMES", "FAST", "SCORES"):
        monkeypatch.setenv(f"MODELGATE_TOY_{name}", "")
    found = read("--toy-rounds=6", "--toy-fast", "--toy-scores=a=1", ini="modelgate_toy_names = a")
    assert (found.toy_rounds, found.toy_fast, found.toy_scores, found.toy_names) == (
        6,
        True,
        {"a": 1.0},
        ("a",),
    )
    assert given_by_environment(ToyOptions) == frozenset()


@pytest.mark.parametrize(
    ("name", "text"), [("MODELGATE_TOY_ROUNDS", "many"), ("MODELGATE_TOY_FAST", "perhaps")]
)
def test_a_variable_that_cannot_be_used_is_named(read, monkeypatch, name, text):
    monkeypatch.setenv(name, text)
    with pytest.raises(UsageProblem, match=f"{name}.*expected"):
        read()


def test_every_type_is_parsed(read, pytester):
    (pytester.path / "model").mkdir()
    found = read(
        "--toy-rounds", "7", "--toy-share=0.5", "--toy-names", "a,b", "c", "--toy-names", "a", "--toy-files", "x.json",
        "--toy-model", "model", "--toy-kwargs", "a=1,2", "b=x=y", "--toy-scores", "m/d=60,e=-1e3", "--toy-mode", "none",
        "--toy-fast",
    )  # fmt: skip
    assert found == ToyOptions(
        toy_rounds=7, toy_share=0.5, toy_names=("a", "b", "c"), toy_files=(pytester.path / "x.json",),
        toy_model=str(pytester.path / "model"), toy_kwargs={"a": "1,2", "b": "x=y"},
        toy_scores={"m/d": 60.0, "e": -1000.0}, toy_mode="none", toy_fast=True, toy_rows=pytester.path / "rows",
    )  # fmt: skip


def test_a_hub_name_is_left_alone(read):
    assert read("--toy-model", "me/model").toy_model == "me/model"


def test_the_ini_file_stands_behind_the_command_line(read, pytester):
    ini = (
        "modelgate_toy_rounds = 9\nmodelgate_toy_names = a b\nmodelgate_toy_fast = true\nmodelgate_toy_rows = other\n"
        "modelgate_toy_scores = e=1"
    )
    found = read("--toy-rounds", "3", ini=ini)
    assert (found.toy_rounds, found.toy_names, found.toy_fast) == (3, ("a", "b"), True)
    assert (found.toy_rows, found.toy_scores) == (pytester.path / "other", {"e": 1.0})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--toy-rounds", "1"), "--toy-rounds 1: expected at least 2"),
        (("--toy-rounds", "many"), "--toy-rounds many: expected a whole number of at least 2"),
        (("--toy-rounds", "2.5"), "--toy-rounds 2.5: expected a whole number"),
        (("--toy-share", "0"), "--toy-share 0: expected more than 0"),
        (("--toy-share", "nan"), "--toy-share nan: expected a number above 0"),
        (("--toy-mode", "some"), "--toy-mode some: expected one of all, none"),
        (("--toy-kwargs", "dropout"), "--toy-kwargs dropout: expected KEY=VALUE, such as dropout=0.2"),
        (("--toy-scores", "e=high"), "--toy-scores e= high: expected a number"),
        (("--toy-scores", "e=1", "e=2"), "--toy-scores e=2: e is given twice"),
        (("--toy-rounds", "9" * 400), "expected a whole number"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_was_expected(read, arguments, message):
    with pytest.raises(UsageProblem) as raised:
        read(*arguments)
    assert message in str(raised.value)


def test_an_ini_value_that_cannot_be_used_is_named_by_its_name(read):
    with pytest.raises(UsageProblem, match="modelgate_toy_rounds 1: expected at least 2"):
        read(ini="modelgate_toy_rounds = 1")


def test_what_the_command_line_gives_is_known_with_its_flag():
    arguments = ["cases/", "--toy-rounds=3", "--toy-names", "a", "-k", "--toy-fast-not"]
    assert given_flags(arguments, ToyOptions) == {"toy_rounds": "--toy-rounds", "toy_names": "--toy-names"}


@pytest.mark.parametrize("text", ["-1", "x", "1.5", "", "²"])
def test_a_seed_is_a_whole_number_or_random(text):
    with pytest.raises(UsageProblem, match="expected an integer from 0, or `random`"):
        resolve_seed(text)
    assert resolve_seed("17") == Seeds(17, 17)
    assert len({resolve_seed("random").drawn for _ in range(20)}) > 1
    assert all(seeds.drawn % 2**32 == seeds.steady for seeds in [resolve_seed("random")])
    # Nobody can try all of them, and JSON holds each exactly.
    assert 2**40 < max(resolve_seed("random").drawn for _ in range(40)) < 2**53
    assert resolve_seed(str(2**40 + 3)) == Seeds(2**40 + 3, 3)
    # Unasked, only what a candidate must not know is drawn: trainings stay the same from run to run.
    unasked = [resolve_seed(None) for _ in range(20)]
    assert len({seeds.drawn for seeds in unasked}) > 1
    assert {seeds.steady for seeds in unasked} == {0}


@pytest.mark.parametrize(
    "flag", ["--toy-rounds", "--toy-names", "--toy-files", "--toy-model", "--toy-kwargs"]
)
@pytest.mark.parametrize("text", ["", " ", ","])
def test_an_empty_value_of_the_command_line_is_refused(read, flag, text):
    with pytest.raises(
        UsageProblem, match=f"{flag}: found an empty value, expected [A-Z|=]+; give one, or leave"
    ):
        read(flag, text)


def test_an_empty_value_of_the_ini_file_stands_for_none(read):
    assert read(ini="toy_model =\nmodelgate_toy_model =\nmodelgate_toy_names =").toy_model is None
