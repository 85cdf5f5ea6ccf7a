"""The receiver without a framework; tests/adapters/test_webhooks.py drives it over all of them."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest

from wellstreak_trust import webhooks
from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.core import FixedClock, SystemClock
from wellstreak_trust.core.errors import AuditUnavailable, ConfigurationError
from wellstreak_trust.telemetry import anomalies
from wellstreak_trust.testing import SignedRequest, signer
from wellstreak_trust.webhooks import Delivery, Incoming, NoKeys, Receiver, ReplayGuard

STRIPE = signer("stripe")


def incoming(sent: SignedRequest, token: str = "", limits: list[int] | None = None) -> Incoming:
    async def read(limit: int) -> bytes:
        if limits is not None:
            limits.append(limit)
        return sent.body

    return Incoming(sent.method, sent.url.partition("?")[2], list(sent.headers.items()), read, token)


def receiver(verifier: webhooks.WebhookVerifier, **options: Any) -> Receiver:
    return Receiver(verifier, ReplayGuard(webhooks.MemoryReplayStore()), **options)


async def nothing(delivery: Delivery) -> None:
    """Processes, and has nothing to say."""


def test_the_body_is_read_once_and_up_to_the_verifiers_cap() -> None:
    limits: list[int] = []
    found = receiver(STRIPE.verifier(max_body=77)).receive(incoming(STRIPE.sign(b"{}"), limits=limits), nothing)
    assert isinstance(found, webhooks.ChallengeResponse)
    assert (found.status, found.body, limits) == (200, b"", [77])


def test_a_handler_is_told_whose_delivery_it_holds() -> None:
    held: list[Delivery] = []

    async def handle(delivery: Delivery) -> str:
        held.append(delivery)
        return "answer"

    sent = STRIPE.sign(b'{"id": "evt_1"}')
    assert receiver(STRIPE.verifier(endpoint="t1/stripe")).receive(incoming(sent), handle) == "answer"
    (delivery,) = held
    assert (delivery.event.id, delivery.endpoint.provider, delivery.endpoint.tenant_id) == ("evt_1", "stripe", "")
    assert delivery.claim.key == delivery.event.replay_key


def test_a_lease_that_ends_in_the_handler_is_a_conflict() -> None:
    clock = FixedClock(SystemClock().now())
    guard = ReplayGuard(webhooks.MemoryReplayStore(), lease=timedelta(seconds=5), clock=clock)

    async def slow(delivery: Delivery) -> None:
        clock.advance(timedelta(seconds=6))

    with pytest.raises(webhooks.InFlight):
        Receiver(STRIPE.verifier(), guard).receive(incoming(STRIPE.sign(b"{}")), slow)


def test_keys_are_fetched_beside_the_event_loop() -> None:
    sns = signer("sns")
    threads: list[int] = []

    class Source(NoKeys):
        def fetch(self, url: str, *, ask: bytes | None = None, anew: bool = False) -> bytes:
            threads.append(threading.get_ident())
            return super().fetch(url, ask=ask, anew=anew)

    verifier = webhooks.verifier("sns", [sns.secret.partition("\n")[0]], keys=Source())
    with pytest.raises(webhooks.KeyUnavailable):
        asyncio.run(receiver(verifier).areceive(incoming(sns.sign()), nothing))
    with pytest.raises(webhooks.KeyUnavailable):
        receiver(verifier).receive(incoming(sns.sign()), nothing)
    assert threads[0] != threading.get_ident() == threads[1]


def test_a_handover_may_be_awaited_and_is_never_lost() -> None:
    taken: list[str] = []

    async def take(endpoint: webhooks.Endpoint, secret: Any) -> None:
        taken.append(secret.reveal())

    asana = signer("asana").verifier(pending=True)
    opening = SignedRequest("POST", "https://h.example/in", {"X-Hook-Secret": "a" * 32}, b"")
    answer = receiver(asana, handover=take).receive(incoming(opening), nothing)
    assert isinstance(answer, webhooks.ChallengeResponse)
    assert (answer.headers, taken) == ((("X-Hook-Secret", "a" * 32),), ["a" * 32])
    with pytest.raises(ConfigurationError):
        receiver(asana).receive(incoming(opening), nothing)


def test_nothing_that_authenticates_stands_in_the_repr() -> None:
    sent = STRIPE.sign(b"{}")
    shown = repr(incoming(sent, token="t" * 43))
    assert sent.headers["Stripe-Signature"] not in shown
    assert "t" * 43 not in shown


def test_refusals_of_a_known_endpoint_are_recorded_with_their_step() -> None:
    log = AuditLog(MemoryAuditStore())
    sent = STRIPE.sign(b"{}")
    forged = SignedRequest(sent.method, sent.url, sent.headers, b"[]")
    with pytest.raises(webhooks.SignatureMismatch):
        receiver(STRIPE.verifier(), audit=log).receive(incoming(forged), nothing)
    receiver(STRIPE.verifier(), audit=log).receive(incoming(sent), nothing)
    (event,) = log.events("system")
    assert (event["action"], event["outcome"], event["reason"]) == ("webhook.refused", "denied", "signature")
    assert event["targets"] == [{"type": "webhook_endpoint", "id": "stripe"}]


def test_forgeries_at_one_endpoint_are_found_in_what_the_receiver_recorded() -> None:
    log = AuditLog(MemoryAuditStore())
    taking = receiver(STRIPE.verifier(), audit=log)
    sent = STRIPE.sign(b"{}")
    for number in range(10):
        with pytest.raises(webhooks.SignatureMismatch):
            taking.receive(incoming(SignedRequest(sent.method, sent.url, sent.headers, b"%d" % number)), nothing)
    found = list(anomalies.detect(reversed(log.events("system"))))
    assert [finding.rule_id for finding in found] == ["wst.webhook_forgery"]


def test_a_trail_that_is_down_does_not_change_the_answer() -> None:
    class Down:
        suspends = False

        async def aemit(self, event: Any, /) -> None:
            raise AuditUnavailable("disk full")

    with pytest.raises(webhooks.MissingSignature):
        unsigned = SignedRequest("POST", "https://hooks.example/", {}, b"{}")
        receiver(STRIPE.verifier(), audit=Down()).receive(incoming(unsigned), nothing)
