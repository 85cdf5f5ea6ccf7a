"""Somebody who has seen a genuine delivery sends it again, changed where nobody signed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from wellstreak_trust import webhooks
from wellstreak_trust.core import FixedClock
from wellstreak_trust.testing import SignedRequest, Signer, signer
from wellstreak_trust.webhooks import MemoryReplayStore, Replayed, ReplayGuard

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CLOCK = FixedClock(NOW)


def process(ours: Signer, delivery: SignedRequest, guard: ReplayGuard, headers: dict[str, str] | None = None) -> None:
    event = ours.verifier(clock=CLOCK).verify(headers or delivery.headers, delivery.body)
    with guard.once(event):
        assert event.body == delivery.body


def test_a_new_delivery_id_makes_no_new_delivery() -> None:
    github, guard = signer("github"), ReplayGuard(MemoryReplayStore(), clock=CLOCK)
    sent = github.sign(b'{"ref":"main"}')
    process(github, sent, guard)
    for header in ("X-GitHub-Delivery", "X-GitHub-Event"):
        with pytest.raises(Replayed):
            process(github, sent, guard, sent.headers | {header: "other"})


def test_dropping_one_of_two_signatures_makes_no_new_delivery() -> None:
    new, old = signer("standard_webhooks"), signer("standard_webhooks")
    one, two = (ours.sign(b"{}", at=NOW, id="msg_1") for ours in (new, old))
    signatures = [sent.headers["webhook-signature"] for sent in (one, two)]
    verifier = webhooks.verifier("standard_webhooks", [*new.secrets, *old.secrets], clock=CLOCK)
    keys = {
        verifier.verify(one.headers | {"webhook-signature": text}, b"{}").replay_key
        for text in (*signatures, " ".join(signatures), " ".join(reversed(signatures)), f"{signatures[0]} v9,x")
    }
    assert len(keys) == 1


def test_dropping_one_of_two_stripe_signatures_makes_no_new_delivery() -> None:
    stripe, body = signer("stripe"), b"not json, so known by its content"
    sent = stripe.sign(body, at=NOW)
    crowded = sent.headers["Stripe-Signature"] + f",v1={'0' * 64}"
    verifier = stripe.verifier(clock=CLOCK)
    assert (
        verifier.verify(sent.headers, body).replay_key
        == verifier.verify({"Stripe-Signature": crowded}, body).replay_key
    )


def test_a_retry_of_the_provider_is_the_same_event() -> None:
    stripe, guard = signer("stripe"), ReplayGuard(MemoryReplayStore(), clock=CLOCK)
    process(stripe, stripe.sign(b'{"id":"evt_1"}', at=NOW), guard)
    with pytest.raises(Replayed):
        process(stripe, stripe.sign(b'{"id":"evt_1"}', at=NOW + timedelta(seconds=30)), guard)


def test_a_tenant_cannot_use_up_the_ids_of_another() -> None:
    guard = ReplayGuard(MemoryReplayStore(), clock=CLOCK)
    mine, theirs = signer("standard_webhooks"), signer("standard_webhooks")
    for ours, endpoint in ((theirs, "tenant-2"), (mine, "tenant-1")):
        sent = ours.sign(b"{}", at=NOW, id="msg_1")
        event = ours.verifier(clock=CLOCK, endpoint=endpoint).verify(sent.headers, sent.body)
        with guard.once(event) as claim:
            assert not claim.degraded
