"""Proofs about one entry: verified offline, and made from an export or a store without the key of the log.

Whoever holds a signed tree can prove any of its entries; only signing needs the key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import NoReturn

from ..core.errors import NoteInvalid, UsageError
from .checkpoint import Checkpoint, InclusionProof, tree_origin
from .cosignature import Cosignature, Key, cosignatures
from .judge import Trusted
from .store import AuditStore
from .tiles import TILE_WIDTH, Tile, TileStore, hash_spans, unbundle
from .tree import inclusion_spans, leaf_hash, verify_inclusion
from .verdict import LEVELS, Level, Verdict

__all__ = ["ProofReport", "proof_from_export", "proof_from_store", "verify_proof"]

_NO_EXPORT = "the export lacks what the proof needs"


@dataclass(frozen=True, slots=True)
class ProofReport:
    """What a proof shows about one entry. Like `VerifyReport` it has no truth value.

    Args:
        inclusion: the entry stands at `index` of a tree of `size` entries under the stated root.
        signature: that root is signed by one of the keys; not checked without keys.
        level: ``internal``, ``signed``, or ``witnessed``.
        origin, index, size: what the proof says; empty and 0 where it cannot be read.
        witnesses: who of the known witnesses cosigned the root, and when.
        reason: what is wrong.
    """

    inclusion: Verdict
    signature: Verdict
    level: Level
    origin: str = ""
    index: int = 0
    size: int = 0
    witnesses: tuple[Cosignature, ...] = ()
    reason: str = ""

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the verdicts that failed."""
        return tuple(name for name in ("inclusion", "signature") if getattr(self, name) == "failed")

    def reaches(self, level: Level) -> bool:
        """Whether nothing failed and the level is at least this one."""
        return not self.failed and LEVELS.index(self.level) >= LEVELS.index(level)

    def __bool__(self) -> NoReturn:
        raise UsageError("a report has two verdicts and no truth value", hint="report.inclusion == 'verified'")

    def __str__(self) -> str:
        if self.failed:
            return f"NOT PROVEN: {self.reason}."
        seen = [f"\n  witnessed by {one.witness} at {one.at:%Y-%m-%dT%H:%M:%SZ}" for one in self.witnesses]
        said = f"Entry {self.index} of {self.size} in {self.origin} is as given ({self.level})."
        none = "\n  not checked: who signed it, because no key was given" if self.signature == "not_checked" else ""
        return said + "".join(seen) + none


def verify_proof(proof: str | bytes, entry: bytes, keys: Iterable[str | Key] = (), *, quorum: int = 1) -> ProofReport:
    """Verifies a ``.tlog-proof`` of one entry. Never raises for what the proof holds.

    Args:
        entry: the leaf's bytes as stored (`AuditLog.entry`).
        keys: verifier keys of the log's tree and of witnesses, got over another way than the proof.
        quorum: how many of the given witnesses must have cosigned for the level `witnessed`.

    Raises:
        UsageError: a key or quorum that is none, an entry that is not bytes.
    """
    trusted = Trusted.of(keys, quorum, None)
    if not isinstance(entry, bytes):
        raise UsageError("an entry is bytes as stored", hint="log.entry(tenant_id, seq)")
    unread: Verdict = "failed" if trusted.logs else "not_checked"
    try:
        found = InclusionProof.parse(proof.decode("utf-8") if isinstance(proof, bytes) else proof)
        tree = Checkpoint.unverified(found.checkpoint)
    except (NoteInvalid, UnicodeDecodeError):
        return ProofReport("failed", unread, "internal", reason="this is no proof of inclusion")
    included = verify_inclusion(found.index, tree.size, tree.root, leaf_hash(entry), found.hashes)
    signature, seen, why = _signed(found.checkpoint, trusted)
    level: Level = "internal"
    if included and signature == "verified":
        level = "witnessed" if trusted.witnesses and len(seen) >= trusted.quorum else "signed"
    return ProofReport(
        "verified" if included else "failed",
        signature,
        level,
        *(tree.origin, found.index, tree.size),
        witnesses=seen,
        reason=why if included else "the entry is not what was recorded there",
    )


def _signed(note: str, trusted: Trusted) -> tuple[Verdict, tuple[Cosignature, ...], str]:
    try:
        seen = cosignatures(note, trusted.witnesses)
        if trusted.logs:
            Checkpoint.open(note, trusted.logs)
    except NoteInvalid as refusal:
        return "failed", (), refusal.detail
    return ("verified" if trusted.logs else "not_checked"), seen, ""


# --- making ---------------------------------------------------------------------------------------------------------


async def _proof(
    note: str, seq: int, entry: bytes, read: Callable[[int, int], Awaitable[bytes]]
) -> tuple[InclusionProof, bytes]:
    tree = Checkpoint.unverified(note)
    hashes = await hash_spans(inclusion_spans(seq, tree.size), read)
    if not verify_inclusion(seq, tree.size, tree.root, leaf_hash(entry), hashes):
        raise UsageError("what is stored does not give the signed root", hint="verify it first")
    return InclusionProof(seq, tuple(hashes), note), entry


async def proof_from_export(source: TileStore, seq: int) -> tuple[InclusionProof, bytes]:
    """The proof of one entry of an export, and the entry.

    Raises:
        UsageError: no such entry, or an export that lacks or changed what the proof needs.
        AuditForkDetected: a tile is shorter than the tree.
    """
    note = (source.read("checkpoint") or b"").decode("utf-8", "replace")
    try:
        size = Checkpoint.unverified(note).size
    except NoteInvalid:
        raise UsageError("no export with a checkpoint", hint="the folder that `log.export` wrote") from None

    async def read(level: int, index: int) -> bytes:
        return source.read(_tile(level, index, size).path) or b""

    bundle = unbundle(source.read(_tile(None, seq // TILE_WIDTH, size).path) or b"") if 0 <= seq < size else []
    if len(bundle) <= seq % TILE_WIDTH:
        raise UsageError(_NO_EXPORT if 0 <= seq < size else "no such entry", hint=f"0 to {size - 1}")
    return await _proof(note, seq, bundle[seq % TILE_WIDTH], read)


async def proof_from_store(source: AuditStore, origin: str, tenant_id: str, seq: int) -> tuple[InclusionProof, bytes]:
    """The proof of one entry under the state that the log signed last of a tenant's tree, and the entry.

    Args:
        origin: of the log.

    Raises:
        UsageError: no such entry, or none that is signed yet.
        StoreUnavailable: the store does not answer.
    """
    last = await source.signed(tree_origin(origin, tenant_id))
    found = await source.leaves(tenant_id, seq, seq + 1)
    if last is None or not found or seq >= last.size:
        raise UsageError("no such entry in the signed tree", hint="log.checkpoint(tenant_id) signs what stands now")
    return await _proof(last.note, seq, found[0].leaf, lambda level, index: source.tile(tenant_id, level, index))


def _tile(level: int | None, index: int, size: int) -> Tile:
    """The tile as it is called in a tree of this size: the last one of a level is partial."""
    count = size >> (8 * (level or 0))
    return Tile(level, index, min(TILE_WIDTH, count - index * TILE_WIDTH))
