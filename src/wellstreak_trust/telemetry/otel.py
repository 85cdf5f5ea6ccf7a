"""The bridge to OpenTelemetry: metrics are *read* from the counters, decisions become events of the current span.

Only the API package is needed. Recording a measurement costs the SDK a hundred times what a dictionary does, so the
counters stay what they are and the SDK asks for them when it exports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Final

from ..core.entropy import SYSTEM_ENTROPY
from ..core.errors import ConfigurationError, MissingExtra
from ..core.event import AuditEvent, EventSink
from ..core.principal import Principal
from ..core.sansio import suspends
from .counters import Counters, Kind
from .families import meaning

try:
    from opentelemetry import metrics, trace
    from opentelemetry.metrics import CallbackOptions, Meter, Observation
except ImportError:
    raise MissingExtra(
        "the OpenTelemetry bridge needs its API", hint="pip install 'wellstreak-trust[otel]'", reason="extra"
    ) from None

__all__ = ["TracedSink", "attach", "bind_trace"]

_SCOPE: Final = "wellstreak_trust"

# The conventions for users and security rules are "in development": their names change here and nowhere else.
_NAMES: Final[Mapping[str, str]] = {
    "pseudonym": "enduser.pseudo.id",
    "roles": "user.roles",
    "session": "session.id",
    "address": "client.address",
    "rule": "security_rule.name",
    "category": "security_rule.category",
    "tenant": "wellstreak.tenant.id",
    "outcome": "event.outcome",
}


def attach(counters: Counters, meter: Meter | None = None) -> None:
    """Lets OpenTelemetry read the counters: one observable instrument a family, those that come later too.

    Args:
        meter: of your provider; the global one's unless given.
    """
    source = meter if meter is not None else metrics.get_meter(_SCOPE)

    def observe(name: str) -> Callable[[CallbackOptions], list[Observation]]:
        return lambda _: [Observation(value, dict(labels)) for labels, value in counters.family(name)]

    def family(name: str, kind: Kind) -> None:
        create = source.create_observable_counter if kind == "counter" else source.create_observable_gauge
        create(name, callbacks=[observe(name)], description=meaning(name))

    counters.watch(family)


class TracedSink:
    """An `EventSink` before another one: each event also becomes an event of the current span, and learns its ids.

    Nothing is built unless the span records. A person's id is a keyed hash, never the id, an address or a name; the
    same key in all processes makes the same pseudonym.

    Args:
        sink: the audit log.
        key: 16 to 64 octets; random unless given, so that pseudonyms live as long as the process.

    Raises:
        ConfigurationError: a key of another length.
    """

    def __init__(self, sink: EventSink, key: bytes | None = None) -> None:
        if key is not None and not 16 <= len(key) <= 64:
            raise ConfigurationError("a pseudonym key has 16 to 64 octets", hint="32 random octets", reason="otel_key")
        self.suspends: bool = suspends(sink)
        self._sink: EventSink = sink
        self._key: bytes = key or SYSTEM_ENTROPY.octets(32)

    async def aemit(self, event: AuditEvent, /) -> object:
        """Records the event, with ``trace_id`` and ``span_id`` among its request's facts."""
        span = trace.get_current_span()
        context = span.get_span_context()
        if context.is_valid:
            ids = {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
            event = replace(event, request={**(event.request or {}), **ids})
        if span.is_recording():
            span.add_event(event.action, self._attributes(event))
        return await self._sink.aemit(event)

    def _attributes(self, event: AuditEvent) -> dict[str, Any]:
        actor: Any = event.actor
        who = actor.id if isinstance(actor, Principal) else actor.get("id")
        found: dict[str, Any] = {"outcome": event.outcome, "tenant": event.tenant_id, "category": "access"}
        if isinstance(who, str):
            found["pseudonym"] = blake2b(who.encode("utf-8", "replace"), digest_size=16, key=self._key).hexdigest()
        rules = (event.decision or {}).get("rule_ids")
        if isinstance(rules, list) and all(isinstance(rule, str) for rule in rules):
            found["rule"] = rules
        return {_NAMES[name]: value for name, value in found.items()}


def bind_trace(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: the ids of the current trace and span on every line; names that the caller set win."""
    del logger, method
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event.setdefault("trace_id", f"{context.trace_id:032x}")
        event.setdefault("span_id", f"{context.span_id:016x}")
    return event
