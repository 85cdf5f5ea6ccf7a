"""Stripe's subscriptions as snapshots, from webhooks that were verified and may come late, twice and out of order.

A webhook's object is the subscription as it stood when the event was made, so the newest event is the truth, and all
that matters is which one is newest. Stripe dates events in whole seconds. A snapshot's version is therefore

    seconds of `created`  |  place in the life of a subscription  |  strictness of the status

so that events of one second are ordered the same way wherever and however often they arrive: a deletion is the last
word, a creation the first one, and between two updates the status that allows less stands. Two updates of one second
with the same status cannot be told apart; the first to arrive stands. Whenever a tie decided, `Fed.refetch` says so:
ask Stripe for the subscription a second later and give the answer to `StripeFeed.refetched`, which outranks every
event made before the second in which it was asked for.

A tenant has one subscription. Where it changes to another one, the end of the old one does not take the place of the
new one, whichever is told first.

What is read: `id`, `status`, `items` (price and quantity), the end of the period (of the subscription, or of its items
since API version 2025-03-31), `cancel_at`, `cancel_at_period_end`, `ended_at` and `metadata`. Invoices and the like say
nothing here that the subscription does not say itself: `invoice.payment_failed` is followed by
`customer.subscription.updated` with `past_due`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal, Protocol

from ..core.clock import Clock, SystemClock, aware, from_micros, to_micros
from ..core.errors import InvalidRequest, UsageError
from ..core.event import AuditEvent, EventSink
from ..core.outbox import OutboxRelay, relay_to
from ..core.sansio import suspends, synced
from .ids import is_tenant_id
from .plans import SubscriptionStore
from .subscription import EntitlementSnapshot, Feature, Plan

__all__ = ["Fed", "StripeChange", "StripeFeed", "Verified", "stripe_change", "stripe_subscription"]

_PREFIX: Final = "customer.subscription."
_PLACES: Final = {"created": 0, "updated": 1, "paused": 1, "resumed": 1, "deleted": 2}
_STRICTNESS: Final = {
    "trialing": 0, "active": 0, "past_due": 1, "incomplete": 2, "paused": 3, "unpaid": 4, "incomplete_expired": 5,
    "canceled": 6,
}  # fmt: skip
_UNKNOWN: Final = 7
_BITS: Final = 6  # below the seconds: three for the place, three for the strictness
_LAST_OF_SECOND: Final = (1 << _BITS) - 1
_LATEST: Final = 2**40
_MILLION: Final = 1_000_000
_ACTOR: Final = {"kind": "service", "id": "stripe"}


class Verified(Protocol):
    """A webhook that was verified; `webhooks.VerifiedWebhook` is one."""

    @property
    def provider(self) -> str:
        """Whose it is."""
        ...

    def json(self) -> Any:
        """Its body."""
        ...


@dataclass(frozen=True, slots=True)
class StripeChange:
    """What one event says about one tenant's subscription."""

    tenant_id: str
    snapshot: EntitlementSnapshot


@dataclass(frozen=True, slots=True)
class Fed:
    """What became of an event.

    Args:
        outcome: ``applied``; ``late``, something newer is known; ``ignored``, it is not about a subscription.
        refetch: two events of one second contradict each other: ask Stripe.
    """

    outcome: Literal["applied", "late", "ignored"]
    tenant_id: str | None = None
    snapshot: EntitlementSnapshot | None = None
    refetch: bool = False


def stripe_change(
    event: Mapping[str, Any], plans: Mapping[str, Plan], *, tenant_key: str = "tenant_id"
) -> StripeChange | None:
    """The snapshot that an event of a verified webhook holds; None for events that are about something else.

    Args:
        plans: by the price's lookup key, its id, or its product's id.
        tenant_key: where the subscription's metadata names the tenant; set it when you create the subscription.

    Raises:
        InvalidRequest: not the shape of a Stripe event, or a subscription without tenant.
    """
    kind = _text(event, "type")
    place = _PLACES.get(kind.removeprefix(_PREFIX)) if kind.startswith(_PREFIX) else None
    if place is None:
        return None
    created = _number(event, "created")
    found = stripe_subscription(_mapping(_mapping(event, "data"), "object"), plans, tenant_key=tenant_key)
    strictness = _STRICTNESS.get(found.snapshot.status, _UNKNOWN)
    version = created << _BITS | place << 3 | strictness
    since = _moment(created) if found.snapshot.status == "past_due" else None
    return replace(found, snapshot=replace(found.snapshot, version=version, past_due_since=since))


def stripe_subscription(
    subscription: Mapping[str, Any], plans: Mapping[str, Plan], *, tenant_key: str = "tenant_id"
) -> StripeChange:
    """A subscription object as a snapshot of version 0; raises `InvalidRequest`.

    Several items add up: the first plan gives the name, later ones win for features of the same name. An item that no
    plan is known for includes nothing. A seat feature without a limit takes the item's quantity.
    """
    tenant_id = _mapping(subscription, "metadata").get(tenant_key)
    if not is_tenant_id(tenant_id):
        raise InvalidRequest("the subscription names no tenant", hint=f"set metadata.{tenant_key} when you create it")
    listed = _mapping(subscription, "items").get("data")
    items = [item for item in listed if isinstance(item, Mapping)] if isinstance(listed, list) else []
    sold = [(plan, item) for item in items if (plan := _plan_of(item, plans)) is not None]
    features = {name: feature for plan, item in sold for name, feature in _bought(plan, item).items()}
    name = sold[0][0].name if sold else ""
    reference = _text(subscription, "id") if subscription.get("id") is not None else None
    standing = _standing(subscription, items)
    return StripeChange(str(tenant_id), EntitlementSnapshot(name, *standing, features, reference=reference))


def _standing(subscription: Mapping[str, Any], items: list[Mapping[str, Any]]) -> tuple[str, datetime | None]:
    """Status and end of the paid period.

    Notice given for the end of the period counts at once, so that a last event that never arrives gives nothing away.
    Notice for another day does not: it would move the end of the period, and so begin the count of metered use anew.
    """
    status = _text(subscription, "status")
    ends = (_when(source, "current_period_end") for source in (subscription, *items))
    end = min((moment for moment in ends if moment is not None), default=None)
    ended = _when(subscription, "ended_at")
    if ended is not None:
        return status, ended if end is None else min(end, ended)  # over means over
    leaves = subscription.get("cancel_at_period_end") is True or _when(subscription, "cancel_at") == end
    if leaves and end is not None and status in ("active", "trialing"):
        return "canceled", end
    return status, end


class StripeFeed:
    """Feeds a subscription store with verified webhooks.

    Args:
        store: `storage.sql.SqlEntitlements`, `StaticEntitlements` or your own.
        plans, tenant_key: as for `stripe_change`.
        audit: takes ``subscription.changed``, committed with the change.
    """

    def __init__(
        self,
        store: SubscriptionStore,
        plans: Mapping[str, Plan],
        *,
        tenant_key: str = "tenant_id",
        audit: EventSink | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.suspends: bool = suspends(store, audit)
        self.relay: OutboxRelay | None = relay_to(store.outbox, audit)
        self._store: SubscriptionStore = store
        self._plans: Mapping[str, Plan] = plans
        self._tenant_key: str = tenant_key
        self._told: bool = audit is not None
        self._clock: Clock = clock or SystemClock()

    async def aapply(self, event: Verified) -> Fed:
        """Applies what a verified webhook says, unless something newer is known.

        Raises:
            UsageError: not a verified webhook of Stripe. InvalidRequest: not the shape of a Stripe event.
        """
        if getattr(event, "provider", None) != "stripe":
            raise UsageError(
                "the feed takes verified webhooks of Stripe", hint="verifier('stripe', ...).verify(headers, body)"
            )
        said = event.json()
        change = stripe_change(_object(said, "the event"), self._plans, tenant_key=self._tenant_key)
        if change is None:
            return Fed("ignored")
        return await self._apply(change, _text(said, "id"))

    apply: Final = synced(aapply)

    async def arefetched(self, subscription: Mapping[str, Any], asked_at: datetime) -> Fed:
        """Applies a subscription that was fetched from Stripe: the truth about everything before `asked_at`.

        Args:
            asked_at: when the request was sent; events of that very second and later outrank the answer.
        """
        found = stripe_subscription(_object(subscription, "the subscription"), self._plans, tenant_key=self._tenant_key)
        second = to_micros(aware(asked_at, "asked_at")) // _MILLION - 1
        since = asked_at if found.snapshot.status == "past_due" else None
        version = second << _BITS | _LAST_OF_SECOND
        dated = replace(found, snapshot=replace(found.snapshot, version=version, past_due_since=since))
        return await self._apply(dated, "refetched")

    refetched: Final = synced(arefetched)

    async def _apply(self, change: StripeChange, source: str) -> Fed:
        held = await self._store.snapshot(change.tenant_id)
        snapshot = _overdue_as_before(change.snapshot, held)
        told = AuditEvent(
            "subscription.changed",
            "success",
            change.tenant_id,
            _ACTOR,
            data={"plan": snapshot.plan, "status": snapshot.status, "event": source},
            occurred_at=self._clock.now(),
        )
        applied = await self._store.aapply(change.tenant_id, snapshot, (told,) if self._told else ())
        if self.relay is not None:
            await self.relay.aforward()
        tied = held is not None and held.version >> _BITS == snapshot.version >> _BITS and _differ(held, snapshot)
        return Fed("applied" if applied else "late", change.tenant_id, snapshot, tied)


def _overdue_as_before(snapshot: EntitlementSnapshot, held: EntitlementSnapshot | None) -> EntitlementSnapshot:
    """Grace counts from the first event that said past due; later ones of the same spell do not stretch it."""
    if held is None or held.status != "past_due" or snapshot.status != "past_due" or held.past_due_since is None:
        return snapshot
    return replace(snapshot, past_due_since=held.past_due_since)


def _differ(one: EntitlementSnapshot, other: EntitlementSnapshot) -> bool:
    return replace(one, version=0, past_due_since=None) != replace(other, version=0, past_due_since=None)


def _plan_of(item: Mapping[str, Any], plans: Mapping[str, Plan]) -> Plan | None:
    price = item.get("price")
    if not isinstance(price, Mapping):
        return None
    keys = (price.get(name) for name in ("lookup_key", "id", "product"))
    return next((plans[key] for key in keys if isinstance(key, str) and key in plans), None)


def _bought(plan: Plan, item: Mapping[str, Any]) -> dict[str, Feature]:
    quantity = item.get("quantity")
    return {
        name: replace(feature, limit=quantity if type(quantity) is int and quantity >= 0 else 0)
        if feature.seats and feature.limit is None
        else feature
        for name, feature in plan.features.items()
    }


# --- shapes ----------------------------------------------------------------------------------------------------------


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidRequest(f"{what} is no JSON object")
    return value


def _mapping(source: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return _object(source.get(name), name)


def _text(source: Mapping[str, Any], name: str) -> str:
    found = source.get(name)
    if not isinstance(found, str) or not found.isascii() or len(found) > 255:
        raise InvalidRequest(f"{name} is no short text")
    return found


def _number(source: Mapping[str, Any], name: str) -> int:
    found = source.get(name)
    if type(found) is not int or not 0 <= found < _LATEST:
        raise InvalidRequest(f"{name} is no time")
    return found


def _when(source: Mapping[str, Any], name: str) -> datetime | None:
    return _moment(_number(source, name)) if source.get(name) is not None else None


def _moment(seconds: int) -> datetime:
    try:
        return from_micros(seconds * _MILLION)
    except OverflowError:
        raise InvalidRequest("a time out of range") from None
