"""What every audit store must do; run it against your own.

Each check is a coroutine over a store, with tenants of its own: await it, or `drive` it over a blocking store.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from ...audit import AuditConflict, AuditEvent, AuditStore
from ...audit.event import Draft, draft
from ...audit.store import Head, Leaf, Signed
from ...audit.tiles import TILE_WIDTH, hash_spans
from ...audit.tree import consistency_spans, inclusion_spans, leaf_hash, root, verify_consistency, verify_inclusion

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


CHECKS: Final = (
    a_tree_grows_leaf_by_leaf,
    tenants_do_not_mix,
    a_retry_yields_the_first_leaf,
    a_conflict_stores_nothing,
    proofs_come_from_tiles,
    the_last_checkpoint_is_swapped_not_set,
)
