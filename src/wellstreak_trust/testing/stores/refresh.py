"""What every store of refresh tokens must do; run it against your own.

Each check is a coroutine over a store: await it, or `drive` it over a blocking store. Checks use users of their own, so
that all of them may run over one database.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from ...identity.refresh_store import FamilyRow, RefreshStore, Rotation, Taken
from .together import CALLERS, together

__all__ = ["CHECKS"]

_AT: Final = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
_GRACE: Final = timedelta(seconds=10)
_TICK: Final = timedelta(microseconds=1)


def _family(user_id: str, number: int = 1) -> FamilyRow:
    return FamilyRow(f"{user_id}/{number}", user_id, _AT, _AT + timedelta(days=30), data={"tenant": "é"})


def _key(name: str) -> bytes:
    return sha256(name.encode()).digest()


def _use(name: str, to: str, at: datetime = _AT) -> Rotation:
    return Rotation(_key(name), _key(to), f"sealed {to}".encode(), at, _GRACE)


async def a_token_is_used_once(store: RefreshStore) -> None:
    """Its successor is there at once; a retry within the grace is told of the same one."""
    family = _family("once")
    await store.begin(family, _key("once 0"))
    assert await store.take(_use("once 9", "x")) == (Taken.UNKNOWN, None, None)
    assert await store.take(_use("once 0", "once 1")) == (Taken.ROTATED, family, b"sealed once 1")
    again = _use("once 0", "once 1b", _AT + _GRACE - _TICK)
    assert await store.take(again) == (Taken.REPEATED, family, b"sealed once 1")
    assert await store.take(_use("once 1b", "x")) == (Taken.UNKNOWN, None, None)
    assert (await store.take(_use("once 1", "once 2")))[0] is Taken.ROTATED


async def many_callers_have_one_successor(store: RefreshStore) -> None:
    """At one moment."""
    await store.begin(_family("many"), _key("many 0"))
    uses = [_use("many 0", f"many 1/{number}") for number in range(CALLERS)]
    found = await together(store, [lambda use=use: store.take(use) for use in uses])  # type: ignore[misc]  # bound by default
    assert sorted(taken.value for taken, _, _ in found) == ["repeated"] * (CALLERS - 1) + ["rotated"]
    assert len({sealed for _, _, sealed in found}) == 1
    next_uses = [_use(f"many 1/{number}", f"many 2/{number}") for number in range(CALLERS)]
    taken_next = [(await store.take(use))[0].value for use in next_uses]
    assert sorted(taken_next) == ["rotated"] + ["unknown"] * (CALLERS - 1)


async def a_late_second_use_ends_the_family(store: RefreshStore) -> None:
    """Once, whoever comes; the newest token of the family is dead too."""
    family = _family("reused")
    await store.begin(family, _key("reused 0"))
    await store.take(_use("reused 0", "reused 1"))
    late = _AT + _GRACE
    found = await together(store, [lambda: store.take(_use("reused 0", "x", late))] * CALLERS)
    assert sorted(taken.value for taken, _, _ in found) == ["reused"] + ["revoked"] * (CALLERS - 1)
    assert await store.take(_use("reused 1", "reused 2", late)) == (Taken.REVOKED, family, None)
    assert await store.list("reused") == ()


async def it_belongs_to_who_it_was_given_to(store: RefreshStore) -> None:
    """A use by another is refused and changes nothing; absence is no wildcard."""
    family = replace(_family("bound"), binding="client-1")
    await store.begin(family, _key("bound 0"))
    use = _use("bound 0", "bound 1")
    for other in (None, "", "client-2"):
        assert await store.take(replace(use, binding=other)) == (Taken.BINDING, family, None)
    assert (await store.take(replace(use, binding="client-1")))[0] is Taken.ROTATED
    await store.begin(_family("free"), _key("free 0"))
    assert (await store.take(replace(_use("free 0", "free 1"), binding="client-1")))[0] is Taken.BINDING


async def it_ends_to_the_microsecond(store: RefreshStore) -> None:
    """With its family, and with the time it may lie unused."""
    for name, idle in (("ends", None), ("lies", timedelta(days=1))):
        family = replace(_family(name), idle=idle)
        await store.begin(family, _key(f"{name} 0"))
        end = family.expires_at if idle is None else _AT + idle
        assert await store.take(_use(f"{name} 0", "x", end)) == (Taken.EXPIRED, family, None)
        assert (await store.take(_use(f"{name} 0", f"{name} 1", end - _TICK)))[0] is Taken.ROTATED


async def a_family_is_ended_by_its_owner(store: RefreshStore) -> None:
    """Alone, or with all of the user; each once."""
    one, two, other = _family("ended", 1), _family("ended", 2), _family("ended-2")
    for family in (one, two, other):
        await store.begin(family, _key(family.id))
    assert await store.list("ended") == (one, two)
    assert [await store.end(one.id, user_id=other) for other in ("ended-2", "")] == [None, None]
    assert await store.end(one.id, user_id="ended") == one
    assert await store.end(one.id, user_id=None) is None
    assert await store.take(_use(one.id, "x")) == (Taken.REVOKED, one, None)
    assert await store.end_all("ended") == 1
    assert await store.end_all("ended") == 0
    assert await store.list("ended") == ()
    assert await store.list("ended-2") == (other,)


async def the_broom_takes_what_has_ended(store: RefreshStore) -> None:
    """And nothing else. A store that says `expires_itself` may leave it to its server."""
    over, good = _family("sweep"), replace(_family("sweep-2"), expires_at=_AT + timedelta(days=31))
    for family in (over, good):
        await store.begin(family, _key(family.id))
    swept = await store.sweep(over.expires_at)
    if not getattr(store, "expires_itself", False):
        assert swept >= 1
        assert await store.take(_use(over.id, "x")) == (Taken.UNKNOWN, None, None)
    assert await store.list("sweep-2") == (good,)


CHECKS: Final = (
    a_token_is_used_once,
    many_callers_have_one_successor,
    a_late_second_use_ends_the_family,
    it_belongs_to_who_it_was_given_to,
    it_ends_to_the_microsecond,
    a_family_is_ended_by_its_owner,
    the_broom_takes_what_has_ended,
)
