"""What every session store must do; run it against your own.

Each check is a coroutine over a store: await it, or `drive` it over a blocking store. Checks use users of their own,
so that all of them may run over one database.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from ...core.principal import Principal
from ...identity.session_store import SessionRow, SessionStore

__all__ = [
    "CHECKS",
    "all_but_one_can_be_ended",
    "an_end_is_final",
    "ending_takes_impersonations_along",
    "only_the_owner_is_matched",
    "rows_come_back_whole",
    "sign_ins_are_bounded",
    "swaps_are_won_once",
    "what_ran_out_is_swept",
]

_AT: Final = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
_IDLE: Final = timedelta(minutes=30)


def _row(user_id: str, number: int = 1, *, parent: SessionRow | None = None) -> SessionRow:
    name = f"{user_id}/{number}"
    at = _AT + timedelta(seconds=number)
    actor = parent.principal if parent is not None else None
    principal = Principal(user_id, session_id=name, actor=actor, reason="ticket 7" if actor else None)
    key = sha256(name.encode()).digest()
    return SessionRow(
        key, name, principal, at, at, _IDLE, at + timedelta(hours=12), parent_id=parent.id if parent else None
    )


async def _admitted(store: SessionStore, user_id: str, number: int = 1) -> SessionRow:
    row = _row(user_id, number)
    await store.admit(row, limit=20, replaces=None)
    return row


async def rows_come_back_whole(store: SessionStore) -> None:
    """Every field survives, times to the microsecond, attributes with their types."""
    principal = Principal(
        "whole",
        tenant_id="t1",
        roles=frozenset(("support",)),
        attributes={"email_verified": True, "logins": 7, "teams": ("a", "é"), "department": "x"},
        session_id="whole/1",
        aal=2,
        amr=("pwd", "otp"),
        auth_time=_AT,
    )
    row = replace(_row("whole"), principal=principal, device="Firefox on Linux", persistent=True)
    assert await store.read(row.key) is None
    assert await store.admit(row, limit=20, replaces=None) == ()
    assert await store.read(row.key) == row
    child = replace(_row("whole-2", parent=row), device=None)
    assert await store.spawn(child, row.key)
    assert await store.read(child.key) == child


async def sign_ins_are_bounded(store: SessionStore) -> None:
    """The oldest go out, what is replaced goes first, what has run out is no loss, impersonations do not count."""
    first, second = await _admitted(store, "bound", 1), await _admitted(store, "bound", 2)
    admin = await _admitted(store, "bound-admin")
    assert await store.spawn(_row("bound", 3, parent=admin), admin.key)
    third = _row("bound", 4)
    assert await store.admit(third, limit=2, replaces=None) == (first,)
    fourth = _row("bound", 5)
    assert await store.admit(fourth, limit=2, replaces=third.key) == (third,)
    assert [row.id for row in await store.live("bound")] == [second.id, "bound/3", fourth.id]
    late = replace(_row("bound", 6), created_at=_AT + timedelta(hours=1), last_seen_at=_AT + timedelta(hours=1))
    assert await store.admit(late, limit=1, replaces=None) == ()
    assert [row.id for row in await store.live("bound") if row.actor_id is None] == [late.id]


async def swaps_are_won_once(store: SessionStore) -> None:
    """Who comes second finds the key gone; a swap under the same key is a change in place."""
    row = await _admitted(store, "swap")
    seen = replace(row, last_seen_at=_AT + timedelta(minutes=5))
    assert await store.swap(row.key, seen)
    assert await store.read(row.key) == seen
    one, two = (replace(seen, key=sha256(mark).digest()) for mark in (b"one", b"two"))
    assert await store.swap(row.key, one)
    assert not await store.swap(row.key, two)
    assert [await store.read(key) for key in (row.key, one.key, two.key)] == [None, one, None]


async def only_the_owner_is_matched(store: SessionStore) -> None:
    """An id out of a request ends nobody else's session."""
    row = await _admitted(store, "owner")
    assert await store.end(row.id, user_id="somebody") is None
    assert await store.end("owner/404", user_id=None) is None
    assert await store.end(row.id, user_id="owner") == row
    assert await store.end(row.id, user_id="owner") is None
    assert await store.read(row.key) is None


async def an_end_is_final(store: SessionStore) -> None:
    """After `end_all` nothing old is read, listed, swapped back to life or excepted back to life."""
    old = await _admitted(store, "final", 1)
    await store.end_all("final", except_id=None)
    await store.swap(old.key, replace(old, last_seen_at=_AT + timedelta(minutes=1)))
    await store.end_all("final", except_id=old.id)
    assert await store.read(old.key) is None
    assert await store.live("final") == ()
    assert await store.end(old.id, user_id=None) is None
    assert not await store.spawn(_row("final-2", parent=old), old.key)
    new = await _admitted(store, "final", 2)
    assert await store.live("final") == (new,)


async def all_but_one_can_be_ended(store: SessionStore) -> None:
    """The session that asked stays, through any number of such ends; one of another user does not."""
    rows = [await _admitted(store, "except", number) for number in (1, 2, 3)]
    other = await _admitted(store, "except-2")
    for _ in range(2):
        await store.end_all("except", except_id=rows[1].id)
        assert await store.live("except") == (rows[1],)
    await store.end_all("except", except_id=other.id)
    assert await store.live("except") == ()
    assert await store.read(other.key) == other


async def ending_takes_impersonations_along(store: SessionStore) -> None:
    """An actor who is signed out acts for nobody; the user who is signed out is acted for by nobody."""
    for number, ended in enumerate(("session", "actor", "user"), 1):
        admin = await _admitted(store, f"take-admin-{ended}")
        child = _row("take-user", number, parent=admin)
        assert await store.spawn(child, admin.key)
        if ended == "session":
            await store.end(admin.id, user_id=None)
        else:
            await store.end_all(admin.user_id if ended == "actor" else "take-user", except_id=None)
        assert await store.read(child.key) is None, ended
        assert (await store.read(admin.key) is not None) == (ended == "user")


async def what_ran_out_is_swept(store: SessionStore) -> None:
    """Both ends count; what lives stays."""
    idle = await _admitted(store, "sweep", 1)
    busy = replace(_row("sweep", 2), last_seen_at=_AT + timedelta(hours=2))
    await store.admit(busy, limit=20, replaces=None)
    assert await store.sweep(_AT + timedelta(hours=2)) >= 1
    assert await store.read(idle.key) is None
    assert await store.read(busy.key) == busy


CHECKS: Final = (
    rows_come_back_whole,
    sign_ins_are_bounded,
    swaps_are_won_once,
    only_the_owner_is_matched,
    an_end_is_final,
    all_but_one_can_be_ended,
    ending_takes_impersonations_along,
    what_ran_out_is_swept,
)
