"""An audit store in memory, for tests and development: it forgets everything with the process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from threading import Lock
from typing import ClassVar

from .event import Draft
from .query import Query, fits
from .store import Head, Leaf, Signed, by_tenant, sequence, split_known
from .tiles import TILE_WIDTH

__all__ = ["MemoryAuditStore"]


@dataclass(slots=True)
class _Tree:
    head: Head = field(default_factory=Head)
    leaves: list[Leaf] = field(default_factory=list)
    by_id: dict[str, Leaf] = field(default_factory=dict)
    tiles: dict[tuple[int, int], bytes] = field(default_factory=dict)


class MemoryAuditStore:
    """Trees in dictionaries, behind one lock.

    Args:
        allow_memory: accept in production that the trail is lost with the process.
    """

    suspends: ClassVar[bool] = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: Lock = Lock()
        self._trees: dict[str, _Tree] = {}
        self._signed: dict[str, Signed] = {}

    async def append_batch(
        self, drafts: Sequence[Draft], *, now: Callable[[], datetime], deadline: timedelta
    ) -> list[Leaf]:
        """As `AuditStore.append_batch`."""
        del deadline  # nobody holds this lock while waiting for anything
        with self._lock:
            recorded_at = now()
            batches = []
            for tenant_id, group in by_tenant(drafts):
                tree = self._trees.get(tenant_id) or _Tree()
                fresh, _ = split_known(group, tree.by_id)
                batches.append((tenant_id, tree, sequence(tree.head, fresh, recorded_at)))
            for tenant_id, tree, batch in batches:  # nothing below can fail: all tenants or none
                self._trees[tenant_id] = tree
                tree.head = batch.head
                tree.leaves += batch.leaves
                tree.by_id.update((leaf.id, leaf) for leaf in batch.leaves)
                for level, index, node in batch.tiles:
                    home = level, index // TILE_WIDTH
                    tree.tiles[home] = tree.tiles.get(home, b"") + node
            return [self._trees[draft.tenant_id].by_id[draft.id] for draft in drafts]

    async def head(self, tenant_id: str) -> Head:
        """As `AuditStore.head`."""
        tree = self._trees.get(tenant_id)
        return tree.head if tree else Head()

    async def leaves(self, tenant_id: str, start: int, stop: int) -> list[Leaf]:
        """As `AuditStore.leaves`."""
        tree = self._trees.get(tenant_id)
        return tree.leaves[max(start, 0) : max(stop, 0)] if tree else []

    async def find(self, tenant_id: str, query: Query, start: int, stop: int, limit: int) -> list[Leaf]:
        """As `query.search.Searchable.find`; exact, for there is no column to narrow by."""
        tree = self._trees.get(tenant_id)
        window = tree.leaves[max(start, 0) : max(stop, 0)] if tree else []
        return list(islice((leaf for leaf in reversed(window) if fits(query, leaf)), limit))

    async def tile(self, tenant_id: str, level: int, index: int) -> bytes:
        """As `AuditStore.tile`."""
        tree = self._trees.get(tenant_id)
        if tree is None:
            return b""
        if level == 0:
            first = index * TILE_WIDTH
            return b"".join(leaf.leaf_hash for leaf in tree.leaves[first : first + TILE_WIDTH])
        return tree.tiles.get((level, index), b"")

    async def signed(self, origin: str) -> Signed | None:
        """As `AuditStore.signed`."""
        return self._signed.get(origin)

    async def swap_signed_if(self, origin: str, old: Signed | None, new: Signed) -> bool:
        """As `AuditStore.swap_signed_if`."""
        with self._lock:
            if self._signed.get(origin) != old:
                return False
            self._signed[origin] = new
            return True
