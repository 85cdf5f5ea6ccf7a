"""`AttemptGuard` on Redis: the tallies of `ratelimit.attempt_store`, each verb one script, by the server's clock.

A tally is ``failures:until:last:epoch`` in microseconds, and its key expires when it says nothing any more.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from ...core.clock import Clock
from ...core.errors import StoreUnavailable
from ...ratelimit.attempt_store import AttemptKeys, AttemptPolicy, Reservation
from .port import RedisPort

__all__ = ["RedisAttempts"]

_MICROSECOND: Final = timedelta(microseconds=1)

_COMMON: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local MINUTE = 60000000
local free, base, cap, kept, account_step, account_limit, share, address_step, site_step, epoch =
  struct.unpack('<dddddddddd', ARGV[1])
local judged = ARGV[2] == '1'

local function text(number) return string.format('%.0f', number) end

local function put(key, value, left)
  if left <= 0 then redis.call('DEL', key)
  else redis.call('SET', key, value, 'PX', text(math.floor(left / 1000) + 1)) end
end

local function tally(key)
  local f, u, l, e = string.match(redis.call('GET', key) or '', '^(%d+):(%d+):(%d+):(%d+)$')
  if not f or math.max(l + kept, tonumber(u)) <= now then return {f = 0, u = 0, l = 0, e = 0} end
  return {f = tonumber(f), u = tonumber(u), l = tonumber(l), e = tonumber(e)}
end

local function write(key, t)
  local left = t.f > 0 and math.max(t.l + kept, t.u) - now or 0
  put(key, text(t.f) .. ':' .. text(t.u) .. ':' .. text(t.l) .. ':' .. text(t.e), left)
end

local function charge(key, t, limit)
  t.f = t.f + 1
  t.l = now
  if t.e == 0 then t.e = now end
  if limit and t.f >= limit then t.u = now + math.min(base * 2 ^ math.min(t.f - limit, 40), cap) end
  write(key, t)
end

local function rate(key)
  local minute = math.floor(now / MINUTE)
  local m, f, b = string.match(redis.call('GET', key) or '', '^(%d+):(%d+):(%d+)$')
  m, f = tonumber(m), tonumber(f or 0)
  if m == minute then return {m = m, f = f, b = tonumber(b)} end
  return {m = minute, f = 0, b = m == minute - 1 and f or 0}
end

local function write_rate(key, r)
  put(key, text(r.m) .. ':' .. text(r.f) .. ':' .. text(r.b), (r.m + 2) * MINUTE - now)
end

local own = tally(KEYS[1])
local account = judged and tally(KEYS[2]) or {f = 0, u = 0, l = 0, e = 0}
"""

_RESERVE: Final = (
    _COMMON
    + """
local address, site = tally(KEYS[3]), rate(KEYS[4])
local wait = math.max(math.max(own.u, account.u) - now, 0)
if wait == 0 then
  charge(KEYS[1], own, free)
  if judged and own.f <= share then charge(KEYS[2], account, account_limit) end
  charge(KEYS[3], address, nil)
  site.f = site.f + 1
  write_rate(KEYS[4], site)
end
local step = judged and (account.f > account_step or address.f > address_step or site.f + site.b > site_step)
return {wait, own.f, step and 1 or 0, own.e}
"""
)

_CLEAR: Final = (
    _COMMON
    + """
redis.call('DEL', KEYS[1])
if judged then
  account.f = account.f - math.min(own.f, share)
  if account.f < account_limit then account.u = 0 end
  write(KEYS[2], account)
end
local address, site = tally(KEYS[3]), rate(KEYS[4])
address.f = address.f - 1
write(KEYS[3], address)
site.f = math.max(site.f - 1, 0)
write_rate(KEYS[4], site)
return 1
"""
)

_RECORD: Final = (
    _COMMON
    + """
if own.e == epoch then return 0 end
charge(KEYS[1], own, free)
if judged and own.f <= share then charge(KEYS[2], account, account_limit) end
return 1
"""
)


class RedisAttempts:
    """`AttemptStore` on a Redis server; `RedisLimitStore.attempts()` makes one."""

    __slots__ = ("_port", "_spell", "suspends")

    def __init__(self, port: RedisPort, spell: Callable[[str], str]) -> None:
        self._port: RedisPort = port
        self._spell: Callable[[str], str] = spell
        self.suspends: bool = port.suspends

    async def reserve(self, keys: AttemptKeys, policy: AttemptPolicy, clock: Clock) -> Reservation:
        """See `AttemptStore`."""
        reply = await self._run(_RESERVE, keys, policy)
        if type(reply) is not list or len(reply) != 4 or any(type(number) is not int for number in reply):
            raise StoreUnavailable("redis: an answer of another shape", hint="check what stands before the server")
        wait, failures, step_up, epoch = reply
        return Reservation(wait * 1_000, failures, step_up == 1, epoch)

    async def clear(self, keys: AttemptKeys, policy: AttemptPolicy, clock: Clock) -> None:
        """See `AttemptStore`."""
        await self._run(_CLEAR, keys, policy)

    async def record(self, keys: AttemptKeys, policy: AttemptPolicy, epoch: int, clock: Clock) -> None:
        """See `AttemptStore`."""
        await self._run(_RECORD, keys, policy, epoch)

    async def _run(self, script: str, keys: AttemptKeys, policy: AttemptPolicy, epoch: int = 0) -> Any:
        numbers = (
            policy.free,
            policy.base // _MICROSECOND,
            policy.cap // _MICROSECOND,
            policy.forget_after // _MICROSECOND,
            policy.account_step_up,
            policy.account_limit,
            policy.share,
            policy.address_step_up,
            policy.site_step_up,
            epoch,
        )
        named = [self._spell(key or keys.own) for key in keys]
        return await self._port.script(script, named, [struct.pack("<10d", *numbers), b"1" if keys.account else b"0"])
