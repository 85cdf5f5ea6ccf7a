"""``webhooks``: why a delivery does not verify, and what the schemes are called."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from wellstreak_trust.webhooks import UnsupportedScheme, schemes
from wellstreak_trust.webhooks import explain as find_cause
from wellstreak_trust.webhooks.schemes import lookup

from .console import ERR, say, visible

__all__ = ["app"]

app: Final = typer.Typer(no_args_is_help=True, help="Webhooks.")

_FIELD: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SECRET_FILES: Final = "file with one secret; again for a ring, newest first. Never on the command line: others see it"


@app.command("schemes")
def list_schemes() -> None:
    """Print the name of every provider that is known."""
    for name in schemes():
        say(name)


@app.command()
def explain(
    provider: Annotated[str, typer.Argument(help="as `schemes` prints it")],
    *,
    headers: Annotated[Path, typer.Option(help="file with the header lines as they came: `Name: value`")],
    body: Annotated[Path, typer.Option(help="file with the raw body, byte for byte")],
    secret_file: Annotated[list[Path] | None, typer.Option(help=_SECRET_FILES)] = None,
    secret: Annotated[str | None, typer.Option(envvar="WELLSTREAK_WEBHOOK_SECRET", hidden=True)] = None,
    url: Annotated[str | None, typer.Option(help="the public URL as entered at the provider")] = None,
    method: Annotated[str, typer.Option(help="as the provider sent it")] = "POST",
    now: Annotated[datetime | None, typer.Option(help="judge the time of delivery by this, in UTC")] = None,
) -> None:
    """Say why a recorded delivery does not verify. Status 1: it does not; 2: could not look."""
    try:
        lookup(provider)
        lines = _lines(headers.read_bytes())
        raw = body.read_bytes()
        secrets = [_without_line_end(path.read_text(encoding="utf-8")) for path in secret_file or ()]
    except UnsupportedScheme as error:
        _stop(f"{error.detail}: {error.hint}")
    except OSError as error:
        _stop(f"{type(error).__name__}: {error.filename}")
    except UnicodeError:
        _stop("a secret file is not UTF-8 text")
    secrets += [secret] if secret else []
    if not secrets:
        _stop("no secret: --secret-file, or the environment variable WELLSTREAK_WEBHOOK_SECRET")
    moment = now.replace(tzinfo=UTC) if now is not None else None
    found = find_cause(provider, lines, raw, secrets, url, method=method, now=moment)
    say(f"{found.cause}\n  {found.hint}")
    raise typer.Exit(0 if found.cause == "ok" else 1)


def _lines(octets: bytes) -> list[tuple[str, str]]:
    """Header lines as recorded; request lines and blank lines are passed over."""
    pairs = (line.partition(":") for line in octets.decode("latin-1").splitlines())
    return [(name, value.strip(" \t")) for name, mark, value in pairs if mark and _FIELD.fullmatch(name)]


def _without_line_end(text: str) -> str:
    """Editors end files with a line feed; other whitespace is a fault that has to be seen."""
    return text.removesuffix("\n").removesuffix("\r")


def _stop(text: str) -> NoReturn:
    ERR.print(visible(text), markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(2)
