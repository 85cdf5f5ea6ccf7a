"""A member of one workspace tries to act in another."""

from __future__ import annotations

import contextvars
import threading
from datetime import UTC, datetime, timedelta

import pytest

from wellstreak_trust.core import FixedClock, Principal, RequestFacts, TrustError
from wellstreak_trust.tenancy import (
    ClaimSource,
    HeaderSource,
    Memberships,
    MemoryMembershipStore,
    PathSource,
    SubdomainSource,
    TenantResolver,
    current_tenant,
    elevate,
    require_tenant,
    tenant_scope,
    testing_context,
)

MALLORY = Principal("mallory")


@pytest.fixture
def resolver() -> TenantResolver:
    memberships = Memberships(MemoryMembershipStore())
    memberships.create_workspace(MALLORY, tenant_id="own")
    memberships.create_workspace(Principal("victim"), tenant_id="target")
    return TenantResolver(
        [SubdomainSource("example.com"), PathSource("/w/{tenant}/"), HeaderSource("X-Tenant-ID"), ClaimSource("org")],
        memberships,
    )


@pytest.mark.asvs("8.2.2")
@pytest.mark.parametrize(
    ("host", "path", "headers", "principal"),
    [
        ("target.example.com", "/", [], MALLORY),
        ("own.example.com", "/w/target/", [], MALLORY),
        ("own.example.com", "/", [("X-Tenant-ID", "target")], MALLORY),
        ("own.example.com", "/", [("X-Tenant-ID", "own"), ("X-Tenant-ID", "target")], MALLORY),
        ("own.example.com", "/", [("X-Tenant-ID", "own, target")], MALLORY),
        ("example.com", "/", [("X-Forwarded-Host", "own.example.com")], MALLORY),
        ("own.example.com.evil.org", "/", [], MALLORY),
        ("example.com", "/w/%6fwn/", [], MALLORY),
        ("own.example.com", "/", [], Principal("mallory", tenant_id="target")),
        ("own.example.com", "/", [], Principal("mallory", attributes={"org": "target"})),
        ("target.example.com", "/", [], Principal("mallory", roles=frozenset(("owner",)), tenant_id="target")),
        ("target.example.com", "/", [], Principal("mallory", kind="api_key", tenant_id="target")),
    ],
)
def test_no_request_reaches_it(
    resolver: TenantResolver, host: str, path: str, headers: list[tuple[str, str]], principal: Principal
) -> None:
    with pytest.raises(TrustError) as refused:
        resolver.resolve(RequestFacts("GET", path, [("Host", host), *headers]), principal)
    assert refused.value.status in (400, 404)
    assert "target" not in f"{refused.value.problem()}{refused.value}"


def test_an_elevated_context_kept_aside_is_worthless() -> None:
    clock = FixedClock(datetime(2026, 11, 24, tzinfo=UTC))
    with elevate("outage", "OPS-1", 10, audit=list[object]().append, principal=MALLORY, clock=clock) as elevation:
        kept = elevation.context("target")
        clock.advance(timedelta(minutes=10))
        with pytest.raises(TrustError), tenant_scope(kept):
            pytest.fail("entered after its minutes")
    with pytest.raises(TrustError), tenant_scope(kept):
        pytest.fail("entered after its block")
    assert current_tenant() is None


def test_a_worker_thread_does_not_carry_the_last_tenant() -> None:
    """A scope that was entered by hand and left elsewhere must not wait for the next request on the thread."""
    seen: list[object] = []

    def worker() -> None:
        scope = tenant_scope(testing_context("target"))
        scope.__enter__()
        contextvars.copy_context().run(scope.__exit__, None, None, None)
        with pytest.raises(TrustError):
            require_tenant()
        with tenant_scope(testing_context("own")):
            seen.append(require_tenant().tenant_id)
        seen.append(current_tenant())

    thread = threading.Thread(target=worker)
    thread.start()
    thread.join()
    assert seen == ["own", None]
