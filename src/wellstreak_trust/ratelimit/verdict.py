"""`Verdict`: what a check decided, and how to give back what it took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import Any, Final, Protocol

from ..core.errors import RateLimited, UsageError
from ..core.sansio import synced
from .headers import joined, limit_item, policy_item, seconds
from .rules import LimitRule
from .store import Charge, Level, Settlement

__all__ = ["UNLIMITED", "Usage", "Verdict", "units_of"]

UNLIMITED: Final = 2**53 - 1
"""`Verdict.remaining` where no enforced rule applies."""

_ONCE: Final = Lock()


class Accounts(Protocol):
    """Where a verdict's charges were taken."""

    @property
    def suspends(self) -> bool:
        """Whether `settle` suspends."""
        ...

    async def settle(self, settlements: Sequence[Settlement], /) -> None:
        """Settles, on a best effort."""
        ...


@dataclass(frozen=True, slots=True)
class Usage:
    """How full one bucket is.

    Args:
        limit: the rule's limit.
        remaining: whole units left now.
        reset_after: until the bucket is full again.
    """

    limit: int
    remaining: int
    reset_after: timedelta


class Verdict:
    """One decision over all rules; its truth value is `allowed`.

    Attributes:
        allowed: whether every enforced rule had room.
        degraded: decided without the store, by the rules' outage policies.
        outage: refused because a rule with ``on_outage="closed"`` cannot be asked, not because a limit is reached.
    """

    __slots__ = ("_accounts", "_charges", "_cost", "_levels", "allowed", "degraded", "outage")

    def __init__(
        self,
        allowed: bool,
        charges: Sequence[Charge],
        levels: Sequence[Level],
        cost: int = 1,
        accounts: Accounts | None = None,
        *,
        degraded: bool = False,
        outage: bool = False,
    ) -> None:
        self.allowed: bool = allowed
        self.degraded: bool = degraded
        self.outage: bool = outage
        self._charges: Sequence[Charge] = charges
        self._levels: Sequence[Level] = levels
        self._cost: int = cost
        self._accounts: Accounts | None = accounts

    def __bool__(self) -> bool:
        return self.allowed

    def __repr__(self) -> str:
        return f"Verdict(allowed={self.allowed}, violated={self.violated}, degraded={self.degraded})"

    @property
    def suspends(self) -> bool:
        """Whether `refund` and `settle` suspend."""
        return self._accounts is not None and self._accounts.suspends

    @property
    def violated(self) -> tuple[str, ...]:
        """Names of the enforced rules that refused."""
        return tuple(rule.name for rule, level in self._rules() if rule.enforced and level.wait != 0)

    @property
    def shadow_denied(self) -> tuple[str, ...]:
        """Names of the shadow rules that would have refused."""
        return tuple(rule.name for rule, level in self._rules() if not rule.enforced and level.wait != 0)

    @property
    def remaining(self) -> int:
        """Whole units left in the tightest enforced rule; after a denial, what is left now."""
        return self._tightest().remaining

    @property
    def reset_after(self) -> timedelta:
        """Until that rule is full again."""
        return _duration(self._tightest().reset)

    @property
    def retry_after(self) -> timedelta | None:
        """After which the same cost passes if nothing else comes; None when allowed, or when waiting cannot help."""
        waits = [] if self.allowed else [level.wait for rule, level in self._rules() if rule.enforced]
        known = [wait for wait in waits if wait is not None]
        return _duration(max(known)) if known and len(known) == len(waits) else None

    def usage(self) -> dict[str, Usage]:
        """How full each bucket is, by rule name."""
        return {rule.name: Usage(rule.limit, level.remaining, _duration(level.reset)) for rule, level in self._rules()}

    def headers(self) -> dict[str, str]:
        """``RateLimit-Policy``, ``RateLimit`` and ``Retry-After``; hidden rules stay out of the first two."""
        shown = [(rule, level) for rule, level in self._rules() if rule.enforced and rule.expose]
        found: dict[str, str] = {}
        if shown:
            found["RateLimit-Policy"] = joined(policy_item(rule) for rule, _ in shown)
            found["RateLimit"] = joined(limit_item(rule, level) for rule, level in shown)
        wait = self.retry_after
        if wait is not None:
            found["Retry-After"] = str(max(1, seconds(wait // _MICROSECOND * 1_000)))
        return found

    def problem(self, instance: str | None = None) -> dict[str, Any]:
        """The RFC 9457 document of the refusal."""
        return RateLimited(self).problem(instance)

    async def arefund(self) -> None:
        """Gives back what this verdict took, once; later calls, and calls on a denial, do nothing.

        At most what is still in each bucket comes back, so a late refund never creates credit. Without the store it
        is lost: nothing is raised.
        """
        await self._asettle(0)

    refund: Final = synced(arefund)

    async def asettle(self, cost: int) -> None:
        """The final charge, where `check` took an estimate; afterwards `refund` and `settle` do nothing.

        Less than charged gives back the rest; more takes the difference without refusing, so that the bucket may go
        into debt and later requests wait.

        Raises:
            UsageError: `cost` is not a whole number of at least 0.
        """
        await self._asettle(units_of(cost))

    settle: Final = synced(asettle)

    async def _asettle(self, cost: int) -> None:
        with _ONCE:  # never held over an await
            accounts, self._accounts = self._accounts, None
        if accounts is None or cost == self._cost:
            return
        await accounts.settle(
            [
                Settlement(rule, key, units, min(cost * rule.cost, rule.meter.most), level.mark)
                for (rule, key, units), level in zip(self._charges, self._levels, strict=True)
                if level.mark is not None
            ]
        )

    def _rules(self) -> Iterable[tuple[LimitRule, Level]]:
        return ((charge.rule, level) for charge, level in zip(self._charges, self._levels, strict=True))

    def _tightest(self) -> Level:
        if len(self._levels) == 1 and self._charges[0].rule.enforced:
            return self._levels[0]
        enforced = [level for rule, level in self._rules() if rule.enforced]
        return min(enforced, key=lambda level: (level.remaining, -level.reset), default=_FREE)


_FREE: Final = Level(0, UNLIMITED, 0, None)
_MICROSECOND: Final = timedelta(microseconds=1)


def _duration(nanoseconds: int) -> timedelta:
    return timedelta(microseconds=-(-nanoseconds // 1_000))


def units_of(cost: object) -> int:
    """`cost` itself if it is a whole number of at least 0.

    Raises:
        UsageError: a negative cost would fill a bucket, a fraction or a truth value is a mistake.
    """
    if type(cost) is not int or cost < 0:
        raise UsageError("a cost is a whole number of at least 0", hint="count in smaller units")
    return cost
