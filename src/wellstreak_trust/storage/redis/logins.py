"""Open sign-ins in Redis: one string each, used up by one script; and what may be used once.

The caller's clock decides what has run out, as in every store; the server forgets a minute later by its own.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import datetime
from typing import Any, Final

from ...core.clock import from_micros, to_micros
from ...core.errors import StoreMisconfigured
from ...identity.login_store import LIFETIME, LoginRow
from .claims import claimed
from .port import RedisPort
from .spelling import milliseconds

__all__ = ["RedisLoginStore"]

_OPEN: Final = "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1"
_READ: Final = "return redis.call('GET', KEYS[1])"
# KEYS[1]; ARGV: the row as it was read. 1 if it was there unchanged and is gone now.
_CONSUME: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
_RELEASE: Final = "return redis.call('DEL', KEYS[1])"
_OCTETS: Final = ("key", "browser", "nonce", "verifier")
_TEXTS: Final = ("issuer", "client_id", "redirect_uri", "return_to")


class RedisLoginStore:
    """`LoginStore` over a Redis port.

    Args:
        prefix: of the keys; hosts that share a server share sign-ins only under one prefix.
    """

    expires_itself: Final = True

    def __init__(self, port: RedisPort, *, prefix: str = "wst:login:") -> None:
        self.suspends: bool = port.suspends
        self._port: RedisPort = port
        self._prefix: str = prefix

    async def open(self, row: LoginRow, /) -> None:
        """See `LoginStore`."""
        await self._port.script(_OPEN, [self._name(row.key)], [_text(row), milliseconds(LIFETIME)])

    async def read(self, key: bytes, /) -> LoginRow | None:
        """See `LoginStore`."""
        found = await self._port.script(_READ, [self._name(key)], [])
        return None if found is None else _row(found)

    async def consume_if(self, row: LoginRow, /) -> bool:
        """See `LoginStore`."""
        return int(await self._port.script(_CONSUME, [self._name(row.key)], [_text(row)])) == 1

    async def claim(self, key: bytes, /, *, now: datetime, until: datetime) -> bool:
        """See `LoginStore`."""
        return await claimed(self._port, self._name(b"once" + key), now=now, until=until)

    async def release(self, key: bytes, /) -> None:
        """See `LoginStore`."""
        await self._port.script(_RELEASE, [self._name(b"once" + key)], [])

    async def sweep(self, now: datetime, /) -> int:
        """Nothing to do: the server forgets by itself."""
        return 0

    def _name(self, key: bytes) -> str:
        return self._prefix + key.hex()


def _text(row: LoginRow) -> str:
    octets = [b64encode(getattr(row, name)).decode("ascii") for name in _OCTETS]
    texts = [getattr(row, name) for name in _TEXTS]
    return json.dumps([*octets, *texts, row.names_issuer, to_micros(row.expires_at)], separators=(",", ":"))


def _row(text: Any) -> LoginRow:
    try:
        *found, issuer, client_id, redirect_uri, return_to, names_issuer, expires_at = json.loads(text)
        key, browser, nonce, verifier = (b64decode(each, validate=True) for each in found)
    except (ValueError, TypeError):
        raise StoreMisconfigured("a sign-in in Redis is none of ours", hint="give it a prefix of its own") from None
    ends = from_micros(expires_at)
    return LoginRow(key, browser, nonce, verifier, issuer, client_id, redirect_uri, return_to, names_issuer, ends)
