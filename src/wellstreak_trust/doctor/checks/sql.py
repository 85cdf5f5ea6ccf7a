"""The databases below: where they are, who may read them, and whether they are ready.

An engine is known by its URL alone; only where the case says so is it asked, over a connection of our own that changes
nothing. An asynchronous engine is asked by the blocking driver of the same database.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ..case import Case, Check, Hit
from .process import processes

__all__ = ["CHECKS", "engines", "sqlite_files"]

_PORTS: Final = "wellstreak_trust.storage.sql.database"
_LOCAL: Final = (None, "", "localhost", "127.0.0.1", "::1")
_TLS: Final = ("require", "verify-ca", "verify-full")
_SECONDS: Final = 3
_BLOCKING: Final = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}


def engines(case: Case) -> Iterator[tuple[str, Any]]:
    """Each database once, with the first path that leads to it; a single one is called just that."""
    found: dict[str, tuple[str, Any]] = {}
    for place, part in case.parts:
        engine = getattr(part, "engine", None) if type(part).__module__ == _PORTS else None
        if engine is not None:
            found.setdefault(engine.url.render_as_string(hide_password=False), (place, engine))
    return iter(found.values() if len(found) != 1 else [("database", engine) for _, engine in found.values()])


def _sqlite(case: Case) -> Iterator[tuple[str, str]]:
    for place, engine in engines(case):
        if engine.url.get_backend_name() == "sqlite":
            yield place, engine.url.database or ""


def sqlite_files(case: Case) -> Iterator[tuple[str, Path]]:
    """The SQLite files that are there."""
    for place, name in _sqlite(case):
        path = Path(name.removeprefix("file:").partition("?")[0])
        if name and path.is_file():
            yield place, path


def _postgres(case: Case) -> Iterator[tuple[str, Any]]:
    return ((place, engine) for place, engine in engines(case) if engine.url.get_backend_name() == "postgresql")


def _in_memory(case: Case) -> Iterator[Hit]:
    for place, name in _sqlite(case):
        if name in ("", ":memory:") or "mode=memory" in name:
            yield Hit(place, setting="database_url")


def _shared_file(case: Case) -> Iterator[Hit]:
    limits = [getattr(part, "replicas", 1) for place, part in case.parts if place == "limiter"]
    several = max([processes(case.environment)[1], *limits])
    for place, _ in sqlite_files(case):
        if several > 1:
            yield Hit(place, f"{several} processes share one SQLite file", setting="database_url")


def _readable(case: Case) -> Iterator[Hit]:
    for place, path in sqlite_files(case) if os.name == "posix" else ():
        open_way = all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents)
        if open_way and path.stat().st_mode & 0o004:
            what = f"every user of this machine can read {path.name}"
            yield Hit(place, what, f"chmod 600 {path}, in a folder of mode 700", "database_url")


def _plaintext(case: Case) -> Iterator[Hit]:
    for place, engine in _postgres(case):
        url = engine.url
        asked = url.query.get("sslmode") or url.query.get("ssl")
        if not _is_local(url) and asked not in _TLS:
            yield Hit(place, f"{url.host or url.query.get('host')} is asked without TLS", setting="database_url")


def _is_local(url: Any) -> bool:
    host = url.host or url.query.get("host")
    return host in _LOCAL or str(host).startswith("/")


def _asked(case: Case) -> Iterator[tuple[str, Any]]:
    """The engines that may be asked, as blocking ones without a pool."""
    held = [*engines(case)] if case.reach else []
    if not held:
        return  # and perhaps no SQLAlchemy either
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    in_memory = {hit.place for hit in _in_memory(case)}
    for place, engine in held:
        backend = engine.url.get_backend_name()
        if place in in_memory or backend not in _BLOCKING:
            continue
        url = engine.url.set(drivername=_BLOCKING[backend])
        patience: dict[str, Any] = {"connect_timeout": _SECONDS} if backend == "postgresql" else {}
        if backend == "postgresql" and engine.url.get_driver_name() != "psycopg":
            url = url.set(query={})  # another driver's options
        with suppress(ImportError):  # the host's own driver is another one
            yield place, create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=patience)


def _ask(engine: Any, question: Callable[[Any], Any]) -> Any:
    """The answer, or the driver's error."""
    from sqlalchemy.exc import SQLAlchemyError

    if engine.url.get_backend_name() == "sqlite" and not Path(engine.url.database).is_file():
        return FileNotFoundError()  # asking would make it
    try:
        with engine.connect() as connection:
            return question(connection)
    except SQLAlchemyError as error:
        return getattr(error, "orig", None) or error
    finally:
        engine.dispose()


def _statement(text: str) -> Callable[[Any], Any]:
    """A question of one statement with one answer."""
    return lambda connection: connection.exec_driver_sql(text).scalar()


def _unreachable(case: Case) -> Iterator[Hit]:
    for place, engine in _asked(case):
        least = "PRAGMA schema_version" if engine.url.get_backend_name() == "sqlite" else "SELECT 1"
        found = _ask(engine, _statement(least))
        if isinstance(found, BaseException) and not isinstance(found, FileNotFoundError):
            # A driver's text may repeat parts of the URL, so only its kind is told.
            yield Hit(place, f"the database does not answer: {type(found).__name__}", setting="database_url")


def _tables(case: Case) -> Iterator[Hit]:
    schema = sys.modules.get("wellstreak_trust.storage.sql.schema")  # there where a store of SQL is
    for place, engine in _asked(case):
        stands_at = _ask(engine, schema.version) if schema is not None else None
        if isinstance(stands_at, FileNotFoundError):
            stands_at = 0
        if schema is None or isinstance(stands_at, BaseException):
            continue
        if stands_at < schema.MIGRATIONS[-1].version:
            what = f"the tables are of version {stands_at}" if stands_at else "the tables are missing"
            yield Hit(place, what, setting="database_url")


def _superuser(case: Case) -> Iterator[Hit]:
    rights = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
    for place, engine in _asked(case):
        if engine.url.get_backend_name() == "postgresql" and _ask(engine, _statement(rights)) is True:
            yield Hit(place, setting="database_url")


CHECKS: Final = (
    Check("database_in_memory", _in_memory),
    Check("sqlite_replicas", _shared_file),
    Check("database_readable", _readable),
    Check("database_plaintext", _plaintext),
    Check("database_unreachable", _unreachable, everywhere=True),
    Check("tables_missing", _tables, everywhere=True),
    Check("database_superuser", _superuser),
)
