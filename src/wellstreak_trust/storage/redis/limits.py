"""`RedisLimitStore`: limits that all processes share, each check one script and one round trip."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, TypeVar

from ...core.clock import Clock
from ...core.errors import ConfigurationError, StoreUnavailable
from ...ratelimit import Charge, Level, LimitRule, Settlement
from ...ratelimit.algorithms import Calendar, ExactLog, Gcra
from .attempts import RedisAttempts
from .leases import RedisLeases
from .limit_scripts import CLEAR, SETTLE, TAKE
from .port import RedisPort

__all__ = ["RedisLimitStore"]

_Item = TypeVar("_Item", Charge, Settlement)

_MOST: Final = 2**53 - 1
_FIELDS: Final = 7  # of one level in the reply
_WEEK_OFFSET: Final = 4 * 86_400_000_000  # 1970-01-05 was a Monday


class RedisLimitStore:
    """Buckets on a Redis server, decided by the server's clock.

    Args:
        port: the client.
        prefix: what all keys begin with; hosts that share a server take different ones.
        secret: 16 to 64 octets that key the digests, so that who reads the server cannot try addresses or accounts
            against its keys. All processes need the same one.

    Keys hold a digest of the values they count by, never the values. Their hash tag is that of the tenant, or of the
    first value where a rule does not count by tenant. A single server decides all rules of a check in one script. A
    cluster decides each tag in a call of its own, the tenant's last; what the calls before took is given back when a
    later one denies.

    Raises:
        ConfigurationError: a prefix with braces, which would move the hash tag, or a secret of another length.
    """

    __slots__ = ("_clustered", "_port", "_prefix", "_secret", "suspends")

    def __init__(self, port: RedisPort, *, prefix: str = "wst", secret: bytes = b"") -> None:
        if not prefix or not prefix.isascii() or not prefix.isprintable() or set(prefix) & set("{}"):
            raise ConfigurationError("not a key prefix", hint="letters and digits, such as prefix='wst'")
        if secret and not 16 <= len(secret) <= 64:
            raise ConfigurationError("a digest secret has 16 to 64 octets", hint="32 random octets")
        self._port: RedisPort = port
        self._prefix: str = prefix
        self._secret: bytes = secret
        self._clustered: bool = bool(getattr(port, "clustered", False))
        self.suspends: bool = bool(getattr(port, "suspends", False))

    async def take_if(
        self, charges: Sequence[Charge], clock: Clock, *, commit: bool = True
    ) -> tuple[bool, Sequence[Level]]:
        """See `LimitStore`."""
        if not charges:
            return True, []
        groups = self._groups(charges)
        if len(groups) == 1:
            return await self._take(charges, commit)
        return await self._take_in_turn(groups, charges, clock, commit)

    async def settle(self, settlements: Sequence[Settlement], clock: Clock) -> None:
        """See `LimitStore`."""
        for group in self._groups(settlements):
            args = [_packed(s.rule, s.taken, s.actual, *(*s.mark, 0, 0)[:3]) for s in group]
            await self._port.script(SETTLE, self._keys(group), args)

    async def clear(self, charges: Sequence[Charge]) -> None:
        """See `LimitStore`."""
        for group in self._groups(charges):
            await self._port.script(CLEAR, self._keys(group), ())

    def attempts(self) -> RedisAttempts:
        """The tallies of an `AttemptGuard` on this server; on a cluster they share one slot."""
        return RedisAttempts(self._port, lambda key: f"{self._prefix}:{{attempts}}:{self._digest(key)}")

    def leases(self) -> RedisLeases:
        """The leases of a `ConcurrencyLimiter` on this server."""
        return RedisLeases(self._port, lambda key: f"{self._prefix}:lease:{self._digest(key)}")

    async def _take(self, charges: Sequence[Charge], commit: bool) -> tuple[bool, list[Level]]:
        args = [b"1" if commit else b"0", *(_packed(charge.rule, charge.units) for charge in charges)]
        return _levels(await self._port.script(TAKE, self._keys(charges), args), len(charges))

    async def _take_in_turn(
        self, groups: Sequence[Sequence[Charge]], charges: Sequence[Charge], clock: Clock, commit: bool
    ) -> tuple[bool, list[Level]]:
        allowed, found = True, dict[Charge, Level]()
        try:
            for group in groups:
                room, levels = await self._take(group, commit and allowed)
                allowed = allowed and room
                found.update(zip(group, levels, strict=True))
        except BaseException:
            await self._give_back(found, clock)
            raise
        if not allowed:
            await self._give_back(found, clock)
            found = {charge: level._replace(mark=None) for charge, level in found.items()}
        return allowed, [found[charge] for charge in charges]

    async def _give_back(self, found: Mapping[Charge, Level], clock: Clock) -> None:
        taken = [Settlement(*charge, 0, level.mark) for charge, level in found.items() if level.mark is not None]
        await self.settle(taken, clock)

    def _groups(self, charges: Sequence[_Item]) -> list[Sequence[_Item]]:
        if not self._clustered:
            return [charges] if charges else []
        groups: dict[str, list[_Item]] = {}
        for charge in sorted(charges, key=lambda charge: _tenant_at(charge.rule) is not None):
            groups.setdefault(self._tag(charge), []).append(charge)
        return list(groups.values())

    def _keys(self, charges: Iterable[Charge | Settlement]) -> list[str]:
        return [f"{self._prefix}:{{{self._tag(charge)}}}:{self._digest(charge.key)}" for charge in charges]

    def _tag(self, charge: Charge | Settlement) -> str:
        return _tag(_value(charge.key, len(charge.rule.prefix), _tenant_at(charge.rule) or 0))

    def _digest(self, key: str) -> str:
        octets = key.encode("utf-8", "surrogatepass")
        return blake2b(octets, digest_size=16, key=self._secret, person=b"wst-limits").hexdigest()


def _tenant_at(rule: LimitRule) -> int | None:
    return next((at for at, name in enumerate(rule.by) if name in ("tenant", "tenant?")), None)


def _value(key: str, start: int, index: int) -> str:
    """The value at `index` of a bucket's key, whose values are length-prefixed."""
    for _ in range(index + 1):
        mark = key.index(":", start) + 1
        stop = mark + int(key[start : mark - 1])
        value, start = key[mark:stop], stop
    return value


@lru_cache(maxsize=8192)
def _tag(value: str) -> str:
    # Six octets spread keys over the slots and tell nobody the value.
    return blake2b(value.encode("utf-8", "surrogatepass"), digest_size=6, person=b"wst-slots").hexdigest()


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
