"""Sessions in Redis: each verb is one script and one round trip.

A session is a hash that the server forgets when it has run out. The epochs of users stand in one hash that never
expires; a session carries the epochs it was opened in and is read only while they are today's, so that ending all
sessions of a user is one increment. The field ``*`` is everybody's epoch.

Losing a session signs somebody out, losing an epoch would sign somebody in again: run the server with
``maxmemory-policy noeviction`` or one of the ``volatile-`` policies, which leave alone what has no expiry. All keys
carry one hash tag, so that a script is atomic on a cluster as well.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from ...core.canonical import length_prefixed
from ...core.clock import from_micros, to_micros
from ...identity.session_store import SessionRow
from ..principals import principal_from, principal_text
from .port import RedisPort
from .session_scripts import ADMIT, END, END_ALL, END_EVERYTHING, END_FEDERATED, LIVE, READ, SPAWN, SWAP
from .spelling import key_prefix, milliseconds, restriction, rows, text

__all__ = ["RedisSessionStore"]

_MICROSECOND: Final = timedelta(microseconds=1)
_FIELDS: Final = 4  # of one row in a reply


class RedisSessionStore:
    """`SessionStore` over a Redis port.

    Args:
        prefix: of the keys; hosts that share a server take different ones.

    Raises:
        ConfigurationError: a prefix with braces, which would move the hash tag.
    """

    expires_itself: Final = True

    def __init__(self, port: RedisPort, *, prefix: str = "wst") -> None:
        self.suspends: bool = port.suspends
        self._port: RedisPort = port
        self._prefix: str = key_prefix(prefix, "sessions")
        self._epochs: tuple[str, ...] = (f"{self._prefix}epochs",)

    async def read(self, key: bytes, /) -> SessionRow | None:
        """See `SessionStore`: one script, one trip."""
        found = _rows(await self._run(READ, key.hex()))
        return found[0] if found else None

    async def admit(self, row: SessionRow, /, *, limit: int, replaces: bytes | None) -> tuple[SessionRow, ...]:
        """See `SessionStore`."""
        before = "" if replaces is None else replaces.hex()
        return _rows(await self._run(ADMIT, *_fields(row), limit, before))

    async def spawn(self, row: SessionRow, parent_key: bytes, /) -> bool:
        """See `SessionStore`."""
        return bool(await self._run(SPAWN, *_fields(row), parent_key.hex()) == 1)

    async def swap(self, key: bytes, row: SessionRow, /) -> bool:
        """See `SessionStore`: the epochs are left alone, so that a session ended meanwhile stays ended."""
        return bool(await self._run(SWAP, *_fields(row), key.hex()) == 1)

    async def end(self, session_id: str, /, *, user_id: str | None) -> SessionRow | None:
        """See `SessionStore`."""
        found = _rows(await self._run(END, session_id, restriction(user_id)))
        return found[0] if found else None

    async def end_all(self, user_id: str, /, *, except_id: str | None) -> None:
        """See `SessionStore`: one increment."""
        await self._run(END_ALL, user_id, except_id or "")

    async def end_federated(self, issuer: str, /, *, subject: str | None, sid: str | None) -> tuple[SessionRow, ...]:
        """See `SessionStore`."""
        mark = _mark("sub", issuer, subject or "") if sid is None else _mark("sid", issuer, sid)
        must = "" if subject is None else _mark("sub", issuer, subject)
        return _rows(await self._run(END_FEDERATED, mark, must))

    async def end_everything(self) -> None:
        """See `SessionStore`: one increment; the server forgets the rows when their time is over."""
        await self._run(END_EVERYTHING)

    async def live(self, user_id: str, /) -> tuple[SessionRow, ...]:
        """See `SessionStore`."""
        return _rows(await self._run(LIVE, user_id))

    async def sweep(self, now: datetime, /) -> int:
        """Nothing to do: the server forgets by itself."""
        return 0

    async def _run(self, script: str, *args: str | int) -> Any:
        return await self._port.script(script, self._epochs, (self._prefix, *args))


def _fields(row: SessionRow) -> tuple[str | int, ...]:
    """A row as the scripts take it; see `session_scripts`."""
    facts = {
        "id": row.id,
        "idle": row.idle // _MICROSECOND,
        "expires_at": to_micros(row.expires_at),
        "device": row.device,
        "persistent": row.persistent,
        "parent_id": row.parent_id,
        "sid": row.sid,
    }
    issuer, subject = row.principal.issuer, row.principal.subject
    federated = issuer is not None and subject is not None
    return (
        *(row.key.hex(), row.id, row.user_id, row.actor_id or "", row.parent_id or ""),
        *(to_micros(row.created_at), to_micros(row.last_seen_at)),
        to_micros(min(row.idle_until, row.expires_at)),
        milliseconds(min(row.idle, row.expires_at - row.last_seen_at)),
        milliseconds(row.expires_at - row.last_seen_at),
        *(json.dumps(facts, separators=(",", ":")), principal_text(row.principal)),
        _mark("sub", issuer or "", subject or "") if federated else "",
        _mark("sid", issuer or "", row.sid) if federated and row.sid is not None else "",
    )


def _mark(kind: str, issuer: str, name: str) -> str:
    """By what a provider's log-out finds sessions; a digest, because providers choose names of any length."""
    return sha256(length_prefixed(kind, issuer, name)).hexdigest()


def _rows(reply: Any) -> tuple[SessionRow, ...]:
    return tuple(rows(reply, _FIELDS, _row))


def _row(fields: Sequence[Any]) -> SessionRow:
    key, times, facts, principal = map(text, fields)
    seen, _, created = times.partition(" ")
    name, idle, expires_at, more = _facts(facts)
    return SessionRow(
        bytes.fromhex(key),
        name,
        principal_from(principal),
        from_micros(int(created)),
        from_micros(int(seen)),
        idle,
        expires_at,
        **more,
    )


@lru_cache(maxsize=4_096)
def _facts(facts: str) -> tuple[str, timedelta, datetime, dict[str, Any]]:
    """What never changes in a session. Cached by the very text that the server returned."""
    known = json.loads(facts)
    more = {field: known[field] for field in ("device", "persistent", "parent_id", "sid")}
    return known["id"], timedelta(microseconds=known["idle"]), from_micros(known["expires_at"]), more
