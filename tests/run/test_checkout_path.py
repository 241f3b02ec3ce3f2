"""A checkout whose path has spaces, accents, brackets and an emoji, in the POSIX locale: every kind of case, as anywhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from suites import ROOT, own_environment

pytestmark = pytest.mark.slow

ODD, ASCII = "Mödel gate [1] 🚀", "gate [x] (2) * 'a'"
EVERY_KIND = (
    "cases/test_acceleration.py", "cases/test_evaluated.py", "cases/test_language.py", "cases/test_regression.py",
    "cases/test_reranking.py", "-k", "same or control_load or evaluated or siqa or synthetic or digits",
    "--tasks", "fixtures/tasks/anno_tiny.json", "--candidates", "fixtures/tasks/gen_tiny.json",
    "--tasks", "tasks [x]/anno.json", "--candidates", "tasks [x]/gen.json",
    "--evaluated", "evaluations [x]", "--models", "tiny_lm", "--datasets", "siqa_gen", "--limit", "4",
    "--training-args", "num_train_epochs=1",
    "--prompts", "prompts [x]*.jsonl", "--num-samples", "2", "--batch-size", "2", "--warmup-rounds", "1", "--seed", "0",
    "--ungated-rounds", "6", "--time-budget", "5", "--max-foreign-load", "1",
)  # fmt: skip
# A shipped control, and the least that the shipped models can generate.
PIPELINE = """
from pathlib import Path
from diffusers import DDIMScheduler, StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained(Path(__file__).resolve().parents[1] / "fixtures/zoo/tiny-sd-small")
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

if __name__ == "__main__":
    image = pipe("a small red star", num_inference_steps=6).images[0]
"""
CASES = {
    "easy-tiny_sd_small-ddim-same", "easy-tiny_sd-ddim-control_load", "evaluated-mine-faq", "tiny_lm-siqa_gen",
    "synthetic-rubric", "pixel_cosine-digits", "control-constant-digits", "control-shuffled-digits",
}  # fmt: skip


@pytest.fixture(scope="module", params=[ODD, ASCII])
def checkout(request, tmp_path_factory):
    """The tracked files in a folder of a special name."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("needs a git checkout, to know which files belong to it")
    folder = tmp_path_factory.mktemp("checkouts") / request.param
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            _copy(ROOT / name, folder / name)
    _write_task(folder / "tasks [x]")
    evaluations = folder / "evaluations [x]"
    evaluations.mkdir()
    shutil.copy(ROOT / "tests/run/contract/evaluations/mine-faq.json", evaluations)
    (folder / "prompts [x]*.jsonl").write_text(
        "".join(
            json.dumps({"caption": f"a red circle, n° {n}"}, ensure_ascii=False) + "\n" for n in range(8)
        ),
        encoding="utf-8",
    )
    return folder


def _copy(file: Path, copy: Path) -> None:
    """Copy a file, and what Python compiled of it, which is as good for the copy while the time is the same."""
    shutil.copy2(file, copy)
    compiled = Path(cache_from_source(str(file)))
    if file.suffix == ".py" and compiled.is_file():
        compiled_copy = Path(cache_from_source(str(copy)))
        compiled_copy.parent.mkdir(exist_ok=True)
        shutil.copy2(compiled, compiled_copy)


def _write_task(folder: Path) -> None:
    """Write a task whose candidate is its baseline."""
    folder.mkdir()
    for name in ("baseline.py", "candidate.py"):
        (folder / name).write_text(PIPELINE)
    task = {"prompt_id": "same", "difficulty": "easy", "prompt_context": "", "target_file": "baseline.py"}
    (folder / "anno.json").write_text(json.dumps([{**task, "baseline_file": "baseline.py"}]))
    (folder / "gen.json").write_text(json.dumps([{"prompt_id": "same", "candidate_file": "candidate.py"}]))


def run(checkout: Path, *arguments: str, utf8_mode: str | None) -> subprocess.CompletedProcess[str]:
    environment = own_environment({"LC_ALL": "C", "OMP_NUM_THREADS": "1"})
    for name in ("LANG", "LC_CTYPE", "PYTHONPATH", "PYTHONUTF8", "PYTHONIOENCODING"):
        environment.pop(name, None)
    if utf8_mode is not None:
        environment["PYTHONUTF8"] = utf8_mode
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments], cwd=checkout, capture_output=True,
        encoding="utf-8", errors="replace", check=False, timeout=400, env=environment,
    )  # fmt: skip


def test_every_kind_runs_there(checkout):
    workers = () if checkout.name == ASCII else ("-n", "1")  # which is told everything as two would be
    # Python reads names as UTF-8 in the POSIX locale, unless it is told not to; ASCII names must do without that.
    utf8_mode = "0" if checkout.name == ASCII else None
    out = checkout / f"out {len(workers)} [x]"
    finished = run(
        checkout, *EVERY_KIND, *workers, "--work-dir", str(out), "--junitxml", str(out / "report.xml"),
        utf8_mode=utf8_mode,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    results = json.loads((out / "latest/evaluation_results.json").read_text(encoding="utf-8"))
    assert {record["id"]: record["verdict"] for record in results["records"]} == dict.fromkeys(CASES, "pass")
    written = [path for path in out.rglob("*") if path.suffix in (".json", ".md", ".xml", ".txt")]
    leaks = [path.name for path in written if str(checkout) in path.read_text(encoding="utf-8")]
    assert leaks == []


def test_names_that_python_was_told_not_to_read_are_refused_with_one_line(checkout):
    finished = run(checkout, "cases/test_evaluated.py", "-n", "2", utf8_mode="0")
    if checkout.name == ASCII:
        assert finished.returncode != 4, finished.stderr
        return
    assert finished.returncode == 4, finished.stdout + finished.stderr
    lines = [line for line in (finished.stdout + finished.stderr).splitlines() if line.strip()]
    assert len(lines) == 1, lines
    assert (
        "expected names and an encoding of names in UTF-8; unset PYTHONUTF8, or set PYTHONUTF8=1" in lines[0]
    )
