"""`PlanSource`: limits that depend on what the customer bought.

A rule is declared once with the numbers of the smallest plan; the source says for a tenant which rules have other
numbers. The bucket stays the same one: after a change of plan a `gcra` bucket is as full as it was before, in its new
size, and the others keep their counts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from inspect import isawaitable, iscoroutinefunction
from threading import Lock
from typing import Any, Final, NamedTuple

from ..core.clock import Clock, SystemClock
from ..core.errors import ConfigurationError, HostError
from ..core.sansio import synced
from .rules import LimitRule, most_of

__all__ = ["Override", "PlanSource", "overridden"]

_LOG: Final = logging.getLogger(__name__)
_FRESH: Final = timedelta(seconds=30)
_AGAIN: Final = 1_000_000_000  # after a failure, nanoseconds
_MICROSECOND: Final = timedelta(microseconds=1)
_MOST_ENTRIES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Override:
    """Other numbers for a rule.

    Args:
        limit: units per the rule's period.
        burst: units at once, for ``gcra``; without it the burst keeps its proportion to the limit.

    Raises:
        ConfigurationError: not whole numbers of at least 1.
    """

    limit: int
    burst: int | None = None

    def __post_init__(self) -> None:
        for number in (self.limit, 1 if self.burst is None else self.burst):
            if type(number) is not int or number < 1:
                raise ConfigurationError("an override is not a whole number of at least 1", reason="limit_override")


@lru_cache(maxsize=4096)
def overridden(rule: LimitRule, override: Override) -> LimitRule:
    """The rule with other numbers, cut to what its kind allows; counted in the same bucket."""
    limit = min(override.limit, most_of(rule))
    if rule.algorithm != "gcra":
        return replace(rule, limit=limit)
    assert rule.burst is not None
    burst = rule.burst * limit // rule.limit if override.burst is None else override.burst
    return replace(rule, limit=limit, burst=min(max(burst, 1), limit))


_NOTHING: Final[Mapping[str, Override]] = {}


class _Entry(NamedTuple):
    found: Mapping[str, Override]
    fresh_until: int


class PlanSource:
    """Overrides by rule name, kept for a while and served stale while the source fails.

    Args:
        load: from the keys of a check to overrides; a function, or a coroutine function for asynchronous hosts.
        by: the keys that decide, such as the tenant; a check without them has no overrides.
        fresh: how long an answer is kept.

    A source that fails with nothing kept leaves the declared limits in force: limits never open because billing is
    down, and a customer of a larger plan is held to the smallest one until it is back.
    """

    def __init__(
        self,
        load: Callable[[Mapping[str, str]], Any],
        *,
        by: Sequence[str] = ("tenant",),
        fresh: timedelta = _FRESH,
        clock: Clock | None = None,
    ) -> None:
        named = isinstance(by, Sequence) and not isinstance(by, str) and len(by) > 0
        if not callable(load) or not named or not isinstance(fresh, timedelta):
            raise ConfigurationError(
                "a plan source is a function and the keys it needs",
                hint='PlanSource(load, by=("tenant",))',
                reason="plans",
            )
        self.suspends: bool = iscoroutinefunction(load)
        self._load: Callable[[Mapping[str, str]], Any] = load
        self._by: tuple[str, ...] = tuple(by)
        self._fresh: int = fresh // _MICROSECOND * 1_000
        self._clock: Clock = SystemClock() if clock is None else clock
        self._lock: Lock = Lock()
        self._kept: dict[tuple[str, ...], _Entry] = {}
        self._told: bool = False

    async def alimits_for(self, keys: Mapping[str, str]) -> Mapping[str, Override]:
        """The overrides that apply to these keys; empty where the plan has none. Never raises for a failing source."""
        named = {name: keys[name] for name in self._by if isinstance(keys.get(name), str)}
        if len(named) < len(self._by):
            return _NOTHING
        place, now = tuple(named.values()), self._clock.monotonic_ns()
        kept = self._kept.get(place)
        if kept is not None and now < kept.fresh_until:
            return kept.found
        if kept is not None:  # one caller asks; the others go on with what there is
            self._keep(place, _Entry(kept.found, now + _AGAIN))
        try:
            answer = self._load(named)
            found = _checked(await answer if isawaitable(answer) else answer)
        except HostError:
            raise
        except Exception as error:
            self._tell(error)
            found, until = (_NOTHING if kept is None else kept.found), now + _AGAIN
        else:
            self._told, until = False, now + self._fresh
        self._keep(place, _Entry(found, until))
        return found

    limits_for: Final = synced(alimits_for)

    def forget(self, keys: Mapping[str, str]) -> None:
        """Drops what is kept for these keys: call it when a subscription changes."""
        with self._lock:
            self._kept.pop(tuple(keys.get(name, "") for name in self._by), None)

    def _keep(self, place: tuple[str, ...], entry: _Entry) -> None:
        with self._lock:
            self._kept[place] = entry
            if len(self._kept) > _MOST_ENTRIES:
                del self._kept[next(iter(self._kept))]

    def _tell(self, error: Exception) -> None:
        if not self._told:
            self._told = True
            _LOG.warning("the plan source failed (%s); limits stay as they were", type(error).__name__)


def _checked(found: object) -> Mapping[str, Override]:
    if not isinstance(found, Mapping):
        raise TypeError("a plan source answers a mapping of rule names to Override")
    if not all(isinstance(name, str) and isinstance(entry, Override) for name, entry in found.items()):
        raise TypeError("a plan source answers a mapping of rule names to Override")
    return dict(found)
