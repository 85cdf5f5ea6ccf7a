"""What every connection store must do; run it against your own.

Each check is a coroutine over a fresh store: await it, or `drive` it over a blocking store.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from ...connections import ConnectionRecord, ConnectionStore, Evidence

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
    edges=(_AT,),
    history=((_AT, "proved", "ok"),),
)


async def rows_come_back_whole(store: ConnectionStore) -> None:
    """Every field survives, times to the microsecond, and tenants do not mix."""
    assert await store.load("t1", "telegram") is None
    assert await store.swap_if(_ROW)
    assert await store.load("t1", "telegram") == replace(_ROW, version=1)
    assert await store.load("t2", "telegram") is None
    bare = replace(
        _ROW, provider="slack", evidence=None, secret=None, secret_version=None, last_ok=None, first_fault=None
    )
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


CHECKS: Final = (rows_come_back_whole, rows_are_swapped_under_their_version)
