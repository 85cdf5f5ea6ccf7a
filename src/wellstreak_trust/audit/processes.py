"""State that must not survive a `fork()`: locks that a thread of the parent holds, queues of threads that are not here.

A server that loads the application once and forks its workers copies all of it in whatever state it is in. So a child
makes its own, before anything else runs in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar
from weakref import WeakSet

__all__ = ["PerProcess"]

T = TypeVar("T")


class PerProcess(Generic[T]):
    """One `T` a process.

    Attributes:
        here: that of this process.
    """

    __slots__ = ("__weakref__", "_make", "here")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make: Callable[[], T] = make
        self.here: T = make()
        _ALL.add(self)

    def renew(self) -> None:
        """Makes a new one; what the parent left in the old one is the parent's."""
        self.here = self._make()


_ALL: Final[WeakSet[PerProcess[Any]]] = WeakSet()


def _renew_all() -> None:
    for each in list(_ALL):
        each.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
