"""Stripe's webhooks as snapshots: real signatures, and every order of arrival."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from wellstreak_trust.core import FixedClock, UsageError
from wellstreak_trust.core.errors import InvalidRequest
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.sql import Database
from wellstreak_trust.storage.sql.usage import SqlEntitlements
from wellstreak_trust.tenancy import Entitlements, Feature, Plan, StaticEntitlements, testing_context
from wellstreak_trust.tenancy.stripe import StripeFeed, stripe_change
from wellstreak_trust.testing import signer
from wellstreak_trust.webhooks import verifier
from workspaces import Trail, race

SECRET = "whsec_0123456789abcdef0123456789abcdef"
T = 1_800_000_000
NOW = datetime.fromtimestamp(T, UTC)
END = T + 30 * 86_400
PRO = Plan("pro", {"sso": Feature(), "runs": Feature(limit=100), "seats": Feature(seats=True)})
EXTRA = Plan("extra", {"runs": Feature(limit=500), "export": Feature(read_only=True)})
PLANS = {"pro_monthly": PRO, "prod_extra": EXTRA}


def item(lookup_key: Any = "pro_monthly", quantity: Any = 7, **more: Any) -> dict[str, Any]:
    price = {"id": "price_1", "lookup_key": lookup_key, "product": "prod_pro", **more.pop("price", {})}
    return {"price": price, "quantity": quantity, **more}


def subscription(status: str = "active", **more: Any) -> dict[str, Any]:
    return {
        "object": "subscription",
        "status": status,
        "metadata": {"tenant_id": "acme"},
        "items": {"data": [item()]},
        "current_period_end": END,
        **more,
    }


def event(kind: str = "updated", at: int = T, **more: Any) -> dict[str, Any]:
    return {
        "id": f"evt_{kind}_{at}_{more.get('status', '')}",
        "type": f"customer.subscription.{kind}",
        "created": at,
        "data": {"object": subscription(**more)},
    }


class Delivered:
    provider = "stripe"

    def __init__(self, body: Any) -> None:
        self.body = body

    def json(self) -> Any:
        return self.body


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Any:
    if request.param == "memory":
        return StaticEntitlements()
    return SqlEntitlements(Database(request.getfixturevalue(request.param)))


def test_an_event_becomes_a_snapshot() -> None:
    change = stripe_change(event("created"), PLANS)
    assert change is not None
    found = change.snapshot
    assert (change.tenant_id, found.plan, found.status) == ("acme", "pro", "active")
    assert found.period_end == datetime.fromtimestamp(END, UTC)
    assert found.seats == 7
    assert found.features["runs"].limit == 100


def test_a_genuine_webhook_reaches_the_guard(store: Any) -> None:
    """Signed, verified, applied, asked."""
    clock, trail = FixedClock(NOW), Trail()
    feed = StripeFeed(store, PLANS, audit=trail, clock=clock)
    entitlements = Entitlements(store, clock=clock)
    checking = verifier("stripe", secrets=[SECRET], clock=clock)
    context = testing_context("acme")

    def deliver(said: dict[str, Any]) -> str:
        signed = signer("stripe", SECRET).sign(json.dumps(said).encode(), at=NOW)
        return feed.apply(checking.verify(signed.headers, signed.body)).outcome

    assert entitlements.check(context, "sso").reason == "no_subscription"
    assert deliver(event("created")) == "applied"
    assert entitlements.check(context, "sso").allowed
    assert deliver(event("created")) == "late"
    assert deliver(event("updated", T + 9, status="unpaid")) == "applied"
    assert deliver(event("updated", T + 5, status="active")) == "late"
    assert entitlements.check(context, "sso").reason == "unpaid"
    assert deliver({"id": "evt_9", "type": "invoice.payment_failed", "created": T, "data": {"object": {}}}) == "ignored"
    assert [(told.action, told.data["status"]) for told in trail.events] == [
        ("subscription.changed", "active"),
        ("subscription.changed", "unpaid"),
    ]


def test_the_feed_takes_verified_webhooks_only() -> None:
    feed = StripeFeed(StaticEntitlements(), PLANS)
    other = Delivered(event())
    other.provider = "github"
    for wrong in (event(), other, None, json.dumps(event())):
        with pytest.raises(UsageError):
            feed.apply(wrong)  # type: ignore[arg-type]  # what the test is about


SECOND = [
    event("created", status="incomplete"), event("updated", status="active"), event("updated", status="past_due"),
    event("updated", status="unpaid"), event("deleted", status="canceled", ended_at=T),
]  # fmt: skip


@pytest.mark.parametrize("size", [2, 3, 5])
def test_events_of_one_second_end_the_same_in_every_order(size: int) -> None:
    """The life of a subscription orders them, then strictness: nothing depends on who arrives first."""
    for chosen in itertools.combinations(SECOND, size):
        ends = set()
        for order in itertools.permutations(chosen):
            source = StaticEntitlements()
            feed = StripeFeed(source, PLANS)
            for one in order:
                feed.apply(Delivered(one))
            ends.add(drive(source.snapshot("acme")).status)  # type: ignore[union-attr]  # something was applied
        assert ends == {max(chosen, key=SECOND.index)["data"]["object"]["status"]}


@given(st.permutations([*SECOND, *(event("updated", T + late, status="active") for late in (1, 2, 3))]))
def test_the_newest_event_is_the_truth(order: list[dict[str, Any]]) -> None:
    source = StaticEntitlements()
    feed = StripeFeed(source, PLANS)
    for one in [*order, *order]:
        feed.apply(Delivered(one))
    held = drive(source.snapshot("acme"))
    assert held is not None
    assert (held.status, held.version >> 6) == ("active", T + 3)


def test_a_tie_that_contradicts_asks_for_the_truth() -> None:
    source = StaticEntitlements()
    feed = StripeFeed(source, PLANS)
    assert not feed.apply(Delivered(event())).refetch
    assert not feed.apply(Delivered(event())).refetch, "the same event again is no contradiction"
    other = event(items={"data": [item(quantity=9)]})
    tied = feed.apply(Delivered(other))
    assert (tied.outcome, tied.refetch) == ("late", True)
    truth = subscription(items={"data": [item(quantity=9)]})
    assert feed.refetched(truth, NOW).outcome == "late", "asked in the second of the tie, it settles nothing"
    assert feed.refetched(truth, NOW + timedelta(seconds=1)).outcome == "applied"
    assert drive(source.snapshot("acme")).seats == 9  # type: ignore[union-attr]  # applied above
    assert feed.apply(Delivered(event("deleted", T, status="canceled"))).outcome == "late"
    assert feed.apply(Delivered(event("updated", T + 1))).outcome == "applied"


def test_grace_counts_from_the_first_event_that_said_past_due(store: Any) -> None:
    """Stripe's period goes on while payment is retried; the paid one does not."""
    clock = FixedClock(NOW)
    feed, entitlements = StripeFeed(store, PLANS), Entitlements(store, clock=clock)
    context = testing_context("acme")
    feed.apply(Delivered(event("updated", T, status="past_due")))
    feed.apply(Delivered(event("updated", T + 5 * 86_400, status="past_due")))
    clock.advance(timedelta(days=7) - timedelta(microseconds=1))
    assert entitlements.check(context, "sso").allowed
    clock.advance(timedelta(microseconds=1))
    assert entitlements.check(context, "sso").reason == "past_due"
    feed.apply(Delivered(event("updated", T + 8 * 86_400)))
    assert entitlements.check(context, "sso").allowed
    feed.apply(Delivered(event("updated", T + 9 * 86_400, status="past_due")))
    assert entitlements.check(context, "sso").allowed, "another spell has a grace of its own"


@pytest.mark.parametrize(
    ("more", "status", "end"),
    [
        ({}, "active", END),
        ({"cancel_at_period_end": True}, "canceled", END),
        ({"cancel_at": END}, "canceled", END),
        ({"cancel_at": END - 5}, "active", END),
        ({"cancel_at": END + 5}, "active", END),
        ({"cancel_at_period_end": "yes"}, "active", END),
        ({"cancel_at_period_end": True, "status": "past_due"}, "past_due", END),
        ({"status": "canceled", "ended_at": T}, "canceled", T),
        ({"status": "canceled", "ended_at": END + 9}, "canceled", END),
        ({"status": "canceled", "ended_at": T, "current_period_end": None}, "canceled", T),
        ({"current_period_end": None}, "active", None),
        ({"current_period_end": None, "items": {"data": [item(current_period_end=END)]}}, "active", END),
        ({"status": "paused"}, "paused", END),
        ({"status": "Active"}, "Active", END),
    ],
)
def test_status_and_end(more: dict[str, Any], status: str, end: int | None) -> None:
    change = stripe_change(event(**more), PLANS)
    assert change is not None
    wanted = None if end is None else datetime.fromtimestamp(end, UTC)
    assert (change.snapshot.status, change.snapshot.period_end) == (status, wanted)


@pytest.mark.parametrize(
    ("items", "plan", "features"),
    [
        ([item()], "pro", {"sso", "runs", "seats"}),
        ([item("unheard-of")], "", set()),
        ([item(None, price={"product": "prod_extra"})], "extra", {"runs", "export"}),
        ([item(), item(None, price={"product": "prod_extra"})], "pro", {"sso", "runs", "seats", "export"}),
        ([], "", set()),
        ([7, None, {"price": 7}, {"price": {"lookup_key": ["pro_monthly"]}}], "", set()),
    ],
)
def test_items_become_features(items: list[Any], plan: str, features: set[str]) -> None:
    change = stripe_change(event(items={"data": items}), PLANS)
    assert change is not None
    assert (change.snapshot.plan, set(change.snapshot.features)) == (plan, features)


@pytest.mark.parametrize(("quantity", "seats"), [(7, 7), (0, 1), (-1, 1), (None, 1), (True, 1), ("9", 1)])
def test_seats_are_as_many_as_were_bought(quantity: Any, seats: int) -> None:
    change = stripe_change(event(items={"data": [item(quantity=quantity)]}), PLANS)
    assert change is not None
    assert change.snapshot.seats == seats


def test_a_price_that_nobody_knows_has_the_owners_seat() -> None:
    change = stripe_change(event(items={"data": [item("unheard-of")]}), PLANS)
    assert change is not None
    assert change.snapshot.seats == 1
    assert Plan("open", {"seats": Feature(seats=True)}).snapshot().seats is None


GOOD = event()


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {},
        {**GOOD, "type": 7},
        {**GOOD, "created": "1"},
        {**GOOD, "created": True},
        {**GOOD, "created": -1},
        {**GOOD, "created": 2**60},
        {**GOOD, "data": None},
        {**GOOD, "data": {"object": []}},
        event(metadata={}),
        event(metadata=None),
        event(metadata={"tenant_id": "../etc"}),
        event(metadata={"tenant_id": 7}),
        event(items=None),
        event(status=7),
        event(status="é"),
        event(current_period_end="soon"),
        event(current_period_end=2**39),
        {**GOOD, "id": None},
    ],
    ids=range(19),
)
def test_what_has_not_the_shape_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidRequest):
        StripeFeed(StaticEntitlements(), PLANS).apply(Delivered(wrong))


def test_events_that_are_about_something_else_are_ignored() -> None:
    for kind in ("customer.subscription.trial_will_end", "customer.subscription", "invoice.paid", "", "created"):
        assert stripe_change({**GOOD, "type": kind}, PLANS) is None


def test_racing_events_leave_the_newest(engine: Engine) -> None:
    source = SqlEntitlements(Database(engine))
    feed = StripeFeed(source, PLANS)
    for turn in range(4):
        start = T + turn * 100
        events = [event("updated", start + n, status="active" if n % 2 else "unpaid") for n in range(4)]
        race(*(lambda one=one: feed.apply(Delivered(one)) for one in events))
        held = drive(source.snapshot("acme"))
        assert held is not None
        assert (held.version >> 6, held.status) == (start + 3, "active")


def test_moving_to_another_subscription_is_not_undone_by_the_end_of_the_old_one() -> None:
    source = StaticEntitlements()
    feed = StripeFeed(source, PLANS)
    feed.apply(Delivered(event("created", T, id="sub_old")))
    feed.apply(Delivered(event("created", T + 5, id="sub_new")))
    assert (
        feed.apply(Delivered(event("deleted", T + 9, id="sub_old", status="canceled", ended_at=T + 9))).outcome
        == "late"
    )
    assert drive(source.snapshot("acme")).status == "active"  # type: ignore[union-attr]  # applied above
    assert feed.apply(Delivered(event("deleted", T + 9, id="sub_new", status="canceled"))).outcome == "applied"


def test_another_key_names_the_tenant() -> None:
    said = event(metadata={"workspace": "acme"})
    change = stripe_change(said, PLANS, tenant_key="workspace")
    assert change is not None
    assert change.tenant_id == "acme"
    assert replace(change.snapshot, version=0).version == 0
