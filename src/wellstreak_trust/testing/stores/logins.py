"""What every store of open sign-ins must do; run it against your own.

Each check is a coroutine over a store and a prefix of keys that nobody else uses: await it, or `drive` it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from ...identity.login_store import LoginRow, LoginStore

__all__ = ["CHECKS"]

_NOW: Final = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
_ENDS: Final = _NOW + timedelta(minutes=10)
_TICK: Final = timedelta(microseconds=1)


def _key(name: str) -> bytes:
    return sha256(name.encode()).digest()


def _row(name: str) -> LoginRow:
    return LoginRow(
        _key(name),
        _key(name + "/browser"),
        _key(name + "/nonce"),
        bytes(range(59)),
        "https://op.example",
        "client-é",
        "https://app.example/callback?provider=op",
        "/agents?q=%C3%A9&page=2",
        True,
        _ENDS,
    )


async def rows_come_back_whole(store: LoginStore, name: str) -> None:
    """Every field survives, times to the microsecond; two are kept apart."""
    one, other = _row(name), replace(_row(name + "x"), names_issuer=False)
    assert await store.read(one.key) is None
    await store.open(one)
    await store.open(other)
    assert await store.read(one.key) == one
    assert await store.read(other.key) == other


async def a_sign_in_is_used_once(store: LoginStore, name: str) -> None:
    """The second caller finds it gone, and so does a reader; a neighbour stays."""
    one, other = _row(name), _row(name + "x")
    await store.open(one)
    await store.open(other)
    assert await store.consume_if(one)
    assert not await store.consume_if(one)
    assert await store.read(one.key) is None
    assert await store.consume_if(other)


async def only_what_was_read_is_used(store: LoginStore, name: str) -> None:
    """A row that is not the stored one uses nothing up."""
    row = _row(name)
    await store.open(row)
    assert not await store.consume_if(replace(row, browser=_key("another")))
    assert not await store.consume_if(_row(name + "x"))
    assert await store.read(row.key) == row


async def a_claim_is_had_once(store: LoginStore, name: str) -> None:
    """Until its end, to the microsecond; then by one again. Claims and sign-ins do not meet."""
    row = _row(name)
    await store.open(row)
    assert await store.claim(row.key, now=_NOW, until=_ENDS)
    assert not await store.claim(row.key, now=_NOW, until=_ENDS + _TICK)
    assert not await store.claim(row.key, now=_ENDS - _TICK, until=_ENDS + _TICK)
    assert await store.claim(row.key, now=_ENDS, until=_ENDS + _TICK)
    assert not await store.claim(row.key, now=_ENDS, until=_ENDS + _TICK)
    assert await store.claim(_key(name + "x"), now=_NOW, until=_ENDS)
    assert await store.read(row.key) == row


async def a_claim_can_be_given_up(store: LoginStore, name: str) -> None:
    """Then it is had once more; a neighbour's stays, and giving up nothing is harmless."""
    one, other = _key(name), _key(name + "x")
    for key in (one, other):
        assert await store.claim(key, now=_NOW, until=_ENDS)
    await store.release(one)
    await store.release(_key(name + "/nothing"))
    assert await store.claim(one, now=_NOW, until=_ENDS)
    assert not await store.claim(one, now=_NOW, until=_ENDS)
    assert not await store.claim(other, now=_NOW, until=_ENDS)


async def what_ran_out_is_swept(store: LoginStore, name: str) -> None:
    """Sign-ins and claims, and nothing that lives; a store whose server forgets by itself has nothing to do."""
    old, new = _row(name), replace(_row(name + "x"), expires_at=_ENDS + _TICK)
    await store.open(old)
    await store.open(new)
    assert await store.claim(_key(name + "/claim"), now=_NOW, until=_ENDS)
    if getattr(store, "expires_itself", False):
        assert await store.sweep(_ENDS) == 0
        return
    assert await store.sweep(_ENDS) >= 2
    assert await store.read(old.key) is None
    assert await store.read(new.key) == new


CHECKS: Final = (
    rows_come_back_whole,
    a_sign_in_is_used_once,
    only_what_was_read_is_used,
    a_claim_is_had_once,
    a_claim_can_be_given_up,
    what_ran_out_is_swept,
)
