"""The table for a pull request: its columns, its rows, its size, what is refused."""

from __future__ import annotations

import page_runs
import pytest

from bench.cli.main import main
from bench.core.errors import UsageProblem
from bench.kinds import KINDS
from bench.report.shared_table import shared_table


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return page_runs.mixed(tmp_path_factory.mktemp("table") / "run")


def table(folder, **fields):
    return shared_table(page_runs.load(folder), KINDS, **fields)


def rows(text):
    return [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]


def test_it_has_wall_times_closeness_and_scores_with_intervals(folder):
    text = table(folder, cases=["sd"])
    header, first, *_ = rows(text)
    assert header == "| case | verdict | speedup ↑ | quality loss ↓ | PSNR ↑ | SSIM ↑ | CLIP ↑ |"
    assert first == (
        "| easy-sd-deepcache-1 | ✓ passed | 2.00× [1.90, 2.10] | 1.0 % [0.0, 2.0] | 30 dB [28, 32] | 0.9 [0.8, 0.95] "
        "| 29.7 |"
    )
    assert "Speedups are ratios of wall time, of paired rounds." in text
    assert "control" not in text
    assert "| hard-sd-deepcache-2 | ✕ failed |" in text


def test_columns_and_cases_are_chosen(folder):
    text = table(folder, columns=["psnr", "Speedup"], cases=["easy"], intervals=False)
    assert rows(text) == [
        "| case | verdict | PSNR ↑ | speedup ↑ |", "| easy-sd-deepcache-1 | ✓ passed | 30 dB | 2.00× |",
    ]  # fmt: skip
    assert "CLIP baseline" in table(folder, columns=["all"])
    assert "easy-sd-ddim-control_90" in table(folder, controls=True)


def test_every_kind_has_a_table(folder):
    text = table(folder)
    for kind in ("acceleration", "language", "regression", "reranking", "evaluated"):
        assert f"### {kind}" in text
    assert "mrr@10 ↑" in text
    assert "rmse ↓" in text


def test_hostile_ids_stay_in_their_cells(tmp_path):
    folder = page_runs.write_run(tmp_path / "run", [page_runs.accelerated(1, hostile="<b>|x")])
    (_, row) = rows(table(folder, columns=["speedup"]))
    assert r"sd\<b>\|x" in row


def test_it_fits_into_a_comment(tmp_path):
    folder = page_runs.write_run(tmp_path / "run", [page_runs.accelerated(n) for n in range(700)])
    text = table(folder, columns=["all"])
    assert len(text.encode()) <= 64_000
    assert "of 700 rows are left out for the size of this text" in text
    assert "Brackets hold" in text


def test_a_column_or_a_case_that_is_not_there_is_refused(folder, capsys):
    with pytest.raises(UsageProblem, match=r"--columns fid: no case has it; expected some of .*PSNR"):
        table(folder, columns=["fid"])
    assert main(["table", str(folder), "--cases", "sdxl"]) == 4
    assert "found no case whose id holds sdxl among 8" in capsys.readouterr().err
    assert main(["table", str(folder), "--columns", "speedup,psnr"]) == 0
    assert "### acceleration" in capsys.readouterr().out
