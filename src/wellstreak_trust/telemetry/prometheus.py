"""The bridge to Prometheus: a collector that reads the counters when it is scraped.

Names are those of the families with underscores, and ``_total`` for counters: ``wst_ratelimit_verdicts_total``. The
multi-process mode of prometheus_client does not see custom collectors; scrape each worker, or use OpenTelemetry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ..core.errors import MissingExtra
from .counters import Counters
from .families import meaning

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector
except ImportError:
    raise MissingExtra(
        "the Prometheus bridge needs prometheus_client",
        hint="pip install 'wellstreak-trust[prometheus]'",
        reason="extra",
    ) from None

__all__ = ["CountersCollector", "collector"]

_ODD: Final = re.compile(r"[^a-zA-Z0-9_]")


class CountersCollector(Collector):
    """Reads one `Counters`; register it where you register yours: ``registry.register(collector(counters))``."""

    def __init__(self, counters: Counters) -> None:
        self._counters: Counters = counters

    def collect(self) -> Iterator[Metric]:
        """One metric family for each family of the counters."""
        for name, kind in sorted(self._counters.families().items()):
            series = self._counters.family(name)
            labels = sorted({label for found, _ in series for label, _ in found})
            spelled, names = _ODD.sub("_", name), [_ODD.sub("_", label) for label in labels]
            metric = (CounterMetricFamily if kind == "counter" else GaugeMetricFamily)(
                spelled, meaning(name), labels=names
            )
            for found, value in series:
                held = dict(found)
                metric.add_metric([held.get(label, "") for label in labels], value)
            yield metric


def collector(counters: Counters) -> CountersCollector:
    """A collector over these counters; it registers itself nowhere."""
    return CountersCollector(counters)
