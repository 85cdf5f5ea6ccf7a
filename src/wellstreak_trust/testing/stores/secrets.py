"""What every secret backend must do; run it against your own.

Each check is a coroutine over a backend: await it, or `drive` it over a blocking one. Checks use tenants of their own,
so that all of them may run over one database; the ids of tenants begin with ``check-``.
"""

from __future__ import annotations

from typing import Final

from ...secrets.rows import Change, Head, Locked, Resealed, Rule, SecretBackend, SecretRow, TenantKeyRow, Whole

__all__ = [
    "CHECKS",
    "a_failed_rule_leaves_nothing",
    "a_key_turns_once",
    "a_lease_is_written_alone",
    "keys_are_claimed_once",
    "keys_move_only_from_where_they_stood",
    "pages_follow_code_points",
    "rows_come_back_whole",
    "secrets_are_found_whole",
    "secrets_are_rewritten_in_batches",
    "shredding_destroys_keys_only",
    "the_store_is_named_once",
    "versions_are_told_apart",
]

_AT: Final = 1_795_521_600_123_456


class _Refused(Exception):
    pass


def _key(tenant_id: str, version: int = 1, uri: str = "local:one") -> TenantKeyRow:
    return TenantKeyRow(tenant_id, version, uri, b"wrapped\x00\xff", b"check", "active", _AT)


def _row(tenant_id: str, name: str, version: int = 1) -> SecretRow:
    mark = b"mac\x00%d" % version
    return SecretRow(
        *(tenant_id, name, version, b"\x00envelope\xff", "text", 1, "enabled"),
        *(_AT, -_AT, None, '{"team":"é"}', mark),
    )


def _head(tenant_id: str, name: str, version: int = 1, revision: int = 1) -> Head:
    return Head(tenant_id, name, version, revision, 1, None, None, b"head\x00%d" % revision)


def _adds(tenant_id: str, name: str) -> Rule:
    def rule(locked: Locked) -> Change:
        version = 1 if locked.head is None else locked.head.current + 1
        return Change(_head(tenant_id, name, version, version), _row(tenant_id, name, version), "insert")

    return rule


async def the_store_is_named_once(backend: SecretBackend) -> None:
    """Who comes second gets the first one's id."""
    first = await backend.claim_store("check-store", _AT)
    assert await backend.claim_store("check-other", _AT + 1) == first


async def keys_are_claimed_once(backend: SecretBackend) -> None:
    """Of two first keys one stands, whole, and both callers get it."""
    first = _key("check-claim")
    assert await backend.claim_key(first) == first
    assert await backend.claim_key(first._replace(wrapped=b"loser")) == first


async def rows_come_back_whole(backend: SecretBackend) -> None:
    """Every column survives: NUL and high bytes, negative times, NULL, text beyond ASCII."""
    tenant_id, name = "check-whole-é", "slack/bot"
    assert await backend.read(tenant_id, name, None) is None
    key = await backend.claim_key(_key(tenant_id))
    written = await backend.change(tenant_id, name, None, _adds(tenant_id, name))
    found = await backend.read(tenant_id, name, None)
    assert found is not None
    assert found.head == written.head == _head(tenant_id, name)
    assert found.current == found.wanted == written.row == _row(tenant_id, name)
    assert found.key == found.wanted_key == key
    assert await backend.read("check-whole-2", name, None) is None


async def versions_are_told_apart(backend: SecretBackend) -> None:
    """An older version, a missing one, and a change of an older one next to the current."""
    tenant_id, name = "check-versions", "a"
    await backend.claim_key(_key(tenant_id))
    for _ in range(2):
        await backend.change(tenant_id, name, None, _adds(tenant_id, name))
    older = await backend.read(tenant_id, name, 1)
    assert older is not None
    assert (older.current, older.wanted) == (_row(tenant_id, name, 2), _row(tenant_id, name, 1))
    missing = await backend.read(tenant_id, name, 3)
    assert missing is not None
    assert (missing.current, missing.wanted, missing.wanted_key) == (_row(tenant_id, name, 2), None, None)
    gone = _row(tenant_id, name, 1)._replace(envelope=None, state="destroyed", row_mac=b"new")

    def destroys(locked: Locked) -> Change:
        assert (locked.current, locked.wanted) == (_row(tenant_id, name, 2), _row(tenant_id, name, 1))
        return Change(_head(tenant_id, name, 2, 3), gone, "update")

    await backend.change(tenant_id, name, 1, destroys)
    after = await backend.read(tenant_id, name, 1)
    assert after is not None
    assert (after.head.revision, after.current, after.wanted) == (3, _row(tenant_id, name, 2), gone)


async def a_failed_rule_leaves_nothing(backend: SecretBackend) -> None:
    """A rule that raises undoes its transaction; one that decides nothing writes nothing."""
    tenant_id, name = "check-refused", "a"

    def refuses(locked: Locked) -> Change:
        assert locked == Locked((), None, None, None)
        raise _Refused

    def rests(locked: Locked) -> Change:
        assert locked.head is not None
        assert locked.current is not None
        return Change(locked.head._replace(revision=9), locked.current._replace(state="disabled"), "nothing")

    try:
        await backend.change(tenant_id, name, None, refuses)
    except _Refused:
        assert await backend.read(tenant_id, name, None) is None
    else:
        raise AssertionError("the rule's error was lost")
    await backend.change(tenant_id, name, None, _adds(tenant_id, name))
    await backend.change(tenant_id, name, None, rests)
    found = await backend.read(tenant_id, name, None)
    assert found is not None
    assert (found.head.revision, found.current) == (1, _row(tenant_id, name))


async def pages_follow_code_points(backend: SecretBackend) -> None:
    """Names in the order of their code points, whatever the database's language; one tenant's only."""
    tenant_id, names = "check-pages", ["a-b", "a.b", "a/b", "a0", "a_b", "ab"]
    await backend.claim_key(_key(tenant_id))
    for name in reversed(names):
        await backend.change(tenant_id, name, None, _adds(tenant_id, name))
    await backend.change("check-pages-2", "aa", None, _adds("check-pages-2", "aa"))
    pages = [await backend.list(tenant_id, after, 2) for after in ("", "a.b", "a0", "ab")]
    assert [[found.head.name for found in page] for page in pages] == [names[:2], names[2:4], names[4:], []]
    assert all(found.current == found.wanted == _row(tenant_id, found.head.name) for found in pages[0])
    assert all(found.key is not None for found in pages[0])


async def keys_move_only_from_where_they_stood(backend: SecretBackend) -> None:
    """Re-wrapping pages through what is outside, and leaves what somebody else has moved or destroyed."""
    tenants = [f"check-move-{number}" for number in range(4)]
    uri = "local:new"
    rows = [await backend.claim_key(_key(tenant_id)) for tenant_id in tenants]
    moved = [row._replace(kek_uri=uri, wrapped=b"new") for row in rows]
    await backend.shred(tenants[3])
    outside = [row for row in await backend.keys_outside(uri, ("check-move-", 0), 100) if row.tenant_id in tenants]
    assert outside == rows[:3]
    assert await backend.keys_outside(uri, ("check-move-0", 1), 1) == (rows[1],)
    assert await backend.rewrap_if([(rows[0], moved[0]), (rows[3], moved[3])]) == 1
    assert await backend.rewrap_if([(rows[0], moved[0]._replace(wrapped=b"late"))]) == 0
    assert await backend.claim_key(rows[0]) == moved[0]
    assert (await backend.keys_outside(uri, ("check-move-", 0), 100))[:2] == tuple(rows[1:3])


async def a_lease_is_written_alone(backend: SecretBackend) -> None:
    """A change of the head only, and one that takes a second version along."""
    tenant_id, name = "check-lease", "a"
    await backend.claim_key(_key(tenant_id))
    for _ in range(2):
        await backend.change(tenant_id, name, None, _adds(tenant_id, name))
    leased = _head(tenant_id, name, 2, 2)._replace(lease_owner="me", lease_until=_AT)
    await backend.change(tenant_id, name, None, lambda _: Change(leased, _row(tenant_id, name, 9), "head"))
    found = await backend.read(tenant_id, name, None)
    assert found is not None
    assert (found.head, found.current) == (leased, _row(tenant_id, name, 2))
    third, ended = _row(tenant_id, name, 3), _row(tenant_id, name, 2)._replace(not_after=_AT, row_mac=b"ended")
    head = _head(tenant_id, name, 3, 3)
    await backend.change(tenant_id, name, None, lambda _: Change(head, third, "insert", ended))
    assert await backend.whole(tenant_id, name) == Whole(name, head, (_row(tenant_id, name), ended, third))


async def secrets_are_found_whole(backend: SecretBackend) -> None:
    """All versions in order; nothing for what is not there; names and tenants page by code points."""
    tenant_id = "check-whole-2é"
    await backend.claim_key(_key(tenant_id))
    for name in ("b", "a", "a/b", "a"):
        await backend.change(tenant_id, name, None, _adds(tenant_id, name))
    both = (_row(tenant_id, "a", 1), _row(tenant_id, "a", 2))
    assert await backend.whole(tenant_id, "a") == Whole("a", _head(tenant_id, "a", 2, 2), both)
    assert await backend.whole(tenant_id, "c") == Whole("c", None, ())
    assert await backend.names(tenant_id, "", 2) == ("a", "a/b")
    assert await backend.names(tenant_id, "a/b", 2) == ("b",)
    assert await backend.names(tenant_id, "b", 2) == ()
    await backend.claim_key(_key("check-whole-3"))
    assert (await backend.tenants("check-whole-2", 2))[:2] == (tenant_id, "check-whole-3")
    assert await backend.keys_of(tenant_id) == (_key(tenant_id),)


async def a_key_turns_once(backend: SecretBackend) -> None:
    """The new key follows the newest, and is the one active key; what nothing is under can be retired."""
    tenant_id, name = "check-turn", "a"
    first, second, third = (_key(tenant_id, version) for version in (1, 2, 3))
    assert not await backend.turn_key_if(second), "a tenant without keys has none to turn"
    await backend.claim_key(first)
    assert not await backend.turn_key_if(third)
    await backend.change(tenant_id, name, None, _adds(tenant_id, name))
    assert await backend.turn_key_if(second)
    assert not await backend.turn_key_if(second)
    assert await backend.keys_of(tenant_id) == (first._replace(state="decrypt_only"), second)
    assert await backend.keys_in_use(tenant_id) == {1}
    assert await backend.retire_keys(tenant_id) == ()
    assert await backend.turn_key_if(third)
    assert await backend.retire_keys(tenant_id) == (2,)
    gone = second._replace(wrapped=None, state="destroyed")
    assert await backend.keys_of(tenant_id) == (first._replace(state="decrypt_only"), gone, third)


async def secrets_are_rewritten_in_batches(backend: SecretBackend) -> None:
    """Each batch is one transaction over the next names; what the rule gives is written, the rest stays."""
    tenant_id, names = "check-rewrite", ("a", "b", "c")
    await backend.claim_key(_key(tenant_id))
    for name in (*names, "c"):
        await backend.change(tenant_id, name, None, _adds(tenant_id, name))
    seen: list[Whole] = []

    def moves(whole: Whole) -> Resealed | None:
        seen.append(whole)
        if whole.head is None or whole.name == "b":
            return None
        head = whole.head._replace(revision=9, key_version=2, head_mac=b"new")
        return Resealed(head, tuple(row._replace(envelope=b"new", key_version=2) for row in whole.rows))

    assert await backend.rewrite(tenant_id, 2, "", 2, moves) == "b"
    assert [whole.name for whole in seen] == ["a", "b"]
    assert await backend.rewrite(tenant_id, 2, "b", 2, moves) == "c"
    assert await backend.rewrite(tenant_id, 2, "c", 2, moves) is None
    assert await backend.rewrite(tenant_id, 2, "", 3, lambda whole: None) == "b", "what has moved is not locked again"
    assert await backend.rewrite(tenant_id, 1, "b", 3, lambda whole: None) == "c"
    assert [len(whole.rows) for whole in seen] == [1, 1, 2]
    assert (await backend.whole(tenant_id, "b")).head == _head(tenant_id, "b")
    last = await backend.whole(tenant_id, "c")
    assert last.head is not None
    assert (last.head.revision, last.head.key_version, last.head.head_mac) == (9, 2, b"new")
    assert {(row.envelope, row.key_version) for row in last.rows} == {(b"new", 2)}

    def fails(whole: Whole) -> Resealed | None:
        if whole.name == "b":
            raise _Refused
        return moves(whole)

    before = await backend.whole(tenant_id, "a")
    try:
        await backend.rewrite(tenant_id, 3, "", 3, fails)
    except _Refused:
        assert await backend.whole(tenant_id, "a") == before
    else:
        raise AssertionError("the rule's error was lost")


async def shredding_destroys_keys_only(backend: SecretBackend) -> None:
    """Wrapped bytes are gone, rows stay as tombstones, a second call finds nothing to do, and no new key comes."""
    tenant_id, name = "check-shred", "a"
    key = await backend.claim_key(_key(tenant_id))
    await backend.change(tenant_id, name, None, _adds(tenant_id, name))
    assert await backend.shred(tenant_id) == ((1,), 1)
    found = await backend.read(tenant_id, name, None)
    assert found is not None
    assert found.key == key._replace(wrapped=None, state="destroyed")
    assert found.current == _row(tenant_id, name)
    assert await backend.shred(tenant_id) == ((), 1)
    assert await backend.claim_key(key) == key._replace(wrapped=None, state="destroyed")
    for late in (_key(tenant_id, 2), _key(tenant_id, 7)):
        assert await backend.claim_key(late) == key._replace(wrapped=None, state="destroyed")
        assert not await backend.turn_key_if(late)
    assert len(await backend.keys_of(tenant_id)) == 1


CHECKS: Final = (
    the_store_is_named_once,
    keys_are_claimed_once,
    rows_come_back_whole,
    versions_are_told_apart,
    a_failed_rule_leaves_nothing,
    pages_follow_code_points,
    keys_move_only_from_where_they_stood,
    a_lease_is_written_alone,
    secrets_are_found_whole,
    a_key_turns_once,
    secrets_are_rewritten_in_batches,
    shredding_destroys_keys_only,
)
