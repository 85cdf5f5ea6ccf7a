"""What every approval store must do; run it against your own.

Each check is a coroutine over a store and an id that nobody else uses: await it, or `drive` it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from ...authz.approval_store import ApprovalRow, ApprovalStore

__all__ = ["CHECKS"]

_NOW: Final = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
_END: Final = _NOW + timedelta(minutes=15)
_TICK: Final = timedelta(microseconds=1)
_DIGEST: Final = b"\x00\xff" * 16


def _row(id: str) -> ApprovalRow:
    return ApprovalRow(id, _DIGEST, "t1", "billing:refund", "billing:approve", "bot", "agent", "ada", _NOW, _END)


async def what_is_added_is_read(store: ApprovalStore, id: str) -> None:
    """Every field, and nothing under another id."""
    await store.add(_row(id))
    assert await store.read(id) == _row(id)
    assert await store.read(id + "x") is None


async def one_approver_confirms(store: ApprovalStore, id: str) -> None:
    """The second comes too late, and the first stays on record."""
    await store.add(_row(id))
    assert await store.confirm_if(id, "bo", _NOW)
    assert not await store.confirm_if(id, "cy", _NOW)
    assert await store.read(id) == replace(_row(id), confirmed_by="bo")
    assert not await store.confirm_if(id + "x", "bo", _NOW)


async def it_is_used_once(store: ApprovalStore, id: str) -> None:
    """And only once it is confirmed."""
    await store.add(_row(id))
    assert not await store.consume_if(id, _DIGEST, _NOW)
    assert await store.confirm_if(id, "bo", _NOW)
    assert await store.consume_if(id, _DIGEST, _NOW)
    assert not await store.consume_if(id, _DIGEST, _NOW)
    assert await store.read(id) is None


async def it_is_for_one_operation(store: ApprovalStore, id: str) -> None:
    """A try with another digest does not use it up."""
    await store.add(_row(id))
    assert await store.confirm_if(id, "bo", _NOW)
    assert not await store.consume_if(id, bytes(32), _NOW)
    assert await store.consume_if(id, _DIGEST, _NOW)


async def it_ends_to_the_microsecond(store: ApprovalStore, id: str) -> None:
    """For the approver and for the requester."""
    await store.add(_row(id))
    assert not await store.confirm_if(id, "bo", _END)
    assert await store.confirm_if(id, "bo", _END - _TICK)
    assert not await store.consume_if(id, _DIGEST, _END)
    assert await store.consume_if(id, _DIGEST, _END - _TICK)


async def a_withdrawn_one_is_gone(store: ApprovalStore, id: str) -> None:
    """Confirmed or not."""
    await store.add(_row(id))
    assert await store.confirm_if(id, "bo", _NOW)
    assert await store.withdraw(id)
    assert not await store.withdraw(id)
    assert not await store.consume_if(id, _DIGEST, _NOW)


async def the_broom_takes_what_has_ended(store: ApprovalStore, id: str) -> None:
    """And nothing else."""
    await store.add(_row(id))
    await store.add(replace(_row(id + "x"), expires_at=_END + _TICK))
    assert await store.sweep(_END) >= 1
    assert await store.read(id) is None
    assert await store.read(id + "x") is not None


CHECKS: Final = (
    what_is_added_is_read,
    one_approver_confirms,
    it_is_used_once,
    it_is_for_one_operation,
    it_ends_to_the_microsecond,
    a_withdrawn_one_is_gone,
    the_broom_takes_what_has_ended,
)
