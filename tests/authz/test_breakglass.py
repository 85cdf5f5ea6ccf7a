"""Break-glass: exactly these permissions, exactly this tenant, on record before the first allow."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import Any

import pytest

import borrowed
from borrowed import DOC, NOW, agent, user
from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.authz import BreakGlass, BreakGlassDesk
from wellstreak_trust.core import ConfigurationError, FixedClock, Principal, UsageError
from wellstreak_trust.core.errors import AccessDenied, AuditUnavailable
from wellstreak_trust.core.event import AuditEvent

HOUR = timedelta(minutes=60)
OPS = Principal("ops", roles=frozenset({"operator"}))
LEAD = Principal("lead", roles=frozenset({"operator"}))


class Trail:
    suspends = False

    def __init__(self, fails: Exception | None = None, durable: bool = True) -> None:
        self.events: list[AuditEvent] = []
        self.fails = fails
        self.durable = durable

    async def aemit(self, event: AuditEvent) -> Any:
        if self.fails is not None:
            raise self.fails
        self.events.append(event)
        return self


def glass(
    permissions: Any = ("docs:read", "docs:purge"), actor: Any = OPS, tenant: Any = "t1", **more: Any
) -> BreakGlass:
    times = {"not_before": NOW, "expires_at": NOW + HOUR}
    return BreakGlass(
        actor, tenant, permissions, more.pop("reason", "outage"), more.pop("ticket", "OPS-7"), **{**times, **more}
    )


def desk(trail: Any, clock: FixedClock | None = None, **more: Any) -> BreakGlassDesk:
    clock = clock or borrowed.clock()
    return BreakGlassDesk(trail, borrowed.policy(clock), clock, **more)


def test_exactly_these_permissions_in_exactly_this_tenant_while_it_lasts():
    clock = borrowed.clock()
    policy = borrowed.policy(clock)
    opened = BreakGlassDesk(Trail(), policy, clock).open(glass({"docs:read"}, not_before=NOW + timedelta(minutes=1)))
    assert policy.check(opened, "docs:read", DOC).code == "ceiling"  # not yet
    clock.advance(timedelta(minutes=1))
    assert policy.check(opened, "docs:read", DOC)
    assert policy.check(opened, "docs:read")
    assert policy.permissions_for(opened, DOC) == {"docs:read"}
    assert policy.check(opened, "docs:read", {**DOC, "tenant_id": "t2"}).code == "tenant_mismatch"
    assert policy.check(opened, "platform:list").code == "ceiling"
    clock.advance(HOUR - timedelta(minutes=1) - timedelta(microseconds=1))
    assert policy.check(opened, "docs:read", DOC)
    clock.advance(timedelta(microseconds=1))
    assert policy.check(opened, "docs:read", DOC).code == "ceiling"


def test_forbids_step_up_scopes_and_approvals_still_hold():
    policy = borrowed.policy()
    opened = desk(Trail()).open(glass({"docs:read", "docs:purge", "refunds:create"}))
    assert policy.check(opened, "docs:read", {**DOC, "frozen": True}).code == "forbidden_by_rule"
    assert policy.check(opened, "docs:purge", DOC).code == "step_up_required"
    assert policy.check(opened, "refunds:create").code == "approval_required"
    narrow = dataclasses.replace(OPS, scopes=frozenset({"platform:break_glass"}))
    assert policy.check(desk(Trail()).open(glass(actor=narrow)), "docs:read").code == "ceiling"


def test_unopened_is_closed():
    assert borrowed.policy().check(glass(), "docs:read", DOC).code == "ceiling"
    again = dataclasses.replace(desk(Trail()).open(glass()), permissions=frozenset({"billing:read"}))
    assert borrowed.policy().check(again, "billing:read").code == "ceiling"  # a changed copy was never recorded


def test_the_tenants_trail_tells_it_all():
    trail = Trail()
    opened = desk(trail).open(glass(approved_by=LEAD))
    (event,) = trail.events
    assert (event.action, event.outcome, event.tenant_id, event.actor) == ("authz.break_glass", "success", "t1", OPS)
    assert event.reason == "outage"
    assert event.data["ticket"] == "OPS-7"
    assert event.data["approved_by"] == "lead"
    assert event.data["permissions"] == ["docs:purge", "docs:read"]
    assert opened.record == event.id
    record = borrowed.policy().check(opened, "docs:read").audit()["delegation"]
    assert record == {"kind": "break_glass", "principal_id": "ops", "actor_id": "ops", "record": event.id}


def test_a_real_trail_takes_it():
    log = AuditLog(MemoryAuditStore(), clock=borrowed.clock())
    opened = desk(log).open(glass())
    assert borrowed.policy().check(opened, "docs:read", DOC)


@pytest.mark.parametrize(
    "trail",
    [Trail(AuditUnavailable("down")), Trail(OSError("disk full")), Trail(durable=False)],
    ids=["unavailable", "broken", "kept in memory"],
)
def test_no_record_no_door(trail):
    with pytest.raises(AuditUnavailable):
        desk(trail).open(glass())


@pytest.mark.parametrize(
    ("actor", "approver"), [(user("eve", "owner"), None), (Principal("eve"), None), (OPS, Principal("eve"))]
)
def test_who_may_not_is_refused_on_record(actor, approver):
    trail = Trail()
    with pytest.raises(AccessDenied):
        desk(trail).open(glass(actor=actor, approved_by=approver))
    assert [event.outcome for event in trail.events] == ["denied"]
    assert trail.events[0].decision["allowed"] is False


def test_two_persons_where_the_house_wants_two():
    strict = desk(Trail(), two_persons=True)
    with pytest.raises(UsageError, match="alone"):
        strict.open(glass())
    assert strict.open(glass(approved_by=LEAD)).record


@pytest.mark.parametrize("name", ["platform:list", "docs:raed", "*", "docs:*", ""])
def test_only_permissions_of_a_tenant(name):
    trail = Trail()
    with pytest.raises(UsageError):
        desk(trail).open(glass({name}))
    assert trail.events == []


def test_what_is_over_does_not_open():
    clock = borrowed.clock()
    clock.advance(HOUR)
    with pytest.raises(UsageError, match="over"):
        desk(Trail(), clock).open(glass())
    with pytest.raises(UsageError):
        desk(Trail()).open("glass")  # type: ignore[arg-type]  # what callers without checkers do


@pytest.mark.parametrize(
    "wrong",
    [
        {"actor": None}, {"actor": "ops"}, {"actor": Principal("bot", kind="agent")}, {"actor": user("a", actor=OPS)},
        {"tenant": ""}, {"tenant": None}, {"tenant": 7}, {"reason": " "}, {"ticket": ""}, {"reason": None},
        {"permissions": "docs:read"}, {"permissions": ()}, {"permissions": [7]}, {"permissions": None},
        {"permissions": {"docs:read": True}}, {"approved_by": OPS}, {"approved_by": "lead"},
        {"approved_by": Principal("svc", kind="service")}, {"expires_at": NOW}, {"expires_at": NOW - HOUR},
        {"expires_at": NOW + HOUR + timedelta(microseconds=1)}, {"expires_at": datetime(2030, 1, 1, 12, 30)},
        {"not_before": None}, {"not_before": "now"},
    ],
)  # fmt: skip
def test_a_request_that_says_too_little_is_refused(wrong):
    with pytest.raises(UsageError):
        glass(**wrong)


def test_agents_and_impersonators_open_nothing():
    for actor in (agent("operator", behind=OPS, tenant=None), dataclasses.replace(OPS, actor=LEAD)):
        with pytest.raises(UsageError):
            glass(actor=actor)


def test_its_context_fits_an_elevation():
    inside = glass().context()
    assert (inside.tenant_id, inside.membership, inside.principal.id) == ("t1", None, "ops")
    assert (inside.principal.reason, inside.principal.tenant_id) == ("outage", "t1")
    assert borrowed.policy().permissions_for(inside, DOC) == frozenset()  # the context alone opens nothing


@pytest.mark.anyio
async def test_an_asynchronous_trail_is_awaited():
    trail = Trail()
    trail.suspends = True
    with pytest.raises(ConfigurationError):
        desk(trail).open(glass())
    assert (await desk(trail).aopen(glass())).record == trail.events[0].id
