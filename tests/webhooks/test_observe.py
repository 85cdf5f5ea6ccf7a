"""An observer verifies beside a handler, refuses nothing, and cannot be taken for a verifier."""

from __future__ import annotations

from typing import Any

import pytest

from wellstreak_trust.core import UsageError
from wellstreak_trust.telemetry import Counters
from wellstreak_trust.testing import signer
from wellstreak_trust.webhooks import Observed, WebhookObserver, WebhookVerifier, verifier


class Broken(WebhookVerifier):
    def verify(self, *arguments: Any, **options: Any) -> Any:
        raise RuntimeError("not a webhook error")


def test_three_states_by_step() -> None:
    counters, stripe = Counters(), signer("stripe")
    observer = WebhookObserver(stripe.verifier(), metrics=counters)
    sent = stripe.sign(b'{"id": "evt_1"}')
    genuine = observer.observe(sent.headers, sent.body)
    assert (genuine.outcome, genuine.step) == ("verified", "")
    assert genuine.event is not None
    assert observer.observe(sent.headers, sent.body + b" ") == Observed("would_refuse", "signature")
    assert observer.observe({}, sent.body) == Observed("would_refuse", "headers")
    assert observer.report() == {("verified", ""): 1, ("would_refuse", "signature"): 1, ("would_refuse", "headers"): 1}
    labels = (("outcome", "would_refuse"), ("provider", "stripe"), ("step", "signature"))
    assert counters.snapshot()["wst.webhook.observed", labels] == 1


def test_it_has_no_truth_value() -> None:
    for seen in (Observed("verified"), Observed("would_refuse", "clock"), Observed("failed", "key")):
        with pytest.raises(UsageError):
            bool(seen)


def test_a_setting_of_ours_that_is_missing_is_no_refusal_of_theirs() -> None:
    twilio = signer("twilio")
    sent = twilio.sign(url="https://hooks.example/sms")
    observer = WebhookObserver(verifier("twilio", secrets=twilio.secrets, allow_weak=True))
    assert observer.observe(sent.headers, sent.body) == Observed("failed", "configuration")


def test_whatever_breaks_the_handler_goes_on() -> None:
    made = signer("stripe").verifier()
    broken = Broken(made.scheme, made.keys, made.settings)
    assert WebhookObserver(broken).observe({}, b"") == Observed("failed", "RuntimeError")


@pytest.mark.anyio
async def test_the_async_face_says_the_same() -> None:
    stripe = signer("stripe")
    sent = stripe.sign(b"{}")
    observer = WebhookObserver(stripe.verifier())
    assert (await observer.aobserve(sent.headers, sent.body)).outcome == "verified"
    assert await observer.aobserve(sent.headers, b"[]") == Observed("would_refuse", "signature")
