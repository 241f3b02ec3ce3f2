"""Whether broken task files, prompt files and answers of arms end in a clear error, and none in a hang.

    python benchmarks/fuzz.py [--count 10000] [--seed 0]

A third of the inputs are task files, a third prompt files, and a third answers on the channel between an arm and the
evaluator. Each is a good one that was broken at random: bytes changed, cut off or doubled; values in JSON replaced by odd
ones, keys left out or named twice. Each must be taken, or refused with one of the suite's own errors, whose text says what
was found and what was expected without Python's own words, within a second or so.

Printed is how many were taken and refused, and each kind of fault once. The exit code is 1 if there is any.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import suite  # noqa: F401  makes bench importable

from bench.acceleration.host.pipeline_arm import PipelineArm
from bench.acceleration.host.process import ArmLimits, ArmProcess, ArmSpace
from bench.acceleration.prompts import Sample, load_prompts
from bench.acceleration.protocol import wire
from bench.acceleration.tasks.join import load_cases
from bench.core.errors import ModelgateError

SLOW_S = 3.0
_SEND_S = 0.3
_PYTHONS_WORDS = re.compile(
    r"invalid literal|NoneType|object is not|has no attribute|codec can't|unpack|KeyError|IndexError|TypeError|ValueError"
    r"|unhashable|positional argument|Traceback|not supported between|must be str|out of range for"
)
_ODD: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2**70, -(2**70), 1e308, float("nan"), float("inf"), 0.1, "", " ", "nan", "\ud800", "\0",
    "a" * 5000, "../../etc/passwd", "/", "~", "{}", "'", '"', "\N{RIGHT-TO-LEFT OVERRIDE}x", [], [[]], [None], {}, {"": {}},
    ["a"] * 500, {"verdict": "pass"}, "\r\n", "1e5", "٣", [1, "1"],
)  # fmt: skip

Check = Callable[[random.Random, Path], str | None]


# Breaking ---------------------------------------------------------------------------------------------------


def broken_value(number: random.Random, value: Any) -> Any:
    """Return a JSON value with one or a few places broken."""
    value = json.loads(json.dumps(value))
    for _ in range(number.choice((1, 1, 1, 2, 4))):
        places = list(_places(value))
        holder, key = number.choice(places) if places else (None, None)
        if holder is None or number.random() < 0.02:
            return copy.deepcopy(number.choice(_ODD))
        action = number.randrange(4)
        if action == 0:
            holder[key] = copy.deepcopy(number.choice(_ODD))
        elif action == 1:
            del holder[key]
        elif action == 2 and isinstance(holder, dict):
            holder[number.choice((f"{key}s", str(key).upper(), "x", ""))] = holder.pop(key)
        elif isinstance(holder, dict):
            holder[key] = [holder[key]] if number.random() < 0.5 else {"value": holder[key]}
        else:
            holder.insert(0, holder[key])
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


def broken_bytes(number: random.Random, text: bytes) -> bytes:
    """Return bytes, some of them changed, left out, doubled, or in another encoding."""
    made = bytearray(text)
    for _ in range(number.choice((0, 1, 1, 3, 20))):
        place = number.randrange(len(made) + 1)
        action = number.randrange(6)
        if action == 0 and place < len(made):
            made[place] = number.randrange(256)
        elif action == 1:
            del made[place : place + number.choice((1, 2, 50))]
        elif action == 2:
            made[place:place] = number.choice(
                (b"\0", b"\xff", b'"', b"[" * 3, b"{", b"\n", b"\xef\xbb\xbf", b"NaN", b",")
            )
        elif action == 3:
            del made[place:]
        elif action == 4:
            made += made[: number.choice((1, 10, len(made)))]
        else:
            made[place:place] = b"[" * number.choice((1, 100, 100_000))
    if number.random() < 0.03:
        return bytes(made).decode("latin-1").encode(number.choice(("utf-16", "utf-32", "utf-7")))
    return bytes(made)


def unclear(message: str) -> str | None:
    """Return what is unclear about an error's text, None where nothing is."""
    if len(message) < 15:
        return "it says next to nothing"
    if len(message) > 5000:
        return "it is longer than a page"
    found = _PYTHONS_WORDS.search(message)
    if found:
        return f"it has Python's own words ({found.group()})"
    try:
        message.encode()
    except UnicodeEncodeError:
        return "it cannot be written down"
    return None


def _refused(error: Exception) -> str:
    """Return the fault of an error, or that it was refused as it should be."""
    if not isinstance(error, ModelgateError):
        return f"fault: {type(error).__name__}: {str(error)[:200]}"
    problem = unclear(str(error))
    return "refused" if problem is None else f"fault: {problem}: {str(error)[:300]}"


# Task files -------------------------------------------------------------------------------------------------

_ANNOTATIONS = [
    {
        "prompt_id": 1, "difficulty": "hard", "prompt_context": "Make it at least 1.5x faster, under 2 s per image.",
        "target_file": "a.py", "baseline_file": "a.py", "methods": ["deepcache"], "level": "L4", "free": ["scheduler"],
    },
    {
        "prompt_id": "two", "difficulty": "easy", "prompt_context": "", "gt_file": "a.py", "baseline_file": "a.py",
        "required_speedup": 1.2, "max_quality_loss": 0.1, "max_latency_s": 3, "max_memory_gb": 4.5, "expect": "quality_lost",
    },
]  # fmt: skip
_GENERATIONS = [{"prompt_id": 1, "candidate_file": "a.py"}, {"prompt_id": "two", "gen_file": "a.py"}]


def check_tasks(number: random.Random, folder: Path) -> str | None:
    """Read a broken pair of task files."""
    (folder / "a.py").write_text("pipe = 1\n", encoding="utf-8")
    files = []
    for name, entries in (("anno", _ANNOTATIONS), ("gen", _GENERATIONS)):
        value = broken_value(number, entries) if number.random() < 0.7 else entries
        is_lines = number.random() < 0.3 and isinstance(value, list)
        text = "\n".join(map(json.dumps, value)) if is_lines else json.dumps(value)
        raw = broken_bytes(number, text.encode()) if number.random() < 0.4 else text.encode()
        files.append(folder / f"{name}.{'jsonl' if is_lines else 'json'}")
        files[-1].write_bytes(raw)
    cases = load_cases(files[:1], files[1:])
    if not cases:
        return "fault: no case came of it"
    for case in cases:
        # Half a character becomes a sign of its own in the record.
        problem = None if case.problem is None else unclear(case.problem.encode("utf-8", "replace").decode())
        if problem is not None:
            return f"fault: {problem}: {str(case.problem)[:300]}"
    return "refused" if any(case.problem for case in cases) else None


# Prompt files -----------------------------------------------------------------------------------------------

_PROMPTS = [{"prompt": f"a red circle, number {index}", "category": "shape"} for index in range(4)]
_COCO = {
    "images": [{"id": 1, "file_name": "1.jpg"}],
    "annotations": [
        {"image_id": 1, "id": 2, "caption": "a man"},
        {"image_id": 1, "id": 3, "caption": "a dog"},
    ],
}


def check_prompts(number: random.Random, folder: Path) -> str | None:
    """Read a broken file of prompts."""
    kind = number.choice(("jsonl", "json", "coco", "csv", "tsv", "txt", "parquet"))
    if kind in ("jsonl", "json"):
        rows = broken_value(number, _PROMPTS) if number.random() < 0.7 else _PROMPTS
        lines = kind == "jsonl" and isinstance(rows, list)
        raw = ("\n".join(map(json.dumps, rows)) if lines else json.dumps(rows)).encode()
    elif kind == "coco":
        raw = json.dumps(broken_value(number, _COCO)).encode()
    elif kind == "parquet":
        raw = b"PAR1" + number.randbytes(number.randrange(60)) + b"PAR1"
    else:
        mark = {"csv": ",", "tsv": "\t", "txt": " "}[kind]
        raw = "\n".join(
            mark.join(row.values()) for row in [{"a": "prompt", "b": "category"}, *_PROMPTS]
        ).encode()
    suffix = "json" if kind == "coco" else kind
    file = folder / f"prompts.{suffix}"
    file.write_bytes(broken_bytes(number, raw))
    table = load_prompts(str(file))
    if len(table) == 0 or not all(isinstance(prompt, str) and prompt for prompt in table.prompts):
        return "fault: it was taken and holds no prompts"
    return None


# Answers ----------------------------------------------------------------------------------------------------

_SAMPLES = [Sample("a red circle", 1), Sample("a blue ring", 2)]
_ANSWER = {
    "ok": True, "shapes": [[2, 2], [2, 2]], "not_finite": [],
    "observed": {"num_inference_steps": 4, "scheduler_steps": 4, "denoiser_calls": 4, "denoiser_calls_per_image": 8.0,
                 "calls_by_component": {"unet": 8.0}, "arguments": {"height": None}, "step_s": 0.1},
    "configuration": {"pipeline_class": "P", "methods": {"tome": {"ratio": 0.5}}, "dtypes": {"unet": "float32"},
                      "parts": {"unet": {"class_name": "U", "parameters": 3, "weights": {"a": [1.0]}}}},
}  # fmt: skip
_ERROR = {
    "ok": False,
    "error": {
        "type": "Oops",
        "message": "no",
        "traceback": "",
        "is_exit": False,
        "is_usage": True,
        "index": 0,
    },
}


class OddServer:
    """Answers as a fork server does, and for the arms that are asked for.

    Attributes:
        address: of its socket.
        number: what is drawn from.
    """

    def __init__(self, folder: Path) -> None:
        self.address, self.number = str(folder / "fork"), random.Random(0)
        self._sleeper = subprocess.Popen(["sleep", "100000"])
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.address)
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._listener.close()
        self._sleeper.kill()
        self._sleeper.wait()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    self._be_an_arm(connection)

    def _be_an_arm(self, connection: socket.socket) -> None:
        _, descriptors, _, _ = socket.recv_fds(connection, 2**20, 2)
        connection.sendall(json.dumps({"pid": self._sleeper.pid}).encode() + b"\n")
        with socket.socket(fileno=descriptors[0]) as channel, suppress(OSError):
            channel.settimeout(_SEND_S)  # an arm is killed that nobody listens to
            os.close(descriptors[1])
            wire.send(channel, {"hello": True, "jail": {}})
            request, _ = wire.receive(channel)
            channel.sendall(self._answer(request.get("nonce")))
        with suppress(OSError):
            connection.sendall(json.dumps({"status": 9}).encode() + b"\n")
            connection.recv(1)

    def _answer(self, nonce: Any) -> bytes:
        number = self.number
        answer: dict[str, Any] = {**(_ANSWER if number.random() < 0.7 else _ERROR), "nonce": nonce}
        value = broken_value(number, answer) if number.random() < 0.8 else answer
        if isinstance(value, dict) and number.random() < 0.9:
            value["nonce"] = nonce  # otherwise nothing else would be looked at
        text, pixels = json.dumps(value).encode(), bytes(24)
        if number.random() < 0.1:
            pixels = number.randbytes(number.randrange(60))
        raw = len(text).to_bytes(4, "big") + len(pixels).to_bytes(8, "big") + text + pixels
        return broken_bytes(number, raw) if number.random() < 0.2 else raw


@contextmanager
def answers(folder: Path) -> Iterator[Check]:
    """Return the check of answers, with a server that gives them."""
    server = OddServer(folder)
    log, scratch = folder / "arm.log", folder / "scratch"
    scratch.mkdir()

    def check(number: random.Random, _: Path) -> str | None:
        server.number = number
        space = ArmSpace(scratch, log, {}, tuple(sorted(os.sched_getaffinity(0))), 1)
        limits = ArmLimits(load_timeout_s=1.0, round_timeout_s=1.0)
        with ArmProcess(server.address, role="candidate", space=space, limits=limits) as process:
            arm = PipelineArm(process, folder / "a.py", "cpu", 1.0)
            batch = arm._generate(_SAMPLES, observe=True)[0]
            for output in batch.outputs:
                if output.dtype != "uint8" or output.ndim not in (3, 4):
                    return "fault: something other than images was taken"
        return None

    try:
        yield check
    finally:
        server.close()


# All of it --------------------------------------------------------------------------------------------------


def fuzz(count: int, seed: int, folder: Path) -> tuple[Counter[str], dict[str, str]]:
    """Break so many inputs; return how many were taken and refused, and the input of each kind of fault."""
    found: Counter[str] = Counter()
    faults: dict[str, str] = {}
    with answers(folder) as check_answers:
        checks: tuple[tuple[str, Check], ...] = (
            ("tasks", check_tasks), ("prompts", check_prompts), ("answers", check_answers),
        )  # fmt: skip
        for index in range(count):
            name, check = checks[index % len(checks)]
            # An input that takes long does so each time; what is imported at first, and a machine that stalls, do not.
            for _ in range(2):
                began = time.perf_counter()
                try:
                    result = check(random.Random(f"{seed}:{index}"), folder) or "taken"
                except Exception as error:
                    result = _refused(error)
                if (took := time.perf_counter() - began) <= SLOW_S:
                    break
            else:
                result = f"fault: it took {took:.1f} s"
            kind = result if result in ("taken", "refused") else "fault"
            found[f"{name} {kind}"] += 1
            if kind == "fault":
                faults.setdefault(f"{name}: {result[:90]}", f"seed {seed}, input {index}: {result}")
    return found, faults


def main() -> int:
    """Break inputs and print what came of them."""
    parser = argparse.ArgumentParser(
        prog="fuzz.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000, help="inputs (default: 10000)")
    parser.add_argument("--seed", type=int, default=0, help="of what is broken (default: 0)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelgate-") as folder:
        found, faults = fuzz(given.count, given.seed, Path(folder))
    for name, count in sorted(found.items()):
        print(f"{name:20} {count:6}")
    for fault in faults.values():
        print(fault.encode("ascii", "backslashreplace").decode())
    print(
        f"{given.count} inputs, {sum(count for name, count in found.items() if name.endswith('fault'))} faults"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
