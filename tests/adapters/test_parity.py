"""One suite, every way in: the same request gets the same status, document and headers that matter."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from ways import HOST, Answer, Way

from wellstreak_trust.testing import signer

OWN = ("Sec-Fetch-Site", "same-origin")
JSON = ("Content-Type", "application/json")
MATTER = ("www-authenticate", "retry-after", "cache-control", "vary", "x-content-type-options", "content-type")

Ask = Callable[[Way], Answer]


def everywhere(ways: list[Way], ask: Ask) -> Answer:
    """Asks all and returns the one answer they agree on."""
    answers = {way.name: ask(way) for way in ways}
    first = answers["flask"]
    for name, answer in answers.items():
        assert answer.status == first.status, f"{name}: {answer} against {first}"
        if answer.status >= 400:
            assert answer.body == first.body, name
        for header in MATTER:
            assert answer.header(header) == first.header(header), (name, header)
    return first


def code(answer: Answer) -> str:
    found: dict[str, Any] = json.loads(answer.body)
    assert found["status"] == answer.status
    assert set(found) <= {"type", "title", "status", "code", "violated-policies"}
    assert answer.header("content-type") == "application/problem+json"
    assert answer.header("cache-control") == "no-store"
    return str(found["code"])


CREDENTIALS: dict[str, list[tuple[str, str | bytes]]] = {
    "none": [],
    "empty header": [("Authorization", "")],
    "empty bearer": [("Authorization", "Bearer ")],
    "garbage": [("Authorization", "%%%")],
    "raw bytes": [("Authorization", b"Bearer \xff\xfe\x80")],
    "unknown scheme": [("Authorization", "Digest abc")],
    "basic": [("Authorization", "Basic dTpw")],
    "forged session": [("Cookie", "ws_session=wss_" + "A" * 43)],
    "malformed session": [("Cookie", "ws_session=nonsense")],
    "doubled header": [("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
    "oversized": [("Authorization", "Bearer " + "a" * 9_000)],
    "raw bytes in a cookie": [("Cookie", b"ws_session=\xff\xfe")],
    "control characters": [("Authorization", "Bearer \x01\x7f")],
}


@pytest.mark.parametrize("kind", CREDENTIALS)
def test_bad_credentials_look_alike(ways: list[Way], kind: str) -> None:
    answer = everywhere(ways, lambda way: way.ask("GET", "/w/acme/", *CREDENTIALS[kind]))
    plain = everywhere(ways, lambda way: way.ask("GET", "/w/acme/"))
    assert (answer.status, code(answer)) == (401, "unauthenticated")
    assert answer.body == plain.body
    assert answer.header("www-authenticate") == "Bearer"


@pytest.mark.asvs("15.3.7")
def test_a_good_credential_beside_another_is_refused(ways: list[Way]) -> None:
    def ask(way: Way) -> Answer:
        return way.ask("GET", "/w/acme/", way.cookie("ada"), ("Authorization", "Bearer x"))

    assert code(everywhere(ways, ask)) == "unauthenticated"

    def twice(way: Way) -> Answer:
        name, value = way.cookie("ada")
        return way.ask("GET", "/w/acme/", (name, value), (name, value))

    assert code(everywhere(ways, twice)) == "unauthenticated"


def test_a_member_gets_in(ways: list[Way]) -> None:
    answer = everywhere(ways, lambda way: way.ask("GET", "/w/acme/", way.cookie("bo")))
    assert answer.status == 200
    assert answer.header("x-content-type-options") == "nosniff"
    assert "strict-transport-security" in {name.lower() for name, _ in answer.headers}


def test_foreign_and_unknown_tenants_are_the_same_bytes(ways: list[Way]) -> None:
    foreign = everywhere(ways, lambda way: way.ask("GET", "/w/acme/", way.cookie("eve")))
    unknown = everywhere(ways, lambda way: way.ask("GET", "/w/nope/", way.cookie("eve")))
    hostile = everywhere(ways, lambda way: way.ask("GET", "/w/%2e%2e/", way.cookie("eve")))
    assert (foreign.status, code(foreign)) == (404, "not_found")
    assert foreign.body == unknown.body == hostile.body


@pytest.mark.asvs("8.3.1")
def test_roles(ways: list[Way]) -> None:
    denied = everywhere(ways, lambda way: way.ask("GET", "/w/acme/billing", way.cookie("bo")))
    assert (denied.status, code(denied)) == (403, "denied")
    assert everywhere(ways, lambda way: way.ask("GET", "/w/acme/billing", way.cookie("ada"))).status == 200


ORIGINS: dict[str, list[tuple[str, str | bytes]]] = {
    "foreign": [("Origin", "https://evil.example")],
    "null": [("Origin", "null")],
    "cross-site": [("Sec-Fetch-Site", "cross-site")],
    "sibling": [("Sec-Fetch-Site", "same-site")],
    "plain http page of ours": [("Origin", f"http://{HOST}")],
    "two sites": [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")],
    "two origins": [("Origin", f"https://{HOST}"), ("Origin", "https://evil.example")],
    "raw bytes": [("Origin", b"https://\xff.example")],
    "no evidence but a cookie": [],
}


@pytest.mark.asvs("3.5.1")
@pytest.mark.parametrize("kind", ORIGINS)
def test_foreign_pages_are_refused_before_the_credential_is_looked_at(ways: list[Way], kind: str) -> None:
    def ask(way: Way) -> Answer:
        return way.ask("PUT", "/w/acme/ai", JSON, ("Cookie", "ws_session=x"), *ORIGINS[kind], body=b'{"tone": "x"}')

    answer = everywhere(ways, ask)
    assert (answer.status, code(answer)) == (403, "origin_denied")


def test_our_own_page_may_write(ways: list[Way]) -> None:
    def ask(way: Way) -> Answer:
        own = ("Origin", f"https://{HOST}")
        return way.ask("PUT", "/w/acme/ai", JSON, way.cookie("ada"), own, body=b'{"tone": "kind"}')

    assert everywhere(ways, ask).status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"tone": 1}', b"\xff\xfe", b"[" * 100_000])
def test_malformed_bodies_are_400(ways: list[Way], body: bytes) -> None:
    answer = everywhere(ways, lambda way: way.ask("PUT", "/w/acme/ai", JSON, way.cookie("ada"), OWN, body=body))
    assert (answer.status, code(answer)) == (400, "invalid_request")


def test_a_missing_resource_is_404(ways: list[Way]) -> None:
    answer = everywhere(ways, lambda way: way.ask("GET", "/w/acme/agents/none", way.cookie("ada")))
    assert (answer.status, code(answer)) == (404, "not_found")


def test_conditions_on_the_resource(ways: list[Way]) -> None:
    def rename(owner: str, other: str) -> Ask:
        def ask(way: Way) -> Answer:
            made = way.ask("POST", "/w/acme/agents", JSON, way.cookie(owner), OWN, body=b'{"name": "A"}')
            path = f"/w/acme/agents/{json.loads(made.body)['agent']}"
            return way.ask("PUT", path, JSON, way.cookie(other), OWN, body=b'{"name": "B"}')

        return ask

    assert everywhere(ways, rename("bo", "bo")).status == 200
    denied = everywhere(ways, rename("ada", "bo"))
    assert (denied.status, code(denied)) == (403, "denied")


def test_suspended_subscription(ways: list[Way]) -> None:
    for way in ways:
        way.run(way.host.set_plan("evil", "unpaid", 5))
    answer = everywhere(
        ways, lambda way: way.ask("PUT", "/w/evil/ai", JSON, way.cookie("eve"), OWN, body=b'{"tone": "x"}')
    )
    assert (answer.status, code(answer)) == (402, "entitlement_denied")
    assert everywhere(ways, lambda way: way.ask("GET", "/w/evil/billing", way.cookie("eve"))).status == 200


def test_a_connection_that_is_not_active(ways: list[Way]) -> None:
    body = b'{"text": "x"}'
    answer = everywhere(ways, lambda way: way.ask("POST", "/w/acme/messages", JSON, way.cookie("ada"), OWN, body=body))
    assert (answer.status, code(answer)) == (409, "connection_not_active")


@pytest.mark.asvs("2.4.1")
def test_burst_and_the_other_tenant(ways: list[Way]) -> None:
    def burst(way: Way) -> Answer:
        cookie = way.cookie("ada")
        answers = [way.ask("GET", "/w/acme/members", cookie) for _ in range(22)]
        assert [answer.status for answer in answers[:19]] == [200] * 19
        return answers[-1]

    for way in ways:
        limited = burst(way)
        assert (limited.status, code(limited)) == (429, "rate_limited")
        assert json.loads(limited.body)["violated-policies"] == ["members"]
        assert 1 <= int(limited.header("retry-after") or 0) <= 3
        assert '"members"' in (limited.header("ratelimit") or "")
        assert '"members"' in (limited.header("ratelimit-policy") or "")
    assert everywhere(ways, lambda way: way.ask("GET", "/w/evil/members", way.cookie("eve"))).status == 200


def _delivery(way: Way, *, secret: str | None = None, age: float = 0, event: str = "evt_1") -> tuple[Any, bytes]:
    from wellstreak_trust.demo.host import BILLING_SECRET

    said = {
        "id": event, "type": "customer.subscription.updated", "created": 10,
        "data": {
            "object": {
                "status": "active", "metadata": {"workspace": "acme"}, "current_period_end": 2**33,
                "items": {"data": [{"price": {"lookup_key": "team_monthly"}, "quantity": 1}]},
            }
        },
    }  # fmt: skip
    at = way.host.trust.clock.now() - timedelta(seconds=age)
    signed = signer("stripe", secret or BILLING_SECRET).sign(json.dumps(said).encode(), at=at)
    return dict(signed.headers).items(), signed.body


def test_webhooks(ways: list[Way]) -> None:
    kept = {way.name: _delivery(way) for way in ways}

    def genuine(way: Way) -> Answer:
        lines, body = kept[way.name]
        return way.ask("POST", "/hooks/billing", *lines, body=body)

    def forged(way: Way) -> Answer:
        lines, body = kept[way.name]
        return way.ask("POST", "/hooks/billing", *lines, body=body.replace(b"acme", b"evil"))

    def stale(way: Way) -> Answer:
        lines, body = _delivery(way, age=4_000, event="evt_2")
        return way.ask("POST", "/hooks/billing", *lines, body=body)

    assert everywhere(ways, genuine).status == 200
    replayed = everywhere(ways, genuine)
    assert replayed.status == 200
    assert json.loads(replayed.body)["code"] == "replayed"
    answers = [everywhere(ways, forged), everywhere(ways, stale)]
    answers.append(everywhere(ways, lambda way: way.ask("POST", "/hooks/billing", body=b"{}")))
    assert {(answer.status, code(answer)) for answer in answers} == {(401, "unauthenticated")}
    assert len({answer.body for answer in answers}) == 1


def test_platform_operations(ways: list[Way]) -> None:
    assert everywhere(ways, lambda way: way.ask("GET", "/admin/workspaces", way.cookie("root"))).status == 200
    denied = everywhere(ways, lambda way: way.ask("GET", "/admin/workspaces", way.cookie("ada")))
    assert code(denied) == "denied"
    outside = everywhere(ways, lambda way: way.ask("GET", "/w/acme/", way.cookie("root")))
    assert code(outside) == "not_found"


def test_the_trail_is_the_same(ways: list[Way]) -> None:
    before = {way.name: len(way.trail("acme")) for way in ways}

    def play(way: Way) -> Answer:
        ada, bo = way.cookie("ada"), way.cookie("bo")
        way.ask("PUT", "/w/acme/billing", JSON, ada, OWN, body=b'{"plan": "team"}')
        way.ask("PUT", "/w/acme/billing", JSON, bo, OWN, body=b'{"plan": "free"}')
        return way.ask("PUT", "/w/acme/ai", JSON, ada, OWN, body=b"{")

    everywhere(ways, play)
    trails = {way.name: way.trail("acme")[: len(way.trail("acme")) - before[way.name]] for way in ways}
    assert trails["flask"] == [
        ("demo.ai_settings_changed", "failure"),
        ("demo.ai_settings_changed", "attempted"),
        ("access.denied", "denied"),
        ("demo.plan_changed", "success"),
        ("demo.plan_changed", "attempted"),
    ]
    assert all(trail == trails["flask"] for trail in trails.values())
