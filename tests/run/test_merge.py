"""Runs that are joined: whose record counts, what is missing, which files come along."""

from __future__ import annotations

import json

import page_runs
import pytest

from bench.cli.main import main
from bench.core.errors import UsageProblem
from bench.core.verdict import Verdict
from bench.kinds import KINDS
from bench.language.record import Shard
from bench.run.merge import merge_runs, write_merged


def run_of(folder, records, **head):
    return page_runs.load(page_runs.write_run(folder, records, **head))


def ended(number, verdict, code):
    made = page_runs.accelerated(number)
    made.apply(Verdict(verdict, code, "because"))
    return made


def not_run(number):
    made = page_runs.accelerated(number)
    made.verdict, made.reason_code, made.reason = "error", "not_run", "the run ended before this case was run"
    return made


def written(folder):
    return json.loads((folder / "evaluation_results.json").read_text(encoding="utf-8"))


def test_the_latest_decision_counts_and_no_accident_takes_its_place(tmp_path):
    first = run_of(
        tmp_path / "first",
        [ended(1, "pass", "passed"), ended(2, "fail", "speedup_missed"), not_run(3), not_run(4)],
    )
    second = run_of(
        tmp_path / "second", day=2,
        records=[
            ended(1, "fail", "speedup_missed"), ended(2, "error", "worker_died"), ended(3, "skip", "skipped"), not_run(4),
        ],
    )  # fmt: skip
    for runs in ([first, second], [second, first]):
        merged = merge_runs(runs, KINDS)
        found = {key[1][-1]: run.records[key].reason_code for key, run in merged.chosen.items()}
        assert found == {"1": "speedup_missed", "2": "speedup_missed", "3": "skipped", "4": "not_run"}
        assert [gap.partition(": because")[0] for gap in merged.gaps if "deepcache-3" in gap] == [
            "acceleration: medium-sd-deepcache-3: skip (skipped)"
        ]
        assert len(merged.gaps) == 2


def test_a_merged_run_is_a_run(tmp_path, capsys):
    """Its files lie below it, its results are valid, and other commands take it."""
    folders = [tmp_path / name for name in ("one", "two")]
    for number, folder in enumerate(folders, 1):
        made = page_runs.accelerated(number, folder=folder, images=2)
        page_runs.write_run(folder, [made], day=number, seed=number)
    out = tmp_path / "merged"
    assert main(["merge", *map(str, folders), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "merged 2 cases of 2 runs: one (1 case), two (1 case)" in said
    assert "the runs have different seeds: 1, 2" in said
    results = written(out)
    assert results["run"]["state"] == "merged"
    assert [one["id"] for one in results["run"]["merged_from"]] == ["one", "two"]
    assert results["summary"]["passed"] == 2
    for record in results["records"]:
        for path in record["files"].values():
            assert (out / path).exists()
    assert "data-l=" in (out / "report.html").read_text(encoding="utf-8")
    assert main(["report", str(out), "--no-html"]) == 0
    assert "total 2, passed 2" in capsys.readouterr().out
    assert main(["compare", str(out), str(folders[0])]) == 0


def test_shards_are_joined_and_a_missing_one_is_a_gap(tmp_path, capsys):
    def shard(index, values, folder):
        made = page_runs.asked("gsm", values=values, folder=folder, shard=Shard(index, 3))
        path = folder / "predictions/tiny/gsm.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines()
        path.write_text(
            "".join(line.replace('"key": "', f'"key": "{index}-') + "\n" for line in lines), encoding="utf-8"
        )
        made.files = {"predictions": "predictions/tiny/gsm.jsonl"}
        if index == 1:
            made.score = made.metrics = None
        return made

    folders = [tmp_path / "one", tmp_path / "two"]
    for index, folder in enumerate(folders, 1):
        page_runs.write_run(folder, [shard(index, [1.0, 0.0], folder)], day=index)
    out = tmp_path / "merged"
    assert main(["merge", *map(str, folders), "--out", str(out), "--no-html"]) == 1
    assert "gap: language: tiny on gsm: shard 3 of 3 is missing" in capsys.readouterr().out
    keys = [json.loads(line)["key"] for line in (out / "predictions/tiny/gsm.jsonl").read_text().splitlines()]
    assert keys == ["1-0", "1-1", "2-0", "2-1"]
    assert not (out / "report.html").exists()


def test_other_files_of_one_name_are_kept_apart(tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    records = []
    for number, folder in enumerate(folders, 1):
        made = page_runs.fitted(f"essays-{number}", errors=[0.1 * number] * 3, folder=folder)
        made.files = {"csv": "results/samples.csv"}
        (folder / f"results/essays-{number}/samples.csv").rename(folder / "results/samples.csv")
        records.append(made)
        page_runs.write_run(folder, [made], day=number)
    merged = merge_runs([page_runs.load(folder) for folder in folders], KINDS)
    write_merged(merged, tmp_path / "merged", KINDS, with_page=False)
    paths = [record["files"]["csv"] for record in written(tmp_path / "merged")["records"]]
    assert paths == ["results/samples.csv", "two/results/samples.csv"]
    texts = [(tmp_path / "merged" / path).read_text() for path in paths]
    assert texts == [(folder / "results/samples.csv").read_text() for folder in folders]


def test_what_cannot_be_merged_is_refused(tmp_path, capsys):
    folder = page_runs.write_run(tmp_path / "run", [page_runs.accelerated(1)])
    assert main(["merge", str(folder), "--out", str(folder)]) == 4
    assert "expected a new or empty folder" in capsys.readouterr().err
    with pytest.raises(UsageProblem, match="found no case in 1 runs"):
        merge_runs([run_of(tmp_path / "none", [])], KINDS)
