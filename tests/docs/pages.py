"""The pages of the documentation as blocks of code: which file a block is written to, which commands it shows."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import arms
import warm
from comparing import finished_in
from suites import ROOT, Finished, own_cores, own_environment

from bench.acceleration.host import kept_server

NAMES = (
    "README.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{file.name}" for file in (ROOT / "docs").glob("*.md")),
)
SHELL, DIFF = "sh", "diff"
# What a reader has: a page says so, and no block makes it.
OF_THE_READER = {
    "captions.jsonl": "prompts of the reader",
    "my_tasks": "made in docs/adding.md",
    "rows/": "rows of the reader",
    "my/model": "a name on the hub",
    "mine.run": "a TREC run of the reader",
    "truth.qrels": "the same",
    "first.run": "the same, of a first stage",
    "evaluations": "written by a Trainer of the reader",
    "penny.txt": "flips of the reader",
    **dict.fromkeys(
        (
            "candidate.py",
            "baseline.py",
            "tasks.json",
            "prompts.jsonl",
            "my-task",
            "my-task/candidate.py",
            "my-task/baseline.py",
        ),
        "files of the reader, which `modelgate init` can begin",
    ),
    **dict.fromkeys(
        ("set/anno.json", "set/gen.json", "set/anno_wrong.json", "set/wrong.json"),
        "written by `python -m bench tasks`",
    ),
    **dict.fromkeys(("before/", "after/", "first/", "second/"), "runs of the reader"),
    **dict.fromkeys(("merged/", "outputs/default/latest"), "written by a run"),
    "report.xml": "written by the run",
    "times.json": "written by the run",
}
_FENCE = re.compile(r"^```(\w*)\s*$")
# The line before a block names its file: it ends in `mine/overlap.py`: with a dot or a slash in the name.
_NAMED = re.compile(r"`([\w./-]*[./][\w./-]*)`:$")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: file of the page.
        line: number of its first fence.
        section: the heading above it.
        language: of the fence; may be empty.
        file: where it is written to, None where the page names no file.
        text: what is between the fences.
    """

    page: str
    line: int
    section: str
    language: str
    file: str | None
    text: str

    @property
    def place(self) -> str:
        """Page and line, for messages."""
        return f"{self.page}:{self.line}"

    def commands(self) -> list[list[str]]:
        """Return the words of each command of a shell block, without comments."""
        if self.language != SHELL:
            return []
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def blocks(page: str, section: str | None = None) -> list[Block]:
    """Return the blocks of a page, or of one of its sections."""
    found, heading, before = [], "", ""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    start = None
    for number, line in enumerate(lines, 1):
        fence = _FENCE.match(line)
        if start is None and fence:
            start, language = number, fence[1]
            named = _NAMED.search(before)
            file = named[1] if named else None
        elif start is not None and line == "```":
            text = "".join(f"{inner}\n" for inner in lines[start : number - 1])
            found.append(Block(page, start, heading, language, file, text))
            start = None
            before = ""
        elif start is None:
            if line.startswith("#"):
                heading = line.lstrip("# ")
            before = line or before
    assert start is None, f"{page}:{start}: the block has no end"
    return [block for block in found if section in (None, block.section)]


def write(directory: Path, *sections: tuple[str, str]) -> list[str]:
    """Write the named blocks of sections, each a page and a heading; return the files.

    The folder also gets a link to `fixtures`, as if it were the repository.
    """
    links = directory / "fixtures"
    if not links.exists():
        links.symlink_to(ROOT / "fixtures")
    files = []
    for page, section in sections:
        for block in blocks(page, section):
            if block.file is not None:
                path = directory / block.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(_text(block, path), encoding="utf-8")
                files.append(block.file)
    return files


def _text(block: Block, path: Path) -> str:
    """Return what a block makes of a file: the block itself, or for a diff the file with its lines added."""
    if block.language != DIFF:
        return block.text
    lines = block.text.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if not line.startswith("+"))
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, (
        f"{block.place}: found its context {text.count(before)} times in {block.file}"
    )
    return text.replace(before, "".join(line[1:] for line in lines))


def command(page: str, section: str, number: int = 0) -> list[str]:
    """Return the words of a command that a section shows."""
    return [words for block in blocks(page, section) for words in block.commands()][number]


def run(directory: Path, words: list[str], *more: str, environment: dict[str, str] | None = None) -> Finished:
    """Run a command of a page in a folder: `python` and `pytest cases/...` as they are written, with `more` options."""
    program, *arguments = words
    server = (
        {kept_server.VARIABLE: arms.kept_server()} if any("acceleration" in word for word in words) else {}
    )
    line = ["taskset", "--cpu-list", own_cores(more), sys.executable]
    if program == "pytest":
        case, *options = arguments
        line += [
            "-m", "pytest", str(ROOT / case), *options, "-p", "no:cacheprovider", "--rootdir", str(ROOT),
            "-c", str(ROOT / "pytest.ini"), "--work-dir", str(directory / "out"), *more,
        ]  # fmt: skip
    else:
        assert program == "python", f"found {program}, expected python or pytest"
        line += [*arguments, *more]
    done = warm.run(line, cwd=directory, timeout=600, env=own_environment({**server, **(environment or {})}))
    return finished_in(directory, done.returncode, done.stdout + done.stderr)
