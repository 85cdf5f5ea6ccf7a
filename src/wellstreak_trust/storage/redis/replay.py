"""Replay keys in Redis: one string a key, ``<end in microseconds> <done> <owner>``, decided by one script.

The guard's clock decides what has ended, as in every store; the server's expiry only clears away, a minute later, so
that hosts whose clocks differ a little agree with each other. A key that the server evicts before its end would let a
delivery act twice: run it with ``maxmemory-policy noeviction``, or give replay keys a server of their own. A fail-over
forgets the keys that were not replicated yet; what must never act twice belongs into `SqlReplayStore`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from ...core.clock import to_micros
from ...webhooks.replay_store import Held
from .port import RedisPort
from .spelling import milliseconds

__all__ = ["RedisReplayStore"]

# KEYS[1]; ARGV: now, until, owner, milliseconds to keep. 0 taken, 1 held, 2 done.
_CLAIM: Final = """
local row = redis.call('GET', KEYS[1])
if row then
  local ends, done = string.match(row, '^(%d+) (%d) ')
  if tonumber(ends) > tonumber(ARGV[1]) then return done == '1' and 2 or 1 end
end
redis.call('SET', KEYS[1], ARGV[2] .. ' 0 ' .. ARGV[3], 'PX', ARGV[4])
return 0
"""
# As above; an empty `until` gives the key up. 1 if this owner holds a living claim.
_DECIDE: Final = """
local row = redis.call('GET', KEYS[1])
if not row then return 0 end
local ends, done, owner = string.match(row, '^(%d+) (%d) (.*)$')
if tonumber(ends) <= tonumber(ARGV[1]) or done == '1' or owner ~= ARGV[3] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], ARGV[2] .. ' 1 ' .. owner, 'PX', ARGV[4]) end
return 1
"""
_HELD: Final = (Held.MINE, Held.ANOTHER, Held.DONE)


class RedisReplayStore:
    """`ReplayStore` over a Redis port.

    Args:
        prefix: of the keys; hosts that share a server share deliveries only under one prefix.
    """

    expires_itself: Final = True

    def __init__(self, port: RedisPort, *, prefix: str = "wst:replay:") -> None:
        self.suspends: bool = port.suspends
        self._port: RedisPort = port
        self._prefix: str = prefix

    async def claim(self, key: str, owner: str, *, now: datetime, until: datetime) -> Held:
        """As `ReplayStore.claim`."""
        return _HELD[int(await self._run(_CLAIM, key, owner, now, until))]

    async def commit(self, key: str, owner: str, *, now: datetime, until: datetime) -> bool:
        """As `ReplayStore.commit`."""
        return int(await self._run(_DECIDE, key, owner, now, until)) == 1

    async def release(self, key: str, owner: str, *, now: datetime) -> bool:
        """As `ReplayStore.release`."""
        return int(await self._run(_DECIDE, key, owner, now, None)) == 1

    async def sweep(self, now: datetime) -> int:
        """Nothing to do: the server forgets by itself."""
        return 0

    async def _run(self, script: str, key: str, owner: str, now: datetime, until: datetime | None) -> int:
        end = "" if until is None else to_micros(until)
        kept = milliseconds(timedelta() if until is None else until - now)
        reply: int = await self._port.script(script, [self._prefix + key], [to_micros(now), end, owner, kept])
        return reply
