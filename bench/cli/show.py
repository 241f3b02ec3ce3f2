"""Draws a card in the terminal: colours where it is one, plain lines where it is not."""

from __future__ import annotations

from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.cli.card import VerdictCard
from bench.report.layout import WIDTH, line_width

_STYLES = {"pass": "bold green", "fail": "bold red", "error": "bold magenta", "inconclusive": "bold yellow"}
_STATES = {"holds": "green", "missed": "red", "undecided": "yellow", "not measured": "magenta"}


def console_for(file: IO[str] | None = None) -> Console:
    """Return a console of at most 100 columns, for standard output unless a file is given; COLUMNS may say fewer."""
    console = Console(file=file, highlight=False)
    if not console.is_terminal or console.width > WIDTH:
        console = Console(file=file, highlight=False, width=line_width())
    return console


def show_card(console: Console, card: VerdictCard, title: str, notes: list[tuple[str, str]]) -> None:
    """Draw a card: the verdict first, then why, the gates, the facts, and what is missing.

    Args:
        console: to draw on.
        card: to draw.
        title: what was judged.
        notes: more lines of facts, such as where the results are.
    """
    head = Text(f" {card.verdict.upper()} ", style=f"{_STYLES.get(card.verdict, 'bold')} reverse")
    console.print(head.append(f"  {title}", style="bold not reverse"))
    console.print(Text(card.reason), style="dim" if card.verdict == "pass" else "")
    console.print()
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for column in ("gate", "measured", "limit", ""):
        table.add_column(column, overflow="fold")
    for row in card.gates:
        state = Text(row.state, style=_STATES.get(row.state, "dim"))
        table.add_row(row.name, row.measured, row.asked, state)
    console.print(table)
    console.print()
    facts = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), show_header=False)
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for word, text in card.facts:
        facts.add_row(word, Text(text))
    for arm, parts in card.times.items():
        total = sum(parts.values()) or 1.0
        shares = ", ".join(f"{name} {100 * seconds / total:.0f} %" for name, seconds in parts.items())
        facts.add_row(f"time, {arm}", Text(shares))
    for entry in card.differences:
        what = "differs" if entry["allowed"] else "must not differ"
        facts.add_row(
            what, Text(f"{entry['field']}: {entry['target']!r} in the target, {entry['candidate']!r} here")
        )
    for word, text in notes:
        facts.add_row(word, Text(text))
    console.print(facts)
    if card.missing:
        console.print()
        console.print("between it and a pass:", style="bold")
        for line in card.missing:
            console.print(Text(f"- {line}"))
    for warning in card.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))
