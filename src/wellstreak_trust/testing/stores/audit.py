"""What every audit store must do; run it against your own.

Each check is a coroutine over a store, with tenants of its own: await it, or `drive` it over a blocking store.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from ...audit import AuditConflict, AuditEvent, AuditStore, LegalHold
from ...audit.event import Draft, Sealed, draft
from ...audit.shipping import CursorStore
from ...audit.spine import head_draft
from ...audit.store import EVERYBODY, SPINE, Head, Leaf, SealedValue, Signed, SubjectStore
from ...audit.tiles import TILE_WIDTH, hash_spans
from ...audit.tree import consistency_spans, inclusion_spans, leaf_hash, root, verify_consistency, verify_inclusion
from ...core.clock import to_micros

__all__ = ["CHECKS"]

_AT: Final = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)


def _event(tenant_id: str, number: int, **data: object) -> Draft:
    return draft(
        AuditEvent(
            "contract.checked",
            "success",
            tenant_id,
            {"id": "user_1"},
            data=data,
            occurred_at=_AT,
            id=f"event-{number}",
        )
    )


async def _append(store: AuditStore, *drafts: Draft) -> list[Leaf]:
    return await store.append_batch(drafts, now=lambda: _AT + _SECOND, deadline=_SECOND)


async def a_tree_grows_leaf_by_leaf(store: AuditStore) -> None:
    """Places are dense from 0, the head is that of the leaves, and every column comes back."""
    tenant = "grows"
    assert await store.head(tenant) == Head()
    assert await store.leaves(tenant, 0, 10) == []
    assert await store.tile(tenant, 0, 0) == b""
    drafts = [_event(tenant, number, n=number) for number in range(7)]
    first = await _append(store, drafts[0])
    rest = await _append(store, *drafts[1:])
    stored = await store.leaves(tenant, 0, 100)
    assert stored == first + rest
    assert [leaf.seq for leaf in stored] == list(range(7))
    assert [leaf.leaf for leaf in stored] == [
        one.leaf(seq, b"2026-11-24T12:00:01.123456Z") for seq, one in enumerate(drafts)
    ]
    assert all(leaf.leaf_hash == leaf_hash(leaf.leaf) for leaf in stored)
    assert stored[3][2:8] == (
        "event-3",
        "contract.checked",
        "user_1",
        "success",
        drafts[3].occurred_at,
        drafts[3].digest(),
    )
    assert await store.leaves(tenant, 2, 4) == stored[2:4]
    head = await store.head(tenant)
    assert (head.size, head.root, len(head.edge)) == (7, root([leaf.leaf_hash for leaf in stored]), 3)


async def tenants_do_not_mix(store: AuditStore) -> None:
    """One batch over two tenants grows two trees, and the leaves come back in the order given."""
    leaves = await _append(store, _event("mix-b", 1), _event("mix-a", 1), _event("mix-b", 2))
    assert [(leaf.tenant_id, leaf.seq) for leaf in leaves] == [("mix-b", 0), ("mix-a", 0), ("mix-b", 1)]
    assert (await store.head("mix-a")).size == 1
    assert [leaf.id for leaf in await store.leaves("mix-b", 0, 9)] == ["event-1", "event-2"]


async def a_retry_yields_the_first_leaf(store: AuditStore) -> None:
    """The same id and content stands once, across batches and inside one."""
    tenant = "retry"
    first = await _append(store, _event(tenant, 1))
    again = await _append(store, _event(tenant, 2), _event(tenant, 1), _event(tenant, 2))
    assert again[1] == first[0]
    assert again[0] == again[2]
    assert [leaf.seq for leaf in again] == [1, 0, 1]
    assert await _append(store, _event(tenant, 1)) == first
    assert (await store.head(tenant)).size == 2


async def a_conflict_stores_nothing(store: AuditStore) -> None:
    """The same id with other content refuses the whole batch, the other tenants' part too."""
    await _append(store, _event("conflict-b", 1, plan="pro"))
    before = await store.head("conflict-b")
    batches: Sequence[tuple[Draft, ...]] = (
        (_event("conflict-a", 1), _event("conflict-b", 2), _event("conflict-b", 1, plan="free")),
        (_event("conflict-a", 1), _event("conflict-b", 3, n=1), _event("conflict-b", 3, n=2)),
    )
    for batch in batches:
        refused = False
        try:
            await _append(store, *batch)
        except AuditConflict:
            refused = True
        assert refused
    assert await store.head("conflict-a") == Head()
    assert await store.head("conflict-b") == before
    assert len(await _append(store, _event("conflict-b", 2))) == 1


async def proofs_come_from_tiles(store: AuditStore) -> None:
    """Tiles of both levels hold what the leaves give, also when one batch fills several."""
    tenant = "tiles"
    for start, stop in ((0, 3), (3, 255), (255, 256), (256, 600)):
        await _append(store, *(_event(tenant, number) for number in range(start, stop)))
    hashes = [leaf.leaf_hash for leaf in await store.leaves(tenant, 0, 600)]
    rows = [hashes[at : at + TILE_WIDTH] for at in range(0, 600, TILE_WIDTH)]
    assert [await store.tile(tenant, 0, index) for index in range(4)] == [*(b"".join(row) for row in rows), b""]
    assert await store.tile(tenant, 1, 0) == root(rows[0]) + root(rows[1])
    head = await store.head(tenant)

    async def read(level: int, index: int) -> bytes:
        return await store.tile(tenant, level, index)

    for seq in (0, 255, 256, 599):
        path = await hash_spans(inclusion_spans(seq, 600), read)
        assert verify_inclusion(seq, 600, head.root, hashes[seq], path)
    extension = await hash_spans(consistency_spans(300, 600), read)
    assert verify_consistency(300, 600, root(hashes[:300]), head.root, extension)


async def the_last_checkpoint_is_swapped_not_set(store: AuditStore) -> None:
    """Of two who sign at once, one wins; who holds an old state changes nothing."""
    origin = "contract.test/audit/swap"
    first, second, third = (Signed(size, bytes([size]) * 32, f"note — {size}\n") for size in (1, 2, 3))
    assert await store.signed(origin) is None
    assert not await store.swap_signed_if(origin, first, second)
    assert await store.swap_signed_if(origin, None, first)
    assert not await store.swap_signed_if(origin, None, second)
    assert await store.swap_signed_if(origin, first, second)
    assert not await store.swap_signed_if(origin, first, third)
    assert await store.signed(origin) == second


async def trees_that_grew_are_listed_until_noted(store: AuditStore) -> None:
    """What the spine asks: every tree once, in pages, and only those that grew since."""
    names = [f"grown-{letter}" for letter in "abc"]
    await _append(store, *(_event(name, 1) for name in names))
    first = await store.heads("grown-", 2, unnoted=True)
    rest = await store.heads(first[-1][0], 100, unnoted=True)
    found = [(name, head) for name, head in [*first, *rest] if name in names]
    assert [name for name, _ in found] == names
    assert [head for _, head in found] == [await store.head(name) for name in names]
    assert all(head.recorded_at == to_micros(_AT + _SECOND) for _, head in found)
    await store.noted({"grown-a": 1, "grown-b": 1})
    await store.noted({"grown-b": 0, "never-heard-of": 3})
    await _append(store, _event("grown-a", 2))
    assert await _among(store, names, unnoted=True) == ["grown-a", "grown-c"]
    assert await _among(store, names, unnoted=False) == names


async def _among(store: AuditStore, names: list[str], *, unnoted: bool) -> list[str]:
    found, after = [], ""
    while page := await store.heads(after, 2, unnoted=unnoted):
        found += [name for name, _ in page if name in names]
        after = page[-1][0]
    return found


async def the_spine_is_no_tenant(store: AuditStore) -> None:
    """Its tree is kept like any other and never listed; its last leaf of a tree is found by actor."""
    drafts = [head_draft("contract-tree", Head(size, bytes([size]) * 32)) for size in (1, 2)]
    await _append(store, *drafts, head_draft("contract-other", Head(3)))
    last = await store.latest(SPINE, "contract-tree")
    assert last is not None
    assert last.id == "contract-tree.2"
    assert await store.latest(SPINE, "contract-unknown") is None
    assert SPINE not in [name for name, _ in await store.heads(SPINE, 1_000)]
    refused = False
    try:
        await _append(store, head_draft("contract-tree", Head(2, bytes(32))))
    except AuditConflict:
        refused = True
    assert refused, "a tree was noted with two roots at one size"


async def pruning_keeps_every_hash(store: AuditStore) -> None:
    """Whole bundles go, the last leaf stays, and proofs and appends go on as if nothing had happened."""
    tenant = "pruned"
    await _append(store, *(_event(tenant, number) for number in range(600)))
    head = await store.head(tenant)
    hashes = [leaf.leaf_hash for leaf in await store.leaves(tenant, 0, 600)]
    assert [await store.prune(tenant, below) for below in (255, 300, 100)] == [0, 256, 256]
    assert await store.head(tenant) == head._replace(first=256)
    assert [leaf.seq for leaf in await store.leaves(tenant, 0, 600)] == list(range(256, 600))
    assert await store.tile(tenant, 0, 0) == b"".join(hashes[:TILE_WIDTH])
    assert await store.prune(tenant, 10_000) == 512
    (leaf,) = await _append(store, _event(tenant, 600))
    assert (leaf.seq, (await store.head(tenant)).first) == (600, 512)
    path = await hash_spans(inclusion_spans(3, 601), lambda level, index: store.tile(tenant, level, index))
    assert verify_inclusion(3, 601, (await store.head(tenant)).root, hashes[3], path)


async def sealed_values_stand_and_fall_apart_from_leaves(store: AuditStore) -> None:
    """They come with an event, go with their subject, and no hash changes."""
    tenant = "sealed"
    if not isinstance(store, SubjectStore):
        return  # a store without subjects takes no `Personal`
    assert await store.subject_key(tenant, "s1", b"k" * 32) == b"k" * 32
    assert await store.subject_key(tenant, "s1", b"other") == b"k" * 32
    sealed = (Sealed("s1", b"one\x00"), Sealed("s2", b"two"), Sealed("s1", b"three"))
    first = _event(tenant, 1)._replace(sealed=sealed)
    await _append(store, first, _event(tenant, 2)._replace(sealed=(Sealed("s1", b"four"),)))
    await _append(store, first)
    before = await store.head(tenant)
    assert await store.disclosures(tenant, "s1") == [(0, b"one\x00"), (0, b"three"), (1, b"four")]
    assert await store.disclosures("another", "s1") == []
    assert await store.forget(tenant, "s1") == 3
    assert await store.forget(tenant, "s1") == 0
    assert await store.disclosures(tenant, "s1") == []
    assert await store.disclosures(tenant, "s2") == [(0, b"two")]
    assert await store.subject_key(tenant, "s1", b"new") == b"new"
    assert await store.head(tenant) == before


async def what_is_sealed_is_found_by_place_as_long_as_its_key_stands(store: AuditStore) -> None:
    """Readers ask for a range of events; a value whose key is gone is not there, though its row may be."""
    tenant = "places"
    if not isinstance(store, SubjectStore):
        return
    for subject in ("s1", "s2"):
        await store.subject_key(tenant, subject, subject.encode() * 16)
    both = (Sealed("s1", b"one"), Sealed("s2", b"two"))
    await _append(store, *(_event(tenant, number)._replace(sealed=both) for number in range(3)))
    found = await store.sealed(tenant, 1, 3)
    assert sorted(found) == sorted(
        SealedValue(seq, one.subject, one.octets, one.subject.encode() * 16) for seq in (1, 2) for one in both
    )
    assert await store.forget(tenant, "s1") == 3
    assert [(one.seq, one.subject) for one in await store.sealed(tenant, 0, 2)] == [(0, "s2"), (1, "s2")]
    assert await store.sealed("another", 0, 3) == []


async def a_hold_beats_erasure_and_pruning(store: AuditStore) -> None:
    """Of one subject or of the tenant, decided in the step that would delete."""
    tenant = "held"
    if not isinstance(store, SubjectStore):
        return
    await store.subject_key(tenant, "s1", b"k" * 32)
    drafts = [_event(tenant, number)._replace(sealed=(Sealed("s1", b"v"),)) for number in range(300)]
    await _append(store, *drafts)
    for held in ("s1", EVERYBODY):
        assert await store.hold(tenant, held, held=True)
        assert not await store.hold(tenant, held, held=True)
        assert await store.holds(tenant) == {held}
        for refused in (store.forget(tenant, "s1"), store.prune(tenant, 256)):
            try:
                await refused
            except LegalHold:
                continue
            raise AssertionError("a hold was passed")
        assert await store.hold(tenant, held, held=False)
        assert not await store.hold(tenant, held, held=False)
    assert await store.hold(tenant, "s2", held=True)
    assert await store.holds("another") == frozenset()
    assert len(await store.disclosures(tenant, "s1")) == await store.forget(tenant, "s1") == 300


async def a_cursor_moves_from_where_it_is(store: AuditStore) -> None:
    """One of two shippers that saw the same place moves it on; each sink and tenant has its own."""
    if not isinstance(store, CursorStore):
        return  # such a store ships nothing
    assert await store.cursor("sink", "t") == 0
    assert await store.move_cursor_if("sink", "t", 0, 5)
    assert not await store.move_cursor_if("sink", "t", 0, 7)
    assert not await store.move_cursor_if("sink", "t", 4, 7)
    assert await store.move_cursor_if("sink", "t", 5, 9)
    assert [await store.cursor(*of) for of in (("sink", "t"), ("sink", "u"), ("other", "t"))] == [9, 0, 0]


CHECKS: Final = (
    a_tree_grows_leaf_by_leaf,
    tenants_do_not_mix,
    a_retry_yields_the_first_leaf,
    a_conflict_stores_nothing,
    proofs_come_from_tiles,
    the_last_checkpoint_is_swapped_not_set,
    trees_that_grew_are_listed_until_noted,
    the_spine_is_no_tenant,
    pruning_keeps_every_hash,
    sealed_values_stand_and_fall_apart_from_leaves,
    what_is_sealed_is_found_by_place_as_long_as_its_key_stands,
    a_hold_beats_erasure_and_pruning,
    a_cursor_moves_from_where_it_is,
)
