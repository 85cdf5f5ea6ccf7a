"""The effective configuration: what counts, and where it was given."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final, NamedTuple

from ..audit import AuditLog
from ..connections import Connections
from ..core.address import ClientAddress
from ..identity import Authenticator, SessionManager
from ..origin import CorsPolicy, OriginPolicy
from ..ratelimit import RateLimiter
from ..secrets import KeyChain
from ..tenancy import TenantResolver
from .case import Case
from .checks.sql import engines

__all__ = ["Row", "effective"]

_COMPOSED: Final = "composition"


class Row(NamedTuple):
    """One line of the effective configuration.

    Args:
        value: as text; what is secret is masked.
        origin: ``environment`` and the variable, ``argument``, ``default``, or ``composition`` for what code decided.
    """

    name: str
    value: str
    origin: str


def effective(case: Case) -> list[Row]:
    """Every setting, then what the composition holds."""
    rows = list(_settings(case))
    if case.trust is not None:
        rows += [Row(name, value, _COMPOSED) for name, value in _composed(case)]
    return rows


def _settings(case: Case) -> Iterator[Row]:
    if case.settings is None:
        return
    from ..settings import PREFIX

    for name, value, origin in case.settings.explain():
        shown = f"environment: {PREFIX}{name.upper()}" if origin == "environment" else origin
        yield Row(f"settings.{name}", value, shown)


def _composed(case: Case) -> Iterator[tuple[str, str]]:
    trust = case.trust
    assert trust is not None
    yield "profile", case.profile
    for name, part in (("authenticator", trust.authenticator), ("tenants", trust.tenants), ("policy", trust.policy),
                       ("limiter", trust.limiter), ("origin", trust.origin), ("cors", trust.cors),
                       ("security_headers", trust.security_headers), ("client_address", trust.client_address),
                       ("audit", trust.audit), ("secrets", trust.secrets), ("connections", trust.connections),
                       ("approvals", trust.approvals), ("webhooks", trust.webhooks), ("clock", trust.clock),
                       ("counters", trust.counters)):  # fmt: skip
        yield name, _told(part)
    for place, sessions in case.of_kind(SessionManager):
        idle, absolute = sessions.ends[False]
        yield place, f"cookie {sessions.cookie_name}, {_span(idle)} idle, {_span(absolute)} in all"
    for place, chain in case.of_kind(KeyChain):
        yield place, ", ".join(provider.uri for provider in chain.providers)
    for place, engine in engines(case):
        yield place, engine.url.render_as_string(hide_password=True)
    if case.operations:
        yield "operations", str(len(case.operations))


def _told(part: Any) -> str:
    """What a part is, in a line; nothing that is secret."""
    if part is None:
        return "none"
    tell = next((tell for kind, tell in _TELL.items() if isinstance(part, kind)), None)
    name = type(part).__name__
    return f"{name}: {told}" if tell is not None and (told := tell(part)) else name


def _limits(limiter: RateLimiter) -> str:
    rules = ", ".join(f"{rule.name} {rule.limit}/{_span(rule.per)}" for rule in limiter.rules)
    return f"{rules or 'no rule'}, in {type(limiter.store).__name__}, {limiter.replicas} process(es)"


def _span(span: timedelta | str) -> str:
    return f"{span.total_seconds():g} s" if isinstance(span, timedelta) else span


def _names(parts: Any) -> str:
    return ", ".join(type(part).__name__ for part in parts)


_TELL: Final[dict[type[Any], Any]] = {
    Authenticator: lambda part: _names(part.members),
    TenantResolver: lambda part: _names(part.sources),
    RateLimiter: _limits,
    OriginPolicy: lambda part: ", ".join((part.mode, *part.trusted)),
    CorsPolicy: lambda part: "every page" if part.is_public else ", ".join(part.origins),
    ClientAddress: lambda part: ", ".join(part.proxies) or "no proxy",
    AuditLog: lambda part: f"{part.origin}, {'signed' if part.signs else 'not signed'}, in {type(part.store).__name__}",
    Connections: lambda part: ", ".join(part.probes),
}
