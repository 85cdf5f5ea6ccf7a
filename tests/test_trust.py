"""The composition root refuses what would be unsafe."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wellstreak_trust import Trust
from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.core import ConfigurationError, FixedClock
from wellstreak_trust.identity import (
    AgentVerifier,
    Authenticator,
    Dpop,
    DpopTokens,
    JwtIssuer,
    LiveParents,
    MemoryDpopStore,
    MemorySessionStore,
    SessionManager,
)
from wellstreak_trust.origin import OriginPolicy
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter
from wellstreak_trust.tenancy import Memberships, MemoryMembershipStore, PathSource, TenantResolver


class Everything:
    """A policy of the host's own."""

    def check(self, subject: Any, permission: str, resource: Any = None, context: Any = None) -> Any:
        raise AssertionError("not asked here")

    def scope_of(self, permission: str, /) -> str | None:
        return "tenant"


def parts(*, allow_memory: bool, **changed: Any) -> dict[str, Any]:
    return {
        "authenticator": Authenticator([SessionManager(MemorySessionStore(allow_memory=allow_memory))]),
        "tenants": TenantResolver(
            [PathSource("/w/{tenant}/")], Memberships(MemoryMembershipStore(allow_memory=allow_memory))
        ),
        "policy": Everything(),
        "limiter": RateLimiter(
            [LimitRule.parse("tenant", "10/minute", by=("tenant",))], store=MemoryLimitStore(allow_memory=allow_memory)
        ),
        "origin": OriginPolicy(),
        "audit": AuditLog(MemoryAuditStore(allow_memory=allow_memory)),
        **changed,
    }


@pytest.mark.parametrize("part", ["authenticator", "tenants", "limiter", "audit"])
def test_production_refuses_each_memory_store_and_names_it(part: str) -> None:
    held = parts(allow_memory=True)
    held[part] = parts(allow_memory=False)[part]
    with pytest.raises(ConfigurationError) as caught:
        Trust(**held)
    assert caught.value.reason == "memory_store"
    assert caught.value.detail.startswith(part)
    assert "allow_memory=True" in caught.value.hint
    assert Trust(profile="development", **held).profile == "development"


def test_production_refuses_a_clock_that_stands_still() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Trust(**parts(allow_memory=True, clock=FixedClock(datetime(2026, 1, 1, tzinfo=UTC))))
    assert caught.value.reason == "fixed_clock"


def test_what_stands_behind_tokens_is_found_too() -> None:
    """The ids of proofs, the parents of agents, and the clocks of both."""
    issuer = JwtIssuer(Ed25519PrivateKey.generate(), issuer="https://a.example")

    def agents(store: MemorySessionStore, **more: Any) -> AgentVerifier:
        return AgentVerifier(issuer, issuer="https://a.example", audience="a", parents=LiveParents(store), **more)

    lasting, passing = MemorySessionStore(allow_memory=True), MemorySessionStore()
    kept = Dpop(MemoryDpopStore(allow_memory=True))
    stands = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    for member, reason in (
        (DpopTokens(agents(lasting), Dpop(MemoryDpopStore())), "memory_store"),
        (DpopTokens(agents(passing), kept), "memory_store"),
        (agents(passing), "memory_store"),
        (agents(lasting, clock=stands), "fixed_clock"),
        (DpopTokens(agents(lasting), Dpop(MemoryDpopStore(allow_memory=True), clock=stands)), "fixed_clock"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            Trust(**parts(allow_memory=True, authenticator=Authenticator([member])))
        assert caught.value.reason == reason
    assert Trust(**parts(allow_memory=True, authenticator=Authenticator([DpopTokens(agents(lasting), kept)])))


def test_what_is_said_to_be_acceptable_is_accepted() -> None:
    trust = Trust(**parts(allow_memory=True))
    assert trust.profile == "production"
    with pytest.raises(AttributeError):
        trust.profile = "test"  # type: ignore[misc]  # frozen on purpose


def test_unknown_profiles_and_sinks_are_refused() -> None:
    with pytest.raises(ConfigurationError):
        Trust(profile="prod", **parts(allow_memory=True))  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ConfigurationError):
        Trust(**parts(allow_memory=True, audit=object()))
