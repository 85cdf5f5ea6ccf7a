"""What every store of API keys must do; run it against your own.

Each check is a coroutine over a store: await it, or `drive` it over a blocking store. Checks use tenants of their own,
so that all of them may run over one database.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from ...identity.apikey_store import ApiKeyInfo, ApiKeyRow, ApiKeyStore
from .together import CALLERS, together

__all__ = ["CHECKS"]

_AT: Final = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
_END: Final = _AT + timedelta(days=90)
_SCOPES: Final = frozenset(("agents:read", "agents:update"))


def _row(id: str, tenant_id: str, owner_id: str = "ada") -> ApiKeyRow:
    info = ApiKeyInfo(id, owner_id, tenant_id, _SCOPES, "CI é", _AT, _END)
    return ApiKeyRow(info, sha256(id.encode()).digest())


def _ending(row: ApiKeyRow, at: datetime) -> ApiKeyRow:
    return replace(row, info=replace(row.info, expires_at=at))


async def rows_come_back_whole(store: ApiKeyStore) -> None:
    """Every field, times to the microsecond, nothing under another id."""
    row = _row("whole", "k-whole")
    assert await store.read("whole") is None
    await store.add(row)
    assert await store.read("whole") == row
    assert await store.list("k-whole") == (row.info,)
    assert await store.list("k-other") == ()


async def a_use_is_recorded(store: ApiKeyStore) -> None:
    """The latest, whatever order they come in; of a key that is gone, nothing."""
    await store.add(_row("used", "k-used"))
    late, early = _AT + timedelta(hours=2), _AT + timedelta(hours=1)
    for at in (late, early):
        await store.touch("used", at)
    (info,) = await store.list("k-used")
    assert info.last_used_at == late
    await store.touch("gone", late)
    assert await store.read("gone") is None


async def a_successor_shortens_the_one_before(store: ApiKeyStore) -> None:
    """Never lengthens it; of a key that is gone there is none."""
    first, second, third = (_row(f"next-{number}", "k-next") for number in (1, 2, 3))
    await store.add(first)
    soon = _AT + timedelta(days=1)
    assert await store.succeed(second, "next-1", soon)
    assert await store.read("next-1") == _ending(first, soon)
    assert await store.read("next-2") == second
    assert await store.succeed(third, "next-1", _END)
    assert await store.read("next-1") == _ending(first, soon)
    assert not await store.succeed(_row("next-4", "k-next"), "gone", soon)
    assert await store.read("next-4") is None


async def a_revoked_one_is_gone(store: ApiKeyStore) -> None:
    """In its tenant only, and for one of many callers."""
    row = _row("revoked", "k-revoked")
    await store.add(row)
    assert [await store.revoke("revoked", tenant_id=other) for other in ("k-other", "")] == [None, None]
    assert await store.read("revoked") == row
    gone = await together(store, [lambda: store.revoke("revoked", tenant_id="k-revoked")] * CALLERS)
    assert [info for info in gone if info is not None] == [row.info]
    assert await store.read("revoked") is None
    assert await store.list("k-revoked") == ()
    assert await store.revoke("revoked", tenant_id=None) is None


async def an_owners_keys_end_together(store: ApiKeyStore) -> None:
    """In one tenant or in all, and nobody else's."""
    rows = {
        name: _row(f"owned-{name}", f"k-owned-{name[0]}", owner)
        for name, owner in (("a1", "eve"), ("a2", "eve"), ("a3", "bob"), ("b1", "eve"))
    }
    for row in rows.values():
        await store.add(row)
    assert await store.revoke_owned("eve", tenant_id="") == ()
    assert await store.revoke_owned("eve", tenant_id="k-owned-a") == (rows["a1"].info, rows["a2"].info)
    assert await store.list("k-owned-a") == (rows["a3"].info,)
    assert await store.revoke_owned("eve", tenant_id=None) == (rows["b1"].info,)
    assert await store.revoke_owned("eve", tenant_id=None) == ()


CHECKS: Final = (
    rows_come_back_whole,
    a_use_is_recorded,
    a_successor_shortens_the_one_before,
    a_revoked_one_is_gone,
    an_owners_keys_end_together,
)
