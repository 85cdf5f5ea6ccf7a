"""A witness (c2sp.org/tlog-witness): says that a log only grows, and when it saw that.

::

    body ─► well formed? ─► origin known? ─► signed by the log? ─► old size ≤ size? ─► old size is ours? ─► extends it?
             400             404              403                   400                 409 + our size      422
                                                                                                               │
                                          200 cosignature ◄── stored in one step with the check ◄──────────────┘

What was checked and what is stored are tied by one atomic swap: of two requests that were both checked against one
state, the second gets 409, so that no reply ever takes back another. A cosignature is made after the swap and leaves
after it; a witness that crashes in between has promised nothing to nobody.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ..core.clock import Clock, SystemClock
from ..core.errors import NoteInvalid, UsageError
from ..core.sansio import suspends, synced
from .checkpoint import Checkpoint
from .cosignature import WitnessKey, cosign
from .note import Ed25519Signer, VerifierKey, check_name, strict_base64
from .tree import EMPTY_ROOT, HASH_OCTETS, verify_consistency
from .witness_store import Witnessed, WitnessStore

__all__ = ["MAX_BODY", "Submission", "Witness", "WitnessAnswer"]

MAX_BODY: Final = 64 * 1024
"""Bytes of a request; 63 hashes and a note of a hundred lines need less."""

_MAX_HASHES: Final = 63
_SIZE_TYPE: Final = "text/x.tlog.size"
_TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Submission:
    """The body of ``add-checkpoint``.

    Args:
        old: the size that the proof starts from; 0 without a proof.
        proof: the hashes of the consistency proof.
        note: the signed checkpoint.
    """

    old: int
    proof: tuple[bytes, ...]
    note: str

    def body(self) -> bytes:
        """As it is sent."""
        hashes = "".join(f"{b64encode(one).decode()}\n" for one in self.proof)
        return f"old {self.old}\n{hashes}\n{self.note}".encode()

    @classmethod
    def parse(cls, body: bytes) -> Submission:
        """Reads a body in its only spelling; raises `NoteInvalid`."""
        try:
            head, blank, note = body.decode("utf-8").partition("\n\n")
        except UnicodeDecodeError:
            raise NoteInvalid("not UTF-8") from None
        first, *lines = head.split("\n")
        number = first.removeprefix("old ")
        hashes = [strict_base64(line) or b"" for line in lines]
        sound = blank and first.startswith("old ") and len(hashes) <= _MAX_HASHES
        if not sound or not _is_number(number) or any(len(one) != HASH_OCTETS for one in hashes):
            raise NoteInvalid("not an add-checkpoint request")
        return cls(int(number), tuple(hashes), note)


@dataclass(frozen=True, slots=True)
class WitnessAnswer:
    """What goes back: an HTTP status, a content type and a body."""

    status: int
    body: str = ""
    content_type: str = _TEXT


class Witness:
    """Cosigns the checkpoints of known logs, each only if it extends all that was cosigned before.

    Args:
        store: what was cosigned; on SQLite or PostgreSQL by `storage.sql.SqlWitnessStore`.
        signer: a key that serves nothing else: what it signs does not name the witness.
        name: the witness's name, as ``witness.example.com/w1``.
        logs: verifier keys of the logs; the name of each is the origin that it may sign.

    Raises:
        UsageError: a name or key that is none.
    """

    def __init__(
        self,
        store: WitnessStore,
        signer: Ed25519Signer,
        name: str,
        logs: Iterable[str | VerifierKey],
        *,
        clock: Clock = SystemClock(),
    ) -> None:
        check_name(name)
        self.suspends: bool = suspends(store)
        self._store: WitnessStore = store
        self._signer: Ed25519Signer = signer
        self._name: str = name
        self._clock: Clock = clock
        self._logs: dict[str, list[VerifierKey]] = {}
        for key in logs:
            known = VerifierKey.parse(key) if isinstance(key, str) else key
            if known.public_key == signer.public_key:
                raise UsageError("a witness with the key of a log", hint="Ed25519Signer.generate() for the witness")
            self._logs.setdefault(known.name, []).append(known)

    @property
    def vkey(self) -> str:
        """The verifier key to hand to whoever verifies (type 0x04)."""
        return str(WitnessKey(self._name, self._signer.public_key))

    async def aadd_checkpoint(self, body: bytes) -> WitnessAnswer:
        """Answers one request.

        Raises:
            Unavailable: the store did not answer; nothing was cosigned.
        """
        try:
            sent = Submission.parse(body)
            claimed = Checkpoint.unverified(sent.note)
        except NoteInvalid as error:
            return WitnessAnswer(400, f"{error.detail}\n")
        keys = self._logs.get(claimed.origin)
        if keys is None:
            return WitnessAnswer(404, "unknown origin\n")
        try:
            new = Checkpoint.open(sent.note, keys)
        except NoteInvalid:
            return WitnessAnswer(403, "no trusted signature\n")
        if sent.old > new.size:
            return WitnessAnswer(400, "the old size is above the size\n")
        return await self._judge(sent, new)

    add_checkpoint: Final = synced(aadd_checkpoint)

    async def _judge(self, sent: Submission, new: Checkpoint) -> WitnessAnswer:
        at = self._clock.now()  # before anything is read: of no later moment could this state be called the latest
        standing = await self._store.latest(new.origin)
        size, root = (standing.size, standing.root) if standing is not None else (0, EMPTY_ROOT)
        if sent.old != size:
            return _conflict(size)
        if not _grows(size, new, root, sent.proof):
            return WitnessAnswer(422, "this does not extend what was cosigned before\n")
        state = Witnessed(new.size, new.root, sent.note)
        if not await self._store.swap_if(new.origin, standing, state):
            latest = await self._store.latest(new.origin)
            return _conflict(latest.size if latest is not None else 0)
        return WitnessAnswer(200, cosign(new.text(), self._name, self._signer, at))


def _conflict(size: int) -> WitnessAnswer:
    return WitnessAnswer(409, f"{size}\n", _SIZE_TYPE)


def _grows(old: int, new: Checkpoint, root: bytes, proof: Sequence[bytes]) -> bool:
    if new.size == 0 or old == 0:  # from nothing every tree grows, and nothing has but one root
        return not proof and (new.size > 0 or new.root == EMPTY_ROOT)
    return verify_consistency(old, new.size, root, new.root, list(proof))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20 and (text == "0" or text[0] != "0")
