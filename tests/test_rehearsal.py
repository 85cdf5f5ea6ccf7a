"""A rehearsal says what the guard would say, and leaves no trace of having been asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from test_guard import READ, UPDATE, World
from wellstreak_trust import Guard, Operation, Operations, RequestFacts
from wellstreak_trust.authz import Policy, Shadow
from wellstreak_trust.core import UsageError
from wellstreak_trust.core.errors import AccessDenied
from wellstreak_trust.guard import Rehearsal, Rehearsed
from wellstreak_trust.origin import ObservedOrigin, OriginPolicy, SecurityHeaders
from wellstreak_trust.testing import signer
from wellstreak_trust.webhooks import WebhookObserver


def test_it_agrees_with_the_guard_and_records_nothing() -> None:
    world = World(client=1, tenant=1)
    rehearsal = Rehearsal(world.guard.trust)
    before = len(world.audit.events("acme")), len(world.audit.events("system"))
    for _ in range(5):  # limits of one a minute are not charged
        assert rehearsal.rehearse(world.facts(), UPDATE) == Rehearsed("would_admit")
    assert rehearsal.rehearse(world.facts(None), UPDATE).code == "unauthenticated"
    foreign = rehearsal.rehearse(world.facts(Sec_Fetch_Site="cross-site"), UPDATE)
    assert (foreign.outcome, foreign.code, foreign.reason) == ("would_refuse", "origin_denied", "cross_site")
    assert rehearsal.rehearse(world.facts(path="/w/other/x"), UPDATE).code == "not_found"
    assert (len(world.audit.events("acme")), len(world.audit.events("system"))) == before
    with world.guard.enter(world.facts(), UPDATE):
        pass
    assert rehearsal.report()["billing.update", "would_admit", ""] == 5
    families = world.counters.families()
    assert "wst.guard.refused" not in families
    labels = (("code", ""), ("operation", "billing.update"), ("outcome", "would_admit"))
    assert world.counters.snapshot()["wst.guard.rehearsed", labels] == 5


def test_it_has_no_truth_value() -> None:
    with pytest.raises(UsageError):
        bool(Rehearsed("would_admit"))


def test_a_set_up_that_is_wrong_is_no_refusal() -> None:
    world = World()
    rehearsal = Rehearsal(world.guard.trust)
    seen = rehearsal.rehearse(world.facts(), Operation("x", "billing:read", connection="slack"))
    assert (seen.outcome, seen.reason) == ("failed", "connections")


def test_a_resource_callable_that_raises_leaves_the_route_alone() -> None:
    world = World()

    def broken(tenant: Any) -> Any:
        raise LookupError("a row")

    assert Rehearsal(world.guard.trust).rehearse(world.facts(), READ, broken) == Rehearsed("failed", "LookupError")


def test_a_shadow_keeps_the_scopes_of_its_active_policy() -> None:
    """An operator's operation has no tenant; a shadow that knew no scopes would look for one and answer 404."""
    world = World()
    document = {
        "schema": 1,
        "permissions": {"billing:read": {}, "platform:read": {"scope": "platform"}},
        "roles": {"owner": {"allow": ["billing:read"]}, "super_admin": {"allow": ["platform:read"]}},
    }
    policy = Policy.from_dict(document)
    shadow = Shadow(policy, Policy.from_dict(document))
    assert [shadow.scope_of(name) for name in ("billing:read", "platform:read", "x:y")] == ["tenant", "platform", None]
    from dataclasses import replace

    guard = Guard(replace(world.guard.trust, policy=shadow))
    with guard.enter(world.facts("root", path="/operators"), Operation("p", "platform:read")) as grant:
        assert grant.tenant is None
    with pytest.raises(AccessDenied):
        guard.enter(world.facts("ada", path="/operators"), Operation("p", "platform:read"))
    with pytest.raises(UsageError):
        Shadow(_Mute(), policy).scope_of("billing:read")


class _Mute:
    def check(self, *_: Any) -> Any:
        raise AssertionError


def test_trust_names_every_part_that_only_observes() -> None:
    from dataclasses import replace

    from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter

    world = World(tenant=5)
    assert world.guard.trust.observing() == []
    rules = [
        LimitRule("tenant", 5, timedelta(minutes=1), by=("tenant",)),
        LimitRule("new", 5, timedelta(minutes=1), by=("tenant",), mode="shadow"),
    ]
    soon = datetime.now(UTC) + timedelta(days=7)
    trust = replace(
        world.guard.trust,
        origin=ObservedOrigin(OriginPolicy(), until=soon),
        limiter=RateLimiter(rules, store=MemoryLimitStore()),
        security_headers=SecurityHeaders.app().report_only(),
        webhooks=WebhookObserver(signer("stripe").verifier()),
    )
    assert sorted(trust.observing()) == [
        ("limiter.rules.1", "LimitRule"),
        ("origin", "ObservedOrigin"),
        ("security_headers", "SecurityHeaders"),
        ("webhooks", "WebhookObserver"),
    ]


@pytest.mark.anyio
async def test_the_async_face() -> None:
    world = World()
    facts: RequestFacts = world.facts()
    assert await Rehearsal(world.guard.trust).arehearse(facts, READ) == Rehearsed("would_admit")


def test_a_registered_operation_is_rehearsed_and_another_is_not() -> None:
    """What is asked is the operation without its effects; it is the operation itself that must be registered."""
    world = World()
    rehearsal = Rehearsal(replace(world.guard.trust, operations=Operations([UPDATE])))
    assert rehearsal.rehearse(world.facts(), UPDATE) == Rehearsed("would_admit")
    stranger = rehearsal.rehearse(world.facts(), READ)
    assert (stranger.outcome, stranger.reason) == ("failed", "unregistered_operation")
