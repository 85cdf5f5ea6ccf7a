"""Handing the trail out: as files that verify, in formats of others, as an archive that is then pruned.

Each is recorded before the first byte leaves, in the tenant's own tree, so that an export holds its own event.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any, Final

from ..core.clock import aware, rfc3339
from ..core.errors import AuditForkDetected, ConfigurationError
from ..core.event import AuditEvent
from ..core.sansio import synced
from .action import AuditAction
from .bundle import Bundle, keep_bundle, require_nothing_at
from .checkpoint import Checkpoint
from .export import Progress, export_tree
from .formats import Record, format_named
from .query import Query, parse
from .query.search import parsed
from .recording import Actor, Recording
from .store import leaves_of, require_free
from .tiles import TileStore
from .verify import verify

__all__ = ["Exporting", "PruneReceipt"]

Write = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class PruneReceipt:
    """What `AuditLog.prune` answers.

    Args:
        first: the lowest seq that is still in the store: pass it to `verify` as `minimum_index`.
        pruned: events that went.
        archive: where they are.
        checkpoint: the signed note that covers them; keep it elsewhere.
        seq: the event that records it; None where nothing was old enough.
    """

    first: int
    pruned: int
    archive: Path
    checkpoint: str
    seq: int | None


class Exporting(Recording):
    """The part of `AuditLog` that hands out."""

    @abstractmethod
    async def acheckpoint(self, tenant_id: str) -> str:
        """As `AuditLog.acheckpoint`."""

    @abstractmethod
    def vkey(self, tenant_id: str | None = None) -> str:
        """As `AuditLog.vkey`."""

    async def aexport(
        self,
        tenant_id: str,
        directory: str | PathLike[str] | TileStore,
        *,
        actor: Actor | None = None,
        reason: str | None = None,
        progress: Progress | None = None,
    ) -> str:
        """Writes the tree as static files (c2sp.org/tlog-tiles) and returns the checkpoint, which is worth keeping.

        Args:
            actor, reason: who exports; recorded as ``audit.exported`` first, so that the export holds its own event.
            progress: told how many of how many files are done.

        Raises:
            UsageError: the directory holds another tree, or a newer state of this one.
        """
        self._origin_of(tenant_id)  # a lost tenant id must not export the log's own tree
        if actor is not None:
            await self._tell("audit.exported", tenant_id, actor, reason, {"form": "tiles"})
        note = await self.acheckpoint(tenant_id)
        target = directory if isinstance(directory, TileStore) else TileStore(directory)
        await export_tree(self.store, tenant_id, note, target, progress)
        return note

    export: Final = synced(aexport)

    async def awrite(
        self,
        tenant_id: str,
        form: str,
        write: Write,
        *,
        actor: Actor,
        reason: str | None = None,
        query: str | Query = "",
        progress: Progress | None = None,
    ) -> int:
        """Writes events in one of `formats.FORMATS`, oldest first; returns how many.

        Personal values are not disclosed: what is exported stays as erasable as it was.

        Args:
            write: takes text, such as ``file.write`` of a file opened with ``newline=""``.
            actor, reason: who exports, and why; recorded as ``audit.exported`` with format and query.
            query: only events that match.
            progress: told how many of how many events are looked at.

        Raises:
            UsageError: an unknown format.
            AuditQueryInvalid: not a query.
            AuditForkDetected: a stored leaf is not what was hashed.
            AuditUnavailable: the export could not be recorded; nothing was written.
        """
        chosen = format_named(form)
        asked = query if isinstance(query, Query) else parse(query)
        told = {"form": chosen.name, "query": query if isinstance(query, str) else ""}
        await self._tell("audit.exported", tenant_id, actor, reason, told)
        origin = self._origin_of(tenant_id)
        count = 0
        if chosen.header:
            write(chosen.header)
        async for leaf in leaves_of(self.store, tenant_id, progress=progress):
            event = parsed(leaf)
            if asked.matches(event):
                write(chosen.text(Record(leaf, event, origin)))
                count += 1
        return count

    write: Final = synced(awrite)

    async def abundle(
        self,
        tenant_id: str,
        path: str | PathLike[str],
        *,
        actor: Actor,
        reason: str | None = None,
        progress: Progress | None = None,
    ) -> Bundle:
        """Everything that a tenant needs to verify its own trail offline, as a folder or one ``.zip`` file.

        It holds the tiles with their checkpoint, the events as JSON lines, a verifier that needs only Python, and a
        page that tells how to use it. Keys come by another way: a bundle that brings its own key proves nothing.

        Raises:
            UsageError: something stands at `path` already.
        """
        target = Path(path)
        require_nothing_at(target)
        await self._tell("audit.exported", tenant_id, actor, reason, {"form": "bundle"})
        note = await self.acheckpoint(tenant_id)
        made_at = self.clock.now()
        return await keep_bundle(self.store, tenant_id, note, target, made_at=made_at, progress=progress)

    bundle: Final = synced(abundle)

    async def aprune(
        self,
        tenant_id: str,
        *,
        before: datetime,
        archive: str | PathLike[str],
        reason: str,
        actor: Actor,
        progress: Progress | None = None,
    ) -> PruneReceipt:
        """Archives a tenant's trail, verifies the archive, and deletes events that were recorded before a time.

        Hashes stay: proofs and checkpoints above the cut are as valid as they were. Whole bundles of 256 events go,
        so the newest of the old ones may stay. One archive directory takes all prunings of a tenant.

        Raises:
            LegalHold: the tenant, or anybody in it, is held.
            AuditForkDetected: the archive does not verify; nothing was deleted.
            AuditEventRejected: no reason is given.
            ConfigurationError: no signer, or an archive that cannot be written.
        """
        limit = rfc3339(aware(before, "before"))
        require_free(await self._holds(tenant_id))
        begun = AuditEvent(
            *("audit.pruned", "attempted", tenant_id, actor),
            reason=reason,
            data={"before": limit},
            occurred_at=self.clock.now(),
        )
        async with AuditAction(self, begun) as act:
            below = await self._first_since(tenant_id, limit)
            was = (await self.store.head(tenant_id)).first
            note = await self.acheckpoint(tenant_id)
            await self._archived(tenant_id, note, Path(archive), was, progress)
            first = await self.store.prune(tenant_id, below)
            act.data |= {"first": first, "count": first - was, "checkpoint": Checkpoint.unverified(note).root.hex()}
        return PruneReceipt(first, first - was, Path(archive), note, act.receipt.seq if act.receipt else None)

    prune: Final = synced(aprune)

    async def _archived(self, tenant_id: str, note: str, archive: Path, first: int, progress: Progress | None) -> None:
        await export_tree(self.store, tenant_id, note, TileStore(archive), progress)
        keys = [self.vkey(tenant_id)]
        report = verify(archive, tenant_id=tenant_id, pinned=note, keys=keys, minimum_index=first)
        if report.failed and report.failed != ("time_order",):
            raise AuditForkDetected(f"the archive does not verify: {report.reason}", hint="nothing was deleted")

    async def _first_since(self, tenant_id: str, limit: str) -> int:
        """The first event that was recorded at `limit` or later: all before it are older, whatever the clock did."""
        async for leaf in leaves_of(self.store, tenant_id):
            if str(parsed(leaf).get("recorded_at", "")) >= limit:
                return leaf.seq
        return (await self.store.head(tenant_id)).size

    async def _holds(self, tenant_id: str) -> frozenset[str]:
        ask = getattr(self.store, "holds", None)
        if ask is None:
            raise ConfigurationError("this audit store knows no legal holds", hint="implement SubjectStore")
        found: frozenset[str] = await ask(tenant_id)
        return found

    @abstractmethod
    def _origin_of(self, tenant_id: str) -> str:
        """What a checkpoint of the tenant's tree names itself."""
