"""`RedisLimitStore`: limits that all processes share, each check one script and one round trip."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from ...core.clock import Clock
from ...core.errors import ConfigurationError, StoreUnavailable
from ...ratelimit import Charge, Level, LimitRule, Settlement
from ...ratelimit.algorithms import Calendar, ExactLog, Gcra
from .limit_scripts import CLEAR, SETTLE, TAKE
from .port import RedisPort

__all__ = ["RedisLimitStore"]

_MOST: Final = 2**53 - 1
_FIELDS: Final = 7  # of one level in the reply
_WEEK_OFFSET: Final = 4 * 86_400_000_000  # 1970-01-05 was a Monday


class RedisLimitStore:
    """Buckets on a Redis server, decided by the server's clock.

    Args:
        port: the client.
        prefix: what all keys begin with; hosts that share a server take different ones.

    Keys hold a digest of the values they count by, never the values. All keys carry one hash tag, so that a check is
    atomic on a cluster as well.

    Raises:
        ConfigurationError: a prefix with braces, which would move the hash tag.
    """

    __slots__ = ("_port", "_prefix", "suspends")

    def __init__(self, port: RedisPort, *, prefix: str = "wst") -> None:
        if not prefix or not prefix.isascii() or not prefix.isprintable() or set(prefix) & set("{}"):
            raise ConfigurationError("not a key prefix", hint="letters and digits, such as prefix='wst'")
        self._port: RedisPort = port
        self._prefix: str = f"{prefix}:{{limits}}:"
        self.suspends: bool = bool(getattr(port, "suspends", False))

    async def take_if(
        self, charges: Sequence[Charge], clock: Clock, *, commit: bool = True
    ) -> tuple[bool, Sequence[Level]]:
        """See `LimitStore`."""
        if not charges:
            return True, []
        args = [b"1" if commit else b"0", *(_packed(charge.rule, charge.units) for charge in charges)]
        return _levels(await self._port.script(TAKE, self._keys(charges), args), len(charges))

    async def settle(self, settlements: Sequence[Settlement], clock: Clock) -> None:
        """See `LimitStore`."""
        if settlements:
            args = [_packed(s.rule, s.taken, s.actual, *(*s.mark, 0, 0)[:3]) for s in settlements]
            await self._port.script(SETTLE, self._keys(settlements), args)

    async def clear(self, charges: Sequence[Charge]) -> None:
        """See `LimitStore`."""
        if charges:
            await self._port.script(CLEAR, self._keys(charges), ())

    def _keys(self, charges: Iterable[Charge | Settlement]) -> list[str]:
        return [self._prefix + _digest(charge.key) for charge in charges]


def _digest(key: str) -> str:
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16, person=b"wst-limits").hexdigest()


def _packed(rule: LimitRule, units: int, *more: int) -> bytes:
    return _shape(rule) + struct.pack(f"<{1 + len(more)}d", min(units, _MOST), *more)


@lru_cache(maxsize=4096)
def _shape(rule: LimitRule) -> bytes:
    """Kind, three numbers in microseconds (rounded up, never looser), and whether the rule refuses."""
    meter = rule.meter
    if isinstance(meter, Gcra):
        emission = -(-meter.emission // 1_000)
        numbers = (1, emission, emission * rule.capacity, 0)
    elif isinstance(meter, ExactLog):
        numbers = (2, meter.per // 1_000, rule.limit, 0)
    elif isinstance(meter, Calendar) and meter.period != "month":
        start, stop = meter.window(0)
        numbers = (3, (stop - start) // 1_000, rule.limit, _WEEK_OFFSET if meter.period == "week" else 0)
    else:
        numbers = (4, rule.anchor_day, rule.limit, 0)
    return struct.pack("<5d", *numbers, rule.enforced)


def _levels(reply: Any, count: int) -> tuple[bool, list[Level]]:
    """The reply, checked: an answer of another shape is no answer, and must not admit by accident."""
    if type(reply) is not list or len(reply) != 1 + _FIELDS * count or any(type(number) is not int for number in reply):
        raise StoreUnavailable("redis: an answer of another shape", hint="check what stands between us and the server")
    levels = []
    for at in range(1, len(reply), _FIELDS):
        wait, remaining, reset, taken, *mark = reply[at : at + _FIELDS]
        found = (*mark,) if taken else None
        levels.append(Level(None if wait < 0 else wait * 1_000, remaining, reset * 1_000, found))
    return reply[0] == 1, levels
