"""The example of docs/judge.md as a user runs it: in shards, with a judge that answers, and with one that does not."""

from __future__ import annotations

import json
import re

import pages
import pytest
from comparing import run_kind
from scripted_server import ScriptedServer, refusal, text_answer

pytestmark = pytest.mark.slow

PAGE = "docs/judge.md"
ROWS = [
    {"question": f"What about {i}?", "response": f"Do {i}.", "human": 4 if i % 2 else 2} for i in range(8)
]


def says(body):
    prompt = body["messages"][-1]["content"]
    labelled = re.search(r"begins\]\nDo ([0-9])\.\n", prompt)
    return text_answer(f"Fine.\nScore: {4 if labelled is None or int(labelled[1]) % 2 else 2}")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run whose judge answers, and one of the same directory whose judge refuses."""
    directory = tmp_path_factory.mktemp("judged")
    pages.write(directory, (PAGE, "A judge for open answers"))
    (directory / "rows").mkdir()
    (directory / "rows/essays.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    words = pages.command(PAGE, "A judge for open answers")
    asked = words[words.index("--models") :]

    def run(answer, *more):
        with ScriptedServer(answer) as server:
            options = [server.url if word == "http://localhost:8000" else word for word in asked]
            return run_kind("language", directory, *options, *more), server.bodies

    good = run(
        says, "--max-task-size", "64", "--require", "language:essays_gen.judge_agreement>=0.6", "--min-score", "essays_gen=3"
    )  # fmt: skip
    return good, run(lambda _: refusal(401, "no such key"))


def test_a_dataset_in_shards_is_judged_once_and_as_a_whole(runs):
    (finished, bodies), _ = runs
    records = finished.results["records"]
    assert len(records) == 2, finished.output
    (judged,) = [record for record in records if record["judge"] is not None]
    assert (judged["score"]["metric"], judged["score"]["value"], judged["score"]["n"]) == (
        "judge_score",
        4.0,
        8,
    )
    assert set(judged["metrics"]) == {"judge_score", "judge_agreement", "judge_kappa"}
    assert (judged["metrics"]["judge_agreement"]["value"], judged["judge"]["labelled"]) == (100.0, 8)
    assert judged["judge"]["asked"] == len(bodies) <= 16
    assert [record["verdict"] for record in records] == ["pass", "pass"], finished.output
    assert (finished.directory / judged["files"]["judge"]).is_file()
    assert finished.code == 0
    assert "judged by judge: essays_gen" in (finished.directory / "summary/summary.txt").read_text()
    assert json.loads((finished.directory / "configs/language.json").read_text())["judge"]["name"] == "judge"


def test_a_judge_that_fails_is_an_error_of_its_own(runs):
    _, (finished, _) = runs
    (record,) = finished.results["records"]
    assert (record["verdict"], record["reason_code"]) == ("error", "judge_failed"), finished.output
    assert "the judge judge failed, and no answer is to blame" in record["reason"]
    assert finished.code != 0
    # It was tried again, and the model was not asked again.
    assert [attempt["reason_code"] for attempt in record["attempts"]] == ["judge_failed"]
    assert record["engine"]["asked"] == 0
    predictions = finished.directory / record["files"]["predictions"]
    assert len(predictions.read_text().splitlines()) == 8
