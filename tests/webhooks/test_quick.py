"""The quick way against the strict one: whatever it accepts, the strict way accepts alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellstreak_trust import webhooks
from wellstreak_trust.core import FixedClock, UsageError
from wellstreak_trust.testing import signer
from wellstreak_trust.webhooks import VerifiedWebhook, WebhookError, WebhookVerifier
from wellstreak_trust.webhooks.schemes import lookup
from wellstreak_trust.webhooks.verify import _never

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CLOCK = FixedClock(NOW)
PARTIES = {name: signer(name) for name in webhooks.schemes() if lookup(name).mac.algorithm.startswith("hmac")}
VERIFIERS = {name: party.verifier(clock=CLOCK) for name, party in PARTIES.items()}
QUICK = [name for name, verifier in VERIFIERS.items() if verifier._quick is not _never]


def facts(event: VerifiedWebhook) -> tuple[Any, ...]:
    return (
        *(event.provider, event.body, event.key_id, event.replay_key, event.timestamp),
        *(event.id, event.id_signed, event.type),
    )


def strictly(verifier: WebhookVerifier, headers: Any, body: Any) -> tuple[Any, ...] | None:
    try:
        return facts(verifier._strict(headers, body, None, "POST", now=None))
    except WebhookError:
        return None


def quickly(verifier: WebhookVerifier, headers: Any, body: Any) -> tuple[Any, ...] | None:
    event = verifier._quick(headers, body, None)
    return None if event is None else facts(event)


def test_most_schemes_have_a_quick_way() -> None:
    assert len(QUICK) >= 55
    assert {"stripe", "github", "slack", "standard_webhooks", "shopify"} <= set(QUICK)


@pytest.mark.parametrize("name", QUICK)
def test_both_ways_say_the_same_of_a_genuine_delivery(name: str) -> None:
    for body in (b"{}", b'{"id":"evt_1","type":"x"}', b"x" * 5_000, b""):
        sent = PARTIES[name].sign(body, at=NOW)
        found = quickly(VERIFIERS[name], sent.headers, body)
        assert found is not None
        assert found == strictly(VERIFIERS[name], sent.headers, body)


CHANGES = st.sampled_from(["", " ", "0", "=", ",", "\u0660", "A", "v1=", "\n", "t=1", "."])


@given(st.sampled_from(QUICK), st.integers(0, 200), CHANGES, st.booleans(), st.integers(0, 3), st.integers(-400, 400))
def test_the_quick_way_accepts_nothing_that_the_strict_one_refuses(
    name: str, at: int, text: str, insert: bool, which: int, skew: int
) -> None:
    sent = PARTIES[name].sign(b'{"id":"evt_1"}', at=NOW + timedelta(seconds=skew))
    header = list(sent.headers)[which % len(sent.headers)]
    value = sent.headers[header]
    changed = value[:at] + text + value[at if insert else at + 1 :]
    headers = sent.headers | {header: changed}
    found = quickly(VERIFIERS[name], headers, sent.body)
    assert found is None or found == strictly(VERIFIERS[name], headers, sent.body)


@pytest.mark.parametrize(
    "headers",
    [None, 7, [], {}, {7: "x"}, {"X-Hub-Signature-256": 7}, {b"X-Hub-Signature-256": b"x"}, {"x" * 300: "y"}],
)
def test_what_it_cannot_read_goes_the_strict_way(headers: Any) -> None:
    assert quickly(VERIFIERS["github"], headers, b"{}") is None
    with pytest.raises(WebhookError):
        VERIFIERS["github"].verify(headers, b"{}")


def test_other_mappings_and_bodies_go_the_strict_way_and_verify() -> None:
    sent = PARTIES["github"].sign(b"{}")
    assert quickly(VERIFIERS["github"], list(sent.headers.items()), b"{}") is None
    assert quickly(VERIFIERS["github"], sent.headers, bytearray(b"{}")) is None
    assert VERIFIERS["github"].verify(list(sent.headers.items()), bytearray(b"{}")).body == b"{}"


def test_a_naive_time_is_a_mistake_of_the_host() -> None:
    sent = PARTIES["stripe"].sign(b"{}", at=NOW)
    with pytest.raises(UsageError):
        VERIFIERS["stripe"].verify(sent.headers, b"{}", now=datetime(2026, 11, 24))
