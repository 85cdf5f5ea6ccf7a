"""`ConcurrencyLimiter` on Redis: one sorted set a key, tokens scored by their ends, by the server's clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from ...core.clock import Clock
from ...core.errors import StoreUnavailable
from ...ratelimit.lease_store import Place
from .port import RedisPort

__all__ = ["RedisLeases"]

_MICROSECOND: Final = timedelta(microseconds=1)

_COMMON: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local key, token, ttl = KEYS[1], ARGV[1], tonumber(ARGV[2])
local function text(number) return string.format('%.0f', number) end
redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now))
local function hold()
  redis.call('ZADD', key, text(now + ttl), token)
  -- The last lease to end decides; leases of one key may differ in length.
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
  redis.call('PEXPIRE', key, text(math.floor((tonumber(last[2]) - now) / 1000) + 1))
end
"""

_TAKE: Final = (
    _COMMON
    + """
local used = redis.call('ZCARD', key)
if used >= tonumber(ARGV[3]) then
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return {0, used, tonumber(first[2]) - now}
end
hold()
return {1, used + 1, 0}
"""
)

_EXTEND: Final = (
    _COMMON
    + """
if not redis.call('ZSCORE', key, token) then return 0 end
hold()
return 1
"""
)

_LEAVE: Final = "return redis.call('ZREM', KEYS[1], ARGV[1])"


class RedisLeases:
    """`LeaseStore` on a Redis server; `RedisLimitStore.leases()` makes one."""

    __slots__ = ("_port", "_spell", "suspends")

    def __init__(self, port: RedisPort, spell: Callable[[str], str]) -> None:
        self._port: RedisPort = port
        self._spell: Callable[[str], str] = spell
        self.suspends: bool = port.suspends

    async def take_place(self, key: str, token: str, limit: int, ttl: timedelta, clock: Clock) -> Place:
        """See `LeaseStore`."""
        reply = await self._port.script(_TAKE, [self._spell(key)], [token, ttl // _MICROSECOND, limit])
        if type(reply) is not list or len(reply) != 3 or any(type(number) is not int for number in reply):
            raise StoreUnavailable("redis: an answer of another shape", hint="check what stands before the server")
        return Place(reply[0] == 1, reply[1], reply[2] * 1_000)

    async def extend(self, key: str, token: str, ttl: timedelta, clock: Clock) -> bool:
        """See `LeaseStore`."""
        reply = await self._port.script(_EXTEND, [self._spell(key)], [token, ttl // _MICROSECOND])
        return bool(reply == 1)

    async def leave(self, key: str, token: str, clock: Clock) -> None:
        """See `LeaseStore`."""
        await self._port.script(_LEAVE, [self._spell(key)], [token])
