"""benchmarks/verdict_cost.py: the time of the suite against that of the plain protocol."""

import re

import arms
import pytest

from bench.acceleration.host import kept_server


@pytest.mark.slow
def test_it_prints_times_and_what_both_protocols_found(run_script):
    printed = run_script(
        "verdict_cost.py", "--only", "24", "--num-samples", "2", "--batch-size", "1", "--workers", "0",
        "--skip-serial",
        **{kept_server.VARIABLE: arms.kept_server()},
    )  # fmt: skip
    lines = printed.splitlines()
    assert lines[0] == "1 tasks, 2 samples each, batches of 1"
    assert re.fullmatch(r"plain, one process, all cores +\d+\.\d +1\.00 +\d+\.\d +1\.00", lines[2])
    assert re.fullmatch(r"modelgate, -n 0 +\d+\.\d +\d+\.\d\d +\d+\.\d +\d+\.\d\d", lines[3])
    assert re.fullmatch(r"verdicts of -n 0: [01] passed of 1", lines[4])
    speedup, loss = r"\d+\.\d\d \[\d+\.\d\d, \d+\.\d\d\]", r"-?\d+\.\d %"
    assert re.fullmatch(rf"hard-\S+-24 +{speedup} +\d+\.\d\d +{loss} +{loss}", lines[6])


def test_unknown_prompt_ids_are_refused(scripts, monkeypatch, capsys):
    import verdict_cost

    monkeypatch.setattr("sys.argv", ["verdict_cost.py", "--only", "1001"])
    with pytest.raises(SystemExit) as leaving:
        verdict_cost.main()
    assert leaving.value.code == 2
    assert "--only 1001: no shipped task has one of these prompt ids" in capsys.readouterr().err
