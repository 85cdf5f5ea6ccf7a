"""How the commands of ``audit`` come to a trail: database and keys from settings or options, one actor for all."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from wellstreak_trust.core.errors import (
    AuditForkDetected,
    ConfigurationError,
    LegalHold,
    StoreUnavailable,
    TrustError,
)
from wellstreak_trust.core.principal import Principal

from .console import ERR, stop

if TYPE_CHECKING:
    from wellstreak_trust.audit import AuditLog
    from wellstreak_trust.storage.sql import Database

__all__ = ["acting", "bar", "database_of", "log_of", "readable", "told"]

_BAD, _CANNOT = 1, 2


def acting() -> Principal:
    """Who runs the command, as it is recorded."""
    return Principal(f"cli:{getpass.getuser()}", kind="system")


def log_of(url: str | None) -> AuditLog:
    """The trail of settings and options."""
    from wellstreak_trust.settings import TrustSettings, audit_log

    found: AuditLog = audit_log(TrustSettings(), database_of(url))
    return found


def database_of(url: str | None) -> Database:
    """A database that can be opened; one that cannot is no trail that was tampered with."""
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    from wellstreak_trust.settings import TrustSettings
    from wellstreak_trust.storage.sql import Database

    found = url or TrustSettings().database_url.reveal()
    try:
        if make_url(found).get_dialect().is_async:
            raise ArgumentError
        port = Database(create_engine(found))
        with port.engine.connect():
            return port
    except (ArgumentError, NoSuchModuleError, ImportError):
        raise ConfigurationError(
            "the database's URL names no blocking driver that is installed", hint="sqlite:///app.db"
        ) from None
    except SQLAlchemyError as error:
        raise StoreUnavailable(f"the database cannot be opened ({type(error).__name__})") from None


@contextmanager
def told() -> Iterator[None]:
    """An error of ours ends the command: status 1 for what was found, 2 for what could not be looked at."""
    try:
        with readable():
            yield
    except TrustError as error:
        stop(error, _BAD if isinstance(error, AuditForkDetected | LegalHold) else _CANNOT)


@contextmanager
def readable() -> Iterator[None]:
    """A file that cannot be read or written ends the command."""
    try:
        yield
    except OSError as error:
        ERR.print(f"{type(error).__name__}: {error.filename}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(_CANNOT) from None


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, and nothing anywhere else; it goes to the error stream, so that output can be piped."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
