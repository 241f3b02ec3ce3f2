"""What users' code raised is told with the line of theirs, also where a library raised it."""

import json
import sys
from pathlib import Path

import pytest

from bench.core import raised


def of(code: str, file: Path) -> BaseException:
    file.write_text(code)
    try:
        exec(compile(code, str(file), "exec"), {})
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def test_the_innermost_line_of_a_user_is_named_and_no_line_of_a_library(tmp_path, monkeypatch):
    error = of("import json\n\n\ndef read():\n    return json.loads('{')\n\n\nread()\n", tmp_path / "mine.py")
    assert raised.told(error).endswith(f" ({tmp_path}/mine.py, line 5)")
    assert raised.told(error, tmp_path).endswith(f" ({tmp_path.name}/mine.py, line 5)")
    monkeypatch.chdir(tmp_path)
    assert raised.told(error).endswith(" (mine.py, line 5)")
    assert raised.line_of(error, tmp_path / "elsewhere") == ""


def test_what_the_suite_or_a_library_raised_has_no_line():
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("{")
    inner = caught.value.with_traceback(caught.tb.tb_next)
    assert raised.line_of(inner) == ""
    assert raised.told(ValueError("no rows")) == "ValueError: no rows"
    assert raised.told(AssertionError()) == "AssertionError"
    assert raised.told(SyntaxError("odd")) == "SyntaxError: odd"


def test_an_exception_of_many_lines_is_told_in_one_of_a_given_length():
    error = ValueError("no rows,\n  and\tnone of them is left")
    assert raised.told_in_one_line(error, 300) == "ValueError: no rows, and none of them is left"
    assert raised.told_in_one_line(error, 20) == "ValueError: no rows,"


def test_a_deep_recursion_is_told_by_one_line(tmp_path):
    error = of("def f():\n    f()\n\n\nf()\n", tmp_path / "deep.py")
    assert raised.line_of(error).endswith("deep.py, line 2)")


def test_packages_of_this_environment_are_no_files_of_a_user():
    assert not raised._is_theirs(pytest.__file__, None)
    assert not raised._is_theirs(json.__file__, None)
    assert not raised._is_theirs(raised.__file__, None)
    assert not raised._is_theirs("<frozen importlib._bootstrap>", None)
    assert raised._is_theirs(str(Path(sys.prefix).parent / "mine.py"), None)
