"""benchmarks/verdict_cost.py: the time of the suite against that of the plain protocol."""

import re

import arms
import pytest
from suites import own_environment

from bench.acceleration.host import kept_server


@pytest.mark.slow
def test_it_prints_times_and_what_both_protocols_found(scripts, small_tasks, monkeypatch, capsys):
    import verdict_cost

    monkeypatch.setattr(verdict_cost, "shipped_tasks", lambda: small_tasks)
    for name, value in own_environment({kept_server.VARIABLE: arms.kept_server()}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        "sys.argv",
        ["verdict_cost.py", "--only", "24", "--num-samples", "16", "--batch-size", "8", "--max-rounds", "6",
         "--workers", "0", "--skip-serial"],
    )  # fmt: skip
    verdict_cost.main()
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert lines[0] == "1 tasks, 16 samples each, batches of 8"
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
