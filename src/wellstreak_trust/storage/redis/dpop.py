"""Ids of DPoP proofs in Redis: one key an id, which expires by itself.

The server's clock forgets, a minute after the caller's clock has let the id go, so that hosts whose clocks differ a
little agree. A key that the server evicts before its end would let a proof count twice: run it with
``maxmemory-policy noeviction``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from ...core.clock import to_micros
from .port import RedisPort

__all__ = ["RedisDpopStore"]

# KEYS[1]; ARGV: now, until, milliseconds to keep. 1 taken, 0 held.
_CLAIM: Final = """
local ends = redis.call('GET', KEYS[1])
if ends and tonumber(ends) > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
_MARGIN: Final = timedelta(minutes=1)
_MILLISECOND: Final = timedelta(milliseconds=1)


class RedisDpopStore:
    """`DpopStore` over a Redis port. An outage raises `StoreUnavailable`: no proof counts.

    Args:
        prefix: of the keys; hosts that share a server share proofs only under one prefix.
    """

    expires_itself: Final = True

    def __init__(self, port: RedisPort, *, prefix: str = "wst:dpop:") -> None:
        self.suspends: bool = port.suspends
        self._port: RedisPort = port
        self._prefix: bytes = prefix.encode()

    async def claim(self, key: bytes, /, *, now: datetime, until: datetime) -> bool:
        """See `DpopStore`."""
        kept = max(timedelta(), until - now) + _MARGIN
        args = [to_micros(now), to_micros(until), kept // _MILLISECOND]
        reply = await self._port.script(_CLAIM, [self._prefix + key.hex().encode()], args)
        return bool(reply == 1)

    async def sweep(self, now: datetime, /) -> int:
        """Nothing to do: the server forgets by itself."""
        del now
        return 0
