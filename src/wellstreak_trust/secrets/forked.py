"""What a forked child must not inherit as it is: locks that a thread holds which does not exist there, and keys."""

from __future__ import annotations

import os
import weakref
from typing import Final, Protocol

__all__ = ["renewed_in_children"]


class _Held(Protocol):
    def renew(self) -> None:
        """Makes locks anew, and forgets what a child must not have."""
        ...


_HELD: Final[weakref.WeakSet[_Held]] = weakref.WeakSet()


def renewed_in_children(held: _Held) -> None:
    """Calls ``held.renew()`` in every child, as long as `held` lives."""
    _HELD.add(held)


def _after_fork() -> None:
    for held in tuple(_HELD):
        held.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
