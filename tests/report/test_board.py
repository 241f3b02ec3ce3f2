"""What is shown while a run goes on: lines that say enough, fit, and are whole."""

import io
from types import SimpleNamespace

import pytest

from bench.core.doing import Doing, Teller, all_doing
from bench.report.board import Board, RunProgress, clock, doing_line, ended_line
from bench.run.collected import relative_costs


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def _record(verdict="pass", name="hard-tiny_sd-deepcache-17", headline="1.52x [1.45, 1.60]", code="passed"):
    return {"id": name, "verdict": verdict, "headline": headline, "reason_code": code}


class TestProgress:
    def test_time_left_follows_from_the_costs_of_what_has_ended(self):
        passing = Clock()
        progress = RunProgress({"a": 1.0, "b": 1.0, "c": 6.0}, passing)
        passing.now = 10.0
        progress.add("a", "pass")
        assert progress.left_s is None  # one case says too little
        progress.add("b", "fail")
        assert progress.left_s == pytest.approx(30.0)
        assert progress.counted() == "2 of 3, pass 1, fail 1"
        assert progress.times() == "0:10, 0:30 left"

    def test_a_case_counts_once(self):
        progress = RunProgress({"a": 1.0})
        progress.add("a", "pass")
        progress.add("a", "error")
        assert progress.counted() == "1 of 1, pass 1"

    @pytest.mark.parametrize(
        ("seconds", "text"), [(0, "0:00"), (59.9, "0:59"), (60, "1:00"), (3600, "1:00:00")]
    )
    def test_clock(self, seconds, text):
        assert clock(seconds) == text


def test_kinds_that_count_costs_in_other_units_weigh_alike():
    cases = {
        "a": SimpleNamespace(kind="one", cost=1.0), "b": SimpleNamespace(kind="one", cost=3.0),
        "c": SimpleNamespace(kind="other", cost=90_000.0), "d": SimpleNamespace(kind="free", cost=0.0),
    }  # fmt: skip
    assert relative_costs(cases) == {"a": 0.5, "b": 1.5, "c": 1.0, "d": 0.0}


class TestLines:
    @pytest.mark.parametrize("width", [60, 80, 100])
    @pytest.mark.parametrize("name", ["a", "medium-tiny_flux-first_block_cache-control_effect" * 2])
    @pytest.mark.parametrize("headline", ["", "2.47x [1.43, 3.42], loss 0.5 %" * 4])
    def test_no_line_is_wider_than_the_screen_and_each_says_which_case(self, width, name, headline):
        progress = RunProgress({"x": 1.0, "y": 1.0})
        line = ended_line(_record(name=name, headline=headline), progress, width)
        assert len(line) <= width
        assert name[:8] in line
        doing = doing_line(Doing(name, "round 12", headline, 0.0), width, 75.0)
        assert len(doing) <= width
        assert doing.endswith("1:15")

    def test_what_did_not_pass_says_why(self):
        line = ended_line(_record("inconclusive", code="speedup_undecided"), RunProgress({"x": 1.0}))
        assert line.startswith("open")
        assert "speedup_undecided" in line


class TestTelling:
    def test_what_a_process_is_at_is_found_until_its_case_ends(self, tmp_path):
        teller = Teller(tmp_path)
        teller("round 1")  # of no case
        assert list(all_doing(tmp_path)) == []
        teller.begin("case-1")
        assert [(doing.case, doing.stage) for doing in all_doing(tmp_path)] == [("case-1", "preparing")]
        teller("round 3", "1.5x")
        assert next(all_doing(tmp_path)).note == "1.5x"
        teller.end()
        assert list(all_doing(tmp_path)) == []

    def test_quick_rounds_are_not_all_written(self, tmp_path):
        teller = Teller(tmp_path)
        teller.begin("case-1")
        teller("round 1")
        teller("round 2")
        assert next(all_doing(tmp_path)).stage == "round 1"
        teller("scoring")
        assert next(all_doing(tmp_path)).stage == "scoring"

    def test_a_folder_that_cannot_be_written_disturbs_nothing(self, tmp_path):
        (tmp_path / "doing").write_text("in the way")
        teller = Teller(tmp_path)
        teller.begin("case-1")
        teller.end()

    def test_what_is_torn_is_passed_over(self, tmp_path):
        (tmp_path / "doing").mkdir()
        (tmp_path / "doing" / "1.json").write_text('{"case": "a", "sta')
        assert list(all_doing(tmp_path)) == []


class Terminal:
    """As much of pytest's terminal as the board uses."""

    def __init__(self, *, is_terminal=False, verbose=0):
        self.lines, self.showfspath = [], True
        self._tw = SimpleNamespace(_file=io.StringIO(), fullwidth=80, width_of_current_line=0)
        self.config = SimpleNamespace(
            option=SimpleNamespace(verbose=verbose, collectonly=False, capture="fd")
        )
        self._is_terminal = is_terminal

    def isatty(self):
        return self._is_terminal

    def write_line(self, line, **_):
        self.lines.append(line)


class TestBoard:
    def test_where_there_is_no_terminal_each_case_is_a_whole_line(self):
        terminal = Terminal()
        board = Board(terminal, lambda: {"one": 1.0, "two": 1.0}, lambda: [])
        with board.shown():
            board.add("one", _record())
            board.add("one", _record())  # told once
            board.add("one", _record("error", code="internal_error"))  # its teardown failed
        assert [line.split()[0] for line in terminal.lines] == ["pass", "error"]
        assert "1/2" in terminal.lines[0]
        assert terminal.showfspath is False

    @pytest.mark.parametrize("verbose", [1, -1])
    def test_with_v_and_q_pytest_shows_what_it_always_shows(self, verbose):
        terminal = Terminal(verbose=verbose)
        board = Board(terminal, dict, list)
        with board.shown():
            board.add("one", _record())
        assert terminal.lines == []
        assert not board.is_on
        assert terminal.showfspath is True
