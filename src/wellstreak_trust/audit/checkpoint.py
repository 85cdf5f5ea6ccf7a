"""Checkpoints (c2sp.org/tlog-checkpoint) and inclusion proofs in a file (c2sp.org/tlog-proof)."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

from ..core.canonical import length_prefixed
from ..core.errors import NoteInvalid, UsageError
from . import note as signed_note
from .note import Note, VerifierKey, strict_base64
from .store import SPINE
from .tree import HASH_OCTETS, leaf_hash, verify_inclusion

__all__ = ["Checkpoint", "CheckpointSink", "InclusionProof", "is_origin_of", "tree_origin"]

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")  # decimal, no leading zero, inside a signed 64-bit column
_PROOF: Final = "c2sp.org/tlog-proof@v1"
_MAX_HASHES: Final = 63


class CheckpointSink(Protocol):
    """A place out of reach of who can write the log's store: a file elsewhere, a repository, a witness, a printer.

    The log publishes to every sink after a checkpoint is signed and stored, from `AuditLog.checkpoint` and
    `AuditLog.tick` and never while somebody waits for an `emit`. A sink that raises delays nobody: what it missed is
    covered by the next checkpoint, because each one covers all before it.
    """

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend; a sink that does serves only a log whose store suspends too."""
        ...

    async def apublish(self, origin: str, note: str, /) -> None:
        """Keeps the signed note of a tree; the same one may come twice, and an older one must not replace a newer.

        Raises:
            TrustError: it is not kept. `CheckpointRegression` where the sink holds a state that contradicts it.
        """
        ...

    async def alatest(self, origin: str, /) -> str | None:
        """The newest note kept of an origin, or None where there is none or the sink cannot tell.

        Asked before the first signature of a process: a restored backup forgot what it had signed, a sink did not.
        """
        ...


def tree_origin(origin: str, tenant_id: str) -> str:
    """The origin of one tenant's tree: the log's origin and an opaque id; the spine's is the log's own.

    The id is a hash of both, because checkpoints go to witnesses and auditors, who need not learn customers' names.
    """
    if not isinstance(tenant_id, str):
        raise UsageError("a tree is named by the text of its tenant id", hint="tenant_id='acme'")
    if tenant_id == SPINE:
        return origin
    return f"{origin}/{sha256(length_prefixed('wst/audit/tree', origin, tenant_id)).hexdigest()[:32]}"


def is_origin_of(origin: str, tenant_id: str) -> bool:
    """Whether some log calls this tenant's tree so; any name can be that of a spine."""
    return origin == tree_origin(origin if tenant_id == SPINE else origin.rpartition("/")[0], tenant_id)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of one tree: what a log signs and a witness holds against it. It bears no time.

    Args:
        origin: names the tree, and is the name of the key that signs it.
        size: number of leaves.
        root: 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Reads exactly three lines; extension lines are refused. Raises `NoteInvalid`."""
        lines = text.split("\n")
        if len(lines) == 4 and lines[0] and _NUMBER.fullmatch(lines[1]) and not lines[3]:
            hashed = strict_base64(lines[2])
            if hashed is not None and len(hashed) == HASH_OCTETS:
                return cls(lines[0], int(lines[1]), hashed)
        raise NoteInvalid("not the three lines of a checkpoint")

    @classmethod
    def open(cls, note: str | bytes, keys: Iterable[str | VerifierKey]) -> Checkpoint:
        """The checkpoint of a note that the key named by its origin has signed.

        Raises:
            NoteInvalid: malformed, not signed by a known key, or signed only by keys of another name.
        """
        opened: Note = signed_note.open(note, keys)
        found = cls.parse(opened.text)
        if found.origin not in opened.signed_by:
            raise NoteInvalid("signed, but not by the key of its origin", reason="unknown_key")
        return found

    @classmethod
    def unverified(cls, note: str | bytes) -> Checkpoint:
        """What a note claims, for those who hold no key; raises `NoteInvalid` if it is no checkpoint."""
        return cls.parse(signed_note.split(note)[0])


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That one entry is part of a signed tree: everything an outsider needs, in about one kilobyte.

    Args:
        index: the leaf's place in the tree, `seq` of the event.
        hashes: from the leaf's sibling upward.
        checkpoint: the signed note, verbatim.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str

    def text(self) -> str:
        """The ``.tlog-proof`` file."""
        lines = [_PROOF, f"index {self.index}", *(b64encode(one).decode() for one in self.hashes)]
        return "\n".join(lines) + f"\n\n{self.checkpoint}"

    @classmethod
    def parse(cls, text: str) -> InclusionProof:
        """Reads a ``.tlog-proof`` file; an `extra` line is checked and left out. Raises `NoteInvalid`."""
        head, blank, checkpoint = text.partition("\n\n") if isinstance(text, str) else ("", "", "")
        lines = head.split("\n")
        if len(lines) > 1 and lines[1].startswith("extra ") and strict_base64(lines[1][6:]) is not None:
            del lines[1]
        if not blank or len(lines) < 2 or lines[0] != _PROOF or not lines[1].startswith("index "):
            raise NoteInvalid("not a tlog-proof of version 1")
        hashes = tuple(strict_base64(line) or b"" for line in lines[2:])
        number = lines[1][6:]
        if not _NUMBER.fullmatch(number) or len(hashes) > _MAX_HASHES or any(len(h) != HASH_OCTETS for h in hashes):
            raise NoteInvalid("a tlog-proof with a malformed index or hash")
        return cls(int(number), hashes, checkpoint)

    def verify(self, entry: bytes, keys: Iterable[str | VerifierKey]) -> bool:
        """Whether `entry`, the leaf's bytes as stored, stands at `index` of a tree that one of `keys` has signed.

        Raises:
            UsageError: a verifier key that is none.
        """
        try:
            tree = Checkpoint.open(self.checkpoint, keys)
        except NoteInvalid:
            return False
        return verify_inclusion(self.index, tree.size, tree.root, leaf_hash(entry), self.hashes)
