"""structlog processors: who and where on every line, and nothing secret on any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final

from ..core.redact import redact as _redact
from ..core.redact import redact_text
from ..core.tenant import TenantContext

__all__ = ["bind_trust_context", "log_context", "redact"]

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
