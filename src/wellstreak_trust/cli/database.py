"""``wellstreak-trust database``: this package's tables made, brought to this release, counted, and moved.

Databases are named by SQLAlchemy URLs with a blocking driver. A URL with a password belongs into a variable
(``--from-env``, ``--to-env``): every process of a machine reads arguments.
"""

from __future__ import annotations

import os
from typing import Annotated, Final

import typer

from wellstreak_trust.core.errors import ConfigurationError
from wellstreak_trust.core.sansio import drive

from .audit_store import bar, database_of, told
from .console import say
from .secret_store import DatabaseOption

__all__ = ["app"]

app: Final = typer.Typer(no_args_is_help=True, help="The tables of this package.")

_BAD: Final = 1
Variable = Annotated[str, typer.Option(help="environment variable that holds the URL")]


@app.command("migrate")
def migrate(database: DatabaseOption = None) -> None:
    """Make the tables, or bring those of an older release to this one. Running it again changes nothing."""
    with told():
        say(f"schema version {database_of(database).create_all()}")


@app.command("status")
def status(database: DatabaseOption = None) -> None:
    """Schema version and rows of every table. Status 1: `migrate` has something to do."""
    from wellstreak_trust.storage.sql.status import tables_of

    with told():
        found = drive(database_of(database).run(tables_of))
    for name, rows in found.rows.items():
        say(f"{rows:>12} {name}")
    say(f"schema version {found.version}, this release writes {found.newest}")
    for name in found.missing:
        say(f"missing: {name}")
    raise typer.Exit(0 if found.current else _BAD)


@app.command("copy")
def copy(
    source: Annotated[str, typer.Option("--from", help="URL of the database to read")] = "",
    target: Annotated[str, typer.Option("--to", help="URL of an empty database")] = "",
    *,
    from_env: Variable = "",
    to_env: Variable = "",
    key: Annotated[list[str] | None, typer.Option(help="verifier key of the audit log; as often as you like")] = None,
) -> None:
    """Copy all tables, compare every row, and verify the audit trail of the copy. Stop all writers first.

    Status 1: the copied trail does not verify. 2: nothing was copied.
    """
    from wellstreak_trust.audit import verify
    from wellstreak_trust.storage.sql import SqlAuditStore
    from wellstreak_trust.storage.sql.copying import copy_all

    with told():
        there = database_of(_named(target, to_env, "--to"))
        report = copy_all(database_of(_named(source, from_env, "--from")), there)
        for table in report.tables:
            say(f"{table.rows:>12} {table.name}")
        say(f"{report.rows} rows, all read back and equal; schema version {report.version}")
        with bar("verifying") as progress:
            verified = verify(SqlAuditStore(there), keys=tuple(key or ()), progress=progress)
    say(str(verified))
    raise typer.Exit(_BAD if verified.failed else 0)


def _named(url: str, variable: str, option: str) -> str:
    found = url or (os.environ.get(variable, "") if variable else "")
    if not found or (url and variable):
        raise ConfigurationError(
            f"{option} names no one database",
            hint=f"{option} URL, or {option}-env VARIABLE where the variable is set",
            reason="database_url",
        )
    return found
