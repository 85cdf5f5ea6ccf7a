"""Callers who write our metrics and logs: one label for each request, lines of their own, secrets that come along."""

from __future__ import annotations

import json
from typing import Any

import pytest
import structlog

from wellstreak_trust import Guard, Operation, Principal, RequestFacts, Trust
from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.authz import Policy
from wellstreak_trust.core.errors import TrustError
from wellstreak_trust.identity import Authenticator, MemorySessionStore, SessionManager
from wellstreak_trust.origin import OriginPolicy
from wellstreak_trust.telemetry import Counters, bind_trust_context, redact
from wellstreak_trust.tenancy import Memberships, MemoryMembershipStore, PathSource, TenantResolver

MARK = "zzmark"
READ = Operation("notes.read", "notes:read")
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlLW9mLWEtdG9rZW4"


def world() -> tuple[Guard, Counters, str]:
    counters, sessions = Counters(), SessionManager(MemorySessionStore())
    memberships = Memberships(MemoryMembershipStore())
    memberships.create_workspace(Principal("ada"), tenant_id="acme")
    policy = Policy.build(permissions=["notes:read"], roles={"owner": ["notes:read"]})
    trust = Trust(
        profile="test", authenticator=Authenticator([sessions]), policy=policy, origin=OriginPolicy(),
        tenants=TenantResolver([PathSource("/w/{tenant}/")], memberships), audit=AuditLog(MemoryAuditStore()),
        counters=counters,
    )  # fmt: skip
    opened = sessions.open("ada")
    return Guard(trust), counters, f"{opened.cookie.name}={opened.token.reveal()}"


def test_no_caller_makes_a_label() -> None:
    """Hosts, paths, methods, tokens and origins of the caller's choice: the label sets are those of the house."""
    guard, counters, cookie = world()
    for number in range(300):
        word = f"{MARK}{number}"
        fields = [
            ("Host", f"{word}.example"), ("Origin", f"https://{word}.example"), ("Sec-Fetch-Site", word),
            ("User-Agent", word), ("X-Request-Id", word), ("Cookie", cookie if number % 3 else f"a={word}"),
        ]  # fmt: skip
        given = fields if number % 2 else [fields[-1]]
        facts = RequestFacts(("GET", word)[number % 2], f"/w/{word}/notes?{word}", given, peer="203.0.113.7")
        with pytest.raises(TrustError):
            guard.enter(facts, READ)
    found = counters.snapshot()
    assert sum(found.values()) >= 300
    assert len(found) < 20
    assert MARK not in repr(found)


def test_a_host_that_labels_by_tenant_does_not_fill_the_memory() -> None:
    counters = Counters()
    with pytest.warns(RuntimeWarning, match="more than 2000 label sets"):
        for number in range(10_000):
            counters.add("host.requests", tenant=f"t{number}")
    found = counters.snapshot()
    assert len(found) <= 2_001
    assert sum(found.values()) == 10_000


def lines(**facts: Any) -> list[str]:
    found: list[str] = []

    class Sink:
        def warning(self, text: str) -> None:
            found.append(text)

    chain = [bind_trust_context, redact, structlog.processors.JSONRenderer()]
    structlog.wrap_logger(Sink(), processors=chain).warning("refused", **facts)
    return found


HOSTILE = [
    "a\r\n{\"event\": \"access granted\"}", "a\x1b]0;pwned\x07", "a\u2028b\u2029c", "a\x00b", "\ud800",
    f"Bearer {TOKEN}", f"https://u:{TOKEN}@example.org/", f"token={TOKEN}; path=/", "x" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("place", ["value", "name", "nested"])
def test_no_value_writes_a_line_or_brings_a_secret(value: str, place: str) -> None:
    facts: dict[str, Any] = {"name": {value: 1}, "value": value, "nested": {"headers": [("User-Agent", value)]}}
    (line,) = lines(seen=facts[place])
    assert line.isprintable()
    assert len(line) < 30_000
    assert TOKEN not in line
    assert json.loads(line)["event"] == "refused"
