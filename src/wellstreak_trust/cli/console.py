"""What every command prints through."""

from __future__ import annotations

from typing import Final, NoReturn

import typer
from rich.console import Console

from wellstreak_trust.core.errors import TrustError

__all__ = ["ERR", "OUT", "say", "stop"]

OUT: Final = Console()
ERR: Final = Console(stderr=True)


def say(text: str) -> None:
    """Prints text as it is: names out of documents are no markup, and lines are not broken."""
    OUT.print(text, markup=False, highlight=False, soft_wrap=True)


def stop(error: TrustError, status: int = 2) -> NoReturn:
    """Tells what is wrong and how it is fixed, and ends."""
    told = f"{error.code}: {error.detail or error.title}" + (f"\n  fix: {error.hint}" if error.hint else "")
    ERR.print(told, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(status)
