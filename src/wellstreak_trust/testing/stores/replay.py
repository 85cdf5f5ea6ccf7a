"""What every replay store must do; run it against your own.

Each check is a coroutine over a store and a prefix of keys that nobody else uses: await it, or `drive` it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from ...webhooks.replay_store import Held, ReplayStore

__all__ = ["CHECKS"]

_NOW: Final = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
_LEASE: Final = _NOW + timedelta(seconds=60)
_TTL: Final = _NOW + timedelta(hours=72)
_TICK: Final = timedelta(microseconds=1)


async def a_key_has_one_owner(store: ReplayStore, key: str) -> None:
    """The second claim loses, also the same owner's; other keys are free."""
    assert await store.claim(key, "a", now=_NOW, until=_LEASE) is Held.MINE
    assert await store.claim(key, "b", now=_NOW, until=_LEASE) is Held.ANOTHER
    assert await store.claim(key, "a", now=_NOW, until=_LEASE) is Held.ANOTHER
    assert await store.claim(key + "x", "b", now=_NOW, until=_LEASE) is Held.MINE


async def a_finished_key_is_remembered_until_its_end(store: ReplayStore, key: str) -> None:
    """To the microsecond; afterwards it is free."""
    assert await store.claim(key, "a", now=_NOW, until=_LEASE) is Held.MINE
    assert await store.commit(key, "a", now=_NOW, until=_TTL)
    assert await store.claim(key, "b", now=_TTL - _TICK, until=_TTL) is Held.DONE
    assert await store.claim(key, "b", now=_TTL, until=_TTL + _TICK) is Held.MINE


async def a_released_key_is_free(store: ReplayStore, key: str) -> None:
    """At once, for anybody."""
    assert await store.claim(key, "a", now=_NOW, until=_LEASE) is Held.MINE
    assert await store.release(key, "a", now=_NOW)
    assert await store.claim(key, "b", now=_NOW, until=_LEASE) is Held.MINE


async def only_the_owner_decides(store: ReplayStore, key: str) -> None:
    """Strangers change nothing, and nobody decides about an absent or a finished key."""
    assert not await store.commit(key, "a", now=_NOW, until=_TTL)
    assert not await store.release(key, "a", now=_NOW)
    assert await store.claim(key, "a", now=_NOW, until=_LEASE) is Held.MINE
    assert not await store.commit(key, "b", now=_NOW, until=_TTL)
    assert not await store.release(key, "b", now=_NOW)
    assert await store.claim(key, "b", now=_NOW, until=_LEASE) is Held.ANOTHER
    assert await store.commit(key, "a", now=_NOW, until=_TTL)
    assert not await store.release(key, "a", now=_NOW)
    assert not await store.commit(key, "a", now=_NOW, until=_TTL + _TICK)
    assert await store.claim(key, "b", now=_NOW, until=_LEASE) is Held.DONE


async def an_expired_holder_is_too_late(store: ReplayStore, key: str) -> None:
    """With the lease the claim is over, whether or not another has taken it."""
    assert await store.claim(key, "a", now=_NOW, until=_LEASE) is Held.MINE
    assert not await store.commit(key, "a", now=_LEASE, until=_TTL)
    assert not await store.release(key, "a", now=_LEASE)
    assert await store.claim(key, "b", now=_LEASE, until=_TTL) is Held.MINE
    assert not await store.commit(key, "a", now=_LEASE, until=_TTL)
    assert not await store.release(key, "a", now=_LEASE)
    assert await store.commit(key, "b", now=_LEASE, until=_TTL)


async def the_broom_takes_what_has_ended(store: ReplayStore, key: str) -> None:
    """And nothing else; a store whose server forgets by its own clock has nothing to do."""
    assert await store.claim(key, "a", now=_NOW, until=_LEASE) is Held.MINE
    assert await store.claim(key + "x", "a", now=_NOW, until=_TTL) is Held.MINE
    if getattr(store, "expires_itself", False):
        assert await store.sweep(_LEASE) == 0
        return
    await store.sweep(_LEASE)
    assert await store.claim(key, "b", now=_NOW, until=_LEASE) is Held.MINE
    assert await store.claim(key + "x", "b", now=_NOW, until=_LEASE) is Held.ANOTHER


CHECKS: Final = (
    a_key_has_one_owner,
    a_finished_key_is_remembered_until_its_end,
    a_released_key_is_free,
    only_the_owner_decides,
    an_expired_holder_is_too_late,
    the_broom_takes_what_has_ended,
)
