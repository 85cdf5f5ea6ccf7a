"""One-time tokens in Redis: a hash a token, and one name a subject and purpose, by which a newer one ends the older."""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from ...core.canonical import length_prefixed
from ...core.clock import from_micros, to_micros
from ...identity.token_store import OneTimeTokenRow
from .port import RedisPort
from .spelling import key_prefix, milliseconds, rows, strange, text

__all__ = ["RedisOneTimeTokenStore"]

# KEYS[1] the name of subject and purpose; ARGV: prefix, key, document, milliseconds, tries.
_ISSUE: Final = """
local old = redis.call('GET', KEYS[1])
if old then redis.call('DEL', ARGV[1]..old) end
redis.call('HSET', ARGV[1]..ARGV[2], 'row', ARGV[3], 'tries', ARGV[5], 'name', KEYS[1])
redis.call('PEXPIRE', ARGV[1]..ARGV[2], ARGV[4])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[4])
return 1
"""
_READ: Final = "return redis.call('HMGET', KEYS[1], 'row', 'tries')"
# ARGV: the key as `_ISSUE` names it.
_CONSUME: Final = """
local name = redis.call('HGET', KEYS[1], 'name')
if not name then return 0 end
redis.call('DEL', KEYS[1])
if redis.call('GET', name) == ARGV[1] then redis.call('DEL', name) end
return 1
"""
# ARGV: limit.
_ATTEMPT: Final = """
local tries = tonumber(redis.call('HGET', KEYS[1], 'tries'))
if not tries or tries >= tonumber(ARGV[1]) then return {false, false} end
redis.call('HINCRBY', KEYS[1], 'tries', 1)
return redis.call('HMGET', KEYS[1], 'row', 'tries')
"""
# ARGV: prefix.
_REVOKE: Final = """
local old = redis.call('GET', KEYS[1])
if old then redis.call('DEL', KEYS[1], ARGV[1]..old) end
return 1
"""


class RedisOneTimeTokenStore:
    """`OneTimeTokenStore` over a Redis port; `prefix` as for `RedisSessionStore`."""

    expires_itself: Final = True

    def __init__(self, port: RedisPort, *, prefix: str = "wst") -> None:
        self.suspends: bool = port.suspends
        self._port: RedisPort = port
        self._prefix: str = key_prefix(prefix, "tokens")

    async def issue(self, row: OneTimeTokenRow, /) -> None:
        """See `OneTimeTokenStore`."""
        left = milliseconds(row.expires_at - row.issued_at)
        args = (f"{self._prefix}t:", row.key.hex(), _document(row), left, row.tries)
        await self._port.script(_ISSUE, [self._name(row.purpose, row.subject)], args)

    async def read(self, key: bytes, /) -> OneTimeTokenRow | None:
        """See `OneTimeTokenStore`."""
        return _row(key, await self._port.script(_READ, [self._key(key)], ()))

    async def consume_if(self, row: OneTimeTokenRow, /) -> bool:
        """See `OneTimeTokenStore`."""
        return bool(await self._port.script(_CONSUME, [self._key(row.key)], [row.key.hex()]) == 1)

    async def attempt(self, key: bytes, limit: int, /) -> OneTimeTokenRow | None:
        """See `OneTimeTokenStore`."""
        return _row(key, await self._port.script(_ATTEMPT, [self._key(key)], [limit]))

    async def revoke(self, purpose: str, subject: str, /) -> None:
        """See `OneTimeTokenStore`."""
        await self._port.script(_REVOKE, [self._name(purpose, subject)], [f"{self._prefix}t:"])

    async def sweep(self, now: datetime, /) -> int:
        """Nothing to do: the server forgets by itself."""
        return 0

    def _key(self, key: bytes) -> str:
        return f"{self._prefix}t:{key.hex()}"

    def _name(self, purpose: str, subject: str) -> str:
        return f"{self._prefix}n:{sha256(length_prefixed(purpose, subject)).hexdigest()}"


def _document(row: OneTimeTokenRow) -> str:
    bound = (row.email, row.fingerprint, row.sealed)
    plain = [None if each is None else each.hex() for each in bound]
    times = [to_micros(row.issued_at), to_micros(row.expires_at)]
    return json.dumps([row.purpose, row.subject, *times, *plain, dict(row.data)], separators=(",", ":"))


def _row(key: bytes, reply: Any) -> OneTimeTokenRow | None:
    found = rows(reply, 2, lambda fields: _built(key, *fields))
    if len(found) != 1:
        raise strange()
    return found[0]


def _built(key: bytes, row: Any, tries: Any) -> OneTimeTokenRow | None:
    if row is None:
        return None
    purpose, subject, issued_at, expires_at, *bound, data = json.loads(text(row))
    email, fingerprint, sealed = (None if each is None else bytes.fromhex(each) for each in bound)
    times = from_micros(issued_at), from_micros(expires_at)
    return OneTimeTokenRow(key, purpose, subject, *times, email, fingerprint, data, sealed, int(text(tries)))
