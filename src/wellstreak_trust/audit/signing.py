"""Signing checkpoints without ever signing a contradiction.

The last signed state of each tree is kept, and a new one is signed only after a consistency proof from the stored
hashes, not from a cached root. A restored backup has forgotten what it signed, so three more are asked: this process,
which may outlive a restore under its feet; the sinks, to which checkpoints were published; and the spine, which notes
the heads of all trees. A second history is refused by whichever of them remembers the first (`CheckpointRegression`).

Order: prove, sign, persist, publish. A note that nobody has received binds nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from ..core.errors import (
    AuditForkDetected,
    AuditUnavailable,
    CheckpointRegression,
    ConfigurationError,
    IntegrityError,
    NoteInvalid,
    TrustError,
)
from . import note as signed_note
from .checkpoint import Checkpoint, CheckpointSink, tree_origin
from .note import Ed25519Signer
from .query.search import parsed
from .spine import noted_head, tree_id
from .store import SPINE, AuditStore, Head, Signed
from .tiles import hash_spans
from .tree import consistency_spans, verify_consistency

__all__ = ["Notary"]

_RACES: Final = 8
_REMEMBERED: Final = 4_096
_RESTORED: Final = "a restored backup must not go on under this origin: keep it for reference, open a new one"


class Notary:
    """Holds the key of a log, signs the states of its trees and publishes them."""

    __slots__ = ("_asked", "_origin", "_published", "_signed_here", "_signer", "_sinks", "_store")

    def __init__(
        self, store: AuditStore, signer: Ed25519Signer | None, origin: str, sinks: Sequence[CheckpointSink] = ()
    ) -> None:
        self._store: AuditStore = store
        self._signer: Ed25519Signer | None = signer
        self._origin: str = origin
        self._sinks: tuple[CheckpointSink, ...] = tuple(sinks)
        self._signed_here: dict[str, Checkpoint] = {}
        self._asked: dict[str, list[Checkpoint]] = {}
        self._published: list[str | None] = [None] * len(self._sinks)  # of the spine, by sink

    @property
    def signs(self) -> bool:
        """Whether there is a key."""
        return self._signer is not None

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

    def require_signer(self) -> None:
        """Raises `ConfigurationError` where there is no key."""
        _ = self.signer

    def may_sign_quietly(self) -> bool:
        """Whether the spine can be signed without asking a sink, which may be far away."""
        return not self._sinks or self._origin in self._asked

    async def checkpoint(self, tenant_id: str) -> str:
        """The signed state of a tree, persisted; an unchanged tree keeps its note.

        Raises:
            CheckpointRegression, AuditForkDetected, AuditUnavailable, ConfigurationError: see `AuditLog.acheckpoint`.
        """
        signer, origin = self.signer, tree_origin(self._origin, tenant_id)
        known = [*await self._remembered(origin), *await self._noted(tenant_id)]
        for _ in range(_RACES):
            last = await self._store.signed(origin)
            head = await self._store.head(tenant_id)  # after `last`, so that it is never the older of the two
            now = Checkpoint(origin, head.size, head.root)
            if last is not None and (last.size, last.root) == head[:2] and self._is_ours(last, origin):
                if any(one.size >= now.size and one != now for one in known):
                    await self._require_extension(tenant_id, known, head)
                self._remember(now)
                return last.note
            before = known if last is None else [*known, Checkpoint(origin, last.size, last.root)]
            await self._require_extension(tenant_id, before, head)
            text = signed_note.sign(now.text(), origin, signer)
            if await self._store.swap_signed_if(origin, last, Signed(head.size, head.root, text)):
                self._remember(now)
                return text
        raise AuditUnavailable("other processes keep signing this tree", hint="sign from one place, or less often")

    async def is_news(self, tenant_id: str, head: Head) -> bool:
        """Whether the spine has not noted this head or a later one of its tree yet.

        Raises unless the tree extends what was noted of it, by the stored hashes.
        """
        noted = await self._noted(tenant_id)
        later = any(one.size > head.size for one in noted)  # somebody noted a newer one since the head was read
        await self._require_extension(tenant_id, noted, await self._store.head(tenant_id) if later else head)
        return not later

    def _is_ours(self, last: Signed, origin: str) -> bool:
        """False after a change of keys, or for a note that somebody wrote into the store."""
        try:
            found = Checkpoint.open(last.note, [self.signer.key(origin)])
        except NoteInvalid:
            return False
        return found == Checkpoint(origin, last.size, last.root)

    # --- what may not be contradicted --------------------------------------------------------------------------------

    async def _remembered(self, origin: str) -> list[Checkpoint]:
        here = self._signed_here.get(origin)
        return [*([here] if here else []), *await self._held_by_sinks(origin)]

    async def _held_by_sinks(self, origin: str) -> list[Checkpoint]:
        """What the sinks hold of an origin, asked once; none of them is skipped, or its outage would hide a restore."""
        if origin not in self._asked:
            found = []
            for sink in self._sinks:
                try:
                    text = await sink.alatest(origin)
                    held = None if text is None else Checkpoint.unverified(text)
                except IntegrityError:
                    raise
                except Exception as error:  # a host's own sink; its text may say anything
                    raise AuditUnavailable(
                        f"a sink cannot tell what it holds ({_kind(error)})", hint="nothing is signed unchecked"
                    ) from None
                if held is not None and held.origin == origin:
                    found.append(held)
            if len(self._asked) >= _REMEMBERED:
                self._asked.clear()
            self._asked[origin] = found
        return self._asked[origin]

    async def _noted(self, tenant_id: str) -> list[Checkpoint]:
        """The state of a tree that the spine notes last."""
        if tenant_id == SPINE:
            return []
        leaf = await self._store.latest(SPINE, tree_id(self._origin, tenant_id))
        if leaf is None:
            return []
        noted = noted_head(parsed(leaf))
        if noted is None:
            raise AuditForkDetected("what the spine notes of a tree cannot be read", hint="run verify on this log")
        return [Checkpoint(tree_origin(self._origin, tenant_id), noted.size, noted.root)]

    def _remember(self, tree: Checkpoint) -> None:
        before = self._signed_here.get(tree.origin)
        if before is None and len(self._signed_here) >= _REMEMBERED:
            self._signed_here.pop(next(iter(self._signed_here)), None)
        if before is None or before.size < tree.size:
            self._signed_here[tree.origin] = tree

    async def _require_extension(self, tenant_id: str, earlier: Iterable[Checkpoint], head: Head) -> None:
        """Raises unless the stored hashes give the head and every earlier state."""
        olds = {one for one in earlier if one.size}
        for old in olds:
            if old.size > head.size:
                raise CheckpointRegression(f"{old.size} events were signed, {head.size} are stored", hint=_RESTORED)
        ways = [consistency_spans(old.size, head.size) for old in olds]
        found, *proof = await hash_spans(
            [(0, head.size), *(span for way in ways for span in way)],
            lambda level, index: self._store.tile(tenant_id, level, index),
        )
        if found != head.root:
            raise AuditForkDetected("the stored hashes do not give the stored root", hint="run verify on this log")
        for old, way in zip(olds, ways, strict=True):
            steps, proof = proof[: len(way)], proof[len(way) :]
            if not verify_consistency(old.size, head.size, old.root, head.root, steps):
                raise CheckpointRegression(
                    f"the first {old.size} events are not those that were signed", hint=_RESTORED
                )

    # --- publishing --------------------------------------------------------------------------------------------------

    async def publish(self, tenant_id: str, text: str) -> list[str]:
        """Hands a note to every sink; returns the kinds of errors of those that did not take it.

        Raises:
            CheckpointRegression: a sink holds a state that contradicts it.
        """
        origin, failed = tree_origin(self._origin, tenant_id), []
        for place, sink in enumerate(self._sinks):
            if tenant_id == SPINE and self._published[place] == text:
                continue
            try:
                await sink.apublish(origin, text)
            except IntegrityError:
                raise
            except Exception as error:  # a host's own sink
                failed.append(_kind(error))
            else:
                if tenant_id == SPINE:
                    self._published[place] = text
        return failed


def _kind(error: Exception) -> str:
    return error.code if isinstance(error, TrustError) else type(error).__name__
