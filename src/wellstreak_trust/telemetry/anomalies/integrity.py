"""Detectors of the trail itself: its clock, attempts without an end, and silence."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import ClassVar, Final

from .detector import Absence, Detector
from .finding import AnomalyConfig, Finding
from .record import Record
from .windows import SEQS, Subjects, micros, until

__all__ = ["AuditGap", "ClockRegression", "DanglingIntent"]

_HEARTBEATS: Final = 3
_INTENTS: Final = 1_000  # remembered of one actor, action and request


class ClockRegression(Detector):
    """`recorded_at` goes back while `seq` goes on."""

    rule_id: ClassVar[str] = "wst.clock_regression"
    actions: ClassVar[frozenset[str] | None] = None

    def __init__(self, config: AnomalyConfig) -> None:
        self._tolerance: int = micros(config.clock_tolerance)
        self._last: Subjects[str, list[int]] = Subjects(config.subjects, lambda: [0, 0])

    def see(self, record: Record) -> Finding | None:
        """See `Detector`."""
        last = self._last.get(record.tenant) or self._last.at(record.tenant)
        if record.at < last[0] - self._tolerance:
            back = (last[0] - record.at) / 1_000_000
            seqs = (last[1], record.seq)
            last[:] = [record.at, record.seq]
            return self.found(record, "log", f"back by {back:.0f} s", seqs, record.at)
        if record.at >= last[0]:
            last[0], last[1] = record.at, record.seq
        return None


class DanglingIntent(Detector):
    """An ``attempted`` without an outcome: the work, or its record, was cut short."""

    rule_id: ClassVar[str] = "wst.dangling_intent"
    actions: ClassVar[frozenset[str] | None] = None

    def __init__(self, config: AnomalyConfig) -> None:
        self._span: int = micros(config.intent)
        self._open: Subjects[tuple[str, str, str, str], deque[tuple[int, int]]] = Subjects(
            config.subjects, lambda: deque(maxlen=_INTENTS)
        )

    def see(self, record: Record) -> Finding | None:
        """See `Detector`."""
        if record.outcome == "attempted":
            self._open.at(self._key(record)).append((record.at, record.seq))
        elif self._open:
            key = self._key(record)
            waiting = self._open.get(key)
            if waiting:
                waiting.popleft()
                if not waiting:
                    del self._open[key]
        return None

    def end(self, at: int) -> Iterator[Absence]:
        """See `Detector`."""
        for key, waiting in list(self._open.items()):
            late = until(waiting, at - self._span)
            if not waiting:
                del self._open[key]
            if late:
                told = f"{key[1]} was attempted {len(late)} times without an end"
                yield key[0], key[2], told, tuple(seq for _, seq in late[-SEQS:]), late[0][0]

    def _key(self, record: Record) -> tuple[str, str, str, str]:
        request = record.part("request").get("id")
        return record.tenant, record.action, record.actor, request if isinstance(request, str) else ""


class AuditGap(Detector):
    """An ``audit.gap`` event, or no event of the log's own for three heartbeats."""

    rule_id: ClassVar[str] = "wst.audit_gap"
    actions: ClassVar[frozenset[str] | None] = frozenset(
        ("audit.gap", "audit.heartbeat", "audit.tree_head", "audit.tail_cut")
    )

    def __init__(self, config: AnomalyConfig) -> None:
        self._silence: int = micros(config.heartbeat) * _HEARTBEATS if config.heartbeat is not None else 0
        self._last: Subjects[str, list[int]] = Subjects(config.subjects, lambda: [0, 0])

    def see(self, record: Record) -> Finding | None:
        """See `Detector`."""
        if record.action in ("audit.gap", "audit.tail_cut"):
            count = record.part("data").get("count")
            lost = f"{count} events" if isinstance(count, int) else "events"
            return self.found(record, "log", f"{lost} could not be recorded", (record.seq,), record.at)
        last = self._last.at(record.tenant)
        before, seq = last
        last[:] = [record.at, record.seq]
        if not self._silence or not before or record.at - before <= self._silence:
            return None
        silent = f"silent for {(record.at - before) // 1_000_000} s"
        return self.found(record, "log", silent, (seq, record.seq), before)

    def end(self, at: int) -> Iterator[Absence]:
        """See `Detector`."""
        for tenant, (last, seq) in list(self._last.items()):
            if self._silence and at - last > self._silence:
                yield tenant, "log", f"silent for {(at - last) // 1_000_000} s", (seq,), last
                del self._last[tenant]
