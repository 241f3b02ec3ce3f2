"""``demo``: an honest pass and an honest rejection of what ships, offline, on a processor."""

from __future__ import annotations

from pathlib import Path

from bench.cli.card import make_card
from bench.cli.judge import BROKEN, JudgedRun, kept_server, near, run_questions
from bench.cli.limits import JudgeProblem
from bench.cli.question import JudgeTask
from bench.cli.refusing import refuse
from bench.cli.show import console_for, show_card
from bench.shipped import shipped_root

WORK_DIR = Path("outputs/demo")
# Few rounds and samples: both verdicts are far from their limits.
_BOUNDS = ("--num-samples=12", "--time-budget=20", "--max-rounds=12")
_NEXT = """
next:
  modelgate init my-task                       a task list, a baseline and a candidate to begin with
  modelgate judge candidate.py --baseline baseline.py --speedup 2
  modelgate bench -n 4                         judge everything that ships
"""


def questions() -> dict[str, JudgeTask]:
    """Return both questions, by what is said of them."""
    files = shipped_root() / "fixtures" / "pipelines"
    baseline = files / "baselines" / "ddim_30.py"
    return {
        "DeepCache on 30 steps of DDIM, at least 1.2x as fast": JudgeTask(
            files / "targets" / "deepcache_ddim_30.py", baseline, speedup=1.2, max_loss=0.1, name="deepcache"
        ),
        "3 steps for 30, at least 1.2x as fast": JudgeTask(
            files / "targets" / "ddim_3.py", baseline, speedup=1.2, max_loss=0.1, name="too_few_steps"
        ),
    }


def demo(*, work_dir: Path = WORK_DIR) -> int:
    """Judge two candidates and print both cards; return 0 if one passed and one was rejected for its images, else 2."""
    console = console_for()
    console.print(
        "Two candidates are judged against one pipeline of tiny-sd. This takes about a minute on two cores.\n"
    )
    asked = questions()
    try:
        with kept_server() as environment:
            run = run_questions(list(asked.values()), work_dir, _BOUNDS, environment)
    except JudgeProblem as problem:
        return refuse(str(problem))
    records = [record for question in asked.values() if (record := run.record_of(question)) is not None]
    if len(records) < len(asked):
        return refuse(_told(run))
    for (title, question), record in zip(asked.items(), records, strict=True):
        card = make_card(record)
        show_card(console, card, title, [("file", near(question.candidate))])
        console.print("\n" + "-" * 60 + "\n")
    console.print(f"both took {run.seconds:.0f} s; all that was found: {near(run.path)}")
    console.print(_NEXT.rstrip())
    found = [record["reason_code"] for record in records]
    return 0 if found == ["passed", "quality_lost"] else BROKEN


def _told(run: JudgedRun) -> str:
    return "\n".join(run.output.splitlines()[-5:])
