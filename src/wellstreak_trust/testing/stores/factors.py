"""What every store of second factors must do; run it against your own.

Each check is a coroutine over a store: await it, or `drive` it over a blocking store. Checks use users of their own, so
that all of them may run over one database.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from ...identity.factor_store import PasskeyRow, PasskeyStore, RecoveryCodeStore, TotpRow, TotpStore
from .together import CALLERS, together

__all__ = ["PASSKEY_CHECKS", "RECOVERY_CODE_CHECKS", "TOTP_CHECKS"]

_AT: Final = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
_WINDOW: Final = timedelta(minutes=10)


# --- authenticator apps ----------------------------------------------------------------------------------------------


async def _try(store: TotpStore, user_id: str, *, pending: bool, at: datetime = _AT, limit: int = 5) -> TotpRow | None:
    return await store.attempt(user_id, pending=pending, now=at, limit=limit, window=_WINDOW)


async def an_app_counts_once_it_is_confirmed(store: TotpStore) -> None:
    """Until then an older one goes on; after it the older one is told of, so that its seed can be destroyed."""
    assert not await store.confirmed("app")
    assert await store.enrol(TotpRow("app", "app-1", _AT)) is None
    assert await _try(store, "app", pending=False) is None
    found = await _try(store, "app", pending=True)
    assert found is not None
    assert (found.seed, found.created_at, found.last_step) == ("app-1", _AT, -1)
    assert not await store.advance_if("app-1", 7)
    assert await store.confirm_if("app-1", 7) == (True, None)
    assert await store.confirm_if("app-1", 8) == (False, None)
    assert await store.confirmed("app")
    assert await store.enrol(TotpRow("app", "app-2", _AT)) is None
    assert await store.enrol(TotpRow("app", "app-3", _AT)) == "app-2"
    assert await store.confirm_if("app-2", 9) == (False, None)
    active = await _try(store, "app", pending=False)
    assert active is not None
    assert (active.seed, active.last_step) == ("app-1", 7)
    assert await store.confirm_if("app-3", 9) == (True, "app-1")
    assert await store.enrol(TotpRow("app", "app-4", _AT)) is None
    assert await store.remove("app") == ("app-3", "app-4")
    assert await store.remove("app") == ()
    assert not await store.confirmed("app")


async def a_step_is_good_once(store: TotpStore) -> None:
    """Also for many at one moment; never an earlier one."""
    await store.enrol(TotpRow("step", "step-1", _AT))
    await store.confirm_if("step-1", 7)
    won = await together(store, [lambda: store.advance_if("step-1", 9)] * CALLERS)
    assert sorted(won) == [False] * (CALLERS - 1) + [True]
    assert not await store.advance_if("step-1", 8)
    assert await store.advance_if("step-1", 10)


async def tries_are_counted_before_they_are_made(store: TotpStore) -> None:
    """Many at one moment get no more than the limit; time, a right one and a new start clear the count."""
    await store.enrol(TotpRow("tries", "tries-1", _AT))
    await store.confirm_if("tries-1", 1)
    made = await together(store, [lambda: _try(store, "tries", pending=False)] * (CALLERS + 2))
    assert len([row for row in made if row is not None]) == 5
    assert await _try(store, "tries", pending=False, at=_AT + _WINDOW - timedelta(microseconds=1)) is None
    assert await _try(store, "tries", pending=False, at=_AT + _WINDOW) is not None
    for _ in range(4):
        assert await _try(store, "tries", pending=False, at=_AT + _WINDOW) is not None
    assert await store.advance_if("tries-1", 2)
    assert await _try(store, "tries", pending=False, at=_AT + _WINDOW) is not None


TOTP_CHECKS: Final = (an_app_counts_once_it_is_confirmed, a_step_is_good_once, tries_are_counted_before_they_are_made)


# --- recovery codes --------------------------------------------------------------------------------------------------


def _digests(name: str, count: int = 3) -> list[bytes]:
    return [sha256(f"{name} {number}".encode()).digest() for number in range(count)]


async def a_code_is_used_once(store: RecoveryCodeStore) -> None:
    """Also by many at one moment; what is left is told."""
    digests = _digests("codes")
    assert await store.salt_of("codes") is None
    assert await store.count("codes") == 0
    await store.replace("codes", b"s" * 16, digests)
    assert await store.salt_of("codes") == b"s" * 16
    assert await store.consume_if("codes-2", digests[0]) is None
    left = await together(store, [lambda: store.consume_if("codes", digests[0])] * CALLERS)
    assert [number for number in left if number is not None] == [2]
    assert await store.consume_if("codes", digests[1]) == 1
    assert await store.count("codes") == 1
    assert await store.consume_if("codes", digests[2]) == 0
    assert await store.salt_of("codes") is None


async def a_new_set_ends_the_one_before(store: RecoveryCodeStore) -> None:
    """Also two at one moment: one of them stands whole."""
    await store.replace("sets", b"a" * 16, _digests("old"))
    await store.replace("sets", b"b" * 16, _digests("new"))
    assert await store.consume_if("sets", _digests("old")[0]) is None
    assert await store.consume_if("sets", _digests("new")[0]) == 2
    sets = {bytes([number]) * 16: _digests(f"race {number}") for number in range(2)}
    await together(store, [lambda s=salt: store.replace("sets", s, sets[s]) for salt in sets])  # type: ignore[misc]  # bound by default
    salt = await store.salt_of("sets")
    assert salt is not None
    assert await store.count("sets") == 3
    assert await store.consume_if("sets", sets[salt][0]) == 2
    await store.replace("sets", b"c" * 16, ())
    assert await store.count("sets") == 0


RECOVERY_CODE_CHECKS: Final = (a_code_is_used_once, a_new_set_ends_the_one_before)


# --- passkeys --------------------------------------------------------------------------------------------------------


def _passkey(user_id: str, number: int = 1) -> PasskeyRow:
    return PasskeyRow(f"{user_id}/{number}".encode(), user_id, b"\x00key", 7, _AT + timedelta(seconds=number))


async def passkeys_come_back_whole(store: PasskeyStore) -> None:
    """Every field; nothing under another id."""
    row = replace(_passkey("whole"), label="Phone é", transports=("internal", "hybrid"), backed_up=True)
    assert await store.read(row.id) is None
    assert await store.add(row)
    assert await store.read(row.id) == row
    assert await store.list("whole") == (row,)
    assert await store.list("other") == ()


async def an_id_is_registered_once(store: PasskeyStore) -> None:
    """Whoever comes second changes neither owner nor key, also at one moment."""
    rows = [replace(_passkey("first"), user_id=f"first-{number}") for number in range(CALLERS)]
    won = await together(store, [lambda row=row: store.add(row) for row in rows])  # type: ignore[misc]  # bound by default
    assert sorted(won) == [False] * (CALLERS - 1) + [True]
    assert await store.read(rows[0].id) == rows[won.index(True)]
    assert not await store.add(replace(rows[0], public_key=b"another"))


async def a_count_only_grows(store: PasskeyStore) -> None:
    """One of many at one moment; an authenticator that does not count stays at 0."""
    await store.add(_passkey("count"))
    key, at = _passkey("count").id, _AT + timedelta(days=1)
    won = await together(store, [lambda: store.advance_if(key, 9, at, True)] * CALLERS)
    assert sorted(won) == [False] * (CALLERS - 1) + [True]
    assert not await store.advance_if(key, 8, at, True)
    assert not await store.advance_if(key, 0, at, True)
    assert await store.read(key) == replace(_passkey("count"), sign_count=9, last_used_at=at, backed_up=True)
    await store.add(replace(_passkey("zero"), sign_count=0))
    for _ in range(2):
        assert await store.advance_if(_passkey("zero").id, 0, at, False)
    assert not await store.advance_if(b"unknown", 1, at, False)


async def only_its_owner_removes_it(store: PasskeyStore) -> None:
    """Once."""
    one, two = _passkey("owner", 1), _passkey("owner", 2)
    for row in (two, one):
        assert await store.add(row)
    assert await store.list("owner") == (one, two)
    assert not await store.remove(one.id, user_id="somebody")
    assert await store.remove(one.id, user_id="owner")
    assert not await store.remove(one.id, user_id="owner")
    assert await store.list("owner") == (two,)


PASSKEY_CHECKS: Final = (
    passkeys_come_back_whole,
    an_id_is_registered_once,
    a_count_only_grows,
    only_its_owner_removes_it,
)
