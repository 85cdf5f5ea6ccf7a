"""Counters at the cost of a dictionary.

A policy check of a few microseconds must not pay twenty for a metric, so decisions are counted in process and bridges
(OpenTelemetry, Prometheus) *read* the snapshot. Label values come from closed sets: never a tenant, user, address or
path with ids, because each value is a time series for ever.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal

__all__ = ["Counters", "Kind", "Labels"]

Labels = tuple[tuple[str, str], ...]
Kind = Literal["counter", "gauge"]
_MAX_SERIES: Final = 2_000
_OTHER: Final = "other"


class Counters:
    """Named counters and gauges with labels; thread-safe."""

    def __init__(self) -> None:
        self._lock: threading.Lock = threading.Lock()
        self._values: dict[tuple[str, Labels], int] = {}
        self._series: dict[str, int] = {}
        self._kinds: dict[str, Kind] = {}
        self._watchers: list[Callable[[str, Kind], None]] = []

    def add(self, name: str, amount: int = 1, /, **labels: str) -> None:
        """Adds `amount` to one series. A family past 2,000 label sets counts the rest under ``other``."""
        self._add((name, tuple(sorted(labels.items()))), amount)

    def bind(self, name: str, /, **labels: str) -> Callable[[], None]:
        """A bound increment of one series, with its key made once at the call site."""
        key = (name, tuple(sorted(labels.items())))
        return lambda: self._add(key, 1)

    def gauge(self, name: str, value: int, /, **labels: str) -> None:
        """Sets one series."""
        with self._lock:
            fresh = self._of_kind(name, "gauge")
            self._values[self._admit((name, tuple(sorted(labels.items()))))] = value
        self._announce(name, fresh)

    def snapshot(self) -> Mapping[tuple[str, Labels], int]:
        """Every series at this moment, read-only."""
        with self._lock:
            return MappingProxyType(dict(self._values))

    def family(self, name: str) -> list[tuple[Labels, int]]:
        """(labels, value) of every series of one family."""
        with self._lock:
            return [(labels, value) for (held, labels), value in self._values.items() if held == name]

    def families(self) -> Mapping[str, Kind]:
        """The families seen so far."""
        return dict(self._kinds)

    def watch(self, watcher: Callable[[str, Kind], None]) -> None:
        """Calls ``watcher(name, kind)`` for every family there is and for each that comes; it must not raise."""
        with self._lock:
            self._watchers.append(watcher)
            known = dict(self._kinds)
        for name, kind in known.items():
            watcher(name, kind)

    def _add(self, key: tuple[str, Labels], amount: int) -> None:
        fresh: list[Callable[[str, Kind], None]] = []
        with self._lock:
            held = self._values.get(key)
            if held is None:
                fresh = self._of_kind(key[0], "counter")
                key = self._admit(key)
                held = self._values.get(key, 0)
            self._values[key] = held + amount
        if fresh:
            self._announce(key[0], fresh)

    def _of_kind(self, name: str, kind: Kind) -> list[Callable[[str, Kind], None]]:
        """Who is to be told of a family that is new; the caller holds the lock and tells outside of it."""
        if name in self._kinds:
            return []
        self._kinds[name] = kind
        return list(self._watchers)

    def _announce(self, name: str, watchers: list[Callable[[str, Kind], None]]) -> None:
        for watcher in watchers:
            watcher(name, self._kinds[name])

    def _admit(self, key: tuple[str, Labels]) -> tuple[str, Labels]:
        name, labels = key
        if key in self._values:
            return key
        known = self._series.get(name, 0)
        if known >= _MAX_SERIES:
            if known == _MAX_SERIES:
                self._series[name] = known + 1
                warnings.warn(f"{name} has more than {_MAX_SERIES} label sets", RuntimeWarning, stacklevel=4)
            return name, tuple((label, _OTHER) for label, _ in labels)
        self._series[name] = known + 1
        return key
