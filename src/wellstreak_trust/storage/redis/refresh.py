"""Refresh tokens in Redis: a hash a token and a hash a family, all forgotten by the server with the family's end.

A server that loses a write after it has answered (asynchronous replication and a fail-over) may lose a successor: its
holder signs in again. Keep families in SQL where that is too much.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Final

from ...core.clock import from_micros, to_micros
from ...identity.refresh_store import FamilyRow, Rotation, Taken
from .port import RedisPort
from .spelling import key_prefix, milliseconds, restriction, rows, strange, text

__all__ = ["RedisRefreshStore"]

_MICROSECOND: Final = timedelta(microseconds=1)

# ARGV[1] is the prefix of all keys: t:<key> a token (family, issued, used, sealed), f:<id> a family (row, user, ends,
# binding, idle, ended), u:<user> the ids of a user by age.
# ARGV: key, family, row, user, ends, binding, idle, created, milliseconds.
_BEGIN: Final = """
local P, id, left = ARGV[1], ARGV[3], ARGV[10]
redis.call('HSET', P..'f:'..id, 'row', ARGV[4], 'user', ARGV[5], 'ends', ARGV[6], 'binding', ARGV[7], 'idle', ARGV[8],
  'ended', '0')
redis.call('PEXPIRE', P..'f:'..id, left)
redis.call('HSET', P..'t:'..ARGV[2], 'family', id, 'issued', ARGV[9], 'used', '')
redis.call('PEXPIRE', P..'t:'..ARGV[2], left)
redis.call('ZADD', P..'u:'..ARGV[5], ARGV[9], id)
if redis.call('PTTL', P..'u:'..ARGV[5]) < tonumber(left) then redis.call('PEXPIRE', P..'u:'..ARGV[5], left) end
return 1
"""
# ARGV: key, successor, sealed, now, grace, binding. Decided as `refresh_store.refused` does, in the same order.
_TAKE: Final = """
local P, now = ARGV[1], tonumber(ARGV[5])
local t = redis.call('HMGET', P..'t:'..ARGV[2], 'family', 'issued', 'used', 'sealed')
if not t[1] then return {'unknown', '', ''} end
local name = P..'f:'..t[1]
local f = redis.call('HMGET', name, 'row', 'ends', 'binding', 'idle', 'ended')
if not f[1] then return {'unknown', '', ''} end
if f[3] ~= ARGV[7] then return {'binding', f[1], ''} end
if f[5] == '1' then return {'revoked', f[1], ''} end
local idle = f[4] ~= '' and t[3] == '' and now >= tonumber(t[2]) + tonumber(f[4])
if now >= tonumber(f[2]) or idle then return {'expired', f[1], ''} end
if t[3] == '' then
  redis.call('HSET', P..'t:'..ARGV[2], 'used', ARGV[5], 'sealed', ARGV[4])
  redis.call('HSET', P..'t:'..ARGV[3], 'family', t[1], 'issued', ARGV[5], 'used', '')
  redis.call('PEXPIRE', P..'t:'..ARGV[3], redis.call('PTTL', name))
  return {'rotated', f[1], ARGV[4]}
end
if now < tonumber(t[3]) + tonumber(ARGV[6]) then return {'repeated', f[1], t[4]} end
redis.call('HSET', name, 'ended', '1')
return {'reused', f[1], ''}
"""
# ARGV: family, user.
_END: Final = """
local name = ARGV[1]..'f:'..ARGV[2]
local f = redis.call('HMGET', name, 'row', 'user', 'ended')
if not f[1] or f[3] == '1' or (ARGV[3] ~= '' and '='..f[2] ~= ARGV[3]) then return {} end
redis.call('HSET', name, 'ended', '1')
return {f[1]}
"""
# ARGV: user, whether to end what is found. Returns the rows that were not ended.
_OF_USER: Final = """
local rows, index = {}, ARGV[1]..'u:'..ARGV[2]
for _, id in ipairs(redis.call('ZRANGE', index, 0, -1)) do
  local name = ARGV[1]..'f:'..id
  local f = redis.call('HMGET', name, 'row', 'ended')
  if not f[1] then redis.call('ZREM', index, id)
  elseif f[2] == '0' then
    rows[#rows+1] = f[1]
    if ARGV[3] == '1' then redis.call('HSET', name, 'ended', '1') end
  end
end
return rows
"""


class RedisRefreshStore:
    """`RefreshStore` over a Redis port; `prefix` as for `RedisSessionStore`."""

    expires_itself: Final = True

    def __init__(self, port: RedisPort, *, prefix: str = "wst") -> None:
        self.suspends: bool = port.suspends
        self._port: RedisPort = port
        self._prefix: str = key_prefix(prefix, "refresh")

    async def begin(self, family: FamilyRow, key: bytes, /) -> None:
        """See `RefreshStore`."""
        idle = "" if family.idle is None else family.idle // _MICROSECOND
        times = to_micros(family.created_at), milliseconds(family.expires_at - family.created_at)
        binding = restriction(family.binding)
        facts = (family.id, _document(family), family.user_id, to_micros(family.expires_at), binding, idle)
        await self._run(_BEGIN, key.hex(), *facts, *times)

    async def take(self, rotation: Rotation, /) -> tuple[Taken, FamilyRow | None, bytes | None]:
        """See `RefreshStore`."""
        keys = rotation.key.hex(), rotation.successor.hex(), rotation.sealed.hex()
        times = to_micros(rotation.now), rotation.grace // _MICROSECOND
        reply = await self._run(_TAKE, *keys, *times, restriction(rotation.binding))
        found = rows(reply, 3, _taken)
        if len(found) != 1:
            raise strange()
        return found[0]

    async def end(self, family_id: str, /, *, user_id: str | None) -> FamilyRow | None:
        """See `RefreshStore`."""
        found = _families(await self._run(_END, family_id, restriction(user_id)))
        return found[0] if found else None

    async def end_all(self, user_id: str, /) -> int:
        """See `RefreshStore`."""
        return len(_families(await self._run(_OF_USER, user_id, 1)))

    async def list(self, user_id: str, /) -> tuple[FamilyRow, ...]:
        """See `RefreshStore`."""
        return _families(await self._run(_OF_USER, user_id, 0))

    async def sweep(self, now: datetime, /) -> int:
        """Nothing to do: the server forgets by itself."""
        return 0

    async def _run(self, script: str, *args: str | int) -> Any:
        # The one key that tells a cluster where to run it; every other key carries the same tag.
        return await self._port.script(script, [f"{self._prefix}f"], (self._prefix, *args))


def _document(family: FamilyRow) -> str:
    times = [to_micros(family.created_at), to_micros(family.expires_at)]
    idle = None if family.idle is None else family.idle // _MICROSECOND
    return json.dumps([family.id, family.user_id, *times, family.binding, idle, dict(family.data)])


def _families(reply: Any) -> tuple[FamilyRow, ...]:
    return tuple(rows(reply, 1, lambda fields: _family(text(fields[0]))))


def _taken(fields: list[Any]) -> tuple[Taken, FamilyRow | None, bytes | None]:
    taken, row, sealed = map(text, fields)
    return Taken(taken), _family(row) if row else None, bytes.fromhex(sealed) if sealed else None


def _family(document: str) -> FamilyRow:
    name, user_id, created_at, expires_at, binding, idle, data = json.loads(document)
    lies = None if idle is None else timedelta(microseconds=idle)
    return FamilyRow(name, user_id, from_micros(created_at), from_micros(expires_at), binding, lies, data)
