"""What a person sees of a run: tables on the terminal, and the summary for a CI page."""

import io
import os
import pickle
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from _pytest._io import TerminalWriter
from toys import record, toy_kind

from bench.core.kind import Finish, Section
from bench.report.layout import aligned, fitted, folded, line_width, listed, prose, table
from bench.report.markdown import markdown, write_step_summary
from bench.report.results import ResultsFile, control_note
from bench.report.tables import case_row, figures, finished_kinds
from bench.report.terminal import keep_to_width, warnings, write_summary
from bench.run.outcome import _short_repr

KINDS = {"toy": toy_kind()}


@pytest.fixture
def results(tmp_path):
    return ResultsFile(tmp_path / "evaluation_results.json", {"id": "run", "seed": 7}, KINDS)


def sections_of(results):
    def finish(kind, records):
        return Finish(Path(), records, None, None)

    return [kind.table(told) for kind, told in finished_kinds(results.ordered(), KINDS, finish)]


# Tables


def test_controls_have_a_note_only_where_there_are_any():
    assert control_note([record()]) == []
    (note,) = control_note([record("pass", 1, expect="crashed"), record("fail", 2, expect="crashed")])
    assert note.startswith("controls: 1 of 2 rejected")


def test_row_of_a_case_shows_what_was_measured_and_a_dash_for_the_rest():
    measured = record()
    measured.headline = "fun 0.5"
    assert case_row(measured) == ("toy-1", "pass", "fun 0.5", "because")
    assert case_row(record("error"))[2] == "-"


def test_figures_name_the_reason_unless_it_passed():
    failed = record("fail")
    assert figures(failed) == "score_missed"
    failed.headline = "fun 0.5"
    assert figures(failed) == "fun 0.5, score_missed"
    assert figures(record()) == ""


def test_columns_of_the_terminal_are_aligned():
    assert aligned([("group", "n"), ("all", "100")]) == ["group    n", "all    100"]


class Terminal:
    def __init__(self, tbstyle="auto"):
        self.lines = []
        self.config = SimpleNamespace(option=SimpleNamespace(tbstyle=tbstyle))

    def section(self, title):
        self.lines.append(f"== {title}")

    def write_line(self, line, **_):
        self.lines.append(line)


def test_terminal_names_controls_warnings_unrun_cases_and_the_file(results):
    unrun = record("error", 2)
    unrun.reason_code = "not_run"
    warned = record("pass", 1)
    warned.warnings.append("this is too much fun")
    results.add("one", warned.to_json())
    results.add("two", unrun.to_json())
    results.add("three", record("fail", 3, expect="crashed").to_json())
    terminal = Terminal()
    write_summary(terminal, results, sections_of(results))
    shown = "\n".join(terminal.lines)
    assert re.search(r"^toy-1 +pass$", shown, re.MULTILINE)
    assert "controls: 0 of 1 rejected" in shown
    assert "1 collected cases were not run" in shown
    assert "warning: toy-1: this is too much fun" in shown
    assert terminal.lines[-1] == f"results: {results.path}"
    assert warnings([unrun]) == []


@pytest.mark.parametrize(("tbstyle", "is_told"), [("no", True), ("auto", False)])
def test_what_failed_comes_first_where_pytest_does_not_say_it(results, tbstyle, is_told):
    results.add("one", record("pass", 1).to_json())
    failed = record("fail", 2)
    failed.reason = "far too little fun " * 12
    results.add("two", failed.to_json())
    terminal = Terminal(tbstyle)
    write_summary(terminal, results, sections_of(results))
    assert (terminal.lines[0] == "== modelgate: 1 of 2 not passed") == is_told
    assert (f"fail (score_missed): {failed.id}" in terminal.lines) == is_told
    assert max(map(len, terminal.lines[:4])) <= 100


def no_terminal(*_):
    raise OSError("no terminal")


@pytest.mark.parametrize(
    ("said", "width"),
    [
        ("80", 80),
        ("60", 60),
        ("100", 100),
        ("200", 100),
        (None, 100),
        ("", 100),
        ("0", 100),
        ("wide", 100),
        ("-5", 100),
        ("3", 40),
    ],
)
def test_output_that_is_no_terminal_is_as_wide_as_columns_says_and_100_at_most(said, width, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(shutil.os, "get_terminal_size", no_terminal)
    if said is not None:
        monkeypatch.setenv("COLUMNS", said)
    assert line_width() == width


@pytest.mark.parametrize(("columns", "width"), [(80, 80), (237, 100), (0, 100)])
def test_a_terminal_says_how_wide_lines_are(columns, width, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(shutil.os, "get_terminal_size", lambda *_: os.terminal_size((columns, 24)))
    assert line_width() == width


@pytest.mark.parametrize("said", ["60", "80"])
def test_all_tables_and_reasons_at_the_end_of_a_run_keep_to_columns(said, results, monkeypatch):
    monkeypatch.setenv("COLUMNS", said)
    told = record("fail", 1)
    told.id, told.reason = "a-case-with-a-long-name-" * 4, "a reason of many words " * 12
    results.add("one", told.to_json())
    results.add("two", record("pass", 2).to_json())
    terminal = Terminal("no")
    write_summary(terminal, results, sections_of(results))
    shown = [line for line in terminal.lines if not line.startswith(("results: ", "fail (", "=="))]
    assert len(shown) > 5
    assert max(map(len, shown)) <= int(said)


LONG = "a reason of many words, which says what was found and what was expected, " * 4


@pytest.mark.parametrize("said", ["60", "80"])
def test_notes_and_warnings_at_the_end_of_a_run_keep_to_columns(said, results, monkeypatch):
    monkeypatch.setenv("COLUMNS", said)
    warned = record("skip", 1)
    warned.reason = LONG
    warned.warnings.append(LONG)
    results.add("one", warned.to_json())
    terminal = Terminal()
    write_summary(terminal, results, [Section("toy", [("case", "n"), ("a", "1")], notes=[LONG])], 17)
    shown = [line for line in terminal.lines if not line.startswith(("results: ", "=="))]
    assert max(map(len, shown)) <= int(said)
    assert " ".join(LONG.split()) in " ".join(shown)


def test_sentences_of_a_log_stay_in_one_line_and_names_are_never_broken(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(shutil.os, "get_terminal_size", no_terminal)
    assert prose(LONG) == [LONG]
    monkeypatch.setenv("COLUMNS", "60")
    name = "/".join(["a-folder"] * 20)
    assert prose(f"  {name} is there\n\nand a second line") == [
        f"  {name}",
        "  is there",
        "",
        "and a second line",
    ]


def failed_report(reason, tail=""):
    item = SimpleNamespace(location=("test_toy.py", 3, "test_toy"))
    longrepr = _short_repr(item, reason, tail)
    return SimpleNamespace(longrepr=longrepr)


def test_the_reason_of_a_failure_keeps_to_columns_on_the_terminal_alone(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    output = io.StringIO()
    terminal = SimpleNamespace(_tw=TerminalWriter(output))
    tail = "what an arm printed " * 9
    report = failed_report(LONG, tail)
    plain = str(report.longrepr)
    keep_to_width(terminal, report, LONG)
    report.longrepr.toterminal(terminal._tw)
    reason, printed = output.getvalue().split("--- last output ---")
    assert max(map(len, reason.splitlines())) <= 60
    assert " ".join(reason.split()) == " ".join(LONG.split())
    assert printed.strip() == tail.strip()  # as it was printed
    assert str(report.longrepr) == plain
    assert report.longrepr.reprcrash.message == LONG
    assert pickle.loads(pickle.dumps(failed_report(LONG).longrepr)).reprcrash.message == LONG


def test_a_reason_without_a_place_keeps_to_columns_and_a_traceback_is_left_alone(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    output = io.StringIO()
    terminal = SimpleNamespace(_tw=TerminalWriter(output))
    report = SimpleNamespace(longrepr=LONG)
    keep_to_width(terminal, report, LONG)
    report.longrepr.toterminal(terminal._tw)
    assert max(map(len, output.getvalue().splitlines())) <= 60
    assert str(report.longrepr) == LONG
    other = failed_report(LONG)
    keep_to_width(terminal, other, "another reason")
    assert "toterminal" not in vars(other.longrepr.reprtraceback.reprentries[0])


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_row_that_is_too_wide_loses_the_middle_of_its_name(width):
    rows = [("case", "n"), ("medium-tiny_flux-first_block_cache-control_effect-" * 2, "1.52x [1.45, 1.60]")]
    lines = fitted(rows, width)
    assert max(map(len, lines)) <= width
    assert lines[1].startswith("medium-tiny")
    assert lines[1].endswith("1.52x [1.45, 1.60]")
    assert fitted(rows[:1], width) == aligned(rows[:1])


# Markdown


def cells(row):
    """Split a row as GitHub does: a backslash takes the character after it along."""
    inner = row.removeprefix("|").removesuffix("|")
    return [re.sub(r"\\(.)", r"\1", cell.strip()) for cell in re.findall(r"(?:\\.|[^|\\])+", inner)]


@pytest.mark.parametrize("text", ["a|b", "a\\|b", "ends in \\", "<class 'int'>", "|", "\\\\|", "a * b_c"])
def test_cell_reads_back_as_it_was_and_stays_one_cell(text):
    lines = table(("one", "two"), [(text, "after")]).splitlines()
    assert len(lines) == 3
    assert cells(lines[2]) == [text, "after"]
    assert not re.search(r"(?<!\\)<", lines[2]), "GitHub would take it for a tag and drop it"


def test_line_break_in_a_reason_does_not_end_the_row():
    assert table(("h",), [("one\n\n| two\r\nthree",)]).splitlines()[2] == "| one \\| two three |"


def test_markdown_shows_groups_controls_and_what_did_not_pass(results):
    results.add("one", record("pass", 1).to_json())
    results.add("two", record("fail", 2, reason="misses | the limit").to_json())
    results.add("three", record("skip", 3).to_json())
    results.add("four", record("pass", 4, expect="crashed").to_json())
    text = markdown(results, sections_of(results))
    assert "| toy-1 | pass |" in text
    assert "controls: 1 of 1 rejected" in text
    rejected = text.partition("### Not passed")[2]
    assert "toy-2" in rejected
    assert "misses \\| the limit" in rejected
    for number in (1, 3, 4):
        assert f"toy-{number}" not in rejected


def test_markdown_of_a_run_without_a_failure_has_no_section_for_them(results):
    results.add("one", record("pass").to_json())
    assert "Not passed" not in markdown(results, sections_of(results))


def test_summary_is_appended_for_the_ci_page_and_written_beside_the_results(results, tmp_path):
    results.add("one", record("fail", reason="2 × slower").to_json())
    page = tmp_path / "page.md"
    page.write_text("what was there\n")
    write_step_summary(results, sections_of(results), {"GITHUB_STEP_SUMMARY": str(page)})
    write_step_summary(results, sections_of(results), {"GITHUB_STEP_SUMMARY": ""})
    write_step_summary(results, sections_of(results), {})
    text = markdown(results, sections_of(results))
    assert "2 × slower" in text
    assert page.read_text(encoding="utf-8") == "what was there\n" + text
    assert (tmp_path / "summary.md").read_text(encoding="utf-8") == text


def test_columns_that_there_is_no_room_for_go_on_below():
    rows = [("case", *(f"metric {number}" for number in range(9)))]
    rows += [(f"tiny-{name}", *(f"0.{number}00 [0.1, 0.9]" for number in range(9))) for name in "ab"]
    lines = folded(rows, 100)
    assert max(map(len, lines)) <= 100
    assert [line.split()[0] for line in lines if line] == ["case", "tiny-a", "tiny-b"] * (len(lines) // 3)
    assert all(sum(f"metric {number}" in line for line in lines) == 1 for number in range(9))
    named = [rows[0], *(("x" * 90 + row[0], *row[1:]) for row in rows[1:])]
    assert len(folded(named, 100)) <= len(lines) + 4, "long names leave room for columns"
    assert folded(rows[:2], 1000) == aligned(rows[:2])
    assert folded([("case",), ("a",)], 10) == ["case", "a"]
    wide = folded([("case", "reason"), ("x" * 200, "y" * 90)], 100)
    assert max(map(len, wide)) <= 300, "a single column that is too wide stays whole"


@pytest.mark.parametrize("width", [60, 80])
def test_words_for_which_a_column_has_no_room_go_on_in_further_lines(width):
    said = "0.5 [0.4, 0.6] of 0.9 " * 8
    rows = [("case", "verdict", "what was measured"), ("x" * 50, "pass", said), ("y", "inconclusive", "-")]
    lines = listed(rows, width)
    assert max(map(len, lines)) <= width
    assert " ".join(" ".join(lines).split()).count("of 0.9") == 8
    assert listed(rows[::2], width) == aligned(rows[::2])


def test_rows_of_parts_stay_indented_below_their_case() -> None:
    lines = aligned([("case", "n"), ("reviews", "100"), ("  inn: 1 to 5", "53"), ("  two\nlines", "1")])
    assert lines[2:] == ["  inn: 1 to 5   53", "  two lines      1"]
