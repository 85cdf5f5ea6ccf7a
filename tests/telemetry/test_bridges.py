"""Counters as OpenTelemetry and Prometheus read them, spans that learn of decisions, and what lines carry."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from wellstreak_trust import Principal
from wellstreak_trust.core import AuditEvent, ConfigurationError
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.telemetry import Counters, capture, restore, security_event
from wellstreak_trust.telemetry.logging import bind_trust_context
from wellstreak_trust.telemetry.otel import TracedSink, attach, bind_trace
from wellstreak_trust.telemetry.prometheus import collector

TRACER = TracerProvider().get_tracer("test")


def points(reader: InMemoryMetricReader) -> dict[str, Any]:
    data: Any = reader.get_metrics_data()
    if data is None:
        return {}
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    return {
        metric.name: sorted((dict(point.attributes), point.value) for point in metric.data.data_points)
        for metric in sorted(metrics, key=lambda metric: metric.name)
    }


def test_opentelemetry_reads_the_counters_and_learns_of_new_families() -> None:
    counters, reader = Counters(), InMemoryMetricReader()
    counters.add("wst.guard.refused", code="denied")
    attach(counters, MeterProvider([reader]).get_meter("test"))
    counters.add("wst.guard.refused", 2, code="denied")
    counters.gauge("host.queue", 7, name="mail")
    assert points(reader) == {
        "host.queue": [({"name": "mail"}, 7)],
        "wst.guard.refused": [({"code": "denied"}, 3)],
    }
    counters.gauge("host.queue", 1, name="mail")
    assert points(reader)["host.queue"] == [({"name": "mail"}, 1)]


def test_prometheus_reads_them_when_it_is_scraped() -> None:
    counters, registry = Counters(), CollectorRegistry()
    registry.register(collector(counters))
    counters.add("wst.ratelimit.verdicts", 3, rule='te"na\nnt', outcome="allowed")
    counters.add("wst.ratelimit.verdicts", 1, rule="user")
    counters.gauge("wst.audit.pending", 4)
    found = {family.name: family for family in text_string_to_metric_families(generate_latest(registry).decode())}
    verdicts = found["wst_ratelimit_verdicts"]
    assert verdicts.type == "counter"
    assert verdicts.documentation.startswith("Verdicts of limits")
    assert sorted(
        (sample.name, sample.labels["rule"], sample.labels["outcome"], sample.value) for sample in verdicts.samples
    ) == [
        ("wst_ratelimit_verdicts_total", 'te"na\nnt', "allowed", 3.0),
        ("wst_ratelimit_verdicts_total", "user", "", 1.0),
    ]
    assert found["wst_audit_pending"].samples[0].value == 4.0
    counters.add("wst.guard.refused")
    assert b"wst_guard_refused_total 1.0" in generate_latest(registry)


class Sink:
    suspends = False

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []

    async def aemit(self, event: AuditEvent) -> str:
        self.events.append(event)
        return "receipt"


EVENT = AuditEvent(
    "access.denied",
    "denied",
    "acme",
    Principal("ada@example.com"),
    request={"id": "r1"},
    decision={"allowed": False, "rule_ids": ["suspended"]},
)


@pytest.mark.asvs("14.2.3")
def test_a_decision_is_an_event_of_the_span_with_a_pseudonym() -> None:
    sink = Sink()
    traced = TracedSink(sink, key=b"k" * 32)
    with TRACER.start_as_current_span("request") as span:
        assert drive(traced.aemit(EVENT)) == "receipt"
        context = span.get_span_context()
    (event,) = span.events  # type: ignore[attr-defined]  # the SDK's span
    assert event.name == "access.denied"
    attributes = dict(event.attributes)
    assert attributes["event.outcome"] == "denied"
    assert attributes["security_rule.name"] == ("suspended",)
    assert len(attributes["enduser.pseudo.id"]) == 32
    assert "ada" not in repr(attributes)
    assert sink.events[0].request == {
        "id": "r1",
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
    }
    assert EVENT.request == {"id": "r1"}


def test_without_a_recording_span_nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink()
    traced = TracedSink(sink)
    monkeypatch.setattr(traced, "_attributes", lambda event: pytest.fail("built for nobody"), raising=False)
    drive(traced.aemit(EVENT))
    assert sink.events == [EVENT]


def test_pseudonyms_need_the_key() -> None:
    found = set()
    for key in (b"a" * 32, b"b" * 32, b"a" * 32):
        with TRACER.start_as_current_span("request") as span:
            drive(TracedSink(Sink(), key).aemit(EVENT))
        found.add(span.events[0].attributes["enduser.pseudo.id"])  # type: ignore[attr-defined]  # the SDK's span
    assert len(found) == 2
    with pytest.raises(ConfigurationError):
        TracedSink(Sink(), b"short")


def test_lines_carry_the_trace() -> None:
    assert bind_trace(None, "info", {}) == {}
    with TRACER.start_as_current_span("request"):
        found = bind_trace(None, "info", {"span_id": "mine"})
        assert found["span_id"] == "mine"
        assert len(found["trace_id"]) == 32


def test_facts_travel_into_a_thread_and_do_not_stay_there() -> None:
    def line() -> dict[str, Any]:
        return dict(bind_trust_context(None, "info", {}))

    with ThreadPoolExecutor(1) as pool:
        with restore({"tenant_id": "acme"}):
            carried = capture()

        def job() -> dict[str, Any]:
            with restore(carried):
                return line()

        assert pool.submit(job).result() == {"tenant_id": "acme"}
        assert pool.submit(line).result() == {}
    assert line() == {}


def test_a_security_event_has_a_stable_name_and_its_level() -> None:
    with structlog.testing.capture_logs() as lines:
        security_event("access.denied", outcome="denied", permission="billing:update")
        security_event("wst.denial_burst", rule="wst.denial_burst", subject="u1")
        security_event("audit.broken", outcome="error")
    assert [(line["log_level"], line["event.name"]) for line in lines] == [
        ("info", "access.denied"),
        ("warning", "wst.denial_burst"),
        ("error", "audit.broken"),
    ]


def test_an_asynchronous_sink_is_awaited() -> None:
    class Slow(Sink):
        suspends = True

        async def aemit(self, event: AuditEvent) -> str:
            await asyncio.sleep(0)
            return await super().aemit(event)

    traced = TracedSink(Slow())
    assert traced.suspends
    assert asyncio.run(traced.aemit(EVENT)) == "receipt"
    assert trace.get_current_span().is_recording() is False
