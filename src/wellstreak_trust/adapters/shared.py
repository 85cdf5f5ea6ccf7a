"""What all adapters share: declaring a route, decorating and rendering an answer.

An adapter answers five questions only: where the `Trust` lives, when a grant closes, how facts are read, how a refusal
is rendered, and which routes are declared. Everything else is here or below, so that no two of them can differ.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from ..core.address import ClientAddress
from ..core.errors import ConfigurationError, TrustError
from ..core.event import Outcome
from ..core.http import RequestFacts
from ..core.problem import ProblemResponse, respond
from ..guard import Guard, Operation
from ..guard.vetting import gathered
from ..trust import Trust
from .facts import FactsReader

__all__ = [
    "Declaration",
    "Edge",
    "Edged",
    "asked_of",
    "assert_all_routes_declared",
    "declaration_of",
    "declare",
    "outcome_of_status",
    "refuse_undeclared",
    "undeclared_among",
]

A = TypeVar("A")
E = TypeVar("E")

_LOG: Final = logging.getLogger("wellstreak_trust.adapters")
_MARK: Final = "__wellstreak_trust__"
_VARY: Final = "Sec-Fetch-Site, Origin"
_WRAPPERS: Final = 32


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a route says about itself: a governed operation, or a reason for being open."""

    operation: Operation | None = None
    reason: str | None = None


def declare(endpoint: E, declaration: Declaration, *, of: object = None) -> E:
    """Marks an endpoint.

    Args:
        of: what was wrapped to make it.

    Raises:
        ConfigurationError: an open route without a reason, or a second declaration over another one.
    """
    if declaration.operation is None and not (declaration.reason or "").strip():
        raise ConfigurationError("a public route needs a reason", hint="@public(reason='...')", reason="public_reason")
    before = declaration_of(of)
    if before is not None and before != declaration:
        # Both would run; the route would be listed under the outer one alone.
        raise ConfigurationError(
            "a route is declared twice, and differently",
            hint="one @guarded or @public a route",
            reason="declared_twice",
        )
    setattr(endpoint, _MARK, declaration)
    return endpoint


def asked_of(request: object, *parts: Any) -> list[Any]:
    """A guard's `resource` and `arguments`, which routes may give as callables of their framework's request."""
    return [(lambda tenant, part=part: part(request)) if callable(part) else part for part in parts]


def declaration_of(endpoint: object) -> Declaration | None:
    """The declaration of an endpoint, also below further decorators that use ``functools.wraps``."""
    for _ in range(_WRAPPERS):
        found = getattr(endpoint, _MARK, None)
        if isinstance(found, Declaration):
            return found
        endpoint = getattr(endpoint, "__wrapped__", None)
        if endpoint is None:
            break
    return None


def undeclared_among(routes: Iterable[tuple[str, Declaration | None]], public: Mapping[str, str]) -> list[str]:
    """The paths that say nothing, each once and sorted; arguments as for `refuse_undeclared`."""
    return sorted({path for path, declared in routes if declared is None and not public.get(path, "").strip()})


def refuse_undeclared(
    routes: Iterable[tuple[str, Declaration | None]], public: Mapping[str, str], edge: Edge | None = None
) -> tuple[Operation, ...]:
    """Refuses to start while a route says nothing, or an operation cannot be served.

    Args:
        routes: (path, declaration) of every route.
        public: path to reason, for routes that a framework makes by itself (static files, API descriptions).
        edge: vets the operations, those of the routes and all that are registered, where it is known.

    Returns:
        The registered operations that no route serves; no fault, because jobs and commands run operations too.

    Raises:
        ConfigurationError: everything that was found, at once.
    """
    found = list(routes)
    served = [declared.operation for _, declared in found if declared is not None and declared.operation is not None]
    registered = edge.trust.operations if edge is not None else None
    faults = list(_undeclared(found, public))
    if edge is not None:
        known = frozenset(registered.values() if registered is not None else ())
        strangers = dict.fromkeys(operation for operation in served if operation not in known)
        faults += (fault for operation in strangers for fault in edge.guard.faults(operation))
    if edge is not None and registered is not None:
        faults += registered.faults(edge.trust)
    if faults:
        raise gathered(faults)
    return registered.unrouted(served) if registered is not None else ()


def _undeclared(
    routes: Iterable[tuple[str, Declaration | None]], public: Mapping[str, str]
) -> Iterable[ConfigurationError]:
    missing = undeclared_among(routes, public)
    if missing:
        yield ConfigurationError(
            f"undeclared routes: {', '.join(missing)}",
            hint="guard each with an Operation, or open it with @public(reason=...); "
            "framework routes by assert_all_routes_declared(..., public={path: reason})",
            reason="undeclared_route",
        )


class Edged(Protocol[A]):
    """A middleware of ours, around an application of kind `A`."""

    app: A
    edge: Edge


def assert_all_routes_declared(
    app: Edged[A], routes: Mapping[str, A], *, public: Mapping[str, str] | None = None
) -> tuple[Operation, ...]:
    """Refuses an application in which a route is neither guarded nor public.

    Args:
        routes: path to application, of every route of the host's own router.
        public: path to reason, for routes that cannot say it themselves.

    Returns:
        The registered operations that no route serves.

    Raises:
        ConfigurationError: names every such path, and every operation that the app's `Trust` cannot serve or does
            not know.
    """
    return refuse_undeclared([(path, declaration_of(part)) for path, part in routes.items()], public or {}, app.edge)


def outcome_of_status(status: int) -> Outcome:
    """How an operation is recorded whose answer has this status, returned or raised by a framework's exception."""
    if status < 400:
        return "success"
    if status >= 500:
        return "error"
    return "denied" if status == 403 else "failure"


class Edge:
    """One `Trust` at the edge of one application.

    Args:
        scheme_is_trusted, forwarded_host: see `FactsReader`.
    """

    def __init__(self, trust: Trust, *, scheme_is_trusted: bool = True, forwarded_host: bool = False) -> None:
        self.trust: Trust = trust
        self.guard: Guard = Guard(trust)
        self.facts: FactsReader = FactsReader(
            trust.client_address or ClientAddress(), scheme_is_trusted=scheme_is_trusted, forwarded_host=forwarded_host
        )

    def problem(self, error: TrustError) -> ProblemResponse:
        """The answer to a refusal. What is no caller's fault is logged with its detail: the answer has none."""
        if error.status >= 500:
            _LOG.error("%s [%s] %s", error.detail or error.title, error.code, error.hint, exc_info=error)
        return respond(error)

    def preflight(self, facts: RequestFacts) -> list[tuple[str, str]] | None:
        """Headers of the 204 that answers a CORS preflight, or None where this is no preflight or there is no CORS."""
        asks = facts.method == "OPTIONS" and "access-control-request-method" in facts.headers
        if self.trust.cors is None or not asks:
            return None
        return list(_pairs(self.trust.cors.decide(facts).headers))

    def decorate(
        self, facts: RequestFacts, headers: Iterable[tuple[str, str]], nonce: str | None = None
    ) -> list[tuple[str, str]]:
        """The response's headers with CORS, `Vary` and the security headers, which allow what carries `nonce`.

        What the host set is kept, except that the one CORS policy speaks alone: browsers refuse two opinions.
        """
        found = list(headers)
        varies = _VARY
        if self.trust.cors is not None:
            said = list(_pairs(self.trust.cors.decide(facts).headers))
            names = {name.lower() for name, _ in said} - {"vary"}
            varies = ", ".join([value for name, value in said if name.lower() == "vary"] + [_VARY])
            found = [pair for pair in found if pair[0].lower() not in names]
            found += [pair for pair in said if pair[0].lower() in names]
        found = _vary(found, varies)
        if self.trust.security_headers is not None:
            found = self.trust.security_headers.apply(found, nonce)
        if facts.scheme_is_trusted and facts.target.scheme == "http":
            # HSTS over plain http must be ignored by browsers (RFC 6797, 7.2) and only confuses on loopback.
            found = [pair for pair in found if pair[0].lower() != "strict-transport-security"]
        return found


def _pairs(headers: Any) -> Iterable[tuple[str, str]]:
    return headers.items() if isinstance(headers, Mapping) else headers


def _vary(headers: list[tuple[str, str]], names: str) -> list[tuple[str, str]]:
    """Merges into one Vary instead of overwriting: a lost Vary serves one origin's answer to another."""
    held = [part.strip() for name, value in headers if name.lower() == "vary" for part in value.split(",")]
    merged: dict[str, str] = {}
    for name in (*held, *map(str.strip, names.split(","))):
        if name:
            merged.setdefault(name.lower(), name)
    return [pair for pair in headers if pair[0].lower() != "vary"] + [("Vary", ", ".join(merged.values()))]
