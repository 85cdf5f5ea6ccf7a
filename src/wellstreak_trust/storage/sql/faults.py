"""Driver errors in our words: what waiting may mend is `StoreUnavailable`, what only an operator mends is
`StoreMisconfigured`.

Drivers disagree about classes (asyncpg has one for a deadlock and a missing right), so the SQLSTATE decides where there
is one. Texts are dropped: drivers print statements together with their parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ...core.errors import StoreMisconfigured, StoreUnavailable

__all__ = ["translated"]

# PostgreSQL, appendix A: connection, rollback (deadlock, serialisation), resources, operator intervention, system;
# and the one code of its class that waiting mends, lock_not_available.
_PASSING_STATES: Final = ("08", "40", "53", "57", "58", "55P03")
_PASSING_SQLITE: Final = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_INTERRUPT")


@contextmanager
def translated() -> Iterator[None]:
    """Turns driver errors into ours; `IntegrityError` passes, the stores decide by it."""
    try:
        yield
    except IntegrityError:
        raise
    except (SQLAlchemyError, OSError) as error:
        kind = _kind(error)
        if _passes(error):
            raise StoreUnavailable(f"database: {kind}", hint="check that it runs and is reachable") from None
        raise StoreMisconfigured(
            f"database: {kind}", hint="run Database(engine).create_all() and check the role's rights"
        ) from None


def _passes(error: Exception) -> bool:
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeout | OSError)
    if error.connection_invalidated:
        return True
    state = _state(error)
    if state.startswith("SQLITE_"):
        return state.startswith(_PASSING_SQLITE)
    return state.startswith(_PASSING_STATES) if state else isinstance(error, OperationalError | InterfaceError)


def _state(error: Exception) -> str:
    origin = getattr(error, "orig", None)
    return str(getattr(origin, "sqlstate", None) or getattr(origin, "sqlite_errorname", None) or "")


def _kind(error: Exception) -> str:
    return f"{type(getattr(error, 'orig', None) or error).__name__} {_state(error)}".strip()
