"""The hatch: for a reason, on record first, shut when the block ends."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Iterator

import pytest

from wellstreak_trust.core import AuditEvent, ConfigurationError, UsageError
from wellstreak_trust.core.errors import AuditUnavailable
from wellstreak_trust.tenancy import (
    current_tenant,
    install_elevation_sink,
    is_unscoped,
    tenant_scope,
    testing_context,
    unscoped,
)

T1 = testing_context("t1")


@pytest.fixture
def trail() -> Iterator[list[AuditEvent]]:
    found: list[AuditEvent] = []
    install_elevation_sink(found.append)
    yield found
    install_elevation_sink(None)


def test_the_event_comes_before_the_hatch_and_names_the_tenant(trail: list[AuditEvent]) -> None:
    seen: list[bool] = []
    with tenant_scope(T1), unscoped("report", audit=lambda event: seen.append(is_unscoped())):
        assert is_unscoped()
        assert current_tenant() is T1
    with unscoped("migration"):
        assert is_unscoped()
    assert not is_unscoped()
    assert seen == [False]
    assert [(e.action, e.outcome, e.tenant_id, e.reason) for e in trail] == [
        ("tenancy.unscoped", "attempted", "system", "migration")
    ]


def test_in_a_scope_the_event_belongs_to_the_tenant(trail: list[AuditEvent]) -> None:
    with tenant_scope(T1), unscoped("report"):
        pass
    assert (trail[0].tenant_id, trail[0].actor) == ("t1", T1.principal)


@pytest.mark.parametrize("reason", ["", "  ", None, 7])
def test_no_reason_no_hatch(reason: object) -> None:
    with pytest.raises(UsageError):
        unscoped(reason)  # type: ignore[arg-type]  # the attack


def test_a_failing_trail_keeps_it_shut() -> None:
    def fails(event: AuditEvent) -> None:
        raise AuditUnavailable("disk full")

    with pytest.raises(AuditUnavailable), unscoped("report", audit=fails):
        pytest.fail("opened")
    assert not is_unscoped()


def test_without_any_trail_a_warning_stands_for_it(caplog: pytest.LogCaptureFixture) -> None:
    install_elevation_sink(None)  # whatever a guide has installed in this process
    with caplog.at_level(logging.WARNING, "wellstreak_trust.tenancy"), unscoped("seed the database"):
        assert is_unscoped()
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("WARNING", "unscoped without a trail, tenant system: seed the database")
    ]


def test_it_nests_and_serves_one_block(trail: list[AuditEvent]) -> None:
    outer = unscoped("a")
    with outer:
        with unscoped("b"):
            assert is_unscoped()
        assert is_unscoped()
        with pytest.raises(UsageError), outer:
            pytest.fail("entered twice")
        assert is_unscoped()
    assert not is_unscoped()
    outer.__exit__(None, None, None)
    assert len(trail) == 2


@pytest.mark.usefixtures("trail")
def test_a_generator_cannot_leak_it() -> None:
    def rows() -> Iterator[bool]:
        with unscoped("rows"):
            yield is_unscoped()

    with pytest.raises(ConfigurationError) as refused:
        next(rows())
    assert refused.value.reason == "scope_in_generator"


@pytest.mark.usefixtures("trail")
def test_left_in_another_context_it_is_shut_in_both() -> None:
    hatch = unscoped("a")
    copy = contextvars.copy_context()
    copy.run(hatch.__enter__)
    assert copy.run(is_unscoped)
    hatch.__exit__(None, None, None)
    assert not copy.run(is_unscoped)


@pytest.mark.anyio
async def test_tasks_lose_it_when_the_block_ends() -> None:
    written, gate = [], asyncio.Event()

    async def slow(event: AuditEvent) -> None:
        await asyncio.sleep(0)
        written.append(event.action)

    async def work() -> tuple[bool, bool]:
        before = is_unscoped()
        await gate.wait()
        return before, is_unscoped()

    async with unscoped("job", audit=slow):
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
    gate.set()
    assert await task == (True, False)
    assert written == ["tenancy.unscoped"]


def test_an_asynchronous_trail_needs_async_with() -> None:
    async def slow(event: AuditEvent) -> None:
        await asyncio.sleep(0)

    with pytest.raises(ConfigurationError), unscoped("job", audit=slow):
        pytest.fail("opened")
    assert not is_unscoped()
