"""Second factors in this process; see `memory`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Lock

from .factor_store import PasskeyRow, TotpRow

__all__ = ["MemoryPasskeyStore", "MemoryRecoveryCodeStore", "MemoryTotpStore"]


class MemoryTotpStore:
    """Authenticator apps in dictionaries.

    Args:
        allow_memory: says that losing every app with the process is acceptable in production.
    """

    suspends: bool = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: Lock = Lock()
        self._rows: dict[tuple[str, bool], TotpRow] = {}  # by user and whether it is pending

    async def enrol(self, row: TotpRow, /) -> str | None:
        """See `TotpStore`."""
        with self._lock:
            before = self._rows.get((row.user_id, True))
            self._rows[row.user_id, True] = row
            return before.seed if before is not None else None

    async def attempt(
        self, user_id: str, /, *, pending: bool, now: datetime, limit: int, window: timedelta
    ) -> TotpRow | None:
        """See `TotpStore`."""
        with self._lock:
            row = self._rows.get((user_id, pending))
            if row is None:
                return None
            if row.tries_since is None or now >= row.tries_since + window:
                row = replace(row, tries=0, tries_since=now)
            if row.tries >= limit:
                return None
            self._rows[user_id, pending] = row = replace(row, tries=row.tries + 1)
            return row

    async def confirm_if(self, seed: str, step: int, /) -> tuple[bool, str | None]:
        """See `TotpStore`."""
        with self._lock:
            row = self._of_seed(seed, pending=True)
            if row is None:
                return False, None
            before = self._rows.get((row.user_id, False))
            del self._rows[row.user_id, True]
            self._rows[row.user_id, False] = replace(row, last_step=step, tries=0, tries_since=None)
            return True, before.seed if before is not None else None

    async def advance_if(self, seed: str, step: int, /) -> bool:
        """See `TotpStore`."""
        with self._lock:
            row = self._of_seed(seed, pending=False)
            if row is None or row.last_step >= step:
                return False
            self._rows[row.user_id, False] = replace(row, last_step=step, tries=0, tries_since=None)
            return True

    async def remove(self, user_id: str, /) -> tuple[str, ...]:
        """See `TotpStore`."""
        with self._lock:
            rows = (self._rows.pop((user_id, pending), None) for pending in (False, True))
            return tuple(sorted(row.seed for row in rows if row is not None))

    async def confirmed(self, user_id: str, /) -> bool:
        """See `TotpStore`."""
        return (user_id, False) in self._rows

    def _of_seed(self, seed: str, *, pending: bool) -> TotpRow | None:
        rows = (row for (_, waits), row in self._rows.items() if waits is pending and row.seed == seed)
        return next(rows, None)


class MemoryRecoveryCodeStore:
    """Recovery codes in dictionaries.

    Args:
        allow_memory: says that losing every code with the process is acceptable in production.
    """

    suspends: bool = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: Lock = Lock()
        self._sets: dict[str, tuple[bytes, set[bytes]]] = {}

    async def replace(self, user_id: str, salt: bytes, digests: Iterable[bytes], /) -> None:
        """See `RecoveryCodeStore`."""
        with self._lock:
            self._sets[user_id] = (salt, set(digests))

    async def salt_of(self, user_id: str, /) -> bytes | None:
        """See `RecoveryCodeStore`."""
        found = self._sets.get(user_id)
        return found[0] if found is not None and found[1] else None

    async def consume_if(self, user_id: str, digest: bytes, /) -> int | None:
        """See `RecoveryCodeStore`."""
        with self._lock:
            codes = self._sets.get(user_id, (b"", set[bytes]()))[1]
            if digest not in codes:
                return None
            codes.discard(digest)
            return len(codes)

    async def count(self, user_id: str, /) -> int:
        """See `RecoveryCodeStore`."""
        with self._lock:
            return len(self._sets.get(user_id, (b"", set[bytes]()))[1])


class MemoryPasskeyStore:
    """Passkeys in a dictionary.

    Args:
        allow_memory: says that losing every passkey with the process is acceptable in production.
    """

    suspends: bool = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: Lock = Lock()
        self._rows: dict[bytes, PasskeyRow] = {}

    async def add(self, row: PasskeyRow, /) -> bool:
        """See `PasskeyStore`."""
        with self._lock:
            return self._rows.setdefault(row.id, row) is row

    async def read(self, id: bytes, /) -> PasskeyRow | None:
        """See `PasskeyStore`."""
        return self._rows.get(id)

    async def advance_if(self, id: bytes, sign_count: int, at: datetime, backed_up: bool, /) -> bool:
        """See `PasskeyStore`."""
        with self._lock:
            row = self._rows.get(id)
            if row is None or not (sign_count > row.sign_count or sign_count == row.sign_count == 0):
                return False
            self._rows[id] = replace(row, sign_count=sign_count, last_used_at=at, backed_up=backed_up)
            return True

    async def list(self, user_id: str, /) -> tuple[PasskeyRow, ...]:
        """See `PasskeyStore`."""
        with self._lock:
            rows = [row for row in self._rows.values() if row.user_id == user_id]
        return tuple(sorted(rows, key=lambda row: (row.created_at, row.id)))

    async def remove(self, id: bytes, /, *, user_id: str) -> bool:
        """See `PasskeyStore`."""
        with self._lock:
            row = self._rows.get(id)
            if row is None or row.user_id != user_id:
                return False
            del self._rows[id]
            return True
