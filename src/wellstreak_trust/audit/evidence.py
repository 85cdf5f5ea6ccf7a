"""What a pass over a source gathers for a verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from ..core.errors import NoteInvalid
from .checkpoint import Checkpoint, is_origin_of
from .note import VerifierKey
from .replay import Replay, Watch
from .tree import HASH_OCTETS

__all__ = ["CHANGED", "Evidence", "Keys", "Look", "Progress", "compare", "opened"]

CHANGED: Final = "an entry does not hash to what was recorded"
_PARSED_ALWAYS: Final = 10_000  # entries; parsing them takes a tenth of a second
Keys = Sequence[VerifierKey]
Signature = Literal["verified", "failed", "not_checked"]
Progress = Callable[[int, int], object]
"""Called with entries done and entries there are."""


@dataclass(frozen=True, slots=True)
class Look:
    """How to look.

    Args:
        tenant_id: the tenant all entries must be of.
        keys: those of the log.
        marks: sizes whose roots are wanted.
        minimum: entries below this index may have been pruned; None believes what the trail itself says about it.
        thorough: parse every entry; None decides by their number.
        progress: told now and then.
        watch: handed all entries.
    """

    tenant_id: str | None = None
    keys: Keys = ()
    marks: tuple[int, ...] = ()
    minimum: int | None = None
    thorough: bool | None = None
    progress: Progress | None = None
    watch: Watch | None = None

    def replay(self, size: int, *more: int) -> Replay:
        """A pass over so many entries; `more` are further sizes whose roots are wanted."""
        thorough = size <= _PARSED_ALWAYS if self.thorough is None else self.thorough
        return Replay(self.tenant_id, (*self.marks, *more), thorough=thorough, watch=self.watch)

    def told(self, done: int, total: int) -> None:
        """Passes progress on."""
        if self.progress is not None:
            self.progress(done, total)


@dataclass(slots=True)
class Evidence:
    """One pass over a source.

    Args:
        replay: the tree as its entries give it.
        claimed: how many entries the source says it has.
        origin: what the source's checkpoint calls the tree, where one was read.
        signature: whether a known key signed a state of this tree; `signed_size` is that state.
        pruned: entries that are known by their hashes only.
        notes: signed notes of states that this tree has, for the cosignatures on them.
        tenant_id: whose tree was read, where the source told it apart from others.
    """

    replay: Replay
    claimed: int
    origin: str | None = None
    signature: Signature = "not_checked"
    signed_size: int = 0
    pruned: int = 0
    notes: list[str] = field(default_factory=list)
    tenant_id: str | None = None

    def may_be(self, origin: str) -> bool:
        """Whether this can be the tree of that name; a root alone does not tell, for all empty trees share one."""
        if self.origin is not None:
            return self.origin == origin
        return self.tenant_id is None or is_origin_of(origin, self.tenant_id)

    def account(self, minimum: int | None) -> None:
        """Entries that are gone must have been pruned: the caller knows of it, or an entry that is still here says so.

        Else deleting the oldest entries would only take a claim that they were pruned.
        """
        allowed = self.replay.pruned_to if minimum is None else minimum
        if self.pruned > allowed and self.replay.size == self.claimed:
            self.replay.fault("entries are gone that no pruning accounts for", allowed)


def opened(note: bytes | str, keys: Keys) -> Checkpoint | None:
    """The checkpoint that a known key signed, else None."""
    try:
        return Checkpoint.open(note, keys)
    except NoteInvalid:
        return None


def compare(hashes: bytes, start: int, found: bytes, replay: Replay) -> None:
    """Finds the first leaf hash that differs from its entry's; what is cut or added is found later."""
    if hashes == found:
        return
    for at in range(0, min(len(found), len(hashes) // HASH_OCTETS * HASH_OCTETS), HASH_OCTETS):
        if hashes[at : at + HASH_OCTETS] != found[at : at + HASH_OCTETS]:
            replay.fault(CHANGED, start + at // HASH_OCTETS)
            return
