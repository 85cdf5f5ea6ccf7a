"""Whether somebody awaits us on an event loop, who would be kept waiting by a call that blocks."""

from __future__ import annotations

import asyncio
import sys
from types import FrameType

from ..core.sansio import drive

__all__ = ["awaited"]


def awaited() -> bool:
    """False without a running loop, and under the sync face even on a loop's thread: what is driven must not wait.

    A look at the frames, for moments that are rare: before a key service is called or a lease is waited for. Telling
    it beforehand would cost every operation.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code is not drive.__code__:
        frame = frame.f_back
    return frame is None
