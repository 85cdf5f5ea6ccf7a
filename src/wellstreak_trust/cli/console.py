"""What every command prints through."""

from __future__ import annotations

from typing import Final, NoReturn

import typer
from rich.console import Console

from wellstreak_trust.core.errors import ConfigurationError, TrustError

__all__ = ["ERR", "OUT", "say", "stop", "visible"]

OUT: Final = Console()
ERR: Final = Console(stderr=True)


def say(text: str) -> None:
    """Prints text as it is: names out of documents are no markup, and lines are not broken."""
    OUT.print(visible(text), markup=False, highlight=False, soft_wrap=True)


def visible(text: str) -> str:
    """`text` without the characters that steer a terminal; whoever writes a document is not who reads it."""
    return "".join(each if each.isprintable() or each == "\n" else "\N{REPLACEMENT CHARACTER}" for each in text)


def stop(error: TrustError, status: int = 2) -> NoReturn:
    """Tells what is wrong and how it is fixed, and ends."""
    code = error.reason if isinstance(error, ConfigurationError) else error.code
    told = f"{code}: {error.detail or error.title}" + (f"\n  fix: {error.hint}" if error.hint else "")
    ERR.print(visible(told), markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(status)
