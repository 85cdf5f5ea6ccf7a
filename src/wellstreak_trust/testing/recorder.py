"""Audit events, kept in a list for a test to look at."""

from __future__ import annotations

from typing import Final

from ..core.event import AuditEvent, Outcome
from ..core.sansio import synced

__all__ = ["EventRecorder"]


class EventRecorder:
    """An `EventSink` that keeps what it is told: ``SessionManager(store, audit=EventRecorder())``.

    Attributes:
        events: in the order in which they came.
    """

    suspends: bool = False

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []

    async def aemit(self, event: AuditEvent, /) -> None:
        """Keeps one event."""
        self.events.append(event)

    emit: Final = synced(aemit)

    @property
    def told(self) -> list[tuple[str, Outcome]]:
        """Action and outcome of each, to compare with what a test expects."""
        return [(event.action, event.outcome) for event in self.events]

    def one(self, action: str) -> AuditEvent:
        """The one event of an action.

        Raises:
            AssertionError: there is none, or more than one.
        """
        found = [event for event in self.events if event.action == action]
        if len(found) != 1:
            raise AssertionError(f"{len(found)} events {action!r} among {[event.action for event in self.events]}")
        return found[0]
