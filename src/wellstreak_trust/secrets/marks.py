"""What this process remembers of the secrets it has seen: the highest revision, and the last rows that verified."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from ..core.errors import SecretRollbackDetected
from ..core.processes import renewed_in_children
from .envelope import EnvelopeKey
from .rows import Head, SecretRow
from .rules import Address

__all__ = ["Marks", "Proven"]

_MOST: Final = 2**17
_MOST_PROVEN: Final = 1_024
_LARGEST_PROVEN: Final = 4_096


class Marks:
    """Tells when an older state of a secret comes back, as after a restore under a running process.

    Of more than 131,072 secrets the longest untouched are forgotten. Other processes have marks of their own: between
    them, the audit trail is what an older state is compared with.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[Address, int] = OrderedDict()
        self._lock: threading.Lock = threading.Lock()
        renewed_in_children(self)

    def renew(self) -> None:
        """A lock of its own for a forked child, which knows what its parent has seen."""
        self._lock = threading.Lock()

    def of(self, address: Address) -> int:
        """The mark. Take it before the read begins, or a faster neighbour's write raises a false alarm."""
        return self._seen.get(address, 0)

    def passed(self, address: Address, revision: int, mark: int) -> None:
        """Compares what was read (0: nothing) with the mark and raises the mark; `SecretRollbackDetected` below it."""
        if revision < mark:
            raise SecretRollbackDetected(
                "an older state of a secret came back", hint="was the database restored? compare with the audit trail"
            )
        if revision == 0:
            return
        with self._lock:
            self._seen[address] = max(revision, self._seen.get(address, 0))
            self._seen.move_to_end(address)
            if len(self._seen) > _MOST:
                self._seen.popitem(last=False)


class Proven:
    """Rows whose codes have verified: what comes back byte for byte under the same key has no code to compute again.

    Of small secrets only, and of few; what is remembered is what the database holds, and opens nothing.
    """

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: dict[Address, tuple[EnvelopeKey, Head, SecretRow]] = {}

    def find(
        self, address: Address, key: EnvelopeKey, head: Head, row: SecretRow | None
    ) -> tuple[Head, SecretRow] | None:
        """The rows as they were when they verified, if these are the same: 1 equals 1.0, and only one is sound."""
        known = self._rows.get(address)
        if known is None or known[0] is not key or known[1] != head or known[2] != row:
            return None
        return known[1:]

    def keep(self, address: Address, key: EnvelopeKey, head: Head, row: SecretRow) -> None:
        """Remembers a pair that has verified."""
        if row.envelope is not None and len(row.envelope) <= _LARGEST_PROVEN:
            if len(self._rows) >= _MOST_PROVEN:
                self._rows.clear()
            self._rows[address] = (key, head, row)
