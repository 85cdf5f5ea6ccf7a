"""Open sign-ins in this process: for tests, demos and single-process hosts."""

from __future__ import annotations

from datetime import datetime
from threading import Lock
from typing import Final

from .login_store import LoginRow

__all__ = ["MemoryLoginStore"]

_MOST: Final = 100_000


class MemoryLoginStore:
    """`LoginStore` in dictionaries, of at most 100,000 entries each: anybody can begin a sign-in, so the oldest go.

    Args:
        allow_memory: says that losing every open sign-in with the process is acceptable in production.
    """

    suspends: bool = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: Lock = Lock()
        self._rows: dict[bytes, LoginRow] = {}
        self._claims: dict[bytes, datetime] = {}

    async def open(self, row: LoginRow, /) -> None:
        """See `LoginStore`."""
        with self._lock:
            self._rows[row.key] = row
            if len(self._rows) > _MOST:
                del self._rows[next(iter(self._rows))]

    async def read(self, key: bytes, /) -> LoginRow | None:
        """See `LoginStore`."""
        return self._rows.get(key)

    async def consume_if(self, row: LoginRow, /) -> bool:
        """See `LoginStore`."""
        with self._lock:
            if self._rows.get(row.key) != row:
                return False
            del self._rows[row.key]
            return True

    async def claim(self, key: bytes, /, *, now: datetime, until: datetime) -> bool:
        """See `LoginStore`."""
        with self._lock:
            if self._claims.get(key, now) > now:
                return False
            self._claims[key] = until
            if len(self._claims) > _MOST:
                del self._claims[next(iter(self._claims))]
            return True

    async def release(self, key: bytes, /) -> None:
        """See `LoginStore`."""
        with self._lock:
            self._claims.pop(key, None)

    async def sweep(self, now: datetime, /) -> int:
        """See `LoginStore`."""
        with self._lock:
            before = len(self._rows) + len(self._claims)
            self._rows = {key: row for key, row in self._rows.items() if row.expires_at > now}
            self._claims = {key: until for key, until in self._claims.items() if until > now}
            return before - len(self._rows) - len(self._claims)
