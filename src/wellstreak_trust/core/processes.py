"""State that must not survive a `fork()`: locks that a thread of the parent holds, queues of threads that are not here,
keys that a child must not have.

A server that loads the application once and forks its workers copies all of it in whatever state it is in. So a child
makes its own, before anything else runs in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar
from weakref import WeakSet

__all__ = ["PerProcess", "renewed_in_children"]

T = TypeVar("T")


class _Held(Protocol):
    def renew(self) -> None:
        """Makes locks anew, and forgets what a child must not have."""
        ...


_HELD: Final[WeakSet[_Held]] = WeakSet()


def renewed_in_children(held: _Held) -> None:
    """Calls ``held.renew()`` in every child, as long as `held` lives."""
    _HELD.add(held)


class PerProcess(Generic[T]):
    """One `T` a process.

    Attributes:
        here: that of this process.
    """

    __slots__ = ("__weakref__", "_make", "here")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make: Callable[[], T] = make
        self.here: T = make()
        renewed_in_children(self)

    def renew(self) -> None:
        """Makes a new one; what the parent left in the old one is the parent's."""
        self.here = self._make()


def _renew_all() -> None:
    for held in tuple(_HELD):
        held.renew()


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_renew_all)
