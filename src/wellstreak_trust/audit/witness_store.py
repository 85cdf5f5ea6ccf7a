"""What a witness remembers: of each log the latest state it cosigned, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import ClassVar, Protocol

__all__ = ["MemoryWitnessStore", "WitnessStore", "Witnessed"]


@dataclass(frozen=True, slots=True)
class Witnessed:
    """The latest state of a log that was cosigned; `note` is what the log signed, which may prove its misbehaviour."""

    size: int
    root: bytes
    note: str


class WitnessStore(Protocol):
    """Keeps one state for each origin. Every verb is one atomic step; a store that is down raises `Unavailable`."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def latest(self, origin: str) -> Witnessed | None:
        """The state cosigned last."""
        ...

    async def swap_if(self, origin: str, old: Witnessed | None, new: Witnessed) -> bool:
        """Replaces `old` by `new` if `old` still stands, durably before it answers; tells whether it did.

        One step, because of two requests that were checked against one state the later must not undo the earlier.
        """
        ...


class MemoryWitnessStore:
    """States in a dictionary. A witness that forgets cosigns what contradicts its own past: for tests alone.

    Args:
        allow_memory: accept in production that what was cosigned is lost with the process.
    """

    suspends: ClassVar[bool] = False

    def __init__(self, *, allow_memory: bool = False) -> None:
        self.volatile: bool = not allow_memory
        self._lock: Lock = Lock()
        self._states: dict[str, Witnessed] = {}

    async def latest(self, origin: str) -> Witnessed | None:
        """As `WitnessStore.latest`."""
        return self._states.get(origin)

    async def swap_if(self, origin: str, old: Witnessed | None, new: Witnessed) -> bool:
        """As `WitnessStore.swap_if`."""
        with self._lock:
            if self._states.get(origin) != old:
                return False
            self._states[origin] = new
            return True
