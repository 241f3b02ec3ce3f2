"""benchmarks/reading.py: the reader of pipeline files raises nothing but refusals, whatever it is given."""

import ast
import random

import pytest


@pytest.mark.slow
def test_no_file_makes_the_reader_raise(scripts, monkeypatch, capsys):
    import reading

    monkeypatch.setattr("sys.argv", ["reading.py", "--every", "60", "--mutated", "800", "--seed", "7"])
    assert reading.main() == 0
    installed, mutated = capsys.readouterr().out.splitlines()
    for line, least in ((installed, 200), (mutated, 800)):
        _, count, _, *rest = line.split()
        assert int(count) >= least
        assert " 0 raised; median " in line, rest


def test_changed_files_are_of_every_kind_and_the_same_for_the_same_seed(scripts):
    import reading

    text = "pipe = load()\nimage = pipe('a', num_inference_steps=4).images[0]\n"
    found = list(reading.mutated([text], 400, 3))
    assert found == list(reading.mutated([text], 400, 3))
    assert found != list(reading.mutated([text], 400, 4))
    assert sum(other == text for other in found) < 40
    kinds = {type(node) for other in found for node in _nodes(other)}
    assert {
        ast.Match,
        ast.AsyncWith,
        ast.TryStar,
        ast.Lambda,
        ast.Yield,
        ast.JoinedStr,
        ast.Slice,
        ast.Set,
    } <= kinds


def _nodes(text: str) -> list[ast.AST]:
    try:
        return list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return []


def test_what_the_reader_raises_is_counted_and_ends_the_script_with_1(scripts, monkeypatch, capsys):
    import reading

    def read(path):
        raise AttributeError("'float' object has no attribute '_fields'")

    monkeypatch.setattr(reading, "read_source", read)
    monkeypatch.setattr(reading, "installed", lambda: iter([scripts / "reading.py"]))
    assert reading.main(["--mutated", "2"]) == 1
    assert "2 raised" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change", ["_other_expression", "_other_statement", "_other_letters", "_other_lines"]
)
def test_a_change_of_what_is_no_python_ends(scripts, change):
    import reading

    for text in ("", "(", "x = 1"):
        assert isinstance(getattr(reading, change)(text, random.Random(0)), str)
