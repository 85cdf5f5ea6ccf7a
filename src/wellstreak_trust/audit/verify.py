"""Verification: separate verdicts, each of which says only what was checked.

A log that is verified by its own data alone is consistent, and no more: who can write the table can write all of it
anew. Truncation and rewriting are excluded by what somebody else holds: a signature key, a pinned checkpoint, and
witnesses who saw the log grow.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import Final

from ..core.errors import UsageError
from ..core.sansio import synced
from .cosignature import Key
from .evidence import Look, Progress
from .evidence_store import replay_store
from .evidence_tiles import replay_tiles
from .judge import Trusted, judged, pin_of
from .store import AuditStore
from .tiles import TileStore
from .verdict import Level, Verdict, VerifyReport
from .verify_spine import verify_all

__all__ = ["Level", "Verdict", "VerifyReport", "averify", "verify"]

Source = str | PathLike[str] | TileStore | AuditStore


async def averify(
    source: Source,
    *,
    tenant_id: str | None = None,
    pinned: str | bytes | None = None,
    keys: Iterable[str | Key] = (),
    quorum: int = 1,
    minimum_index: int | None = None,
    thorough: bool | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Verifies an export directory, a `TileStore`, one tenant's tree in an audit store, or all of a store.

    Never raises for what the source holds.

    Args:
        tenant_id: whose tree it must be; over a store None means every tree against the spine, and the spine itself.
        pinned: a checkpoint (signed note) kept elsewhere, from the last time; of the spine for a whole store.
        keys: verifier keys got over another way than the data: the log's (`AuditLog.vkey`) and those of witnesses.
        quorum: how many of the given witnesses must have cosigned one state for the level `witnessed`.
        minimum_index: entries below it may have been pruned. None: those may be gone of which an ``audit.pruned``
            event that is still here says so. Either way their hashes are verified, and the report counts them.
        thorough: parse every entry (about 10 us each); by default up to 10,000 entries, beyond which only their
            frame is looked at and the report says so. The hashes are always those of all bytes.
        progress: called with entries done and entries there are.

    Raises:
        UsageError: a source, tenant id, key, quorum, minimum index or pin that is none.
        StoreUnavailable: the store did not answer.
        ConfigurationError: `verify` over a store that suspends; await `averify`.
    """
    if minimum_index is not None and (type(minimum_index) is not int or minimum_index < 0):
        raise UsageError("a minimum index is a whole number from 0 on", hint="minimum_index=receipt.first")
    if tenant_id is not None and not isinstance(tenant_id, str):
        raise UsageError("a tenant id is text", hint="tenant_id='acme'")
    trusted = Trusted.of(keys, quorum, tenant_id)
    pin = pin_of(pinned, trusted.logs)
    marks = () if pin is None else (pin.tree.size,)
    look = Look(tenant_id, trusted.logs, marks, minimum_index, thorough, progress)
    if isinstance(source, str | PathLike):
        source = TileStore(source)
    if isinstance(source, TileStore):
        return judged(replay_tiles(source, look), pin, trusted)
    if not hasattr(source, "append_batch"):
        raise UsageError("not an export directory, TileStore or audit store")
    if tenant_id is None:
        return await verify_all(source, look, pin, trusted)
    return judged(await replay_store(source, tenant_id, look), pin, trusted)


verify: Final = synced(averify)
