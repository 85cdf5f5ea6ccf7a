"""Stores in this process: for tests, demos and single-process hosts that accept to lose sessions with the process.

Reads take no lock: a row is immutable and one dictionary lookup is atomic. Writes take one.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from threading import Lock
from typing import TypeVar

from .apikey_store import ApiKeyInfo, ApiKeyRow
from .session_store import SessionRow
from .token_store import OneTimeTokenRow

__all__ = ["MemoryApiKeyStore", "MemoryOneTimeTokenStore", "MemorySessionStore"]

K = TypeVar("K")


class MemorySessionStore:
    """Sessions in dictionaries.

    Args:
        allow_memory: says that losing every session with the process is acceptable in production.
    """

    suspends: bool = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: Lock = Lock()
        self._rows: dict[bytes, SessionRow] = {}
        self._keys: dict[str, bytes] = {}
        self._of_user: dict[str, dict[str, None]] = {}
        self._by_actor: dict[str, dict[str, None]] = {}
        self._children: dict[str, dict[str, None]] = {}
        self._federated: dict[tuple[str, str, str], dict[str, None]] = {}

    async def read(self, key: bytes, /) -> SessionRow | None:
        """See `SessionStore`."""
        return self._rows.get(key)

    async def admit(self, row: SessionRow, /, *, limit: int, replaces: bytes | None) -> tuple[SessionRow, ...]:
        """See `SessionStore`."""
        with self._lock:
            old = self._rows.get(replaces) if replaces is not None else None
            ended = self._drop(old.id) if old is not None else ()
            rows = [other for other in self._user_rows(row.user_id) if other.actor_id is None]
            for other in rows:
                if other.ended_by(row.created_at):
                    self._forget(other.id)
            living = [other for other in rows if other.id in self._keys]
            for other in living[: max(0, len(living) + 1 - limit)]:
                ended += self._drop(other.id)
            self._put(row)
            return tuple(other for other in ended if other.ended_by(row.created_at) is None)

    async def spawn(self, row: SessionRow, parent_key: bytes, /) -> bool:
        """See `SessionStore`."""
        with self._lock:
            parent = self._rows.get(parent_key)
            if parent is None:
                return False
            self._put(row)
            self._children.setdefault(parent.id, {})[row.id] = None
            return True

    async def swap(self, key: bytes, row: SessionRow, /) -> bool:
        """See `SessionStore`."""
        with self._lock:
            if key not in self._rows:
                return False
            self._rows[row.key] = row  # before the old one goes: readers take no lock
            self._keys[row.id] = row.key
            if row.key != key:
                del self._rows[key]
            return True

    async def end(self, session_id: str, /, *, user_id: str | None) -> SessionRow | None:
        """See `SessionStore`."""
        with self._lock:
            row = self._rows.get(self._keys.get(session_id, b""))
            if row is None or user_id not in (None, row.user_id):
                return None
            self._drop(session_id)
            return row

    async def end_all(self, user_id: str, /, *, except_id: str | None) -> None:
        """See `SessionStore`. At most `max_per_user` rows and their impersonations."""
        with self._lock:
            # By the actor and not by the actor's sessions: one that ran out is forgotten before what came out of it.
            for found in (*self._of_user.get(user_id, ()), *self._by_actor.get(user_id, ())):
                if found != except_id:
                    self._drop(found)

    async def end_federated(self, issuer: str, /, *, subject: str | None, sid: str | None) -> tuple[SessionRow, ...]:
        """See `SessionStore`."""
        mark = (issuer, "sub", subject or "") if sid is None else (issuer, "sid", sid)
        with self._lock:
            rows = [self._rows[self._keys[found]] for found in self._federated.get(mark, ())]
            rows = [row for row in rows if subject in (None, row.principal.subject)]
            for row in rows:
                self._drop(row.id)
            return tuple(rows)

    async def end_everything(self) -> None:
        """See `SessionStore`."""
        with self._lock:
            for held in (self._rows, self._keys, self._of_user, self._by_actor, self._children, self._federated):
                held.clear()

    async def live(self, user_id: str, /) -> tuple[SessionRow, ...]:
        """See `SessionStore`."""
        with self._lock:
            return tuple(self._user_rows(user_id))

    async def sweep(self, now: datetime, /) -> int:
        """See `SessionStore`."""
        with self._lock:
            before = len(self._rows)
            for row in list(self._rows.values()):
                if row.ended_by(now):
                    self._forget(row.id)
            return before - len(self._rows)

    def _user_rows(self, user_id: str) -> list[SessionRow]:
        return [self._rows[self._keys[found]] for found in self._of_user.get(user_id, ())]

    def _put(self, row: SessionRow) -> None:
        self._rows[row.key] = row
        self._keys[row.id] = row.key
        self._of_user.setdefault(row.user_id, {})[row.id] = None
        if row.actor_id is not None:
            self._by_actor.setdefault(row.actor_id, {})[row.id] = None
        for mark in _marks(row):
            self._federated.setdefault(mark, {})[row.id] = None

    def _drop(self, session_id: str) -> tuple[SessionRow, ...]:
        """Ends a session and the impersonations out of it."""
        return (*self._forget(session_id), *self._drop_children(session_id))

    def _forget(self, session_id: str) -> tuple[SessionRow, ...]:
        """Takes one session out of every table."""
        key = self._keys.pop(session_id, None)
        if key is None:
            return ()
        row = self._rows.pop(key)
        _discard(self._of_user, row.user_id, session_id)
        if row.actor_id is not None:
            _discard(self._by_actor, row.actor_id, session_id)
        for mark in _marks(row):
            _discard(self._federated, mark, session_id)
        if row.parent_id is not None:
            _discard(self._children, row.parent_id, session_id)
        return (row,)

    def _drop_children(self, session_id: str) -> tuple[SessionRow, ...]:
        return tuple(row for child in self._children.pop(session_id, ()) for row in self._drop(child))


def _marks(row: SessionRow) -> list[tuple[str, str, str]]:
    """By what a provider's log-out finds a session."""
    issuer, subject = row.principal.issuer, row.principal.subject
    if issuer is None or subject is None:
        return []
    return [(issuer, "sub", subject), *([(issuer, "sid", row.sid)] if row.sid is not None else [])]


def _discard(index: dict[K, dict[str, None]], key: K, session_id: str) -> None:
    held = index.get(key, {})
    held.pop(session_id, None)
    if not held:
        index.pop(key, None)


class MemoryOneTimeTokenStore:
    """One-time tokens in dictionaries.

    Args:
        allow_memory: says that losing every open link with the process is acceptable in production.
    """

    suspends: bool = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: Lock = Lock()
        self._rows: dict[bytes, OneTimeTokenRow] = {}
        self._open: dict[tuple[str, str], bytes] = {}

    async def issue(self, row: OneTimeTokenRow, /) -> None:
        """See `OneTimeTokenStore`."""
        with self._lock:
            self._drop(self._open.get((row.purpose, row.subject)))
            self._rows[row.key] = row
            self._open[row.purpose, row.subject] = row.key

    async def read(self, key: bytes, /) -> OneTimeTokenRow | None:
        """See `OneTimeTokenStore`."""
        return self._rows.get(key)

    async def consume_if(self, row: OneTimeTokenRow, /) -> bool:
        """See `OneTimeTokenStore`."""
        with self._lock:
            return self._drop(row.key)

    async def attempt(self, key: bytes, limit: int, /) -> OneTimeTokenRow | None:
        """See `OneTimeTokenStore`."""
        with self._lock:
            row = self._rows.get(key)
            if row is None or row.tries >= limit:
                return None
            self._rows[key] = replace(row, tries=row.tries + 1)
            return self._rows[key]

    async def revoke(self, purpose: str, subject: str, /) -> None:
        """See `OneTimeTokenStore`."""
        with self._lock:
            self._drop(self._open.get((purpose, subject)))

    async def sweep(self, now: datetime, /) -> int:
        """See `OneTimeTokenStore`."""
        with self._lock:
            return sum(self._drop(key) for key, row in list(self._rows.items()) if row.expires_at <= now)

    def _drop(self, key: bytes | None) -> bool:
        row = self._rows.pop(key, None) if key is not None else None
        if row is None:
            return False
        del self._open[row.purpose, row.subject]
        return True


class MemoryApiKeyStore:
    """API keys in a dictionary.

    Args:
        allow_memory: says that losing every key with the process is acceptable in production.
    """

    suspends: bool = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: Lock = Lock()
        self._rows: dict[str, ApiKeyRow] = {}

    async def add(self, row: ApiKeyRow, /) -> None:
        """See `ApiKeyStore`."""
        with self._lock:
            self._rows[row.info.id] = row

    async def read(self, key_id: str, /) -> ApiKeyRow | None:
        """See `ApiKeyStore`."""
        return self._rows.get(key_id)

    async def touch(self, key_id: str, at: datetime, /) -> None:
        """See `ApiKeyStore`."""
        with self._lock:
            row = self._rows.get(key_id)
            if row is not None and (row.info.last_used_at is None or row.info.last_used_at < at):
                self._rows[key_id] = replace(row, info=replace(row.info, last_used_at=at))

    async def succeed(self, row: ApiKeyRow, key_id: str, ends_at: datetime, /) -> bool:
        """See `ApiKeyStore`."""
        with self._lock:
            old = self._rows.get(key_id)
            if old is None:
                return False
            ends_at = min(old.info.expires_at, ends_at)
            self._rows[key_id] = replace(old, info=replace(old.info, expires_at=ends_at))
            self._rows[row.info.id] = row
            return True

    async def revoke(self, key_id: str, /, *, tenant_id: str | None) -> ApiKeyInfo | None:
        """See `ApiKeyStore`."""
        with self._lock:
            row = self._rows.get(key_id)
            if row is None or tenant_id not in (None, row.info.tenant_id):
                return None
            return self._rows.pop(key_id).info

    async def revoke_owned(self, owner_id: str, /, *, tenant_id: str | None) -> tuple[ApiKeyInfo, ...]:
        """See `ApiKeyStore`."""
        with self._lock:
            infos = [row.info for row in self._rows.values() if row.info.owner_id == owner_id]
            gone = [info for info in infos if tenant_id in (None, info.tenant_id)]
            for info in gone:
                del self._rows[info.id]
            return _by_age(gone)

    async def list(self, tenant_id: str, /) -> tuple[ApiKeyInfo, ...]:
        """See `ApiKeyStore`."""
        with self._lock:
            infos = [row.info for row in self._rows.values() if row.info.tenant_id == tenant_id]
        return _by_age(infos)


def _by_age(infos: list[ApiKeyInfo]) -> tuple[ApiKeyInfo, ...]:
    return tuple(sorted(infos, key=lambda info: (info.created_at, info.id)))
