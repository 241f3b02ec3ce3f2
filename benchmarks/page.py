"""How large the page of a run is and how long a browser takes to open it, next to a plain table of the same cases.

    python benchmarks/page.py [--cases 24 600] [--repeats 5] [--prompts 32] [--images 12]

Records of acceleration cases are written with pictures that no two cases share, and drawn as any run is. Chromium opens the
page and the table in turn from the disk. A time is from the start of the navigation to the end of the event ``load``, by the
browser's own clock, the median over the repeats; the first opening of each is left out. What is asked for is in
`LIMITS`.
"""

from __future__ import annotations

import argparse
import html
import statistics
import sys
import tempfile
from pathlib import Path

import PIL.Image

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

import page_runs  # noqa: E402
from browser import Browser, find_browser  # noqa: E402

from bench.core.record import Record  # noqa: E402
from bench.kinds import KINDS  # noqa: E402
from bench.report.html.images import small_webp  # noqa: E402
from bench.report.html.page import page  # noqa: E402

LIMITS = {24: (1.0, 5.0), 600: (3.0, 30.0)}
"""Seconds and megabytes that are asked for, by number of cases."""
_LOADED = "performance.timing.loadEventEnd - performance.timing.navigationStart"
_DIFFICULTIES, _VERDICTS = ("easy", "medium", "hard"), ("pass", "pass", "fail", "inconclusive")


def write_records(folder: Path, cases: int, prompts: int, images: int) -> list[Record]:
    """Write the files of so many cases below a folder and return their records."""
    records = []
    for number in range(cases):
        record = page_runs.accelerated(
            number, folder=folder, images=0, prompts=prompts, speedup=1 + number % 7 * 0.3,
            verdict=_VERDICTS[number % len(_VERDICTS)], difficulty=_DIFFICULTIES[number % 3], level=f"L{1 + number % 5}",
        )  # fmt: skip
        pictures = folder / record.files["images"]
        pictures.mkdir(parents=True, exist_ok=True)
        for place in range(images):
            for shift, role in enumerate(("baseline", "candidate")):
                drawn = page_runs.picture(number * images + place, 256, shift)
                (pictures / f"{place}-{role}.webp").write_bytes(small_webp(PIL.Image.fromarray(drawn)))
        records.append(record)
    return records


def write_pages(folder: Path, cases: int, prompts: int, images: int) -> dict[str, Path]:
    """Draw the page of a run of so many cases, and the plain table of them; return both files by name."""
    run = page_runs.load(page_runs.write_run(folder, write_records(folder, cases, prompts, images)))
    files = {"page": folder / "report.html", "table": folder / "table.html"}
    files["page"].write_text(page(run.run, run.ordered, KINDS, folder), encoding="utf-8")
    rows = (
        "".join(f"<td>{html.escape(text)}" for text in (record.id, record.verdict, record.reason))
        for record in run.ordered
    )
    files["table"].write_text(
        f"<!doctype html><table>{''.join(f'<tr>{row}' for row in rows)}", encoding="utf-8"
    )
    return files


def seconds_to_open(browser: Browser, files: dict[str, Path], repeats: int) -> dict[str, list[float]]:
    """Open the files in turn, and return what each opening but the first took."""
    taken: dict[str, list[float]] = {name: [] for name in files}
    for _ in range(repeats + 1):
        for name, file in files.items():
            browser.open(file)
            browser.value("new Promise(done => setTimeout(done, 0))")  # the event is over
            taken[name].append(browser.value(_LOADED) / 1000)
            if browser.errors:
                sys.exit(f"{file.name}: the browser logged {browser.errors[0]}")
    return {name: seconds[1:] for name, seconds in taken.items()}


def main() -> int:
    """Print a line for each number of cases; return 1 where a limit is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cases", type=int, nargs="+", default=list(LIMITS), help="cases of a page (default: 24 600)"
    )
    parser.add_argument("--repeats", type=int, default=5, help="openings that count (default 5)")
    parser.add_argument("--prompts", type=int, default=32, help="prompts of a case (default 32)")
    parser.add_argument("--images", type=int, default=12, help="pairs of images of a case (default 12)")
    options = parser.parse_args()
    if find_browser() is None:
        parser.error("no Chromium was found on PATH; install the Debian package chromium")
    missed = False
    print(
        f"{'cases':>6}{'page MB':>9}{'asked':>7}{'page s':>8}{'asked':>7}{'table s':>9}{'page / table':>14}"
    )
    with Browser() as browser:
        for cases in options.cases:
            with tempfile.TemporaryDirectory(prefix="modelgate-page-") as name:
                files = write_pages(Path(name) / "run", cases, options.prompts, options.images)
                size = files["page"].stat().st_size / 1e6
                taken = {
                    what: statistics.median(seconds)
                    for what, seconds in seconds_to_open(browser, files, options.repeats).items()
                }
            most_s, most_mb = LIMITS.get(cases, (None, None))
            missed |= most_s is not None and (taken["page"] > most_s or size > (most_mb or 0))
            print(
                f"{cases:6d}{size:9.2f}{most_mb or '-':>7}{taken['page']:8.2f}{most_s or '-':>7}"
                f"{taken['table']:9.2f}{taken['page'] / taken['table']:14.1f}",
                flush=True,
            )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
