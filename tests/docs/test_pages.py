"""The pages say what the code says: options, files, links, commands, keys."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import importlib.util
import json
import re
import tomllib
from pathlib import Path

import msgspec
import pages
import pytest
from suites import ROOT

from bench.acceleration.kind import metric_names as acceleration_metrics
from bench.acceleration.tasks.entry import ANNOTATION, EXPECTABLE_CODES, GENERATION
from bench.cli.main import make_parser
from bench.core.estimate import Estimate
from bench.core.record import Record
from bench.kinds import KINDS
from bench.language.spec import Dataset
from bench.regression.measures import METRICS as REGRESSION
from bench.reranking.measures import metric_names as ranking_metrics
from bench.run.options import RunOptions, flags_of
from bench.statistics import bootstrap, launches, paired_times, sequential

PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in pages.NAMES}
BLOCKS = [block for name in pages.NAMES for block in pages.blocks(name)]
COMMANDS = [(block, words) for block in BLOCKS for words in block.commands()]
OF_PYTEST = {"-k", "-n", "-v", "--junitxml", "--benchmark-json", "--help", "--modelgate"}
BANNED = (
    "mend", "anew", "beside", "shall", "by a hair", "stranger", "whoever", "foretell", "in turns", "at once",
    "herein", "thereby", "whilst",
)  # fmt: skip


def test_the_page_of_options_is_what_the_code_says():
    spec = importlib.util.spec_from_file_location("make_options", ROOT / "docs/make_options.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert maker.PAGE.read_text(encoding="utf-8") == maker.page(), "run `python docs/make_options.py`"


def test_the_page_of_options_has_what_can_be_required():
    page = PAGES["docs/options.md"].split("## Every kind")[0]
    rows = {row[0]: row for row in (line[2:].split(" | ") for line in page.splitlines()) if row[0] in KINDS}
    assert set(rows) == set(KINDS)
    of_acceleration = re.findall(r"`(\w+)`", rows["acceleration"][1])
    assert set(of_acceleration) == set(acceleration_metrics())
    assert set(re.findall(r"`(\w+)`", rows["regression"][1])) == set(REGRESSION)
    stems = re.findall(r"`(\w+)(?:@k)?`", rows["reranking"][1])
    cutoffs = [int(k) for k in re.findall(r"\d+", rows["reranking"][1])]
    assert {f"{stem}@{k}" for stem in stems if stem != "map" for k in cutoffs} | {"map"} == set(
        ranking_metrics()
    )


@pytest.mark.parametrize("name", pages.NAMES)
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[name]):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.is_file(), f"{name}: {target}"
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{name}: {target}"


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def options_of(words: list[str]) -> list[str]:
    """Return the options of a command."""
    return [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]


@pytest.mark.parametrize(("block", "words"), COMMANDS, ids=[f"{b.place}-{w[0]}" for b, w in COMMANDS])
def test_a_command_has_options_and_paths_that_exist(block, words):
    program, *arguments = words
    if program == "make":
        assert arguments[0] in re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return
    if program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert arguments[0] == "install", block.place
        assert set(re.findall(r"\[([\w,-]+)\]", arguments[-1])) <= set(extras), block.place
        return
    if program == "modelgate":
        command, *rest = arguments
        parser = commands_of(make_parser())[command]
        known = {name for action in parser._actions for name in action.option_strings}
        own = rest[: rest.index("--")] if "--" in rest else [] if command == "bench" else rest
        assert set(options_of(own)) <= known, block.place
    elif program == "pytest":
        known = OF_PYTEST | flags_of_kinds() | declared_options(block.page)
        assert set(options_of(arguments)) <= known, block.place
    else:
        assert program == "python", f"{block.place}: {program}"
    made = {other.file for other in pages.blocks(block.page)}
    for path in paths_of(arguments):
        here = ROOT / path
        is_made = any(file and (file == path or file.startswith(f"{path}/")) for file in made)
        assert here.exists() or is_made or path in pages.OF_THE_READER, f"{block.place}: {path}"


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command."""
    (chosen,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return chosen.choices


def flags_of_kinds() -> set[str]:
    """Return every option of the run and its kinds."""
    classes = [RunOptions, *(kind.options for kind in KINDS.values())]
    return {flag for options in classes for field in dataclasses.fields(options) for flag in flags_of(field)}


def declared_options(page: str) -> set[str]:
    """Return the options that the blocks of a page declare, for a kind of its own."""
    names = re.findall(
        r"^    (\w+): .* = option\(", "".join(b.text for b in pages.blocks(page)), re.MULTILINE
    )
    return {f"--{name.replace('_', '-')}" for name in names}


def paths_of(words: list[str]) -> list[str]:
    """Return the words that are paths: what has a slash or a suffix and no sign of another thing."""
    values = [word.partition("=")[2] if word.startswith("--") else word for word in words]
    looks = re.compile(
        r"[\w./-]+/[\w./-]*|[\w-]+\.(?:py|json|jsonl|txt|run|qrels|xml)|my_tasks|mine|evaluations|rows"
    )
    return [word for word in values if looks.fullmatch(word) and not word.startswith("http")]


def test_every_example_in_python_has_a_file_and_is_python():
    examples = [block for block in BLOCKS if block.language == "python"]
    assert len(examples) > 15
    for block in examples:
        assert block.file is not None, f"{block.place}: name the file in the line before"
        ast.parse(block.text)


def test_every_example_in_json_is_json():
    for block in BLOCKS:
        if block.language == "json" and block.file is not None and block.file.endswith(".json"):
            json.loads(block.text)
        elif block.language == "json":
            assert [json.loads(line) for line in block.text.splitlines()]


def test_no_example_writes_over_a_file_of_ours():
    """What a reader adds is a file of the reader's; the kind of CONTRIBUTING is new files, and one line."""
    for block in BLOCKS:
        if block.language == pages.DIFF:
            changed = [line for line in block.text.splitlines() if not line.startswith(" ")]
            assert (block.file, len(changed)) == ("bench/kinds.py", 1), block.place
        else:
            assert block.file is None or not (ROOT / block.file).exists(), block.place


ADDED = {
    "A task": "mine/tasks.json",
    "A control": "mine/controls.json",
    "An acceleration method": "mine/free_u.py",
    "An image metric": "mine/pixels.py",
    "A text metric": "mine/lengths.py",
    "A ranking metric": "mine/complete.py",
    "A dataset": "mine/weather_ll.py",
    "A language model": "mine/models.py",
}
"""Eight things that docs/adding.md adds, and the one file of the reader's that adds each; test_examples.py runs them."""


@pytest.mark.parametrize("section", ADDED)
def test_one_file_adds_a_thing(section):
    """It is the only file that registers something or lists a task; others of the section are judged or use it."""
    adding = [
        block.file
        for block in pages.blocks("docs/adding.md", section)
        if block.file is not None
        and block.file.startswith("mine/")
        and not block.file.startswith("mine/pipelines/")
        and block.file
        not in ("mine/free_u.json", "mine/weather_gen.py")  # they use the method and the metric
    ]
    assert adding == [ADDED[section]]
    assert not (ROOT / ADDED[section]).exists()


@pytest.mark.parametrize("name", [name for name in pages.NAMES if name != "CHANGELOG.md"])
def test_files_of_ours_that_prose_names_exist(name):
    prose = re.sub(r"```.*?```", "", PAGES[name], flags=re.DOTALL)
    rooms = "bench|fixtures|tests|benchmarks|configs|cases|docs"
    named = set(re.findall(rf"`(?:python )?((?:{rooms})/[\w./-]*)", prose))
    of_blocks, of_a_run = (
        {block.file for block in pages.blocks(name)},
        {"configs/options.json", "configs/language.json"},
    )
    paths = named - of_blocks - of_a_run - {"fixtures/coin.py"}
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("name", pages.NAMES)
def test_prose_is_plain(name):
    text = re.sub(r"```.*?```", "", PAGES[name], flags=re.DOTALL).lower()
    assert [word for word in BANNED if re.search(rf"\b{word}\b", text)] == []
    assert not re.search(r"(?<![\w.])/(?:work|home|tmp)/\w", text), "a path of one machine"


def sections_of(name: str) -> dict[str, list[str]]:
    """Return the lines of each section of a page by its heading."""
    parts = re.split(r"^## (.+)$", PAGES[name], flags=re.MULTILINE)
    return {parts[i]: parts[i + 1].strip("\n").splitlines() for i in range(1, len(parts), 2)}


def test_readme_begins_with_three_sentences_and_two_commands():
    first = PAGES["README.md"].split("\n\n")[1]
    assert len(re.findall(r"\.(?:\s|$)", first)) == 3
    assert [words[:2] for words in pages.blocks("README.md")[0].commands()] == [
        ["make", "bench"],
        ["make", "test"],
    ]


def test_readme_has_a_short_section_for_each_kind():
    sections = sections_of("README.md")
    for kind in KINDS:
        lines = next(lines for heading, lines in sections.items() if heading.lower().startswith(f"{kind}:"))
        assert len(lines) <= 25, (kind, len(lines))


def test_readme_lists_the_top_level():
    tree = next(block.text for block in pages.blocks("README.md") if "CONTRIBUTING.md  " in block.text)
    folders = {f"{path.name}/" for path in ROOT.iterdir() if path.is_dir() and (path / "../.git").exists()}
    ignored = {"outputs/", "site/"}
    shown = {line.split()[0] for line in tree.splitlines()}
    assert {name for name in folders - ignored if not name.startswith((".", "__"))} <= shown
    for name in shown:
        assert (ROOT / name).exists(), name


def test_readme_counts_the_controls_that_ship():
    entries = json.loads((ROOT / "fixtures/tasks/anno_tiny.json").read_text())
    of_acceleration = sum("expect" in entry for entry in entries)
    shipped = Path(ROOT / "fixtures/shipped")
    of_others = {
        name: len(re.findall(r"\bexpect=\"", (shipped / f"{name}.py").read_text()))
        for name in ("regression", "reranking")
    }
    counts = {"acceleration": of_acceleration, **of_others}
    assert counts == {"acceleration": 14, "regression": 1, "reranking": 2}
    assert (
        "Seventeen controls ship: 14 of acceleration, one of regression, two of reranking."
        in PAGES["README.md"]
    )
    assert f"{len(entries) - of_acceleration} tasks of the levels L1 to L5 ship" in " ".join(
        PAGES["README.md"].split()
    )


def test_files_page_has_every_field_of_a_task():
    page = PAGES["docs/files.md"]
    for name in {*ANNOTATION.known_keys, *GENERATION.known_keys, *EXPECTABLE_CODES}:
        assert f"`{name}`" in page, name
    for field in dataclasses.fields(Dataset):
        assert f"`{field.name}`" in page, field.name


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_files_page_has_every_key_of_a_record(kind):
    page = PAGES["docs/files.md"]
    for name in (*Record.__struct_fields__, *Estimate.__struct_fields__):
        assert f"`{name}`" in page or name == "body", name
    section = page.split(f"### Keys of {kind.name} records")[1].split("\n### ")[0]
    for field in msgspec.structs.fields(kind.body):
        assert f"`{field.name}`" in section, (kind.name, field.name)


def test_statistics_page_has_the_constants():
    page = " ".join(PAGES["docs/statistics.md"].split())
    *first, last = map(str, sequential.LOOKS)
    assert f"after {', '.join(first)} and {last} rounds" in page
    assert f"error of {sequential.LOOK_ALPHA}" in page
    assert f"cut-off {paired_times.BIWEIGHT_CUTOFF}" in page
    assert pytest.approx((1.3 / 0.7) ** 0.5) == sequential.CORRELATION_ALLOWANCE
    assert "`sqrt(1.3 / 0.7)`" in page
    *first, last = map(str, launches.LAUNCH_LOOKS)
    assert f"after {', '.join(first)} and {last} launches" in page
    assert f"scatter of {100 * launches.ASSUMED_LAUNCH_SD:g} %" in page
    assert f"which counts as {launches.ASSUMED_LAUNCHES:g} launches" in page
    assert f"{bootstrap.PAIRED_RESAMPLES:,} times" in page
    assert f"{bootstrap.RESAMPLES:,} times" in page


def test_layout_page_has_every_room_and_contract():
    page = PAGES["docs/layout.md"]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    for contract in contracts:
        assert f"| {contract['name']} |" in page, contract["name"]
    for folder in (ROOT / "bench").iterdir():
        if folder.is_dir() and any(folder.glob("*.py")):
            assert f"`{folder.name}/`" in page, folder.name
