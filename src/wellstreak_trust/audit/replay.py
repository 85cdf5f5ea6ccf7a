"""Going through all entries of a tree once, trusting nothing but their bytes.

Hashes are taken of the bytes as found; what they say is judged after (`frame`) and decides nothing about the root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from .frame import Frames, parsed
from .rebuilt import Rebuilt, leaf_hashes

__all__ = ["Replay", "Watch"]

Watch = Callable[[int, Sequence[bytes]], object]
"""Handed the place of the first entry, and entries, as they come."""

_OURS: Final = b'{"action":"audit.'  # `action` is the first key of every leaf
_ERASED: Final = b'{"action":"audit.subject_erased",'
_PRUNED: Final = b'{"action":"audit.pruned",'


class Replay:
    """The tree as its entries give it, and the first thing that is wrong with them.

    Args:
        tenant_id: the tenant all entries must be of; None takes that of the first entry.
        marks: sizes whose roots are wanted.
        thorough: parse every entry, see `frame`.
        watch: handed all entries.

    Attributes:
        erased: personal values that the trail says were erased.
        pruned_to: the place up to which the trail says that entries were pruned.
    """

    def __init__(
        self,
        tenant_id: str | None,
        marks: Iterable[int],
        *,
        thorough: bool = True,
        watch: Watch | None = None,
    ) -> None:
        self.tree: Rebuilt = Rebuilt(marks)
        self.first_bad_seq: int | None = None
        self.reason: str = ""
        self.thorough: bool = thorough
        self.erased: int = 0
        self.pruned_to: int = 0
        self._watch: Watch | None = watch
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
        for entry in [entry for entry in entries if entry.startswith(_OURS)]:
            if entry.startswith(_ERASED):
                self.erased += _number(entry, "count")
            elif entry.startswith(_PRUNED):
                self.pruned_to = max(self.pruned_to, _number(entry, "first"))
        if self._watch is not None:
            self._watch(start, entries)
        return hashes


def _number(entry: bytes, name: str) -> int:
    """A number of what was done; an attempt has done nothing yet."""
    fields = parsed(entry)
    data = fields.get("data")
    found = data.get(name) if isinstance(data, dict) and fields.get("outcome") == "success" else 0
    return found if type(found) is int and found > 0 else 0
