"""Going through all entries of a tree once, trusting nothing but their bytes.

Hashes are taken of the bytes as found; what they say is judged after (`frame`) and decides nothing about the root.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .frame import Frames
from .rebuilt import Rebuilt, leaf_hashes

__all__ = ["Replay"]


class Replay:
    """The tree as its entries give it, and the first thing that is wrong with them.

    Args:
        tenant_id: the tenant all entries must be of; None takes that of the first entry.
        marks: sizes whose roots are wanted.
        thorough: parse every entry, see `frame`.
    """

    def __init__(self, tenant_id: str | None, marks: Iterable[int], *, thorough: bool = True) -> None:
        self.tree: Rebuilt = Rebuilt(marks)
        self.first_bad_seq: int | None = None
        self.reason: str = ""
        self.thorough: bool = thorough
        self._frames: Frames = Frames(tenant_id, thorough=thorough)

    @property
    def size(self) -> int:
        """Entries gone through."""
        return self.tree.size

    @property
    def in_order(self) -> bool:
        """Whether `recorded_at` never went back."""
        return self._frames.in_order

    def fault(self, reason: str, seq: int | None = None) -> None:
        """Notes what is wrong; the lowest `seq` wins, and the first reason stands with it."""
        lower = seq is not None and (self.first_bad_seq is None or seq < self.first_bad_seq)
        if lower or not self.reason:
            self.reason = reason
        if lower:
            self.first_bad_seq = seq

    def add(self, entries: Sequence[bytes]) -> list[bytes]:
        """Takes the next entries; returns their leaf hashes."""
        start = self.size
        hashes = leaf_hashes(entries)
        self.tree.add(hashes)
        for seq, reason in self._frames.faults(entries, start):
            self.fault(reason, seq)
        return hashes
