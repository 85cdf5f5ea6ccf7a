"""API keys in Redis: a hash a key, without expiry: run the server with persistence and ``maxmemory-policy noeviction``,
or keep keys in SQL.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from ...core.clock import from_micros, to_micros
from ...identity.apikey_store import ApiKeyInfo, ApiKeyRow
from .port import RedisPort
from .spelling import key_prefix, restriction, rows, text

__all__ = ["RedisApiKeyStore"]

# ARGV[1] is the prefix of all keys: k:<id> a key (row, tenant, owner, ends, used), t:<tenant> and o:<owner> ids by age.
_COMMON: Final = """
local P = ARGV[1]
local function add(at)
  local id, row, tenant, owner, created, ends, used = unpack(ARGV, at)
  redis.call('HSET', P..'k:'..id, 'row', row, 'tenant', tenant, 'owner', owner, 'ends', ends, 'used', used)
  redis.call('ZADD', P..'t:'..tenant, created, id)
  redis.call('ZADD', P..'o:'..owner, created, id)
end
local function tell(id, rows)
  local r = redis.call('HMGET', P..'k:'..id, 'row', 'ends', 'used')
  for at = 1, 3 do rows[#rows+1] = r[at] end
end
local function drop(id, rows)
  local r = redis.call('HMGET', P..'k:'..id, 'tenant', 'owner')
  tell(id, rows)
  redis.call('DEL', P..'k:'..id)
  redis.call('ZREM', P..'t:'..r[1], id)
  redis.call('ZREM', P..'o:'..r[2], id)
end
local function is(id, tenant)
  local held = redis.call('HGET', P..'k:'..id, 'tenant')
  return held and (tenant == '' or '='..held == tenant)
end
"""
_ADD: Final = _COMMON + "add(2) return 1"
_READ: Final = "return redis.call('HMGET', ARGV[1]..'k:'..ARGV[2], 'row', 'ends', 'used')"
_TOUCH: Final = """
local name = ARGV[1]..'k:'..ARGV[2]
local used = redis.call('HGET', name, 'used')
if used and (used == '' or tonumber(used) < tonumber(ARGV[3])) then redis.call('HSET', name, 'used', ARGV[3]) end
return 1
"""
# ARGV: old key, its end, then a row.
_SUCCEED: Final = (
    _COMMON
    + """
local ends = redis.call('HGET', P..'k:'..ARGV[2], 'ends')
if not ends then return 0 end
if tonumber(ends) > tonumber(ARGV[3]) then redis.call('HSET', P..'k:'..ARGV[2], 'ends', ARGV[3]) end
add(4)
return 1
"""
)
_REVOKE: Final = (
    _COMMON
    + """
local rows = {}
if is(ARGV[2], ARGV[3]) then drop(ARGV[2], rows) end
return rows
"""
)
_REVOKE_OWNED: Final = (
    _COMMON
    + """
local rows = {}
for _, id in ipairs(redis.call('ZRANGE', P..'o:'..ARGV[2], 0, -1)) do
  if is(id, ARGV[3]) then drop(id, rows) end
end
return rows
"""
)
_LIST: Final = (
    _COMMON
    + """
local rows = {}
for _, id in ipairs(redis.call('ZRANGE', P..'t:'..ARGV[2], 0, -1)) do tell(id, rows) end
return rows
"""
)
_FIELDS: Final = 3


class RedisApiKeyStore:
    """`ApiKeyStore` over a Redis port; `prefix` as for `RedisSessionStore`."""

    def __init__(self, port: RedisPort, *, prefix: str = "wst") -> None:
        self.suspends: bool = port.suspends
        self._port: RedisPort = port
        self._prefix: str = key_prefix(prefix, "apikeys")

    async def add(self, row: ApiKeyRow, /) -> None:
        """See `ApiKeyStore`."""
        await self._run(_ADD, *_fields(row))

    async def read(self, key_id: str, /) -> ApiKeyRow | None:
        """See `ApiKeyStore`: one script, one trip."""
        found = _rows(await self._run(_READ, key_id))
        return found[0] if found else None

    async def touch(self, key_id: str, at: datetime, /) -> None:
        """See `ApiKeyStore`."""
        await self._run(_TOUCH, key_id, to_micros(at))

    async def succeed(self, row: ApiKeyRow, key_id: str, ends_at: datetime, /) -> bool:
        """See `ApiKeyStore`."""
        return bool(await self._run(_SUCCEED, key_id, to_micros(ends_at), *_fields(row)) == 1)

    async def revoke(self, key_id: str, /, *, tenant_id: str | None) -> ApiKeyInfo | None:
        """See `ApiKeyStore`."""
        found = _rows(await self._run(_REVOKE, key_id, restriction(tenant_id)))
        return found[0].info if found else None

    async def revoke_owned(self, owner_id: str, /, *, tenant_id: str | None) -> tuple[ApiKeyInfo, ...]:
        """See `ApiKeyStore`."""
        return tuple(row.info for row in _rows(await self._run(_REVOKE_OWNED, owner_id, restriction(tenant_id))))

    async def list(self, tenant_id: str, /) -> tuple[ApiKeyInfo, ...]:
        """See `ApiKeyStore`."""
        return tuple(row.info for row in _rows(await self._run(_LIST, tenant_id)))

    async def _run(self, script: str, *args: str | int) -> Any:
        # The one key that tells a cluster where to run it; every other key carries the same tag.
        return await self._port.script(script, [f"{self._prefix}k"], (self._prefix, *args))


def _fields(row: ApiKeyRow) -> tuple[str | int, ...]:
    info = row.info
    created_at, expires_at = to_micros(info.created_at), to_micros(info.expires_at)
    document = json.dumps([info.id, info.owner_id, info.tenant_id, sorted(info.scopes), info.name, created_at])
    used = "" if info.last_used_at is None else to_micros(info.last_used_at)
    whole = f"{row.digest.hex()} {document}"
    return (info.id, whole, info.tenant_id, info.owner_id, created_at, expires_at, used)


def _rows(reply: Any) -> list[ApiKeyRow]:
    return [row for row in rows(reply, _FIELDS, _row) if row is not None]


def _row(fields: list[Any]) -> ApiKeyRow | None:
    if fields[0] is None:
        return None
    whole, ends, used = map(text, fields)
    digest, _, document = whole.partition(" ")
    name, owner_id, tenant_id, scopes, label, created_at = json.loads(document)
    info = ApiKeyInfo(
        *(name, owner_id, tenant_id, frozenset(scopes), label),
        from_micros(created_at),
        from_micros(int(ends)),
        from_micros(int(used)) if used else None,
    )
    return ApiKeyRow(info, bytes.fromhex(digest))
