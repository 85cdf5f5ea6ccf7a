"""What every connection store must do; run it against your own.

Each check is a coroutine over a fresh store: await it, or `drive` it over a blocking store.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from ...connections import Candidate, Check, Condition, ConnectionRecord, ConnectionStore, Evidence

__all__ = ["CHECKS", "rows_are_swapped_under_their_version", "rows_come_back_whole"]

_AT: Final = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
_ROW: Final = ConnectionRecord(
    "t1",
    "telegram",
    "active",
    _AT,
    3,
    MappingProxyType({"chat": 7, "é": [1, None]}),
    "telegram/bot",
    2,
    evidence=Evidence(3, 2, _AT),
    last_ok=_AT,
    faults=1,
    first_fault=_AT,
    generation_since=_AT,
    candidate=Candidate(4, MappingProxyType({"chat": 8}), None, None, _AT, "timeout"),
    last_checked=_AT,
    last_inbound=_AT,
    next_check=_AT,
    edges=(_AT,),
    conditions=(Condition("whoami", "auth", "true", "ok", _AT, 3),),
)
_MINUTE: Final = timedelta(minutes=1)


async def rows_come_back_whole(store: ConnectionStore) -> None:
    """Every field survives, times to the microsecond, and tenants do not mix."""
    assert await store.load("t1", "telegram") is None
    assert await store.swap_if(_ROW)
    assert await store.load("t1", "telegram") == replace(_ROW, version=1)
    assert await store.load("t2", "telegram") is None
    bare = ConnectionRecord("t1", "slack", "draft", _AT, 1, MappingProxyType({}), None, None)
    assert await store.swap_if(bare)
    assert [row.provider for row in await store.list("t1")] == ["slack", "telegram"]
    assert await store.list("t2") == []


async def rows_are_swapped_under_their_version(store: ConnectionStore) -> None:
    """A writer that read an older version loses and changes nothing."""
    assert await store.swap_if(_ROW)
    assert not await store.swap_if(_ROW)
    assert not await store.swap_if(replace(_ROW, version=2, state="failing"))
    assert await store.swap_if(replace(_ROW, version=1, state="disabled"))
    held = await store.load("t1", "telegram")
    assert held is not None
    assert (held.state, held.version) == ("disabled", 2)


async def checks_are_kept_with_the_row(store: ConnectionStore) -> None:
    """The newest 50, and 90 days of counts; a swap that loses writes neither."""
    row = _ROW
    for number in range(53):
        at = _AT + number * timedelta(days=2)
        verdict = Check(at, "test", 3, 2, "fault" if number % 2 else "proved", "ok", (("whoami", "ok", "ok", 7, "x"),))
        assert await store.swap_if(row, verdict)
        row = replace(row, version=row.version + 1)
    assert not await store.swap_if(replace(row, version=1), Check(_AT, "test", 3, 2, "proved", "late"))
    checks = await store.checks("t1", "telegram")
    assert len(checks) == 50
    assert checks[0] == Check(
        _AT + 52 * timedelta(days=2), "test", 3, 2, "proved", "ok", (("whoami", "ok", "ok", 7, "x"),)
    )
    days = await store.days("t1", "telegram")
    assert [(day.passed, day.total) for day in days[-2:]] == [(0, 1), (1, 1)]
    assert len(days) == 45
    assert await store.swap_if(row, Check(_AT + 52 * timedelta(days=2), "test", 3, 2, "proved", "ok"))
    assert (await store.days("t1", "telegram"))[-1].total == 2
    assert await store.checks("t2", "telegram") == []


async def what_is_due_is_leased_once(store: ConnectionStore) -> None:
    """The longest due first; a lease ends, or is ended by the swap of its holder."""
    for provider, wait in (("a", 2), ("b", 1), ("c", 9), ("d", None)):
        due = None if wait is None else _AT + wait * _MINUTE
        assert await store.swap_if(replace(_ROW, provider=provider, next_check=due))
    now = _AT + 3 * _MINUTE
    (first,) = await store.claim_due(now, now + _MINUTE, 1)
    assert (first.provider, first.leased_until) == ("b", now + _MINUTE)
    assert [row.provider for row in await store.claim_due(now, now + _MINUTE, 9)] == ["a"]
    assert await store.claim_due(now, now + _MINUTE, 9) == []
    assert await store.swap_if(replace(first, leased_until=None, next_check=now))
    assert [row.provider for row in await store.claim_due(now, now + _MINUTE, 9)] == ["b"]
    late = now + _MINUTE
    assert {row.provider for row in await store.claim_due(late, late + _MINUTE, 9)} == {"a", "b"}
    assert [row.tenant_id for row in await store.list(None)] == ["t1"] * 4


CHECKS: Final = (
    rows_come_back_whole,
    rows_are_swapped_under_their_version,
    checks_are_kept_with_the_row,
    what_is_due_is_leased_once,
)
