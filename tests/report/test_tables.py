"""What a person sees of a run: tables on the terminal, and the summary for a CI page."""

import re

import pytest
from records import measured, record

from bench.report.layout import aligned, table
from bench.report.markdown import markdown, write_step_summary
from bench.report.results import ResultsFile, summarize
from bench.report.tables import case_row, control_line, group_rows
from bench.report.terminal import warnings, write_summary


@pytest.fixture
def results(tmp_path):
    return ResultsFile(tmp_path / "evaluation_results.json", {"id": "run", "seed": 7})


# Tables


def test_groups_have_a_row_each_where_they_have_tasks():
    records = [
        record("pass", 1, difficulty="hard", level="L4", achievement=0.5),
        record("fail", 2, difficulty="hard", achievement=0.0),
        record("skip", 3, difficulty="easy"),
        record("pass", 4, difficulty="hard", expect="crashed"),
    ]
    assert group_rows(records) == [
        ("easy", "1", "0", "-", "0", "0", "0", "1", "-"),
        ("hard", "2", "1", "50 %", "1", "0", "0", "0", "0.25"),
        ("L4", "1", "1", "100 %", "0", "0", "0", "0", "0.50"),
        ("all", "3", "1", "50 %", "1", "0", "0", "1", "0.25"),
    ]


def test_controls_have_a_line_only_where_there_are_any():
    assert control_line(summarize([record()])) is None
    line = control_line(summarize([record("pass", 1, expect="crashed"), record("fail", 2, expect="crashed")]))
    assert line.startswith("controls: 1 of 2 rejected")


def test_row_of_a_case_shows_what_was_measured_and_a_dash_for_the_rest():
    assert case_row(measured(required_speedup=2.0))[1:3] == ("pass", "1.50x [1.25, 1.75], loss 1.2 %")
    assert case_row(record("error"))[2] == "-"


def test_columns_of_the_terminal_are_aligned():
    assert aligned([("group", "n"), ("all", "100")]) == ["group    n", "all    100"]


class Terminal:
    def __init__(self):
        self.lines = []

    def section(self, title):
        self.lines.append(f"== {title}")

    def write_line(self, line, **_):
        self.lines.append(line)


def test_terminal_names_controls_warnings_unrun_cases_and_the_file(results):
    unrun = record("error", 2) | {"reason_code": "not_run"}
    results.add("one", record("pass", 1) | {"warnings": ["a speedup of 12.0x is rarely real"]})
    results.add("two", unrun)
    results.add("three", record("fail", 3, expect="crashed"))
    terminal = Terminal()
    write_summary(terminal, results)
    shown = "\n".join(terminal.lines)
    assert re.search(r"^all +2 +1 +50 %", shown, re.MULTILINE)
    assert "controls: 0 of 1 rejected" in shown
    assert "1 collected cases were not run" in shown
    assert "warning: medium-sd-all-1: a speedup of 12.0x" in shown
    assert terminal.lines[-1] == f"results: {results.path}"
    assert warnings([unrun]) == []


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
    results.add("one", measured(number=1))
    results.add("two", record("fail", 2, reason="misses | the limit"))
    results.add("three", record("skip", 3))
    results.add("four", record("pass", 4, expect="crashed"))
    text = markdown(results)
    assert "| all | 3 | 1 | 50 % |" in text
    assert "controls: 1 of 1 rejected" in text
    rejected = text.partition("### Not passed")[2]
    assert "medium-sd-all-2" in rejected
    assert "misses \\| the limit" in rejected
    for number in (1, 3, 4):
        assert f"medium-sd-all-{number}" not in rejected


def test_markdown_of_a_run_without_a_failure_has_no_section_for_them(results):
    results.add("one", record("pass"))
    assert "Not passed" not in markdown(results)


def test_summary_is_appended_for_the_ci_page_and_written_beside_the_results(results, tmp_path):
    results.add("one", record("fail", reason="2 × slower"))
    page = tmp_path / "page.md"
    page.write_text("what was there\n")
    write_step_summary(results, {"GITHUB_STEP_SUMMARY": str(page)})
    write_step_summary(results, {"GITHUB_STEP_SUMMARY": ""})
    write_step_summary(results, {})
    text = markdown(results)
    assert "2 × slower" in text
    assert page.read_text(encoding="utf-8") == "what was there\n" + text
    assert (tmp_path / "summary.md").read_text(encoding="utf-8") == text
