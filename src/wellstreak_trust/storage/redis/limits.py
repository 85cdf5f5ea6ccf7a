"""`RedisLimitStore`: limits that all processes share, each check one script and one round trip."""

from __future__ import annotations

import struct
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, TypeVar

from ...core.clock import Clock
from ...core.errors import ConfigurationError, StoreMisconfigured, StoreUnavailable
from ...ratelimit import Charge, Level, LimitRule, Settlement
from ...ratelimit.algorithms import Calendar, ExactLog, Gcra
from .attempts import RedisAttempts
from .leases import RedisLeases
from .limit_scripts import CLEAR, SETTLE, TAKE, TAKE_GCRA
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

    __slots__ = ("_clustered", "_port", "_prefix", "_secret", "_spelled", "suspends")

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
        self._spelled: Callable[[str], str] = lru_cache(maxsize=8192)(self._spell)

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
        keys, way = [self._spelled(charge.key) for charge in charges], b"1" if commit else b"0"
        if all(type(charge.rule.meter) is Gcra for charge in charges):
            packed = b"".join([_packed_gcra(charge.rule, charge.units) for charge in charges])
            return _gcra_levels(await self._port.script(TAKE_GCRA, keys, (way, packed)), charges, commit)
        packed = b"".join([_packed(charge.rule, charge.units) for charge in charges])
        return _levels(await self._port.script(TAKE, keys, (way, packed)), len(charges))

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
        with suppress(
            StoreUnavailable, StoreMisconfigured
        ):  # what cannot be given back is lost; the decision, or what ended it, stands
            await self.settle(taken, clock)

    def _groups(self, charges: Sequence[_Item]) -> list[Sequence[_Item]]:
        if not self._clustered:
            return [charges] if charges else []
        groups: dict[str, list[_Item]] = {}
        for charge in sorted(charges, key=lambda charge: _counts_by_tenant(charge.rule)):
            groups.setdefault(_leading(charge.key), []).append(charge)
        return list(groups.values())

    def _keys(self, charges: Iterable[Charge | Settlement]) -> list[str]:
        return [self._spelled(charge.key) for charge in charges]

    def _spell(self, key: str) -> str:
        return f"{self._prefix}:{{{_tag(_leading(key))}}}:{self._digest(key)}"

    def _digest(self, key: str) -> str:
        octets = key.encode("utf-8", "surrogatepass")
        return _text(blake2b(octets, digest_size=12, key=self._secret, person=b"wst-limits").digest())


def _counts_by_tenant(rule: LimitRule) -> bool:
    return "tenant" in rule.by or "tenant?" in rule.by


def _leading(key: str) -> str:
    """The value that places a bucket: the tenant's, else the first. `LimitRule.key` prefixes all parts with a length.

    The first two parts are the rule's algorithm and name; the names of its keys follow up to the bar, then the values.
    """
    names, at = _parts(key, 0, "|")
    values, _ = _parts(key, at + 1, "")
    names = names[2:]
    return values[next((at for at, name in enumerate(names) if name in ("tenant", "tenant?")), 0)]


def _parts(key: str, at: int, end: str) -> tuple[list[str], int]:
    found = []
    while key[at : at + 1] != end:
        mark = key.index(":", at) + 1
        at = mark + int(key[at : mark - 1])
        found.append(key[mark:at])
    return found, at


@lru_cache(maxsize=8192)
def _tag(value: str) -> str:
    # Six octets spread keys over the slots and tell nobody the value.
    return _text(blake2b(value.encode("utf-8", "surrogatepass"), digest_size=6, person=b"wst-slots").digest())


def _text(digest: bytes) -> str:
    return urlsafe_b64encode(digest).decode("ascii")  # a third shorter than hex, and there are as many as callers


def _packed(rule: LimitRule, units: int, *more: int) -> bytes:
    numbers = (min(units, _MOST), *more)
    return _shape(rule.meter, rule.mode == "enforce") + struct.pack(f"<{len(numbers)}d", *numbers)


def _packed_gcra(rule: LimitRule, units: int) -> bytes:
    emission, tolerance = _microseconds(rule.meter)
    return struct.pack("<4d", emission, tolerance, rule.mode == "enforce", min(units, _MOST))


@lru_cache(maxsize=4096)
def _microseconds(meter: Gcra) -> tuple[int, int]:
    """Emission and tolerance, rounded up: stricter, never looser."""
    emission = -(-meter.emission // 1_000)
    return emission, emission * (meter.tolerance // meter.emission)


@lru_cache(maxsize=4096)
def _shape(meter: Gcra | ExactLog | Calendar, enforced: bool) -> bytes:
    """Kind, three numbers in microseconds, and whether the rule refuses."""
    if isinstance(meter, Gcra):
        numbers = (1, *_microseconds(meter), 0)
    elif isinstance(meter, ExactLog):
        numbers = (2, meter.per // 1_000, meter.limit, 0)
    elif isinstance(meter, Calendar) and meter.period != "month":
        start, stop = meter.window(0)
        numbers = (3, (stop - start) // 1_000, meter.limit, _WEEK_OFFSET if meter.period == "week" else 0)
    else:
        assert isinstance(meter, Calendar)
        numbers = (4, meter.anchor_day, meter.limit, 0)
    return struct.pack("<5d", *numbers, enforced)


def _levels(reply: Any, count: int) -> tuple[bool, list[Level]]:
    numbers = _numbers(reply, 1 + _FIELDS * count)
    levels = []
    for at in range(1, len(numbers), _FIELDS):
        wait, remaining, reset, taken, *mark = numbers[at : at + _FIELDS]
        found = (*mark,) if taken else None
        levels.append(Level(None if wait < 0 else wait * 1_000, remaining, reset * 1_000, found))
    return numbers[0] == 1, levels


def _gcra_levels(reply: Any, charges: Sequence[Charge], commit: bool) -> tuple[bool, list[Level]]:
    numbers = _numbers(reply, 2 + 3 * len(charges))
    allowed, now = numbers[0] == 1, numbers[1]
    levels = []
    for at, (rule, _, units) in enumerate(charges):
        wait, depth, given = numbers[2 + 3 * at : 5 + 3 * at]
        emission, tolerance = _microseconds(rule.meter)
        left = (tolerance - depth) // emission if tolerance > depth else 0
        mark = (now + depth, given, now) if allowed and commit and units and wait == 0 else None
        levels.append(Level(None if wait < 0 else wait * 1_000, left, depth * 1_000, mark))
    return allowed, levels


def _numbers(reply: Any, count: int) -> list[int]:
    """The reply, checked: an answer of another shape is no answer, and must not admit by accident."""
    if isinstance(reply, bytes | str):
        with suppress(ValueError):
            text = reply if isinstance(reply, str) else reply.decode("ascii")
            found = [int(number) for number in text.split(":")]
            if len(found) == count:
                return found
    raise StoreUnavailable("redis: an answer of another shape", hint="check what stands between us and the server")
