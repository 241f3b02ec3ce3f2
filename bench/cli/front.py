"""The parsers of ``judge``, ``demo``, ``init`` and ``bench``, and what each does with what it was given."""

from __future__ import annotations

import argparse
import math
import os
import subprocess
from pathlib import Path
from typing import Any

from bench.cli.numbers import number, path
from bench.core.interpreter import OWN_MODULE
from bench.shipped import shipped_root

_JUDGE = """
Judge one candidate against its baseline. Both are Python files that define `pipe` (or `load_pipe()`) and call it. The
card says first what was decided, then each gate with its estimate, its 95 % interval and its limit.
What follows -- are further arguments of pytest.
Exit codes: 0 pass, 1 fail, 2 error, 3 inconclusive, 4 what cannot be used.
"""
_JUDGE_EXAMPLES = """
Without --target the candidate has to be the baseline but for its steps, its scheduler and acceleration methods.

examples:
  modelgate judge fast.py --baseline slow.py --speedup 2
  modelgate judge fast.py --baseline slow.py --target wanted.py --max-loss 0.02 --metric 'ssim>=0.9'
  modelgate judge fast.py --baseline slow.py --json | jq .verdict
  modelgate judge fast.py --baseline slow.py -- --num-samples 64 --isolation process
"""


def add_front(commands: Any) -> None:
    """Add the commands to the parser of all commands; each names its function as ``do``."""
    judging = commands.add_parser(
        "judge", help="judge one candidate against its baseline", description=_JUDGE, epilog=_JUDGE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    judging.add_argument(
        "candidate", type=path, metavar="CANDIDATE", help="pipeline file of the faster version"
    )
    judging.add_argument(
        "--baseline", type=path, required=True, metavar="FILE", help="what it is timed and scored against"
    )
    judging.add_argument("--target", type=path, metavar="FILE", help="the configuration that is wanted")
    judging.add_argument("--speedup", type=_positive, metavar="X", help="at least so many times as fast")
    judging.add_argument(
        "--max-loss", type=_share, metavar="F", help="allowed loss of the CLIP score (default 0.05)"
    )
    judging.add_argument(
        "--max-latency", type=_positive, metavar="S", help="allowed seconds per image or video"
    )
    judging.add_argument(
        "--max-memory", type=_positive, metavar="GB", help="allowed peak of memory, in 1e9 bytes"
    )
    judging.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME>=N",
        help="a bound of any metric, <= for an upper one; repeatable",
    )
    judging.add_argument(
        "--methods", nargs="+", default=[], metavar="NAME", help="methods that must be in place"
    )
    judging.add_argument(
        "--free", nargs="+", default=[], metavar="NAME", help="what may differ from the target"
    )
    judging.add_argument(
        "--prompts", metavar="FILE|DIR|NAME", help="dataset of prompts (default: drawn shapes)"
    )
    judging.add_argument(
        "--clip", metavar="MODEL:PRETRAINED|DIR", help="open_clip model (default: tiny-clip)"
    )
    judging.add_argument(
        "--work-dir", type=path, default=Path("outputs/judge"), metavar="DIR", help="where runs are kept"
    )
    judging.add_argument("--json", action="store_true", help="one JSON object in place of the card")
    judging.add_argument(
        "--watch",
        action="store_true",
        help="judge again at each save; frameworks and what is known of the baseline are kept",
    )
    judging.set_defaults(do=_judge)
    showing = commands.add_parser(
        "demo", help="an honest pass and an honest rejection of what ships, in about a minute"
    )
    showing.set_defaults(do=_demo)
    beginning = commands.add_parser("init", help="write a first task list and a candidate into a folder")
    beginning.add_argument("folder", type=path, metavar="DIR")
    beginning.set_defaults(do=_init)
    commands.add_parser(
        "bench", help="judge all that ships; what follows are pytest's arguments", add_help=False
    )


def _demo(given: argparse.Namespace) -> int:
    from bench.cli.demo import demo  # noqa: PLC0415  each command imports what it needs

    return demo()


def _init(given: argparse.Namespace) -> int:
    from bench.cli.init import init  # noqa: PLC0415  as above

    return init(given.folder)


def _judge(given: argparse.Namespace) -> int:
    from bench.cli.judge import judge, watch  # noqa: PLC0415  as above
    from bench.cli.question import JudgeTask  # noqa: PLC0415  as above

    question = JudgeTask(
        candidate=given.candidate,
        baseline=given.baseline,
        target=given.target,
        speedup=given.speedup,
        max_latency_s=given.max_latency,
        max_memory_gb=given.max_memory,
        max_loss=given.max_loss,
        metrics=tuple(given.metric),
        methods=tuple(given.methods),
        free=tuple(given.free),
        prompts=given.prompts,
        clip=given.clip,
    )
    how = watch if given.watch else judge
    return how(question, work_dir=given.work_dir, as_json=given.json, more=given.more)


def run_bench(more: list[str]) -> int:
    """Run what ships. An installed wheel is not for writing: the results go to where the command is given."""
    root = shipped_root()
    command = [
        *OWN_MODULE, "pytest", "-c", str(root / "pytest.ini"), f"--rootdir={root}", "-p", "no:cacheprovider",
        str(root / "cases"), *more,
    ]  # fmt: skip
    return subprocess.run(command, check=False, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}).returncode


def _positive(text: str) -> float:
    return number(text, lambda value: 0 < value < math.inf, "a number above 0")


def _share(text: str) -> float:
    return number(text, lambda value: 0 <= value < 1, "a share from 0 to below 1, where 0.05 is 5 %")
