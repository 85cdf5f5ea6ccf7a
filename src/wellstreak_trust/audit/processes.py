"""State that must not survive a `fork()`: locks that a thread of the parent holds, queues of threads that are not here.

A server that loads the application once and forks its workers copies all of it in whatever state it is in. So each
process makes its own, and finds it by its process id.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["PerProcess"]

T = TypeVar("T")


class PerProcess(Generic[T]):
    """One `T` a process, made when first asked for."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make: Callable[[], T] = make
        self._made: dict[int, T] = {}

    def here(self) -> T:
        """That of this process."""
        process = os.getpid()
        found = self._made.get(process)
        return found if found is not None else self._made.setdefault(process, self._make())
