"""`CountedSink`: every event that goes to the trail, counted by action and outcome.

One place instead of a counter in each primitive: what is worth recording is worth counting, and the registry keeps the
set of actions closed. It counts what the sink took; what the sink refused is counted apart, because a trail that says
no stops work.
"""

from __future__ import annotations

from ..core.event import AuditEvent, EventSink
from ..core.sansio import suspends
from .counters import Counters

__all__ = ["CountedSink"]


class CountedSink:
    """An `EventSink` before another one. Hand it to the parts and to `Trust` in place of the log.

    Counts ``wst.audit.events`` by action and outcome, and ``wst.audit.refused`` by action and the error's name.

    Args:
        sink: the audit log, or a further sink before it.
        counters: where it counts.
    """

    def __init__(self, sink: EventSink, counters: Counters) -> None:
        self.suspends: bool = suspends(sink)
        self.sink: EventSink = sink
        self._counters: Counters = counters

    async def aemit(self, event: AuditEvent, /) -> object:
        """Records the event and counts it; returns and raises what the sink does."""
        try:
            receipt = await self.sink.aemit(event)
        except Exception as error:
            self._counters.add("wst.audit.refused", action=event.action, error=type(error).__name__)
            raise
        self._counters.add("wst.audit.events", action=event.action, outcome=event.outcome)
        return receipt
