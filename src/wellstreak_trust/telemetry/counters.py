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
from typing import Final

__all__ = ["Counters", "Labels"]

Labels = tuple[tuple[str, str], ...]
_MAX_SERIES: Final = 2_000
_OTHER: Final = "other"


class Counters:
    """Named counters and gauges with labels; thread-safe."""

    def __init__(self) -> None:
        self._lock: threading.Lock = threading.Lock()
        self._values: dict[tuple[str, Labels], int] = {}
        self._series: dict[str, int] = {}

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
            self._values[self._admit((name, tuple(sorted(labels.items()))))] = value

    def snapshot(self) -> Mapping[tuple[str, Labels], int]:
        """Every series at this moment, read-only."""
        with self._lock:
            return MappingProxyType(dict(self._values))

    def _add(self, key: tuple[str, Labels], amount: int) -> None:
        with self._lock:
            held = self._values.get(key)
            if held is None:
                key = self._admit(key)
                held = self._values.get(key, 0)
            self._values[key] = held + amount

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
