"""What every webhook endpoint store must do; run it against your own.

Each check is a coroutine over a fresh store: await it, or `drive` it over a blocking store.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from ...webhooks.endpoint_store import EndpointKey, EndpointRow, EndpointStore

__all__ = ["CHECKS"]

_AT: Final = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
_LATER: Final = _AT + timedelta(microseconds=1)
_ROW: Final = EndpointRow(
    "ep_1", "t1", "stripe", "a" * 64, "https://h.example/{token}", "active", (EndpointKey(2), EndpointKey(1, _AT)), _AT
)


async def rows_come_back_whole(store: EndpointStore) -> None:
    """By token and by id, times to the microsecond."""
    assert await store.by_token("a" * 64) is None
    assert await store.swap_if(_ROW)
    stored = replace(_ROW, version=1)
    assert await store.by_token("a" * 64) == stored
    assert await store.by_id("t1", "ep_1") == stored
    assert await store.list("t1") == (stored,)


async def tenants_do_not_mix(store: EndpointStore) -> None:
    """An id of another tenant is not there."""
    assert await store.swap_if(_ROW)
    assert await store.by_id("t2", "ep_1") is None
    assert await store.list("t2") == ()


async def ids_and_tokens_are_unique(store: EndpointStore) -> None:
    """Whoever comes second changes nothing."""
    assert await store.swap_if(_ROW)
    assert not await store.swap_if(replace(_ROW, tenant_id="t2"))
    assert not await store.swap_if(replace(_ROW, id="ep_2", tenant_id="t2"))
    assert await store.list("t2") == ()


async def rows_are_swapped_under_their_version(store: EndpointStore) -> None:
    """A change made from an old row is refused."""
    assert await store.swap_if(_ROW)
    first = replace(_ROW, version=1, status="disabled")
    assert await store.swap_if(first)
    assert not await store.swap_if(first)
    assert not await store.swap_if(replace(_ROW, version=7))
    assert await store.by_id("t1", "ep_1") == replace(first, version=2)


async def the_last_delivery_is_kept_beside_the_row(store: EndpointStore) -> None:
    """It neither counts as a change nor goes back in time, and changes do not undo it."""
    assert await store.swap_if(_ROW)
    await store.note("ep_1", _LATER, "accepted")
    await store.note("ep_1", _AT, "refused: clock")
    await store.note("ep_9", _AT, "accepted")
    noted = replace(_ROW, version=1, last_at=_LATER, last_outcome="accepted")
    assert await store.by_id("t1", "ep_1") == noted
    assert await store.swap_if(replace(_ROW, version=1, status="disabled"))
    assert await store.by_id("t1", "ep_1") == replace(noted, version=2, status="disabled")


async def endpoints_are_listed_oldest_first(store: EndpointStore) -> None:
    """Whatever their ids are."""
    assert await store.swap_if(replace(_ROW, created_at=_LATER))
    assert await store.swap_if(replace(_ROW, id="ep_2", token_hash="b" * 64))
    assert [row.id for row in await store.list("t1")] == ["ep_2", "ep_1"]


CHECKS: Final = (
    rows_come_back_whole,
    tenants_do_not_mix,
    ids_and_tokens_are_unique,
    rows_are_swapped_under_their_version,
    the_last_delivery_is_kept_beside_the_row,
    endpoints_are_listed_oldest_first,
)
