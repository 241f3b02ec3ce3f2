"""Stored runs for tests of what is drawn of them: records of every kind by the typed writer, with their files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import PIL.Image
import records as acceleration

from bench.acceleration.comparison import Mismatch
from bench.acceleration.configuration import Configuration, Disagreement
from bench.acceleration.effect import Effect
from bench.acceleration.times import Round, Times
from bench.core.estimate import Estimate
from bench.core.record import Control, Gain, Record, Score
from bench.core.verdict import Verdict
from bench.kinds import KINDS
from bench.language.record import LanguageBody, Shard
from bench.regression.record import RegressionBody, RegressionGain
from bench.report.html.images import small_webp
from bench.report.results import ResultsFile
from bench.report.runs import StoredRun, load_run
from bench.reranking.record import QueryCounts, RankingGain, RerankingBody

HOSTILE = """</script><script>window.hacked=1</script><img src=x onerror="window.hacked=2">'"`${}{{7*7}}{% x %}&lt;"""
STARTED = "2026-03-{day:02}T10:00:00+00:00"
ENVIRONMENT = {
    "modelgate": "0.2",
    "python": "3.11",
    "cpu": "a processor",
    "commit": "abc",
    "packages": {"torch": "2.6"},
}


def write_run(folder: Path, records: list[Record], *, day: int = 1, **head) -> Path:
    """Write a run as its owner does, and return its directory."""
    folder.mkdir(parents=True, exist_ok=True)
    run = {
        "id": folder.name, "started": STARTED.format(day=day), "finished": STARTED.format(day=day).replace("10:", "11:"),
        "state": "finished", "exit_status": 0, "collected": len(records), "command": "pytest cases/", "seed": 7,
        "workers": 2,
        "environment": ENVIRONMENT, **head,
    }  # fmt: skip
    results = ResultsFile(folder / "evaluation_results.json", run, KINDS)
    for record in records:
        results.add(f"{record.kind}::{record.id}", record.to_json())
    results.write()
    return folder


def load(folder: Path) -> StoredRun:
    return load_run(folder, KINDS)


def picture(seed: int, size: int = 64, shift: int = 0) -> np.ndarray:
    """Return an image with some structure: colours of an 8 x 8 board, with noise."""
    rng = np.random.default_rng(seed)
    board = rng.integers(0, 200, size=(8, 8, 3)).repeat(size // 8, axis=0).repeat(size // 8, axis=1)
    return np.clip(board + rng.integers(0, 12, size=board.shape) + shift, 0, 255).astype(np.uint8)


def accelerated(
    number: int = 1, *, speedup: float = 2.0, loss: float = 0.01, verdict: str = "pass", required: float | None = 1.5,
    width: float = 0.05, folder: Path | None = None, prompts: int = 8, images: int = 0, size: int = 64,
    hostile: str = "", reason: str = "because of that", **fields,
) -> Record:  # fmt: skip
    """Return the record of an acceleration case, and write its files where a run's folder is given."""
    name = f"{fields.get('difficulty', 'medium')}-sd{hostile}-deepcache-{number}"
    made = acceleration.record(
        verdict, number, reason + hostile, difficulty=fields.get("difficulty", "medium")
    )
    made.id, made.level = name, fields.get("level", "L2")
    body = made.body
    body.speedup.value, body.speedup.low, body.speedup.high = (
        speedup,
        speedup * (1 - width),
        speedup * (1 + width),
    )
    body.speedup.required = required
    body.quality.loss, body.quality.low, body.quality.high = loss, loss - 0.01, loss + 0.01
    body.quality.baseline, body.quality.candidate = 30.0, 30.0 * (1 - loss)
    made.metrics = {
        "speedup": Estimate(
            metric="speedup", value=speedup, low=body.speedup.low, high=body.speedup.high, n=12, unit="x"
        ),
        "quality_loss": Estimate(
            metric="quality_loss",
            value=loss,
            low=loss - 0.01,
            high=loss + 0.01,
            n=prompts,
            higher_is_better=False,
        ),
        "psnr_db": Estimate(metric="psnr_db", value=30.0, low=28.0, high=32.0, n=prompts),
        "ssim": Estimate(metric="ssim", value=0.9, low=0.8, high=0.95, n=prompts),
    }
    body.times = Times(
        load_s={"baseline": 1.0, "candidate": 1.2},
        rounds=[
            Round(first="baseline", baseline_s=speedup * (1 + 0.01 * turn), candidate_s=1.0, images=4)
            for turn in range(12)
        ],
        foreign_load=0.02,
    )
    body.config.target = Configuration(pipeline_class="Pipe", num_inference_steps=30, scheduler_class="DDIM")
    body.config.baseline = body.config.target
    body.config.candidate = Configuration(
        pipeline_class=f"Pipe{hostile}", num_inference_steps=30, scheduler_class="DDIM",
        methods={"deepcache": {"interval": 3}},
        disagreements=[Disagreement(field="scheduler_class", source="PNDM", observed="DDIM")],
    )  # fmt: skip
    body.config.mismatches = []
    body.config.free = [Mismatch(field="methods.deepcache", target=None, candidate={"interval": 3})]
    if verdict == "fail":
        body.config.mismatches = [Mismatch(field="num_inference_steps", target=30, candidate=20)]
    body.effect = Effect(against="baseline", images=8, differing_images=8, methods={"deepcache": True})
    made.warnings = [f"be careful{hostile}"] if hostile else []
    made.output_tail = f"last words{hostile}" if hostile else None
    made.duration_s, made.headline = 12.0 + number, f"{speedup:.2f}x"
    made.files = {"predictions": f"predictions/sd/{number}.jsonl", "images": f"predictions/sd/{number}"}
    if folder is not None:
        _acceleration_files(folder / "predictions" / "sd", number, prompts, images, size, loss, hostile)
    return made


def _acceleration_files(
    folder: Path, number: int, prompts: int, images: int, size: int, loss: float, hostile: str
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "prompt": f"a picture of thing {prompt}{hostile}", "seed": 100 + prompt, "baseline_clip_score": 30.0,
            "candidate_clip_score": 30.0 * (1 - loss) + 0.1 * (-1) ** prompt * (1 + prompt // 2 / prompts),
            "ssim": 0.9, "psnr_db": 30.0, "identical": False,
        }
        for prompt in range(prompts)
    ]  # fmt: skip
    (folder / f"{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    if images:
        (folder / str(number)).mkdir(exist_ok=True)
    for place in range(images):
        for arm, shift in (("baseline", 0), ("candidate", 25)):
            data = small_webp(PIL.Image.fromarray(picture(1000 * number + place, size, shift)))
            (folder / str(number) / f"{place}-{arm}.webp").write_bytes(data)


def asked(
    dataset: str = "siqa_gen", *, values: list[float], folder: Path | None = None, required: float | None = None,
    hostile: str = "", unread: int = 0, shard: Shard | None = None, verdict: str = "pass",
) -> Record:  # fmt: skip
    """Return the record of a language case with the values of its questions, and write its files."""
    mean = 100 * sum(values) / len(values)
    score = Score(
        metric="accuracy",
        value=mean,
        low=mean - 8,
        high=min(100.0, mean + 8),
        n=len(values),
        unit="%",
        required=required,
    )
    part = shard or Shard()
    body = LanguageBody(model="tiny", dataset=dataset, mode="gen", protocol="own", shard=part)
    identity = f"tiny-{dataset}" if part.of == 1 else f"tiny-{dataset}-{part.index}of{part.of}"
    made = Record(
        id=identity, kind="language", body=body, score=score, metrics={"accuracy": score}, data="rows", headline="accuracy",
        files={"results": f"results/tiny/{dataset}.json", "predictions": f"predictions/tiny/{dataset}.jsonl"},
    )  # fmt: skip
    made.apply(Verdict(verdict, "passed" if verdict == "pass" else "score_missed", f"accuracy {mean:.1f}"))
    if folder is not None:
        keys = [str(number) for number in range(len(values))]
        read = [None if number < unread else f"read {number}{hostile}" for number in range(len(values))]
        results = {
            "keys": keys,
            "values": {"accuracy": values},
            "read": read,
            "golds": [f"gold {key}" for key in keys],
        }
        _write(folder / f"results/tiny/{dataset}.json", json.dumps(results))
        rows = [
            {"key": key, "prompt": f"question {key}{hostile}", "text": f"answer {key}{hostile}"}
            for key in keys
        ]
        _write(folder / f"predictions/tiny/{dataset}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    return made


def fitted(
    name: str = "essays", *, errors: list[float], folder: Path | None = None, hostile: str = ""
) -> Record:
    """Return the record of a regression case with the errors of its texts, and write its table."""
    root = float(np.sqrt(np.mean(np.square(errors))))
    score = Score(
        metric="rmse", value=root, low=root * 0.9, high=root * 1.1, n=len(errors), higher_is_better=False
    )
    gain = RegressionGain(
        metric="rmse", value=0.5, low=0.2, high=0.8, n=len(errors), over="the mean", mean=4.0, mean_rmse=1.5
    )
    made = Record(
        id=name, kind="regression", body=RegressionBody(task=name), score=score, metrics={"rmse": score}, gain=gain,
        files={"csv": f"results/{name}/samples.csv"}, headline="rmse",
    )  # fmt: skip
    made.apply(Verdict("pass", "passed", "good enough"))
    if folder is not None:
        rows = [
            {
                "key": f"text-{number}",
                "gold": 4.0,
                "prediction": 4.0 + error,
                "error": error,
                "text": f"essay {number}{hostile}",
            }
            for number, error in enumerate(errors)
        ]
        _table(folder / f"results/{name}/samples.csv", rows)
    return made


def ranked(
    name: str = "mine-faq", *, values: list[float], folder: Path | None = None, hostile: str = ""
) -> Record:
    """Return the record of a reranking case with the reciprocal ranks of its queries, and write its table."""
    mean = sum(values) / len(values)
    score = Score(metric="mrr@10", value=mean, low=mean - 0.1, high=mean + 0.1, n=len(values))
    recalls = {
        f"recall@{k}": Estimate(
            metric=f"recall@{k}", value=level, low=level - 0.1, high=min(1.0, level + 0.1), n=len(values)
        )
        for k, level in ((1, 0.4), (5, 0.7), (10, 0.8), (100, 1.0))
    }
    body = RerankingBody(ranker="mine", dataset="faq", queries=QueryCounts(
        total=len(values), scored=len(values), without_relevant=0, without_candidates=0, candidates=90, tied_candidates=0,
    ))  # fmt: skip
    made = Record(
        id=name, kind="reranking", body=body, score=score, metrics={**recalls, "mrr@10": score},
        gain=RankingGain(metric="mrr@10", value=0.3, low=0.2, high=0.4, over="random order", expected=0.2),
        files={"metric_csv": f"results/{name}/metric.csv"}, headline="mrr@10",
    )  # fmt: skip
    made.apply(Verdict("pass", "passed", "better than chance"))
    if folder is not None:
        rows = [
            {"query": f"query {number}{hostile}", "state": "scored", "candidates": 10, "relevant": 1, "mrr@10": value,
             "mrr@10 in random order": 0.2}
            for number, value in enumerate(values)
        ]  # fmt: skip
        _table(folder / f"results/{name}/metric.csv", rows)
    return made


def control(number: int = 90, *, rejected: bool = True) -> Record:
    """Return the record of an acceleration control."""
    made = accelerated(number, verdict="pass" if rejected else "fail")
    made.id = f"easy-sd-ddim-control_{number}"
    made.control = Control(
        expected="config_mismatch", verdict="fail", reason_code="config_mismatch", reason="30 is not 20"
    )
    made.files = None
    return made


def noted(name: str = "mine-notes") -> Record:
    """Return the record of an evaluation that a Trainer wrote down: a kind without a view of its own."""
    kind = KINDS["evaluated"]
    score = Score(metric="rmse", value=1.0, low=0.9, high=1.1, n=30, higher_is_better=False)
    made = Record(
        id=name, kind="evaluated", body=kind.body(model="mine", dataset="notes"), score=score, metrics={"rmse": score},
        gain=kind.body.gain_type(**_gain(kind.body.gain_type)), headline="rmse 1",
    )  # fmt: skip
    made.apply(Verdict("pass", "passed", "fine"))
    return made


def _gain(kind: type[Gain]) -> dict:
    import msgspec

    values = {"metric": "rmse", "value": 0.5, "low": 0.3, "high": 0.7, "over": "the mean"}
    return values | {
        field.name: 1.0
        for field in msgspec.structs.fields(kind)
        if field.required and field.name not in values
    }


def mixed(folder: Path, *, hostile: str = "", images: int = 4) -> Path:
    """Write a run with cases of every kind, one of which failed."""
    records = [
        accelerated(1, folder=folder, images=images, hostile=hostile, difficulty="easy", level="L1"),
        accelerated(2, folder=folder, speedup=3.0, verdict="fail", difficulty="hard", level="L4"),
        accelerated(3, folder=folder, speedup=1.2, verdict="inconclusive", images=2),
        control(),
        asked(values=[1.0, 0.0, 1.0, 0.0, 1.0, 1.0], folder=folder, hostile=hostile, unread=2),
        fitted(errors=[0.1, -0.4, 2.0, 0.3], folder=folder, hostile=hostile),
        ranked(values=[1.0, 0.5, 0.1, 1.0], folder=folder, hostile=hostile),
        noted(),
    ]
    return write_run(folder, records, command=f"pytest cases/{hostile}")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _table(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
