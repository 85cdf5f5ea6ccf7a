"""An audit store in memory, for tests and development: it forgets everything with the process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from threading import Lock
from typing import ClassVar

from .event import Draft, Sealed
from .query import Query, fits
from .store import (
    EVERYBODY,
    SPINE,
    Head,
    Leaf,
    SealedValue,
    Signed,
    by_tenant,
    prunable,
    require_free,
    sequence,
    split_known,
)
from .tiles import TILE_WIDTH

__all__ = ["MemoryAuditStore"]


@dataclass(slots=True)
class _Tree:
    head: Head = field(default_factory=Head)
    leaves: list[Leaf] = field(default_factory=list)  # from `head.first` on
    by_id: dict[str, Leaf] = field(default_factory=dict)
    hashes: bytearray = field(default_factory=bytearray)
    tiles: dict[tuple[int, int], bytes] = field(default_factory=dict)
    keys: dict[str, bytes] = field(default_factory=dict)
    sealed: list[tuple[int, Sealed]] = field(default_factory=list)
    holds: set[str] = field(default_factory=set)
    noted: int = 0


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
                if fresh:
                    batches.append((tree, fresh, sequence(tree.head, fresh, recorded_at)))
            for tree, fresh, batch in batches:  # nothing below can fail: all tenants or none
                self._trees[fresh[0].tenant_id] = tree
                tree.head = batch.head
                for draft, leaf in zip(fresh, batch.leaves, strict=True):
                    tree.by_id[leaf.id] = leaf
                    tree.hashes += leaf.leaf_hash
                    if draft.sealed:
                        tree.sealed += [(leaf.seq, one) for one in draft.sealed]
                tree.leaves += batch.leaves
                for level, index, node in batch.tiles:
                    home = level, index // TILE_WIDTH
                    tree.tiles[home] = tree.tiles.get(home, b"") + node
            return [self._trees[draft.tenant_id].by_id[draft.id] for draft in drafts]

    async def head(self, tenant_id: str) -> Head:
        """As `AuditStore.head`."""
        tree = self._trees.get(tenant_id)
        return tree.head if tree else Head()

    async def heads(self, after: str, limit: int, *, unnoted: bool = False) -> list[tuple[str, Head]]:
        """As `AuditStore.heads`."""
        with self._lock:
            found = [
                (tenant_id, tree.head)
                for tenant_id, tree in self._trees.items()
                if tenant_id > after and tenant_id != SPINE and not (unnoted and tree.noted >= tree.head.size)
            ]
        return sorted(found)[:limit]

    async def noted(self, sizes: Mapping[str, int]) -> None:
        """As `AuditStore.noted`."""
        with self._lock:
            for tenant_id, size in sizes.items():
                tree = self._trees.get(tenant_id)
                if tree is not None:
                    tree.noted = max(tree.noted, size)

    async def leaves(self, tenant_id: str, start: int, stop: int) -> list[Leaf]:
        """As `AuditStore.leaves`."""
        with self._lock:
            tree = self._trees.get(tenant_id)
            if tree is None:
                return []
            first = tree.head.first
            return tree.leaves[max(start - first, 0) : max(stop - first, 0)]

    async def latest(self, tenant_id: str, actor: str) -> Leaf | None:
        """As `AuditStore.latest`."""
        tree = self._trees.get(tenant_id)
        found = (leaf for leaf in reversed(tree.leaves if tree else []) if leaf.actor == actor)
        return next(found, None)

    async def find(self, tenant_id: str, query: Query, start: int, stop: int, limit: int) -> list[Leaf]:
        """As `query.search.Searchable.find`; exact, for there is no column to narrow by."""
        window = await self.leaves(tenant_id, start, stop)
        return list(islice((leaf for leaf in reversed(window) if fits(query, leaf)), limit))

    async def tile(self, tenant_id: str, level: int, index: int) -> bytes:
        """As `AuditStore.tile`."""
        tree = self._trees.get(tenant_id)
        if tree is None:
            return b""
        if level == 0:
            width = TILE_WIDTH * len(tree.head.root)
            return bytes(tree.hashes[index * width : (index + 1) * width])
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

    async def prune(self, tenant_id: str, below: int) -> int:
        """As `AuditStore.prune`."""
        with self._lock:
            tree = self._trees.get(tenant_id) or _Tree()
            require_free(tree.holds)
            first = prunable(tree.head, below)
            gone = first - tree.head.first
            for leaf in tree.leaves[:gone]:
                del tree.by_id[leaf.id]
            del tree.leaves[:gone]
            tree.sealed = [(seq, one) for seq, one in tree.sealed if seq >= first]
            tree.head = tree.head._replace(first=first)
            return first

    async def subject_key(self, tenant_id: str, subject: str, fresh: bytes) -> bytes:
        """As `SubjectStore.subject_key`."""
        with self._lock:
            return self._trees.setdefault(tenant_id, _Tree()).keys.setdefault(subject, fresh)

    async def disclosures(self, tenant_id: str, subject: str) -> list[tuple[int, bytes]]:
        """As `SubjectStore.disclosures`."""
        tree = self._trees.get(tenant_id) or _Tree()
        return [(seq, one.octets) for seq, one in tree.sealed if one.subject == subject]

    async def sealed(self, tenant_id: str, start: int, stop: int) -> list[SealedValue]:
        """As `SubjectStore.sealed`."""
        with self._lock:
            tree = self._trees.get(tenant_id) or _Tree()
            return [
                SealedValue(seq, one.subject, one.octets, tree.keys[one.subject])
                for seq, one in tree.sealed
                if start <= seq < stop and one.subject in tree.keys
            ]

    async def forget(self, tenant_id: str, subject: str) -> int:
        """As `SubjectStore.forget`."""
        with self._lock:
            tree = self._trees.get(tenant_id) or _Tree()
            require_free(tree.holds & {subject, EVERYBODY})
            before = len(tree.sealed)
            tree.keys.pop(subject, None)
            tree.sealed = [(seq, one) for seq, one in tree.sealed if one.subject != subject]
            return before - len(tree.sealed)

    async def hold(self, tenant_id: str, subject: str, *, held: bool) -> bool:
        """As `SubjectStore.hold`."""
        with self._lock:
            holds = self._trees.setdefault(tenant_id, _Tree()).holds
            changes = (subject in holds) is not held
            (holds.add if held else holds.discard)(subject)
            return changes

    async def holds(self, tenant_id: str) -> frozenset[str]:
        """As `SubjectStore.holds`."""
        return frozenset((self._trees.get(tenant_id) or _Tree()).holds)
