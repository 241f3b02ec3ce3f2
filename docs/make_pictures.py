"""Draw the pictures of README: the page of a run in a browser, and the card of a verdict of ``modelgate judge``.

``python docs/make_pictures.py --page outputs/default/latest --judged outputs/judge/latest fast.py plain.py``
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests/helpers")]

from browser import Browser  # noqa: E402  only now can it be found

from bench.cli.card import make_card  # noqa: E402
from bench.cli.show import WIDTH, show_card  # noqa: E402
from bench.core.files import replace_file  # noqa: E402

PICTURES = ROOT / "docs/pictures"
PAGE_SIZE = (1200, 860)  # points


def card_picture(run: Path, candidate: str, baseline: str) -> str:
    """Return the card of the only verdict of a run as SVG, which asks no other host for a font."""
    (record,) = json.loads((run / "evaluation_results.json").read_bytes())["records"]
    console = Console(record=True, width=WIDTH, file=io.StringIO(), highlight=False, force_terminal=True)
    show_card(console, make_card(record), f"{candidate} against {baseline}", [])
    svg = console.export_svg(title=f"modelgate judge {candidate} --baseline {baseline}")
    start, end = svg.index("@font-face"), svg.rindex("@font-face")
    return svg[:start] + svg[svg.index("}", end) + 1 :].lstrip()


def page_picture(run: Path, file: Path) -> None:
    """Save what a browser shows first of the page of a run."""
    width, height = PAGE_SIZE
    with Browser() as browser:
        browser.open(run / "report.html", width=width, height=height)
        browser.screenshot(file)


def main() -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--page", type=Path, required=True, metavar="RUN", help="the run whose page is drawn")
    parser.add_argument(
        "--judged",
        nargs=3,
        required=True,
        metavar=("RUN", "CANDIDATE", "BASELINE"),
        help="run and names of a card",
    )
    asked = parser.parse_args()
    PICTURES.mkdir(exist_ok=True)
    judged, candidate, baseline = asked.judged
    replace_file(PICTURES / "card.svg", card_picture(Path(judged), candidate, baseline))
    page_picture(asked.page, PICTURES / "page.png")
    print(PICTURES)


if __name__ == "__main__":
    main()
