"""High-water marks: the highest revision that this process has seen of each secret."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from ..core.errors import SecretRollbackDetected
from .rules import Address

__all__ = ["Marks"]

_MOST: Final = 2**17


class Marks:
    """Tells when an older state of a secret comes back, as after a restore under a running process.

    Of more than 131,072 secrets the longest untouched are forgotten. Other processes have marks of their own: between
    them, the audit trail is what an older state is compared with.
    """

    __slots__ = ("_lock", "_seen")

    def __init__(self) -> None:
        self._seen: OrderedDict[Address, int] = OrderedDict()
        self._lock: threading.Lock = threading.Lock()

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
