"""What every store of one-time tokens must do; run it against your own.

Each check is a coroutine over a store: await it, or `drive` it over a blocking store. Checks use subjects of their own,
so that all of them may run over one database.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from ...identity.token_store import OneTimeTokenRow, OneTimeTokenStore
from .together import CALLERS, together

__all__ = ["CHECKS"]

_AT: Final = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
_END: Final = _AT + timedelta(hours=1)


def _row(subject: str, number: int = 1, purpose: str = "verify_email") -> OneTimeTokenRow:
    return OneTimeTokenRow(sha256(f"{subject}/{number}/{purpose}".encode()).digest(), purpose, subject, _AT, _END)


async def rows_come_back_whole(store: OneTimeTokenStore) -> None:
    """Every field, times to the microsecond, nothing under another key."""
    row = replace(
        _row("whole"),
        email=b"\x00" * 32,
        fingerprint=b"\xff" * 32,
        data={"tenant": "é", "n": [1, True]},
        sealed=b"\x00s",
    )
    assert await store.read(row.key) is None
    await store.issue(row)
    assert await store.read(row.key) == row
    await store.issue(_row("bare"))
    assert await store.read(_row("bare").key) == _row("bare")


async def a_newer_one_ends_the_older(store: OneTimeTokenStore) -> None:
    """Of the same subject and purpose, and no other."""
    old, other, someone = _row("newer", 1), _row("newer", 1, "invite"), _row("newer-2")
    new = _row("newer", 2)
    for row in (old, other, someone, new):
        await store.issue(row)
    assert await store.read(old.key) is None
    assert not await store.consume_if(old)
    assert [await store.read(row.key) for row in (new, other, someone)] == [new, other, someone]


async def it_is_used_once(store: OneTimeTokenStore) -> None:
    """Also by many at one moment; after it, a new one of the subject may be issued."""
    row = _row("once")
    await store.issue(row)
    won = await together(store, [lambda: store.consume_if(row)] * CALLERS)
    assert sorted(won) == [False] * (CALLERS - 1) + [True]
    assert await store.read(row.key) is None
    await store.issue(_row("once", 2))
    assert await store.consume_if(_row("once", 2))


async def tries_are_counted_before_they_are_made(store: OneTimeTokenStore) -> None:
    """Many at one moment get no more than the limit."""
    row = _row("tries")
    await store.issue(row)
    tried = await together(store, [lambda: store.attempt(row.key, 5)] * (CALLERS + 2))
    assert sorted(each.tries for each in tried if each is not None) == [1, 2, 3, 4, 5]
    assert await store.attempt(row.key, 5) is None
    assert await store.read(row.key) == replace(row, tries=5)
    assert await store.attempt(_row("tries", 2).key, 5) is None
    await store.issue(_row("tries", 3))
    assert await store.attempt(_row("tries", 3).key, 5) == replace(_row("tries", 3), tries=1)


async def a_revoked_one_is_gone(store: OneTimeTokenStore) -> None:
    """By subject and purpose."""
    kept, gone = _row("revoked", 1, "invite"), _row("revoked")
    for row in (kept, gone):
        await store.issue(row)
    await store.revoke("verify_email", "revoked")
    assert await store.read(gone.key) is None
    assert await store.read(kept.key) == kept
    await store.revoke("verify_email", "revoked")


async def the_broom_takes_what_has_ended(store: OneTimeTokenStore) -> None:
    """And nothing else. A store that says `expires_itself` may leave it to its server."""
    over, good = _row("sweep", 1), replace(_row("sweep-2", 1), expires_at=_END + timedelta(microseconds=1))
    for row in (over, good):
        await store.issue(row)
    swept = await store.sweep(_END)
    if not getattr(store, "expires_itself", False):
        assert swept >= 1
        assert await store.read(over.key) is None
    assert await store.read(good.key) == good


CHECKS: Final = (
    rows_come_back_whole,
    a_newer_one_ends_the_older,
    it_is_used_once,
    tries_are_counted_before_they_are_made,
    a_revoked_one_is_gone,
    the_broom_takes_what_has_ended,
)
