"""``wellstreak-trust policy from-casbin``: a model and a policy of Casbin, as a document and a list of who holds what.

Exit status 0 is translated, 1 is cannot be translated, 2 is could not look.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Annotated, Final

import typer

from wellstreak_trust.authz import Policy
from wellstreak_trust.authz.casbin import RoleHeld, from_casbin
from wellstreak_trust.core.errors import PolicyError, UsageError

from .console import ERR, stop, visible

__all__ = ["translate"]

_FOUND: Final = 1


def translate(
    model: Path,
    policy: Path,
    *,
    rename: Annotated[list[str] | None, typer.Option(help="old=new name of an object or action; repeat")] = None,
    out: Annotated[Path | None, typer.Option(help="file for the document; standard output by default")] = None,
    holds: Annotated[Path | None, typer.Option(help="CSV file for who holds which role")] = None,
    name: Annotated[str, typer.Option(help="of the document")] = "from-casbin",
) -> None:
    """Translate Casbin's files; refuse what has no meaning here, and tell what a reviewer has to know."""
    try:
        names = _renamed(rename or [])
        texts = [path.read_text(encoding="utf-8") for path in (model, policy)]
    except UsageError as error:
        stop(error)
    except (OSError, ValueError) as error:
        stop(UsageError(f"a file cannot be read ({type(error).__name__})", hint="model.conf policy.csv"))
    try:
        found = from_casbin(*texts, rename=names, name=name)
        Policy.from_dict(found.document)
    except PolicyError as error:
        stop(error, _FOUND)
    for note in found.notes:
        ERR.print(visible(f"note: {note}"), markup=False, highlight=False, soft_wrap=True)
    document = json.dumps(found.document, indent=2)
    if out is None:
        typer.echo(document)
    else:
        out.write_text(f"{document}\n", encoding="utf-8")
    if holds is not None:
        _write(holds, found.holds)


def _renamed(pairs: list[str]) -> dict[str, str]:
    split = [pair.rpartition("=") for pair in pairs]
    if not all(old and new for old, _, new in split):
        raise UsageError("a renaming is old=new", hint="--rename /bills=bills")
    return {old: new for old, _, new in split}


def _write(path: Path, holds: tuple[RoleHeld, ...]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(RoleHeld._fields)
        rows.writerows(holds)
