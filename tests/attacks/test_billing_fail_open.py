"""Getting what was not paid for: forged, old and odd billing events, names nobody sells, and sources that are down."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from wellstreak_trust.core import FixedClock, TrustError
from wellstreak_trust.core.errors import WebhookError
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.tenancy import (
    Entitlements,
    Feature,
    Memberships,
    MemoryMembershipStore,
    MemoryUsageStore,
    Plan,
    StaticEntitlements,
    testing_context,
)
from wellstreak_trust.tenancy.stripe import StripeFeed
from wellstreak_trust.testing import signer
from wellstreak_trust.webhooks import verifier
from workspaces import OWNER

T = 1_800_000_000
NOW = datetime.fromtimestamp(T, UTC)
SECRET = "whsec_0123456789abcdef0123456789abcdef"
PRO = Plan("pro", {"sso": Feature(), "runs": Feature(limit=2), "seats": Feature(seats=True)})
ACME = testing_context("acme", id="u1")


class Shop:
    """A host that sells `PRO` by webhooks; acme's subscription was paid, and then was not."""

    def __init__(self) -> None:
        self.clock = FixedClock(NOW)
        self.source = StaticEntitlements()
        self.feed = StripeFeed(self.source, {"pro": PRO})
        self.entitlements = Entitlements(self.source, MemoryUsageStore(), clock=self.clock)
        self.verifier = verifier("stripe", secrets=[SECRET], clock=self.clock)

    def deliver(self, body: bytes, secret: str = SECRET) -> str:
        signed = signer("stripe", secret).sign(body, at=self.clock.now())
        return self.feed.apply(self.verifier.verify(signed.headers, signed.body)).outcome

    def may(self) -> bool:
        return self.entitlements.check(ACME, "sso").allowed


def event(created: int, status: str = "active", price: Any = "pro", **more: Any) -> bytes:
    subscription = {
        "status": status, "metadata": {"tenant_id": "acme"}, "current_period_end": T + 86_400 * 30,
        "items": {"data": [{"price": {"lookup_key": price}, "quantity": 5}]}, **more,
    }  # fmt: skip
    said = {"id": "evt", "type": "customer.subscription.updated", "created": created, "data": {"object": subscription}}
    return json.dumps(said).encode()


@pytest.fixture
def shop() -> Shop:
    found = Shop()
    found.deliver(event(T))
    assert found.may()
    found.deliver(event(T + 100, "unpaid"))
    assert not found.may()
    return found


def test_an_own_signature_pays_nothing(shop: Shop) -> None:
    with pytest.raises(WebhookError):
        shop.deliver(event(T + 200), secret="whsec_fedcba9876543210fedcba9876543210")
    assert not shop.may()


def test_an_event_that_skips_the_verifier_is_refused(shop: Shop) -> None:
    with pytest.raises(TrustError):
        shop.feed.apply(json.loads(event(T + 200)))
    assert not shop.may()


@pytest.mark.parametrize("created", [T, T + 99, T + 100])
def test_a_genuine_old_event_pays_nothing(shop: Shop, created: int) -> None:
    assert shop.deliver(event(created)) == "late"
    assert not shop.may()


@pytest.mark.parametrize("status", ["Active", "active ", "ACTIVE", "", "trial", "past_due_soon", "unpaid"])
def test_a_status_that_nobody_knows_gives_nothing(shop: Shop, status: str) -> None:
    shop.deliver(event(T + 200, status))
    assert not shop.may()


@pytest.mark.parametrize("price", ["PRO", "pro ", "", None, 7, ["pro"], {"pro": 1}])
def test_a_price_that_nobody_sells_gives_nothing_and_one_seat(shop: Shop, price: Any) -> None:
    shop.deliver(event(T + 200, price=price))
    assert not shop.may()
    memberships = Memberships(MemoryMembershipStore())
    memberships.create_workspace(OWNER, tenant_id="acme")
    assert shop.entitlements.access(ACME) == "allow", "the subscription stands; it includes nothing"
    snapshot = drive(shop.source.snapshot("acme"))
    assert snapshot is not None
    memberships.set_seats("acme", snapshot.seats)
    with pytest.raises(TrustError):
        memberships.invite(ACME, "x@example.com", ["member"])


def test_moving_the_end_of_the_period_buys_no_second_allowance() -> None:
    """Notice for some day is the customer's to give; the count must not begin anew with it."""
    shop = Shop()
    shop.deliver(event(T))
    for _ in range(2):
        shop.entitlements.reserve(ACME, "runs")
    for number, cancel_at in enumerate((T + 86_400, T + 86_400 * 2, T + 86_400 * 30, T + 86_400 * 90)):
        shop.deliver(event(T + 200 + number, cancel_at=cancel_at))
        assert shop.entitlements.check(ACME, "runs").used == 2
        with pytest.raises(TrustError):
            shop.entitlements.reserve(ACME, "runs")


def test_repeating_past_due_does_not_stretch_the_grace() -> None:
    shop = Shop()
    for day in range(10):
        shop.deliver(event(T + day * 86_400, "past_due"))
        assert shop.may() is (day < 7)
        shop.clock.advance(timedelta(days=1))
