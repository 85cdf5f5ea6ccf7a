"""What every store of DPoP ids must do; run it against your own.

Each check is a coroutine over a store and a key of 32 octets that nobody else uses: await it, or `drive` it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from ...identity.dpop_store import DpopStore

__all__ = ["CHECKS"]

_NOW: Final = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
_END: Final = _NOW + timedelta(seconds=90)
_TICK: Final = timedelta(microseconds=1)


async def a_key_is_taken_once(store: DpopStore, key: bytes) -> None:
    """Whatever end the second caller names; other keys are free."""
    assert await store.claim(key, now=_NOW, until=_END)
    assert not await store.claim(key, now=_NOW, until=_END)
    assert not await store.claim(key, now=_NOW, until=_END + _TICK)
    assert await store.claim(key[::-1], now=_NOW, until=_END)


async def a_key_is_held_until_its_end(store: DpopStore, key: bytes) -> None:
    """To the microsecond; a refused claim moves nothing."""
    assert await store.claim(key, now=_NOW, until=_END)
    assert not await store.claim(key, now=_END - _TICK, until=_END + _TICK)
    assert await store.claim(key, now=_END, until=_END + _TICK)
    assert not await store.claim(key, now=_END, until=_END + _TICK)


async def the_broom_takes_what_has_ended(store: DpopStore, key: bytes) -> None:
    """And nothing else; a store whose server forgets by its own clock has nothing to do."""
    assert await store.claim(key, now=_NOW, until=_NOW + _TICK)
    assert await store.claim(key[::-1], now=_NOW, until=_END)
    if getattr(store, "expires_itself", False):
        assert await store.sweep(_NOW + _TICK) == 0
    else:
        assert await store.sweep(_NOW) == 0
        assert await store.sweep(_NOW + _TICK) >= 1
    assert not await store.claim(key[::-1], now=_NOW + _TICK, until=_END)


CHECKS: Final = (a_key_is_taken_once, a_key_is_held_until_its_end, the_broom_takes_what_has_ended)
