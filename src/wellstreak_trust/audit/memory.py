"""An audit store in memory, for tests and development: it forgets everything with the process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from threading import Lock
from typing import ClassVar

from ..core.processes import PerProcess
from .event import Draft, Sealed
from .grove import Tree
from .query import Query, Span, fits
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

__all__ = ["MemoryAuditStore"]


class MemoryAuditStore:
    """Trees in dictionaries, behind one lock.

    Args:
        allow_memory: accept in production that the trail is lost with the process.
    """

    suspends: ClassVar[bool] = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._locks: PerProcess[Lock] = PerProcess(Lock)
        self._trees: dict[str, Tree[Leaf]] = {}
        self._signed: dict[str, Signed] = {}
        self._keys: dict[tuple[str, str], bytes] = {}
        self._sealed: dict[str, list[tuple[int, Sealed]]] = {}
        self._holds: dict[str, set[str]] = {}
        self._cursors: dict[tuple[str, str], int] = {}

    async def append_batch(
        self, drafts: Sequence[Draft], *, now: Callable[[], datetime], deadline: timedelta
    ) -> list[Leaf]:
        """As `AuditStore.append_batch`."""
        del deadline  # nobody holds this lock while waiting for anything
        with self._locks.here:
            recorded_at = now()
            batches = []
            for tenant_id, group in by_tenant(drafts):
                tree = self._trees.get(tenant_id) or Tree[Leaf]([])
                known = {one.id: tree.row(tree.places[one.id]) for one in group if one.id in tree.places}
                fresh = split_known(group, known)[0] if known else group
                if fresh:
                    batches.append((tree, fresh, sequence(tree.size, tree.edge, fresh, recorded_at)))
            for tree, fresh, batch in batches:  # nothing below can fail: all tenants or none
                self._trees[fresh[0].tenant_id] = tree
                tree.grow(batch, batch.leaves)
                self._keep_sealed(fresh, batch.leaves)
            if len(batches) == 1 and len(batches[0][1]) == len(drafts):
                return batches[0][2].leaves
            trees = [(self._trees[draft.tenant_id], draft.id) for draft in drafts]
            return [tree.row(tree.places[id]) for tree, id in trees]

    def _keep_sealed(self, fresh: Sequence[Draft], leaves: Sequence[Leaf]) -> None:
        for draft, leaf in zip(fresh, leaves, strict=True):
            if draft.sealed:
                self._sealed.setdefault(leaf.tenant_id, []).extend((leaf.seq, one) for one in draft.sealed)

    async def head(self, tenant_id: str) -> Head:
        """As `AuditStore.head`."""
        with self._locks.here:
            tree = self._trees.get(tenant_id)
            return tree.head() if tree else Head()

    async def heads(self, after: str, limit: int, *, unnoted: bool = False) -> list[tuple[str, Head]]:
        """As `AuditStore.heads`."""
        with self._locks.here:
            wanted = [
                tenant_id
                for tenant_id, tree in self._trees.items()
                if tenant_id > after and tenant_id != SPINE and (tree.grown or not unnoted)
            ]
            return [(tenant_id, self._trees[tenant_id].head()) for tenant_id in sorted(wanted)[:limit]]

    async def noted(self, sizes: Mapping[str, int]) -> None:
        """As `AuditStore.noted`."""
        with self._locks.here:
            for tenant_id, size in sizes.items():
                tree = self._trees.get(tenant_id)
                if tree is not None and tree.size == size:
                    tree.grown = False

    async def leaves(self, tenant_id: str, start: int, stop: int) -> list[Leaf]:
        """As `AuditStore.leaves`."""
        with self._locks.here:
            tree = self._trees.get(tenant_id)
            return list(tree.range(start, stop)) if tree else []

    async def find(self, tenant_id: str, query: Query, start: int, stop: int, limit: int) -> list[Leaf]:
        """As `query.search.Searchable.find`; exact, for there is no column to narrow by."""
        window = await self.leaves(tenant_id, start, stop)
        return list(islice((leaf for leaf in reversed(window) if fits(query, leaf)), limit))

    async def reach(self, tenant_id: str, times: Span, most: int) -> tuple[int, int] | None:
        """As `query.Searchable.reach`; nothing is indexed by time here."""
        return None

    async def latest(self, tenant_id: str, actor: str) -> Leaf | None:
        """As `AuditStore.latest`."""
        with self._locks.here:
            tree = self._trees.get(tenant_id)
            seq = tree.lasts.get(actor) if tree else None
            return None if tree is None or seq is None else tree.row(seq)

    async def tile(self, tenant_id: str, level: int, index: int) -> bytes:
        """As `AuditStore.tile`."""
        with self._locks.here:
            tree = self._trees.get(tenant_id)
            return tree.tile(level, index) if tree else b""

    async def signed(self, origin: str) -> Signed | None:
        """As `AuditStore.signed`."""
        return self._signed.get(origin)

    async def swap_signed_if(self, origin: str, old: Signed | None, new: Signed) -> bool:
        """As `AuditStore.swap_signed_if`."""
        with self._locks.here:
            if self._signed.get(origin) != old:
                return False
            self._signed[origin] = new
            return True

    async def prune(self, tenant_id: str, below: int) -> int:
        """As `AuditStore.prune`."""
        with self._locks.here:
            tree = self._trees.get(tenant_id)
            if tree is None:
                return 0
            require_free(self._holds.get(tenant_id, ()))
            first = prunable(tree.head(), below)
            tree.prune(first)
            self._sealed[tenant_id] = [(seq, one) for seq, one in self._sealed.get(tenant_id, ()) if seq >= first]
            return first

    async def subject_key(self, tenant_id: str, subject: str, fresh: bytes) -> bytes:
        """As `SubjectStore.subject_key`."""
        with self._locks.here:
            return self._keys.setdefault((tenant_id, subject), fresh)

    async def disclosures(self, tenant_id: str, subject: str) -> list[tuple[int, bytes]]:
        """As `SubjectStore.disclosures`."""
        with self._locks.here:
            return [(seq, one.octets) for seq, one in self._sealed.get(tenant_id, ()) if one.subject == subject]

    async def forget(self, tenant_id: str, subject: str) -> int:
        """As `SubjectStore.forget`."""
        with self._locks.here:
            require_free(self._holds.get(tenant_id, set()) & {subject, EVERYBODY})
            before = self._sealed.get(tenant_id, [])
            left = [(seq, one) for seq, one in before if one.subject != subject]
            self._keys.pop((tenant_id, subject), None)
            self._sealed[tenant_id] = left
            return len(before) - len(left)

    async def sealed(self, tenant_id: str, start: int, stop: int) -> list[SealedValue]:
        """As `SubjectStore.sealed`."""
        with self._locks.here:
            return [
                SealedValue(seq, one.subject, one.octets, self._keys[tenant_id, one.subject])
                for seq, one in self._sealed.get(tenant_id, ())
                if start <= seq < stop and (tenant_id, one.subject) in self._keys
            ]

    async def hold(self, tenant_id: str, subject: str, *, held: bool) -> bool:
        """As `SubjectStore.hold`."""
        with self._locks.here:
            holds = self._holds.setdefault(tenant_id, set())
            changes = (subject in holds) is not held
            (holds.add if held else holds.discard)(subject)
            return changes

    async def holds(self, tenant_id: str) -> frozenset[str]:
        """As `SubjectStore.holds`."""
        with self._locks.here:
            return frozenset(self._holds.get(tenant_id, ()))

    async def cursor(self, sink: str, tenant_id: str) -> int:
        """As `shipping.CursorStore.cursor`."""
        return self._cursors.get((sink, tenant_id), 0)

    async def move_cursor_if(self, sink: str, tenant_id: str, old: int, new: int) -> bool:
        """As `shipping.CursorStore.move_cursor_if`."""
        with self._locks.here:
            if self._cursors.get((sink, tenant_id), 0) != old:
                return False
            self._cursors[sink, tenant_id] = new
            return True
