"""Whether the reader of pipeline files can be made to raise, and what reading costs beside parsing.

    python benchmarks/reading.py [--mutated 5000] [--every 1] [--seed 0]

Read are every Python file of the installed packages and of the interpreter's own library with its tests (of these, each
`--every`-th), and pipeline files that were changed at random: the shipped ones, with expressions and statements of every
kind of Python's grammar in places where nobody expects them, and with letters and lines cut, doubled and swapped. What is
no Python is refused with a message; anything else that the reader raises is a fault of it.

Printed: how many were read and refused, what else was raised, and the milliseconds of processor time for a file beside those
of ``ast.parse`` alone. The exit code is 1 if the reader raised. Asked for: nothing raised, a median of at most 5 ms.
"""

from __future__ import annotations

import argparse
import ast
import random
import statistics
import sys
import sysconfig
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import indent

from suite import PIPELINES

from bench.acceleration.source.reading import read_source
from bench.core.errors import SourceProblem
from bench.core.record import plain_problems

EXPRESSIONS = (
    "0.5", "-7.5", "1e400", "2j", "b'x'", "...", "None", "True", "'text'", "f'{a!r:>{width}}'", "f'{x=}'", "()", "[]", "{}",
    "{1}", "{**a, 'b': 1}", "[*a, 1]", "(yield)", "(yield from a)", "lambda: 0", "lambda *a, b=1.5, **c: (a, b, c)",
    "[a for a in b if a]", "{a: 0.5 for a in b}", "{a for a in b}", "(a async for a in b)", "(a := 0.5)", "a if b else c",
    "a and b or c", "not a", "~a", "a ** b", "a @ b", "a << 2", "a % b", "'x' * 10 ** 9", "a < b < c", "a[1:2, ...]",
    "a[::0.5]", "a[0][1]", "a.b.c", "a().b", "a(*b, **c)", "a(b=0.5)(c)", "(lambda g=7.5: g)()", "__file__", "pipe",
    "pipe.unet", "pipe(prompt)", "pipe('x', num_inference_steps=0.5).images[0]", "globals()['pipe']",
    "getattr(pipe, 'tgate')()",
    "StableDiffusionPipeline.from_pretrained('x')", "Path(__file__).parents[0.5]", "os.path.join(*a)", "int('x')",
    "dict(a, b=1)", "str(1, 2, 3)", "(await a)", "print(*pipe)", "type(pipe)", "super().__init__()",
    "tomesd.apply_patch(pipe, ratio=2j)", "tomesd.apply_patch(pipe, **{2: b'x', 'a': ...})", "pipe.unet.to(0.5)",
    "pipe.enable_vae_tiling(1e999, Path('x'))", "torch.compile(pipe.unet, mode=b'x', options={1: {2.5, ()}})",
)  # fmt: skip
STATEMENTS = (
    "x: float = 0.8", "x: 'float'", "x = y = 0.5", "x, (y, *z) = a", "x[0] = 0.5", "x.y = 0.5", "x += 0.5", "x @= a",
    "del x", "pass", "global pipe", "return 0.5", "return", "raise ValueError(0.5) from None", "assert 0.5, 0.5",
    "import a.b.c", "import a as pipe", "from . import a", "from .a import *", "from ...a import b as c", "pipe()",
    "if 0.5:\n    pass\nelif b'x':\n    pass\nelse:\n    pass", "while ...:\n    break\nelse:\n    pass",
    "for x, y in 0.5:\n    continue\nelse:\n    pass", "with a as (b, c), d:\n    pass", "with 0.5:\n    pass",
    "try:\n    pass\nexcept* a as b:\n    pass", "try:\n    pass\nexcept a:\n    pass\nelse:\n    pass\nfinally:\n    pass",
    "def f(g=7.5, /, *, h: float = 0.5, **k) -> 0.5:\n    return g", "def generate(a, b, c):\n    return pipe(a)",
    "def load_pipe():\n    return load_pipe()", "async def main():\n    async with a as b:\n        await pipe('x')",
    "async def main():\n    async for x in y:\n        return x",
    "class A(B, metaclass=0.5):\n    x = 0.5\n    def f(self):\n        return 0.5",
    "@a(0.5)\ndef f():\n    nonlocal_ = 1", "def f():\n    x = 1\n    def g():\n        nonlocal x\n        x = 0.5",
    "match 0.5:\n    case 0.5 | -1 | 2 + 3j:\n        pass\n    case {'a': x, **y}:\n        pass\n"
    "    case [1, *_]:\n        pass\n"
    "    case A(b=1.5) as c if c:\n        pass\n    case None:\n        pass",
    "pipe = pipe2 = pipe", "pipe = pipe.to('cuda')", "pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)",
    "if __name__ == '__main__':\n    pipe('x')", "if __name__ == 0.5:\n    pass", "exec('pipe = 0.5')", "f = lambda: f()",
)  # fmt: skip


class _Places(ast.NodeTransformer):
    """Puts an expression where another one stood, the `wanted`-th of those that are read."""

    def __init__(self, wanted: int, put: ast.expr) -> None:
        self.wanted, self.put, self.seen = wanted, put, 0

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.expr) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            self.seen += 1
            if self.seen - 1 == self.wanted:
                return self.put
        visited: ast.AST = self.generic_visit(node)
        return visited


def mutated(texts: Sequence[str], count: int, seed: int) -> Iterator[str]:
    """Yield changed pipeline files: each with one to six changes of the kinds in the head of this script."""
    generator = random.Random(seed)
    for _ in range(count):
        text = generator.choice(texts)
        for _ in range(generator.randint(1, 6)):
            (change,) = generator.choices(CHANGES, weights=(6, 6, 1, 1))
            text = change(text, generator)
        yield text


def _other_expression(text: str, generator: random.Random) -> str:
    try:
        tree = ast.parse(text)
        places = sum(isinstance(node, ast.expr) for node in ast.walk(tree))
        put = ast.parse(generator.choice(EXPRESSIONS), mode="eval").body
        return ast.unparse(_Places(generator.randrange(max(1, places)), put).visit(tree))
    except (SyntaxError, ValueError, RecursionError):  # changed too much already
        return text


def _other_statement(text: str, generator: random.Random) -> str:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return text
    blocks = [body for node in ast.walk(tree) if isinstance(body := getattr(node, "body", None), list)]
    block = generator.choice(blocks)
    inside = ast.parse("async def f():\n" + indent(generator.choice(STATEMENTS), " ")).body[0]
    assert isinstance(inside, ast.AsyncFunctionDef)
    block.insert(generator.randint(0, len(block)), inside.body[0])
    try:
        return ast.unparse(tree)
    except (ValueError, RecursionError):
        return text


def _other_letters(text: str, generator: random.Random) -> str:
    start = generator.randrange(len(text) + 1)
    kept = start + generator.choice((0, 0, 1, 3))
    return (
        text[:start]
        + generator.choice(("", " ", "(", "\\", "\x00", "é", "'''", "#", "0.5", "\t"))
        + text[kept:]
    )


def _other_lines(text: str, generator: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    if not lines:
        return text
    first, second = generator.randrange(len(lines)), generator.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    if generator.random() < 0.3:
        lines.insert(first, lines[second])
    return "".join(lines)


CHANGES = (_other_expression, _other_statement, _other_letters, _other_lines)


@dataclass
class Read:
    """What reading many files came to.

    Attributes:
        count, refused: of the files.
        raised: what else than a refusal, and one of the files.
        reader_s, parser_s: processor seconds by file.
    """

    count: int = 0
    refused: int = 0
    raised: Counter[str] = field(default_factory=Counter)
    where: dict[str, str] = field(default_factory=dict)
    reader_s: list[float] = field(default_factory=list)
    parser_s: list[float] = field(default_factory=list)

    def add(self, path: Path, name: str) -> None:
        """Read a file."""
        began = time.process_time()
        try:
            problems = plain_problems(read_source(path).methods)
            if problems:
                raise TypeError(f"a record cannot hold {problems[0]}")
        except SourceProblem:
            self.refused += 1
        except Exception as error:  # a fault
            said = f"{type(error).__name__}: {error}"
            self.raised[said] += 1
            self.where.setdefault(said, name)
        else:
            read = time.process_time()
            ast.parse(path.read_bytes())
            self.parser_s.append(time.process_time() - read)
            self.reader_s.append(read - began)
        self.count += 1

    def text(self, what: str) -> str:
        """Return it as the script prints it."""
        reader_ms, parser_ms = (1000 * statistics.median(s or [0.0]) for s in (self.reader_s, self.parser_s))
        return (
            f"{what:10} {self.count:6} files, {self.refused} refused, {sum(self.raised.values())} raised; median "
            f"{reader_ms:.2f} ms, ast.parse alone {parser_ms:.2f} ms, {reader_ms / max(parser_ms, 1e-9):.2f} times"
        )


def installed() -> Iterator[Path]:
    """Yield the Python files of the packages and of the interpreter, in a fixed order."""
    folders = dict.fromkeys(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib"))
    for folder in folders:
        yield from sorted(folder.rglob("*.py"))


def read_all(files: Iterable[Path]) -> Read:
    """Read files where they are."""
    found = Read()
    for file in files:
        found.add(file, str(file))
    return found


def read_texts(texts: Iterable[str], directory: Path) -> Read:
    """Read texts, each written to a file; one that makes the reader raise is kept."""
    found = Read()
    for number, text in enumerate(texts):
        path = directory / f"mutated-{number}.py"
        path.write_text(text, encoding="utf-8")
        before = sum(found.raised.values())
        found.add(path, text)
        if sum(found.raised.values()) == before:
            path.unlink()
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Read and print; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutated", type=int, default=5000)
    parser.add_argument("--every", type=int, default=1, help="read each so-many-th installed file")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # of texts that Python warns about
    texts = [file.read_text(encoding="utf-8") for file in sorted(PIPELINES.rglob("*.py"))]
    with tempfile.TemporaryDirectory(prefix="reading-") as directory:
        found = {
            "installed": read_all(list(installed())[:: options.every]),
            "mutated": read_texts(mutated(texts, options.mutated, options.seed), Path(directory)),
        }
    for what, read in found.items():
        print(read.text(what))
    for read in found.values():
        for said, times in read.raised.most_common():
            print(f"{times} times {said}; for one\n{read.where[said]}")
    return int(any(read.raised for read in found.values()))


if __name__ == "__main__":
    sys.exit(main())
