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
from .together import CALLERS, together

__all__ = ["CHECKS"]

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
    principal = replace(principal, issuer="https://op.example", subject="é 17")
    row = replace(_row("whole"), principal=principal, device="Firefox on Linux", persistent=True, sid="s-1")
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
    assert [await store.end(row.id, user_id=other) for other in ("somebody", "")] == [None, None]
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


async def running_out_is_no_end(store: SessionStore) -> None:
    """An impersonation goes on to its own end when the session that it came from runs out and is forgotten."""
    admin = await _admitted(store, "out-admin")
    child = replace(_row("out-user", 1, parent=admin), last_seen_at=_AT + timedelta(minutes=29))
    assert await store.spawn(child, admin.key)
    late = replace(
        _row("out-admin", 2), created_at=_AT + timedelta(minutes=31), last_seen_at=_AT + timedelta(minutes=31)
    )
    await store.admit(late, limit=20, replaces=None)
    assert await store.read(admin.key) is None
    assert await store.read(child.key) == child
    await store.end_all("out-admin", except_id=late.id)
    assert await store.read(child.key) is None


async def a_providers_log_out_ends_what_came_from_it(store: SessionStore) -> None:
    """By the sign-in or by the person, never another provider's, and with the impersonations out of it."""

    def federated(number: int, issuer: str, subject: str, sid: str | None) -> SessionRow:
        row = _row("fed", number)
        return replace(row, principal=replace(row.principal, issuer=issuer, subject=subject), sid=sid)

    here, there = "https://op.example", "https://other.example"
    rows = [
        federated(1, here, "ada", "s1"),
        federated(2, here, "ada", "s2"),
        federated(3, here, "bob", "s3"),
        federated(4, there, "ada", "s1"),
        federated(5, here, "ada", None),
    ]
    for row in rows:
        await store.admit(row, limit=20, replaces=None)
    child = _row("fed-user", 6, parent=rows[0])
    assert await store.spawn(child, rows[0].key)
    assert await store.end_federated(here, subject="bob", sid="s1") == ()
    assert await store.end_federated(here, subject=None, sid="s9") == ()
    assert await store.end_federated(here, subject=None, sid="s1") == (rows[0],)
    assert await store.read(child.key) is None
    assert await store.swap(rows[1].key, replace(rows[1], key=sha256(b"fed rotated").digest()))
    ended = await store.end_federated(here, subject="ada", sid=None)
    assert {row.id for row in ended} == {"fed/2", "fed/5"}
    assert {row.id for row in await store.live("fed")} == {"fed/3", "fed/4"}
    await store.end_all("fed", except_id=None)
    assert await store.end_federated(there, subject="ada", sid=None) == ()


async def one_of_many_rotations_wins(store: SessionStore) -> None:
    """At one moment, and against a revocation at that moment nothing rises again."""
    row = await _admitted(store, "race")
    fresh = [replace(row, key=sha256(f"race {number}".encode()).digest()) for number in range(CALLERS)]
    won = await together(store, [lambda to=to: store.swap(row.key, to) for to in fresh])  # type: ignore[misc]  # bound by default
    assert sorted(won) == [False] * (CALLERS - 1) + [True]
    living = fresh[won.index(True)]
    assert [await store.read(each.key) for each in fresh if each is not living] == [None] * (CALLERS - 1)
    last = replace(row, key=sha256(b"race last").digest())

    async def revoke() -> bool:
        await store.end_all("race", except_id=None)
        return True

    await together(store, [lambda: store.swap(living.key, last), revoke])
    assert await store.read(living.key) is None
    assert await store.read(last.key) is None


async def the_limit_holds_in_parallel(store: SessionStore) -> None:
    """Sign-ins of one user at one moment."""
    rows = [_row("crowd", number) for number in range(CALLERS)]
    await together(store, [lambda row=row: store.admit(row, limit=3, replaces=None) for row in rows])  # type: ignore[misc]  # as above
    assert len(await store.live("crowd")) == 3


async def everybody_can_be_ended(store: SessionStore) -> None:
    """Whoever they are; who signs in after it is in."""
    rows = [await _admitted(store, f"every-{number}") for number in (1, 2)]
    assert await store.spawn(_row("every-3", parent=rows[0]), rows[0].key)
    await store.end_everything()
    assert [await store.read(row.key) for row in (*rows, _row("every-3"))] == [None] * 3
    new = await _admitted(store, "every-1", 2)
    assert await store.live("every-1") == (new,)


async def what_ran_out_is_swept(store: SessionStore) -> None:
    """Both ends count; what lives stays. A store that says `expires_itself` may leave it to its server."""
    idle = await _admitted(store, "sweep", 1)
    busy = replace(_row("sweep", 2), last_seen_at=_AT + timedelta(hours=2))
    await store.admit(busy, limit=20, replaces=None)
    swept = await store.sweep(_AT + timedelta(hours=2))
    if not getattr(store, "expires_itself", False):
        assert swept >= 1
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
    running_out_is_no_end,
    a_providers_log_out_ends_what_came_from_it,
    one_of_many_rotations_wins,
    the_limit_holds_in_parallel,
    what_ran_out_is_swept,
    everybody_can_be_ended,
)
