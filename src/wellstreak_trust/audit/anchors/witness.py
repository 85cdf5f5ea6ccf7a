"""The spine under the eyes of a witness: each signed state is cosigned, and the cosignature kept with it.

A witness is asked with the size that it saw last, and answers 409 with its own where that is another; the proof is
made anew from there, out of the stored hashes. What a witness has seen and the store no longer holds is a restored
backup or a rewritten log, and nothing to retry: `CheckpointRegression`.
"""

from __future__ import annotations

from typing import Final

from ...core.errors import AuditUnavailable, CheckpointRegression, NoteInvalid
from ...core.sansio import suspends
from ..checkpoint import Checkpoint
from ..cosignature import cosignatures, with_lines
from ..store import SPINE, AuditStore, Signed
from ..tiles import hash_spans
from ..tree import consistency_spans
from ..witness import Submission
from ..witness_client import Cosigned, WitnessClient, WitnessStands
from .base import Anchor

__all__ = ["WitnessAnchor"]

_TRIES: Final = 4


class WitnessAnchor(Anchor):
    """Has the spine of a log cosigned by one witness; other trees of the log are passed over.

    Args:
        store: of the log; the cosigned note replaces the signed one in it.
        origin: of the log.
        client: the witness.
    """

    def __init__(self, store: AuditStore, origin: str, client: WitnessClient) -> None:
        super().__init__()
        self.suspends: bool = suspends(store)
        self._store: AuditStore = store
        self._origin: str = origin
        self._client: WitnessClient = client
        self._stands: int = 0

    async def apublish(self, origin: str, note: str, /) -> None:
        """As `CheckpointSink.apublish`."""
        if origin == self._origin:
            await super().apublish(origin, note)

    async def _keep(self, found: Checkpoint, note: str) -> None:
        if cosignatures(note, [self._client.key]):
            return  # the log publishes a note again once there are more lines below it
        for _ in range(_TRIES):
            sent = Submission(self._stands, await self._proof(self._stands, found.size), note)
            answer = await self._client.asubmit(sent, self._client.threaded if self.suspends else None)
            if isinstance(answer, Cosigned):
                self._stands = found.size
                await self._put(found, answer.lines)
                return
            self._stands = answer.size
            if await self._is_behind(found, answer):
                return
        raise AuditUnavailable("the witness keeps standing elsewhere")

    async def _is_behind(self, found: Checkpoint, answer: WitnessStands) -> bool:
        """Whether another process had a newer state cosigned meanwhile: then this one is covered."""
        if answer.size <= found.size:
            return False
        if (await self._store.head(SPINE)).size >= answer.size:
            return True
        raise CheckpointRegression(
            f"the witness saw {answer.size} entries, {found.size} are stored", hint="a restored backup, or cut off"
        )

    async def _proof(self, old: int, new: int) -> tuple[bytes, ...]:
        if not 0 < old < new:
            return ()
        spans = consistency_spans(old, new)
        return tuple(await hash_spans(spans, lambda level, index: self._store.tile(SPINE, level, index)))

    async def _put(self, found: Checkpoint, lines: tuple[str, ...]) -> None:
        """Keeps the lines with the log's own note, unless that is of another state by now."""
        for _ in range(_TRIES):
            last = await self._store.signed(self._origin)
            if last is None or not _is_of(last, found):
                return
            both = Signed(last.size, last.root, with_lines(last.note, lines))
            if both == last or await self._store.swap_signed_if(self._origin, last, both):
                return
        raise AuditUnavailable("other processes keep signing this tree")


def _is_of(last: Signed, found: Checkpoint) -> bool:
    try:
        return Checkpoint.unverified(last.note) == found
    except NoteInvalid:
        return False
