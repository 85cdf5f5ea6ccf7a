"""Signing checkpoints without ever signing a contradiction.

The last signed state of each tree is kept, and a new one is signed only after a consistency proof from the stored
hashes, not from a cached root: a restored backup that grows a second history is refused here (`CheckpointRegression`).
Order: prove, sign, persist, hand out. A note that nobody has received binds nobody.
"""

from __future__ import annotations

from typing import Final

from ..core.errors import AuditForkDetected, AuditUnavailable, CheckpointRegression, ConfigurationError, NoteInvalid
from . import note as signed_note
from .checkpoint import Checkpoint, tree_origin
from .note import Ed25519Signer
from .store import AuditStore, Head, Signed
from .tiles import hash_spans
from .tree import consistency_spans, verify_consistency

__all__ = ["Notary"]

_RACES: Final = 8


class Notary:
    """Holds the key of a log and signs the states of its trees."""

    __slots__ = ("_origin", "_signer", "_store")

    def __init__(self, store: AuditStore, signer: Ed25519Signer | None, origin: str) -> None:
        self._store: AuditStore = store
        self._signer: Ed25519Signer | None = signer
        self._origin: str = origin

    @property
    def signer(self) -> Ed25519Signer:
        """The key; raises `ConfigurationError` where there is none."""
        if self._signer is None:
            raise ConfigurationError(
                "this audit log has no signer",
                hint="AuditLog(store, signer=Ed25519Signer.from_pem(...), origin=...)",
                reason="audit_signer",
            )
        return self._signer

    async def checkpoint(self, tenant_id: str) -> str:
        """The signed state of a tree, persisted; an unchanged tree keeps its note."""
        signer, origin = self.signer, tree_origin(self._origin, tenant_id)
        for _ in range(_RACES):
            last = await self._store.signed(origin)
            head = await self._store.head(tenant_id)  # after `last`, so that it is never the older of the two
            if last is not None and (last.size, last.root) == head[:2] and self._is_ours(last, origin):
                return last.note
            await self._require_extension(tenant_id, last, head)
            note = signed_note.sign(Checkpoint(origin, head.size, head.root).text(), origin, signer)
            if await self._store.swap_signed_if(origin, last, Signed(head.size, head.root, note)):
                return note
        raise AuditUnavailable("other processes keep signing this tree", hint="sign from one place, or less often")

    def _is_ours(self, last: Signed, origin: str) -> bool:
        """False after a change of keys, or for a note that somebody wrote into the store."""
        try:
            found = Checkpoint.open(last.note, [self.signer.key(origin)])
        except NoteInvalid:
            return False
        return found == Checkpoint(origin, last.size, last.root)

    async def _require_extension(self, tenant_id: str, last: Signed | None, head: Head) -> None:
        old = last.size if last is not None else 0
        if old > head.size:
            raise CheckpointRegression(f"{old} events were signed, {head.size} are stored", hint=_RESTORED)
        spans = consistency_spans(old, head.size) if old else []
        found, *proof = await hash_spans(
            [(0, head.size), *spans], lambda level, index: self._store.tile(tenant_id, level, index)
        )
        if found != head.root:
            raise AuditForkDetected("the stored hashes do not give the stored root", hint="run verify on this log")
        if last is not None and old and not verify_consistency(old, head.size, last.root, head.root, proof):
            raise CheckpointRegression(f"the first {old} events are not those that were signed", hint=_RESTORED)


_RESTORED: Final = "a restored backup must not go on under this origin: keep it for reference, open a new one"
