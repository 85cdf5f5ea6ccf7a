"""Elevation: for a reason, on record first, over in minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from wellstreak_trust.core import AuditEvent, ConfigurationError, FixedClock, Principal, UsageError
from wellstreak_trust.core.errors import AuditUnavailable
from wellstreak_trust.tenancy import (
    TenantConflict,
    current_tenant,
    elevate,
    install_elevation_sink,
    require_tenant,
    tenant_scope,
    testing_context,
)

T1, T2 = testing_context("t1"), testing_context("t2")
SUPPORT = Principal("s1", actor=Principal("boss"))


class Trail:
    """An `EventSink`, as `AuditLog` is one."""

    suspends = False

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []

    async def aemit(self, event: AuditEvent) -> None:
        self.events.append(event)


@pytest.fixture
def trail() -> Iterator[Trail]:
    found = Trail()
    install_elevation_sink(found)
    yield found
    install_elevation_sink(None)


def test_inside_an_elevation_another_tenant_may_be_entered(trail: Trail) -> None:
    with tenant_scope(T1):
        with elevate("outage", "OPS-1", 5), tenant_scope(T2):
            assert require_tenant() is T2
        assert require_tenant() is T1
        with pytest.raises(TenantConflict), tenant_scope(T2):
            pytest.fail("entered")
    assert [(event.action, event.outcome) for event in trail.events] == [
        ("tenancy.elevated", "attempted"),
        ("tenancy.elevation_ended", "success"),
    ]
    assert trail.events[0].reason == "outage"
    assert trail.events[0].data == {"ticket": "OPS-1", "minutes": "5"}


def test_it_ends_with_its_minutes(trail: Trail) -> None:
    clock = FixedClock(datetime(2026, 11, 24, tzinfo=UTC))
    with tenant_scope(T1), elevate("outage", "OPS-1", 5, clock=clock) as elevation:
        clock.advance(timedelta(minutes=5) - timedelta(microseconds=1))
        with tenant_scope(T2):
            assert elevation.active
        clock.advance(timedelta(microseconds=1))
        with pytest.raises(TenantConflict), tenant_scope(T2):
            pytest.fail("entered")


@pytest.mark.parametrize("minutes", [0, -1, 60.5, float("nan"), float("inf"), True, "5", None])
def test_minutes_out_of_range_are_refused(trail: Trail, minutes: Any) -> None:
    with pytest.raises(UsageError):
        elevate("outage", "OPS-1", minutes)


@pytest.mark.parametrize(("reason", "ticket"), [("", "OPS-1"), ("outage", " "), (None, "OPS-1"), ("outage", None)])
def test_reason_and_ticket_are_said(trail: Trail, reason: Any, ticket: Any) -> None:
    with pytest.raises(UsageError):
        elevate(reason, ticket, 5)


def test_without_a_trail_there_is_no_elevation() -> None:
    with pytest.raises(ConfigurationError) as refused:
        elevate("outage", "OPS-1", 5)
    assert refused.value.reason == "elevation_sink"


def test_a_trail_that_fails_means_no_elevation() -> None:
    def broken(event: AuditEvent) -> None:
        raise AuditUnavailable("disk full")

    with tenant_scope(T1):
        with pytest.raises(AuditUnavailable), elevate("outage", "OPS-1", 5, audit=broken):
            pytest.fail("elevated")
        with pytest.raises(TenantConflict), tenant_scope(T2):
            pytest.fail("entered")


def test_the_event_is_written_before_it_takes_effect() -> None:
    seen: list[object] = []

    def sink(event: AuditEvent) -> None:
        with pytest.raises(TenantConflict), tenant_scope(T2):
            pytest.fail("entered")
        seen.append(event.action)

    with tenant_scope(T1), elevate("outage", "OPS-1", 5, audit=sink):
        assert seen == ["tenancy.elevated"]
    assert seen == ["tenancy.elevated", "tenancy.elevation_ended"]


def test_an_error_in_the_block_is_recorded_and_not_masked(trail: Trail) -> None:
    def once(event: AuditEvent) -> None:
        if event.action != "tenancy.elevated":
            raise AuditUnavailable("disk full")

    with pytest.raises(ZeroDivisionError), elevate("outage", "OPS-1", 5):
        raise ZeroDivisionError
    assert trail.events[-1].outcome == "error"
    with pytest.raises(ZeroDivisionError), elevate("outage", "OPS-1", 5, audit=once):
        raise ZeroDivisionError
    with pytest.raises(AuditUnavailable), elevate("outage", "OPS-1", 5, audit=once):
        assert current_tenant() is None


def test_its_context_has_no_membership_and_dies_with_it(trail: Trail) -> None:
    elevation = elevate("outage", "OPS-1", 5, principal=SUPPORT)
    with pytest.raises(TenantConflict):
        elevation.context("t2")
    with elevation:
        context = elevation.context("t2")
        assert context.membership is None
        assert context.roles == frozenset()
        assert (context.principal.tenant_id, context.principal.reason) == ("t2", "outage")
        assert context.principal.actor == Principal("boss")
        with tenant_scope(context):
            assert require_tenant().tenant_id == "t2"
    with pytest.raises(TenantConflict), tenant_scope(context):
        pytest.fail("an elevated context outlived its elevation")
    assert trail.events[0].actor == SUPPORT


def test_a_context_needs_to_know_who_acts(trail: Trail) -> None:
    with elevate("outage", "OPS-1", 5) as nobody, pytest.raises(UsageError):
        nobody.context("t2")
    with elevate("outage", "OPS-1", 5, principal=SUPPORT) as somebody, pytest.raises(UsageError):
        somebody.context("")


def test_it_is_used_once_and_not_in_generators(trail: Trail) -> None:
    elevation = elevate("outage", "OPS-1", 5)
    with elevation:
        pass
    with pytest.raises(UsageError), elevation:
        pytest.fail("elevated")

    def leaking() -> Iterator[None]:
        with elevate("outage", "OPS-1", 5):
            yield

    with pytest.raises(ConfigurationError):
        next(leaking())


def test_async_sinks_need_the_async_block() -> None:
    written: list[str] = []

    async def sink(event: AuditEvent) -> None:
        await asyncio.sleep(0)
        written.append(event.action)

    async def run() -> bool:
        async with elevate("outage", "OPS-1", 5, audit=sink) as elevation:
            outlives = asyncio.create_task(late())
            assert written == ["tenancy.elevated"]
            assert elevation.active
        return await outlives

    async def late() -> bool:
        await asyncio.sleep(0.01)
        with tenant_scope(T1), pytest.raises(TenantConflict), tenant_scope(T2):
            pytest.fail("a task kept the elevation past its block")
        return True

    assert asyncio.run(run())
    assert written == ["tenancy.elevated", "tenancy.elevation_ended"]
    with pytest.raises(ConfigurationError), elevate("outage", "OPS-1", 5, audit=sink):
        pytest.fail("elevated")
