"""Ids of DPoP proofs in Redis, each claimed once (`claims`)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from .claims import claimed
from .port import RedisPort

__all__ = ["RedisDpopStore"]


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
        return await claimed(self._port, self._prefix + key.hex().encode(), now=now, until=until)

    async def sweep(self, now: datetime, /) -> int:
        """Nothing to do: the server forgets by itself."""
        del now
        return 0
