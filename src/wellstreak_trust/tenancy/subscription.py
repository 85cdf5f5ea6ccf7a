"""What a subscription allows, as values and one pure table.

=========================================== ==========================================================
status                                      answer
=========================================== ==========================================================
trialing, active                            allow
past_due                                    allow while ``now < period_end + grace``
canceled                                    allow while ``now < period_end``
paused, unpaid, incomplete(_expired)        deny, except features declared ``read_only``
anything else, other case or blanks too     deny, ``unknown_status``
=========================================== ==========================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, Literal

from ..core.clock import aware
from ..core.errors import UsageError

__all__ = ["EntitlementDecision", "EntitlementSnapshot", "Feature", "Reason", "standing"]

Reason = Literal[
    "allowed",
    "limit_reached",
    "unknown_feature",
    "no_subscription",
    "source_unavailable",
    "unknown_status",
    "not_started",
    "past_due",
    "canceled",
    "paused",
    "unpaid",
    "incomplete",
]
_SUSPENDED: Final[Mapping[str, Reason]] = MappingProxyType(
    {"paused": "paused", "unpaid": "unpaid", "incomplete": "incomplete", "incomplete_expired": "incomplete"}
)


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing a plan includes.

    Args:
        limit: how much a period includes (metered); None for a feature that is simply on.
        on_unknown: what to answer when the subscription's state is not known or too old.
        read_only: stays on while the subscription is paused, unpaid or incomplete, so that data can be exported.
    """

    limit: int | None = None
    on_unknown: Literal["deny", "allow"] = "deny"
    read_only: bool = False

    def __post_init__(self) -> None:
        if self.limit is not None and (type(self.limit) is not int or self.limit < 0):
            raise UsageError("a feature's limit is an int of at least 0, or None")
        if self.on_unknown not in ("deny", "allow"):
            raise UsageError("on_unknown is 'deny' or 'allow'")


@dataclass(frozen=True, slots=True)
class EntitlementSnapshot:
    """A tenant's subscription at one moment.

    Args:
        status: the provider's word, taken exactly.
        period_end: end of the paid period, aware; None for plans without one. Metered use starts anew with it.
        features: what the plan includes, by name.
        version: grows with every billing event; late ones are told by it.
        as_of: when a source that copies read it; None for a source that always answers for now.
        period_start: before it nothing is included.
    """

    plan: str
    status: str
    period_end: datetime | None
    features: Mapping[str, Feature] = field(default_factory=dict, hash=False)
    version: int = 0
    as_of: datetime | None = None
    period_start: datetime | None = None

    def __post_init__(self) -> None:
        if type(self.version) is not int or not 0 <= self.version < 2**53:
            raise UsageError("a snapshot's version is an int of at least 0")
        for name in ("period_end", "as_of", "period_start"):
            moment = getattr(self, name)
            if moment is not None:
                aware(moment, name)
        if not all(isinstance(name, str) and isinstance(of, Feature) for name, of in self.features.items()):
            raise UsageError("features maps names to Feature", hint="features={'seats': Feature(limit=5)}")
        object.__setattr__(self, "features", MappingProxyType(dict(self.features)))

    def older_than(self, age: timedelta, now: datetime) -> bool:
        """Whether it was copied longer ago than `age`."""
        return self.as_of is not None and now - self.as_of > age

    def stale(self, now: datetime) -> bool:
        """Whether it is a copy of an earlier moment."""
        return self.as_of is not None and now > self.as_of


@dataclass(frozen=True, slots=True)
class EntitlementDecision:
    """The answer for one feature; true exactly when allowed.

    Args:
        limit, used, remaining: of a metered feature in this period; None for others.
        resets_at: when the count starts anew.
        stale: the answer rests on a copy of an earlier moment.
    """

    allowed: bool
    reason: Reason
    limit: int | None = None
    used: int | None = None
    remaining: int | None = None
    resets_at: datetime | None = None
    stale: bool = False

    def __bool__(self) -> bool:
        return self.allowed


def standing(snapshot: EntitlementSnapshot, feature: Feature, now: datetime, grace: timedelta) -> Reason:
    """``allowed``, or why the subscription's state denies; usage is judged elsewhere."""
    status, end = snapshot.status, snapshot.period_end
    if snapshot.period_start is not None and now < snapshot.period_start:
        return "not_started"
    if status in ("trialing", "active"):
        return "allowed"
    if status == "past_due":
        return "allowed" if end is not None and now < end + grace else "past_due"
    if status == "canceled":
        return "allowed" if end is not None and now < end else "canceled"
    suspended = _SUSPENDED.get(status) if isinstance(status, str) else None
    if suspended is None:
        return "unknown_status"
    return "allowed" if feature.read_only else suspended
