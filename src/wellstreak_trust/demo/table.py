"""The table of what was tried, what happened and which control answered; plain text where there is no terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .browser import Step


def show(steps: Sequence[Step], title: str) -> None:
    """Prints one table; a row that did not hold says what was wanted."""
    console = Console(width=None if Console().is_terminal else 132)
    table = Table(title=title, title_justify="left", expand=False)
    for name in ("", "tried", "happened", "control"):
        table.add_column(name, no_wrap=name in ("", "control"))
    chapter = ""
    for step in steps:
        if step.chapter != chapter:
            chapter = step.chapter
            table.add_section()
            table.add_row("", Text(chapter, style="bold"), "", "")
        mark = Text("ok", style="green") if step.held else Text("DIFFERS", style="bold red")
        happened = step.happened if step.held else f"{step.happened} (wanted: {step.wanted})"
        table.add_row(mark, step.tried, Text(happened, style="" if step.held else "red"), step.control)
    console.print(table)
