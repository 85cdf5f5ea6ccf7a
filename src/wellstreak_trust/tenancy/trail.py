"""The trail of the ways around a tenant: whatever lets code leave its tenant is written there first."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import Any, Final

from ..core.event import AuditEvent, EventSink

__all__ = ["INSTALLED", "Sink", "arecord", "install_elevation_sink", "said"]

Sink = EventSink | Callable[[AuditEvent], object]


class _Installed:
    """Holds the sink that `Trust` installs."""

    __slots__ = ("sink",)

    def __init__(self) -> None:
        self.sink: Sink | None = None


INSTALLED: Final = _Installed()


def install_elevation_sink(sink: Sink | None) -> None:
    """Makes `sink` (an `EventSink`, or a callable of one event) the trail of every `elevate` and `unscoped` without
    their own."""
    INSTALLED.sink = sink


async def arecord(sink: Sink, event: AuditEvent) -> None:
    """Writes one event; what the sink raises passes."""
    emit: Any = getattr(sink, "aemit", sink)
    done = emit(event)
    if isawaitable(done):
        await done


def said(text: object) -> bool:
    """Whether somebody gave words."""
    return isinstance(text, str) and bool(text.strip())
