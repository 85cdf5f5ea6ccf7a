"""`LimitsStore`: calendar limits over whatever the `limits` package can store in (Memcached, MongoDB, ...).

Those storages offer a counter and nothing that spans two of them, so only ``calendar`` rules fit, and several rules
are decided in two steps: all counters are read, and only if each has room are they raised. Where somebody else raised
one meanwhile, this check is denied and stays counted: under contention fewer pass than could, never more. What is
given back is lost. `RedisLimitStore` has none of this; use it where there is a Redis.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from inspect import isawaitable
from typing import Any, Final

from ..core.clock import Clock, SystemClock
from ..core.errors import ConfigurationError
from .algorithms import Calendar
from .store import Charge, Level, Settlement

__all__ = ["LimitsStore"]

_SECOND: Final = 1_000_000_000


class LimitsStore:
    """A `LimitStore` of counters.

    Args:
        storage: a storage of `limits` or `limits.aio`, or its URI, such as ``memcached://localhost:11211``.
        clock: the wall clock that windows follow; hosts that share the storage need synchronised ones.
        prefix: what all keys begin with.

    Raises:
        ConfigurationError: no storage, or a URI that `limits` does not read.
    """

    def __init__(self, storage: Any, *, clock: Clock | None = None, prefix: str = "wst") -> None:
        from limits.aio.storage import Storage as AsyncStorage
        from limits.errors import ConfigurationError as Unreadable
        from limits.storage import Storage, storage_from_string

        try:
            found = storage_from_string(storage) if isinstance(storage, str) else storage
        except (Unreadable, ValueError, TypeError):
            raise _refuse("not a storage URI of limits", "such as memcached://localhost:11211") from None
        if not isinstance(found, Storage | AsyncStorage):
            raise _refuse("not a storage of limits", "LimitsStore('memcached://localhost:11211')")
        self.suspends: bool = isinstance(found, AsyncStorage)
        self._storage: Any = found
        self._clock: Clock = SystemClock() if clock is None else clock
        self._prefix: str = prefix

    async def take_if(
        self, charges: Sequence[Charge], clock: Clock, *, commit: bool = True
    ) -> tuple[bool, Sequence[Level]]:
        """See `LimitStore`; in two steps."""
        windows = [self._window(charge) for charge in charges]
        used = [int(await _done(self._storage.get(key)) or 0) for key, _, _ in windows]
        waits = [_wait(charge, count, left) for charge, count, (_, _, left) in zip(charges, used, windows, strict=True)]
        allowed = not any(wait != 0 and charge.rule.enforced for charge, wait in zip(charges, waits, strict=True))
        levels = []
        for charge, count, wait, (key, start, left) in zip(charges, used, waits, windows, strict=True):
            mark = None
            if allowed and commit and wait == 0 and charge.units:
                count = await self._raise(key, left, charge.units)
                mark = (start,)
                if count > charge.rule.limit and charge.rule.enforced:
                    allowed, wait = False, left
            remaining = max(charge.rule.limit - count, 0)
            levels.append(Level(wait, remaining, left if count else 0, mark))
        if not allowed:
            levels = [level._replace(mark=None) for level in levels]
        return allowed, levels

    async def settle(self, settlements: Sequence[Settlement], clock: Clock) -> None:
        """Charges what was too little; what was too much is lost, since these counters only go up."""
        for rule, key, taken, actual, mark in settlements:
            name, start, left = self._window(Charge(rule, key, 0))
            if actual > taken and mark[0] == start:
                await self._raise(name, left, actual - taken)

    async def clear(self, charges: Sequence[Charge]) -> None:
        """See `LimitStore`."""
        for charge in charges:
            await _done(self._storage.clear(self._window(charge)[0]))

    async def _raise(self, key: str, left: int, units: int) -> int:
        return int(await _done(self._storage.incr(key, -(-left // _SECOND), units)))

    def _window(self, charge: Charge) -> tuple[str, int, int]:
        """The counter's key, the first nanosecond of its window, and how much of it is left."""
        meter = charge.rule.meter
        if not isinstance(meter, Calendar):
            raise _refuse(
                f"rule {charge.rule.name!r}: these counters can only hold calendar rules",
                'algorithm="calendar", or RedisLimitStore',
            )
        now = meter.now(self._clock)
        start, end = meter.window(now)
        octets = charge.key.encode("utf-8", "surrogatepass")
        digest = blake2b(octets, digest_size=16, person=b"wst-limits").hexdigest()
        return f"{self._prefix}:{digest}:{start // _SECOND}", start, end - now


def _wait(charge: Charge, used: int, left: int) -> int | None:
    if charge.units > charge.rule.limit:
        return None
    return 0 if charge.units == 0 or used + charge.units <= charge.rule.limit else left


async def _done(answer: Any) -> Any:
    return await answer if isawaitable(answer) else answer


def _refuse(detail: str, hint: str) -> ConfigurationError:
    return ConfigurationError(detail, hint=hint, reason="limits_storage")
