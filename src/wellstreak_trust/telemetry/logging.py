"""structlog processors: who and where on every line, and nothing secret on any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final

from ..core.event import Outcome
from ..core.redact import redact as _redact
from ..core.redact import redact_text
from ..core.tenant import TenantContext

__all__ = ["bind_trust_context", "capture", "log_context", "redact", "restore", "security_event"]

EventDict = MutableMapping[str, Any]

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_FACTS: Final[ContextVar[Mapping[str, str]]] = ContextVar("wellstreak_trust_log", default=_NOTHING)


@contextmanager
def log_context(tenant: TenantContext) -> Iterator[None]:
    """Puts tenant, principal, actor and request id on every line logged inside."""
    principal = tenant.principal
    facts = {"tenant_id": tenant.tenant_id, "principal_id": principal.id, "principal_kind": principal.kind}
    if principal.actor is not None:
        facts["actor_id"] = principal.actor.id
    if tenant.request_id is not None:
        facts["request_id"] = tenant.request_id
    token = _FACTS.set(MappingProxyType(facts))
    try:
        yield
    finally:
        _FACTS.reset(token)


def capture() -> Mapping[str, str]:
    """The facts of this context, for a thread, an executor or a job: they hold ids and nothing else."""
    return _FACTS.get()


@contextmanager
def restore(captured: Mapping[str, str]) -> Iterator[None]:
    """Puts what `capture` returned on every line logged inside, and takes it away again."""
    token = _FACTS.set(MappingProxyType({str(name): str(value) for name, value in captured.items()}))
    try:
        yield
    finally:
        _FACTS.reset(token)


def security_event(name: str, *, outcome: Outcome = "success", rule: str | None = None, **facts: Any) -> None:
    """Logs an event with a stable name: INFO for what was decided, WARNING for a finding, ERROR for a broken control.

    Args:
        name: such as ``access.denied``, under ``event.name``; never made of what a client sent.
        outcome: ``error`` says that a control did not work.
        rule: the id of a detector's rule, which makes it a finding.
        facts: redacted by `redact`, as every other line.
    """
    import structlog

    line = structlog.get_logger("wellstreak_trust.security")
    level = "error" if outcome == "error" else "warning" if rule is not None else "info"
    named = {"event.name": name, "outcome": outcome, **({"rule": rule} if rule is not None else {})}
    getattr(line, level)("security event", **{**facts, **named})


def bind_trust_context(logger: object, method: str, event: EventDict) -> EventDict:
    """structlog processor: adds the facts of `log_context`; names that the caller set win."""
    del logger, method
    for name, value in _FACTS.get().items():
        event.setdefault(name, value)
    return event


def redact(logger: object, method: str, event: EventDict) -> EventDict:
    """structlog processor, last before the renderer: a redacted copy, control characters escaped (ASVS 16.4.1)."""
    del logger, method
    cleaned = _redact(event)
    if not isinstance(cleaned, dict):
        return {"event": "***"}  # a line that could not be redacted is not written
    return {str(key): _escaped(value) for key, value in cleaned.items()}


def _escaped(value: object) -> object:
    if not isinstance(value, str):
        return value
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in redact_text(value))
