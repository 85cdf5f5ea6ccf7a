"""What a subscription allows, as values and one pure table.

=========================================== ===========  ===========================================
status                                      answer       while
=========================================== ===========  ===========================================
trialing, active                            allow        always
past_due                                    allow        ``now < (past_due_since or period_end) + grace``
past_due                                    deny         from then on
canceled                                    allow        ``now < period_end``
canceled                                    deny         from then on
paused, unpaid, incomplete(_expired)        read_only    always
anything else, other case or blanks too     deny         always, ``unknown_status``
=========================================== ===========  ===========================================

``read_only`` leaves on what is declared to read, so that a customer who stopped paying can still take the data away.
A period that has not begun denies, whatever the status.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal

from ..core.clock import aware
from ..core.errors import UsageError

__all__ = ["Access", "EntitlementDecision", "EntitlementSnapshot", "Feature", "Plan", "Reason", "answer", "standing"]

Access = Literal["allow", "read_only", "deny"]
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
_ENDED: Final = frozenset(("canceled", "incomplete_expired"))
_MOMENT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing a plan includes.

    =========  ===========================================  ==================================================
    kind       declared                                     decided by
    =========  ===========================================  ==================================================
    boolean    ``Feature()``                                the subscription alone
    value      ``Feature(value=30)``                        the subscription; the decision carries the value
    metered    ``Feature(limit=100)``                       a counter of the period, hard at the limit
    soft       ``Feature(limit=100, overage=20)``           the same, hard at 120; ``over`` from 101 on
    seats      ``Feature(limit=5, seats=True)``             the workspace's members and open invitations
    =========  ===========================================  ==================================================

    Args:
        limit: how much a period includes, or how many seats; None for a feature that is simply on.
        on_unknown: what to answer when the subscription's state is not known or too old.
        read_only: reads only, so it stays on while the subscription is paused, unpaid or incomplete.
        value: what the plan sets it to.
        overage: how far beyond `limit` use is still granted.
        seats: counted by memberships instead of by use.
    """

    limit: int | None = None
    on_unknown: Literal["deny", "allow"] = "deny"
    read_only: bool = False
    value: str | int | bool | None = None
    overage: int = 0
    seats: bool = False

    def __post_init__(self) -> None:
        if self.limit is not None and (type(self.limit) is not int or self.limit < 0):
            raise UsageError("a feature's limit is an int of at least 0, or None")
        if self.on_unknown not in ("deny", "allow"):
            raise UsageError("on_unknown is 'deny' or 'allow'")
        if type(self.overage) is not int or self.overage < 0:
            raise UsageError("a feature's overage is an int of at least 0")
        if self.overage and (self.limit is None or self.seats):
            raise UsageError("an overage is one beyond a metered limit", hint="Feature(limit=100, overage=20)")
        if self.value is not None and (type(self.value) not in (str, int, bool) or self.limit is not None):
            raise UsageError("a feature's value is text, an int or a bool, and has no limit", hint="Feature(value=30)")

    @property
    def metered(self) -> bool:
        """Whether use is counted."""
        return self.limit is not None and not self.seats


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
        past_due_since: when payment failed, where the provider's period goes on regardless; grace counts from it.
        reference: the provider's id of the subscription, where a tenant may have had several.
    """

    plan: str
    status: str
    period_end: datetime | None
    features: Mapping[str, Feature] = field(default_factory=dict, hash=False)
    version: int = 0
    as_of: datetime | None = None
    period_start: datetime | None = None
    past_due_since: datetime | None = None
    reference: str | None = None

    def __post_init__(self) -> None:
        if type(self.version) is not int or not 0 <= self.version < 2**53:
            raise UsageError("a snapshot's version is an int of at least 0")
        for name in ("period_end", "as_of", "period_start", "past_due_since"):
            moment = getattr(self, name)
            if moment is not None:
                aware(moment, name)
        if not all(isinstance(name, str) and isinstance(of, Feature) for name, of in self.features.items()):
            raise UsageError("features maps names to Feature", hint="features={'seats': Feature(limit=5)}")
        object.__setattr__(self, "features", MappingProxyType(dict(self.features)))

    @property
    def seats(self) -> int | None:
        """What `Memberships.set_seats` is to be told: the limit of the seat feature, None only if it has none.

        A plan without seat feature has one seat, the owner's, and so has a price that no plan is known for.
        """
        found = next((feature for feature in self.features.values() if feature.seats), None)
        if found is None:
            return 1
        return None if found.limit is None else max(1, found.limit)

    @property
    def parting(self) -> bool:
        """Whether it tells of an end: such a snapshot never takes the place of another subscription's."""
        return self.reference is not None and self.status in _ENDED

    def replaces(self, held: EntitlementSnapshot) -> bool:
        """Whether a store that holds `held` takes this one: it is newer, and no farewell of another subscription."""
        theirs = held.reference is not None and held.reference != self.reference
        return self.version > held.version and not (self.parting and theirs)

    def older_than(self, age: timedelta, now: datetime) -> bool:
        """Whether it was copied longer ago than `age`."""
        return self.as_of is not None and now - self.as_of > age

    def stale(self, now: datetime) -> bool:
        """Whether it is a copy of an earlier moment."""
        return self.as_of is not None and now > self.as_of

    def turns(self, grace: timedelta, max_stale: timedelta) -> Iterator[datetime]:
        """The moments at which an answer from it may change; between two of them all answers stand."""
        end = self.period_end
        overdue = self.past_due_since or end
        for turn in (
            self.period_start,
            end,
            overdue + grace if overdue is not None else None,
            self.as_of,
            self.as_of + max_stale if self.as_of is not None else None,
        ):
            if turn is not None:
                yield turn
                yield turn + _MOMENT  # some bounds are inclusive


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sold under a name."""

    name: str
    features: Mapping[str, Feature] = field(default_factory=dict, hash=False)

    def snapshot(self, status: str = "active", period_end: datetime | None = None, **more: Any) -> EntitlementSnapshot:
        """A subscription to it; `more` are further fields of `EntitlementSnapshot`."""
        return EntitlementSnapshot(self.name, status, period_end, self.features, **more)


@dataclass(frozen=True, slots=True)
class EntitlementDecision:
    """The answer for one feature; true exactly when allowed.

    Args:
        limit, used, remaining: of a metered or seat feature; None for others.
        resets_at: when the count starts anew.
        stale: the answer rests on a copy of an earlier moment.
        value: of a value feature.
        over: allowed, but beyond the limit of a soft feature.
    """

    allowed: bool
    reason: Reason
    limit: int | None = None
    used: int | None = None
    remaining: int | None = None
    resets_at: datetime | None = None
    stale: bool = False
    value: str | int | bool | None = None
    over: bool = False

    def __bool__(self) -> bool:
        return self.allowed


def standing(snapshot: EntitlementSnapshot, now: datetime, grace: timedelta) -> tuple[Access, Reason]:
    """What the subscription's state gives, and why if it is not everything."""
    status, end = snapshot.status, snapshot.period_end
    if snapshot.period_start is not None and now < snapshot.period_start:
        return "deny", "not_started"
    if status in ("trialing", "active"):
        return "allow", "allowed"
    if status == "past_due":
        since = snapshot.past_due_since or end
        return ("allow", "allowed") if since is not None and now < since + grace else ("deny", "past_due")
    if status == "canceled":
        return ("allow", "allowed") if end is not None and now < end else ("deny", "canceled")
    suspended = _SUSPENDED.get(status) if isinstance(status, str) else None
    return ("read_only", suspended) if suspended is not None else ("deny", "unknown_status")


def answer(
    snapshot: EntitlementSnapshot, name: object, now: datetime, *, grace: timedelta, max_stale: timedelta
) -> EntitlementDecision:
    """Everything about one feature that the snapshot alone decides: all but the counters."""
    stale = snapshot.stale(now)
    feature = snapshot.features.get(name) if isinstance(name, str) else None
    if feature is None:
        return EntitlementDecision(False, "unknown_feature", stale=stale)
    reason: Reason
    if snapshot.older_than(max_stale, now):
        reason = "allowed" if feature.on_unknown == "allow" else "source_unavailable"
    else:
        access, why = standing(snapshot, now, grace)
        reason = "allowed" if access == "allow" or (access == "read_only" and feature.read_only) else why
    resets_at = snapshot.period_end if feature.metered else None
    allowed = reason == "allowed"
    value = feature.value if allowed else None
    return EntitlementDecision(allowed, reason, feature.limit, resets_at=resets_at, stale=stale, value=value)
