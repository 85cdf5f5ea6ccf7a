"""``wellstreak-trust doctor``: is what runs set up as it must be? The host, and the database below.

Exit status 0 is good, 1 is found bad, 2 is could not look.
"""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from wellstreak_trust.core.errors import ConfigurationError, MissingExtra, TrustError

from .console import say, stop

if TYPE_CHECKING:
    from sqlalchemy import URL

    from wellstreak_trust.tenancy.postgres import Finding

__all__ = ["app"]

app: Final = typer.Typer(help="The host, and the database below.")

_FOUND: Final = 1


class Form(StrEnum):
    """How findings are written."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


class Threshold(StrEnum):
    """What makes the exit status 1."""

    ERROR = "error"
    WARNING = "warning"


@app.callback(invoke_without_command=True)
def host(
    context: typer.Context,
    *,
    target: Annotated[
        str,
        typer.Option("--app", help="module:name of a Trust, a host, an application; or a settings module of Django"),
    ] = "",
    operations: Annotated[str, typer.Option(help="module:name of the governed operations")] = "",
    settings: Annotated[
        bool | None,
        typer.Option(help="read WELLSTREAK_TRUST_*; without it, where one of them is set or no --app is given"),
    ] = None,
    reach: Annotated[bool, typer.Option(help="ask the database and Redis")] = True,
    deploy: Annotated[bool, typer.Option("--deploy", help="judge it as production, whatever its profile says")] = False,
    public: Annotated[list[str] | None, typer.Option(help="a route that is open on purpose; repeat for more")] = None,
    form: Annotated[Form, typer.Option("--format", help="how findings are written")] = Form.TEXT,
    fail_on: Annotated[Threshold, typer.Option(help="the least severity that gives status 1")] = Threshold.ERROR,
    artifact: Annotated[str, typer.Option(help="file that SARIF results are shown at")] = "",
) -> None:
    """Show the effective configuration with where each value came from, and what is wrong with it."""
    if context.invoked_subcommand is not None:
        return
    from .doctor_host import examined

    report, file = examined(target, operations, settings=settings, reach=reach, deploy=deploy, public=public or [])
    if form is Form.TEXT:
        say(report.to_text())
    else:
        typer.echo(report.to_json() if form is Form.JSON else report.to_sarif(artifact=artifact or file))
    raise typer.Exit(_FOUND if report.fails(fail_on.value) else 0)


@app.command("postgres")
def postgres(
    url: Annotated[
        str, typer.Argument(help="of the application's role; better --url-env, for arguments are public")
    ] = "",
    *,
    url_env: Annotated[str, typer.Option(help="environment variable that holds the URL")] = "",
    form: Annotated[Form, typer.Option("--format", help="how findings are written")] = Form.TEXT,
    fail_on: Annotated[Threshold, typer.Option(help="the least severity that gives status 1")] = Threshold.ERROR,
    column: Annotated[list[str] | None, typer.Option(help="tenant column; repeat for more")] = None,
    schema: Annotated[list[str] | None, typer.Option(help="schema to examine; all unless told")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="table shared on purpose; * for anything")] = None,
    sealed: Annotated[bool, typer.Option("--sealed", help="find policies that trust a plain setting")] = False,
    artifact: Annotated[str, typer.Option(help="file that SARIF results are shown at")] = "schema.sql",
) -> None:
    """Examine row level security as the connected role meets it. Without URL: the setting `database_url`."""
    from wellstreak_trust.tenancy.postgres import to_json, to_sarif, to_text

    try:
        found = _examine(_target(url, url_env), column or ["tenant_id"], schema, exclude or [], sealed)
    except TrustError as error:
        stop(error)
    if form is Form.TEXT:
        say(to_text(found) or "nothing found")
    else:
        typer.echo(to_json(found) if form is Form.JSON else to_sarif(found, artifact=artifact))
    bad = [each for each in found if fail_on is Threshold.WARNING or each.severity == "error"]
    raise typer.Exit(_FOUND if bad else 0)


def _target(url: str, variable: str) -> URL:
    """The URL, with psycopg as its driver; no word of it is ever told."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    if url and variable:
        raise ConfigurationError("two URLs", hint="the argument, or --url-env", reason="database_url")
    given = url or (os.environ.get(variable, "") if variable else _setting())
    try:
        found = make_url(given)
    except (ArgumentError, ValueError):
        found = None
    if found is None or found.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigurationError(
            f"{variable or ('the argument' if url else 'database_url')} holds no URL of PostgreSQL",
            hint="postgresql://role:password@host/database",
            reason="database_url",
        )
    return found.set(drivername="postgresql+psycopg")


def _setting() -> str:
    from wellstreak_trust.settings import TrustSettings

    return TrustSettings().database_url.reveal()


def _examine(
    url: URL, columns: list[str], schemas: list[str] | None, exclude: list[str], sealed: bool
) -> list[Finding]:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    from wellstreak_trust.tenancy.postgres import doctor

    try:
        engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    except ImportError:
        raise MissingExtra(
            "psycopg is not installed", hint="pip install 'wellstreak-trust[postgres]'", reason="extra"
        ) from None
    try:
        with engine.connect() as connection:
            return doctor(connection, columns=columns, schemas=schemas, exclude=exclude, sealed=sealed)
    except DBAPIError as error:
        # The driver's text may repeat parts of a URL, so only its kind is told.
        raise ConfigurationError(
            f"cannot look: {type(error.orig).__name__}",
            hint="try the same URL with psql; the role needs no more than CONNECT",
            reason="database_url",
        ) from None
