"""Whole runs of the real command: the same records however many workers, and none lost whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest
from suites import (
    BASELINE,
    BATCH,
    NOISE,
    NOISE_CALLED,
    SAMPLES,
    STEPS,
    Finished,
    Suite,
    own_environment,
    started,
)

from bench.acceleration.kind import metric_names
from bench.acceleration.timing import FIRST_ROUNDS

pytestmark = pytest.mark.slow

FEWER_STEPS = BASELINE.replace(f"num_inference_steps={STEPS}", f"num_inference_steps={STEPS - 1}")
TIMING_KEYS = (
    "achievement_rate", "duration_s", "speedup", "latency", "times", "memory", "reason", "order", "metrics", "headline",
)  # fmt: skip


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """A suite with one case of every kind of end."""
    suite = Suite(tmp_path_factory.mktemp("mixed"))
    suite.add(1)
    suite.add(2, FEWER_STEPS, difficulty="hard", level="L4", required_speedup=1.1)
    # These two are about what happens to a case, whatever its pipeline.
    noise = dict.fromkeys(("target_file", "baseline_file"), suite.write("noise.py", NOISE_CALLED))
    suite.add(
        3,
        f"{NOISE}\ndef generate(pipe, prompts, generators):\n    import os\n\n    os._exit(7)\n",
        level="L2",
        **noise,
    )
    suite.add("control", FEWER_STEPS, expect="config_mismatch")
    suite.add("weak", NOISE_CALLED, expect="config_mismatch", **noise)
    suite.add(6, required_speedup=50, difficulty="hard")
    return suite


@pytest.fixture(scope="module")
def serial(mixed: Suite) -> Finished:
    return mixed.run("--benchmark-json", str(mixed.directory / "serial.json"), "-v")


@pytest.fixture(scope="module")
def parallel(mixed: Suite) -> Finished:
    return mixed.run(
        "-n", "2", "-v", "--junitxml", str(mixed.directory / "junit.xml"),
        "--benchmark-json", str(mixed.directory / "parallel.json"),
    )  # fmt: skip


def settled(record: dict) -> dict:
    """Return a record without what may differ from run to run; other tests are a load, and the record warns of it."""
    kept = {key: value for key, value in record.items() if key not in TIMING_KEYS}
    return kept | {"warnings": [line for line in record["warnings"] if "other processes" not in line]}


def test_serial_and_parallel_runs_give_the_same_records(serial: Finished, parallel: Finished) -> None:
    assert serial.results is not None
    assert parallel.results is not None
    ids = [record["id"] for record in serial.results["records"]]
    assert ids == [record["id"] for record in parallel.results["records"]]
    for ours, theirs in zip(serial.results["records"], parallel.results["records"], strict=True):
        one, other = json.loads(json.dumps(settled(ours))), json.loads(json.dumps(settled(theirs)))
        for record in (one, other):  # a different number of threads moves a pixel now and then
            for key in (
                "quality",
                "fidelity",
                "image_statistics",
                "distribution",
                "null_band",  # of prompts and seeds that each run draws for itself
                "target_images",
                "point_estimate",
                "achievement_ratio",
                "output_tail",
                "control",
            ):
                record.pop(key, None)
        assert one == other


def test_each_end_has_its_verdict_and_reason(parallel: Finished) -> None:
    found = {
        record["prompt_id"]: (record["verdict"], record["reason_code"])
        for record in parallel.results["records"]
    }
    assert found == {
        1: ("pass", "passed"),
        2: ("fail", "config_mismatch"),
        3: ("error", "crashed"),
        "control": ("pass", "rejected_as_expected"),
        "weak": ("fail", "not_rejected"),
        6: ("fail", "speedup_missed"),
    }
    assert parallel.code == 1


def test_the_mismatch_names_the_field_with_both_values(parallel: Finished) -> None:
    record = parallel.record(2)
    assert record["config"]["mismatches"] == [
        {"field": "num_inference_steps", "target": STEPS, "candidate": STEPS - 1}
    ]
    assert f"num_inference_steps: target {STEPS}, candidate {STEPS - 1}" in record["reason"]
    assert record["achievement_rate"] == 0.0
    assert record["speedup"]["value"] is None, "a mismatch must be found before anything is timed"
    assert record["times"] is None


def test_a_crash_says_how_and_leaves_the_others_alone(parallel: Finished) -> None:
    assert "exit code 7" in parallel.record(3)["reason"]
    assert parallel.record(1)["verdict"] == "pass"


def test_a_hard_task_that_is_too_slow_keeps_its_share(parallel: Finished) -> None:
    record = parallel.record(6)
    assert 0 < record["achievement_rate"] < 0.1
    assert record["achievement_rate"] == pytest.approx(record["speedup"]["value"] / 50)


def test_the_summary_counts_controls_apart(parallel: Finished) -> None:
    summary = parallel.results["summary"]
    assert (summary["total"], summary["passed"], summary["failed"], summary["errors"]) == (4, 1, 2, 1)
    assert summary["pass_rate"] == 0.25
    assert summary["controls"] == {"total": 2, "rejected": 1}
    assert summary["hard"]["total"] == 2


def test_a_passed_record_holds_what_was_measured(parallel: Finished) -> None:
    record = parallel.record(1)
    assert record["quality"]["loss"] == pytest.approx(0, abs=1e-6)
    assert record["fidelity"]["identical_images"] == SAMPLES
    rounds = len(record["times"]["rounds"])
    assert rounds == record["speedup"]["rounds"]
    assert rounds in FIRST_ROUNDS
    firsts = [entry["first"] for entry in record["times"]["rounds"]]
    assert firsts in (["baseline", "candidate"] * (rounds // 2), ["candidate", "baseline"] * (rounds // 2)), (
        "rounds alternate which arm begins"
    )
    (launch,) = record["times"]["launches"]
    assert (launch["rounds"], launch["order"], record["speedup"]["launches"]) == (
        rounds,
        ["candidate", "baseline"],
        1,
    )
    assert launch["load_s"] == record["times"]["load_s"]
    assert launch["cores"]
    assert launch["peak_bytes"]["candidate"] == record["memory"]["candidate_peak_bytes"]
    assert record["config"]["candidate"]["denoiser_calls_per_image"] == 2 * STEPS
    assert record["speedup"]["low"] < record["speedup"]["value"] < record["speedup"]["high"]
    assert set(record["metrics"]) == set(metric_names())
    assert record["metrics"]["temporal_difference"]["value"] is None, "images do not move"
    assert record["metrics"]["speedup"]["value"] == record["speedup"]["value"]
    assert record["metrics"]["ssim"]["value"] == record["fidelity"]["ssim"] == 1.0
    assert record["metrics"]["psnr_db"]["reason"].startswith("no sample has a value")
    assert record["times"]["first_call_s"]["candidate"] > 0
    assert record["times"]["compile_s"] == {"baseline": None, "candidate": None}, "nothing is compiled"
    for role in ("baseline", "candidate"):
        assert 0 < record["times"]["step_s"][role] < record["times"]["first_call_s"][role]
    assert record["memory"]["candidate_peak_bytes"] > 0
    assert record["memory"]["candidate_reserved_bytes"] is None, "no GPU"


def test_verbose_lines_show_speedup_and_loss(parallel: Finished, serial: Finished) -> None:
    for finished in (parallel, serial):
        line = next(
            line
            for line in finished.output.splitlines()
            if "easy-tiny_sd_small-ddim-1]" in line and "PASSED" in line
        )
        assert "x [" in line
        assert "loss" in line


def test_the_table_has_a_row_per_difficulty_and_level(parallel: Finished) -> None:
    rows = {line.split()[0] for line in parallel.output.splitlines() if line.strip()}
    assert {"easy", "hard", "L2", "L4", "all"} <= rows
    assert "controls: 1 of 2 rejected" in parallel.output


def test_junit_has_the_reason_as_message_and_scalars_as_properties(mixed: Suite, parallel: Finished) -> None:
    cases = {
        case.get("name"): case
        for case in ElementTree.parse(mixed.directory / "junit.xml").getroot().iter("testcase")
    }
    name = "test_candidate[hard-tiny_sd_small-ddim-2]"
    failure = cases[name].find("failure")
    assert failure is not None
    assert failure.get("message") == parallel.record(2)["reason"]
    properties = {entry.get("name"): entry.get("value") for entry in cases[name].iter("property")}
    assert properties["verdict"] == "fail"
    assert properties["reason_code"] == "config_mismatch"
    assert float(properties["required_speedup"]) == 1.1


@pytest.mark.parametrize("which", ["serial.json", "parallel.json"])
def test_benchmark_json_has_both_arms_with_and_without_workers(
    mixed: Suite, serial: Finished, parallel: Finished, which: str
) -> None:
    benchmarks = json.loads((mixed.directory / which).read_text())["benchmarks"]
    names = {entry["name"] for entry in benchmarks}
    assert {"easy-tiny_sd_small-ddim-1:baseline", "easy-tiny_sd_small-ddim-1:candidate"} <= names
    finished = {"serial.json": serial, "parallel.json": parallel}[which]
    ours = [entry["candidate_s"] / BATCH for entry in finished.record(1)["times"]["rounds"]]
    theirs = next(entry for entry in benchmarks if entry["name"] == "easy-tiny_sd_small-ddim-1:candidate")
    assert theirs["stats"]["data"] == pytest.approx(ours)
    assert "benchmark: " in finished.output


def test_predictions_and_logs_lie_next_to_the_results(parallel: Finished) -> None:
    rows = (
        (parallel.directory / "predictions/tiny_sd_small/easy-tiny_sd_small-ddim-1.jsonl")
        .read_text()
        .splitlines()
    )
    assert len(rows) == SAMPLES
    assert {"prompt", "seed", "baseline_clip_score", "candidate_clip_score", "ssim"} <= json.loads(
        rows[0]
    ).keys()
    files = parallel.record(1)["files"]
    assert files == {
        "predictions": "predictions/tiny_sd_small/easy-tiny_sd_small-ddim-1.jsonl",
        "results": "results/tiny_sd_small/easy-tiny_sd_small-ddim-1.json",
        "images": "predictions/tiny_sd_small/easy-tiny_sd_small-ddim-1",
    }
    for record in parallel.results["records"]:
        for file in record["files"].values():
            assert (parallel.directory / file).exists()
    kept = json.loads((parallel.directory / files["results"]).read_text())
    assert kept == parallel.record(1)
    assert (parallel.directory / "logs").is_dir()
    assert (parallel.directory / "configs/options.json").is_file()


def test_a_killed_worker_leaves_an_error_and_all_other_records(tmp_path: Path) -> None:
    suite = Suite(tmp_path, NOISE_CALLED)
    for number in range(1, 4):
        suite.add(number)
    plugin = tmp_path / "kill_worker.py"
    plugin.write_text(
        "import os, signal, pytest\n"
        "@pytest.hookimpl(wrapper=True)\n"
        "def pytest_runtest_call(item):\n"
        "    if item.name.endswith('-2]'):\n"
        "        item.funcargs['evaluation'].check_configuration()\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return (yield)\n"
    )
    environment = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).resolve().parents[2]}"}
    finished = suite.run("-n", "2", "-p", "kill_worker", "--time-budget", "0", environment=environment)
    assert finished.record(2)["verdict"] == "error", finished.output
    assert finished.record(2)["reason_code"] == "worker_died"
    assert [attempt["reason_code"] for attempt in finished.record(2)["attempts"]] == ["worker_died"]
    assert [finished.record(number)["verdict"] for number in (1, 3)] == ["pass", "pass"]
    assert finished.code == 1


def test_a_killed_run_leaves_what_was_finished_and_no_process(tmp_path: Path) -> None:
    suite = Suite(tmp_path, NOISE_CALLED)
    suite.add(1)
    suite.add(
        2, f"{NOISE}\ndef generate(pipe, prompts, generators):\n    import time\n\n    time.sleep(600)\n"
    )
    results = tmp_path / "out" / "latest" / "evaluation_results.json"
    process = subprocess.Popen(
        suite.command("-n", "2", "--time-budget", "0"), cwd=tmp_path, env=own_environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not results.exists():
            assert time.monotonic() < deadline, "no case finished"
            assert process.poll() is None, "the run ended early"
            time.sleep(0.2)
        descendants = psutil.Process(process.pid).children(recursive=True)
        assert len(descendants) > 3
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    records = json.loads(results.read_text())["records"]
    assert [record["prompt_id"] for record in records] == [1]
    assert records[0]["verdict"] == "pass"
    _, alive = psutil.wait_procs(descendants, timeout=30)
    assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []


def test_a_run_that_is_stopped_early_names_what_was_not_run(tmp_path: Path) -> None:
    suite = Suite(tmp_path)
    for number in (1, 2, 3):
        suite.add(number, "raise RuntimeError('no')")
    finished = suite.run("-x")
    codes = [record["reason_code"] for record in finished.results["records"]]
    assert sorted(codes) == ["load_failed", "not_run", "not_run"]
    assert "2 collected cases were not run" in finished.output


def test_hard_selects_by_eye_and_nothing_else_contains_the_word(mixed: Suite) -> None:
    listing = mixed.run("--collect-only", "-q", "-k", "hard").output
    chosen = [line for line in listing.splitlines() if "::" in line]
    assert len(chosen) == 2
    assert all("[hard-" in line for line in chosen)


def test_inconclusive_fails_with_that_word_unless_it_is_to_skip(tmp_path: Path) -> None:
    suite = Suite(tmp_path, NOISE_CALLED)
    suite.add(1, required_speedup=1.0)
    failing = suite.run("--time-budget", "0")
    assert failing.record(1)["verdict"] == "inconclusive"
    assert failing.code == 1
    assert "inconclusive: only 0 timed rounds" in failing.output
    skipping = suite.run("--time-budget", "0", "--inconclusive", "skip")
    assert skipping.record(1)["verdict"] == "inconclusive"
    assert skipping.code == 0
    assert "1 skipped" in skipping.output


def test_collecting_imports_neither_torch_nor_diffusers(tmp_path: Path) -> None:
    suite = Suite(tmp_path)
    suite.add(1)
    (tmp_path / "watch_imports.py").write_text(
        "import sys\n"
        "def pytest_sessionfinish():\n"
        "    print('LOADED', sorted({'torch', 'diffusers', 'transformers', 'datasets'} & sys.modules.keys()))\n"
    )
    environment = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).resolve().parents[2]}"}
    command = suite.command("--collect-only", "-q", "-s", "-p", "watch_imports")
    done = started(command, cwd=tmp_path, env=own_environment(environment), timeout=100)
    assert "LOADED []" in done.stdout
    assert "easy-tiny_sd_small-ddim-1" in done.stdout


def test_an_option_that_concerns_no_case_stops_the_run(tmp_path: Path) -> None:
    suite = Suite(tmp_path)
    suite.add(1, required_speedup=1.0)
    finished = suite.run("--ungated-rounds", "6")
    assert finished.code == 4
    assert "--ungated-rounds 6: found no case that is run and uses it" in finished.output
    assert finished.results is None
