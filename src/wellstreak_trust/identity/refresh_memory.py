"""Refresh tokens in this process; see `memory`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from .refresh_store import FamilyRow, Rotation, Taken, refused

__all__ = ["MemoryRefreshStore"]


@dataclass(slots=True)
class _Family:
    row: FamilyRow
    ended: bool = False


@dataclass(slots=True)
class _Token:
    family: _Family
    issued_at: datetime
    used_at: datetime | None = None
    sealed: bytes | None = None


class MemoryRefreshStore:
    """Refresh tokens in dictionaries.

    Args:
        allow_memory: says that losing every refresh token with the process is acceptable in production.
    """

    suspends: bool = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: Lock = Lock()
        self._families: dict[str, _Family] = {}
        self._tokens: dict[bytes, _Token] = {}

    async def begin(self, family: FamilyRow, key: bytes, /) -> None:
        """See `RefreshStore`."""
        with self._lock:
            self._families[family.id] = held = _Family(family)
            self._tokens[key] = _Token(held, family.created_at)

    async def take(self, rotation: Rotation, /) -> tuple[Taken, FamilyRow | None, bytes | None]:
        """See `RefreshStore`."""
        with self._lock:
            token = self._tokens.get(rotation.key)
            if token is None:
                return Taken.UNKNOWN, None, None
            family = token.family
            refusal = refused(family.row, family.ended, token.issued_at if token.used_at is None else None, rotation)
            if refusal is not None:
                return refusal, family.row, None
            if token.used_at is None:
                token.used_at, token.sealed = rotation.now, rotation.sealed
                self._tokens[rotation.successor] = _Token(family, rotation.now)
                return Taken.ROTATED, family.row, rotation.sealed
            if rotation.now < token.used_at + rotation.grace:
                return Taken.REPEATED, family.row, token.sealed
            family.ended = True
            return Taken.REUSED, family.row, None

    async def end(self, family_id: str, /, *, user_id: str | None) -> FamilyRow | None:
        """See `RefreshStore`."""
        with self._lock:
            family = self._families.get(family_id)
            if family is None or family.ended or user_id not in (None, family.row.user_id):
                return None
            family.ended = True
            return family.row

    async def end_all(self, user_id: str, /) -> int:
        """See `RefreshStore`."""
        with self._lock:
            living = [each for each in self._families.values() if each.row.user_id == user_id and not each.ended]
            for family in living:
                family.ended = True
            return len(living)

    async def list(self, user_id: str, /) -> tuple[FamilyRow, ...]:
        """See `RefreshStore`."""
        with self._lock:
            rows = [each.row for each in self._families.values() if each.row.user_id == user_id and not each.ended]
        return tuple(sorted(rows, key=lambda row: (row.created_at, row.id)))

    async def sweep(self, now: datetime, /) -> int:
        """See `RefreshStore`."""
        with self._lock:
            gone = {name for name, family in self._families.items() if family.row.expires_at <= now}
            for name in gone:
                del self._families[name]
            self._tokens = {key: token for key, token in self._tokens.items() if token.family.row.id not in gone}
            return len(gone)
