"""What all adapters share: reading a request, declaring a route, decorating and rendering an answer.

An adapter answers five questions only: where the `Trust` lives, when a grant closes, how facts are read, how a refusal
is rendered, and which routes are declared. Everything else is here or below, so that three frameworks cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote

from ..core.errors import ConfigurationError, TrustError
from ..core.http import RequestFacts
from ..core.problem import ProblemResponse, respond
from ..core.tenant import TenantContext
from ..guard import Guard, Operation
from ..tenancy import tenant_scope
from ..trust import Trust

__all__ = [
    "Declaration",
    "Edge",
    "asgi_facts",
    "declaration_of",
    "declare",
    "refuse_undeclared",
    "scoped",
    "wsgi_facts",
]

E = TypeVar("E")
T = TypeVar("T")

_MARK: Final = "__wellstreak_trust__"
_PATH_SAFE: Final = "/:@!$&'()*+,;=-._~%"
_VARY: Final = "Sec-Fetch-Site, Origin"


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a route says about itself: a governed operation, or a reason for being open."""

    operation: Operation | None = None
    reason: str | None = None


def declare(endpoint: E, declaration: Declaration) -> E:
    """Marks an endpoint.

    Raises:
        ConfigurationError: an open route without a reason.
    """
    if declaration.operation is None and not (declaration.reason or "").strip():
        raise ConfigurationError("a public route needs a reason", hint="@public(reason='...')", reason="public_reason")
    setattr(endpoint, _MARK, declaration)
    return endpoint


def declaration_of(endpoint: object) -> Declaration | None:
    """The declaration of an endpoint, also below further decorators that use ``functools.wraps``."""
    seen = 0
    while endpoint is not None and seen < 32:
        found = getattr(endpoint, _MARK, None)
        if isinstance(found, Declaration):
            return found
        endpoint, seen = getattr(endpoint, "__wrapped__", None), seen + 1
    return None


def refuse_undeclared(routes: Iterable[tuple[str, Declaration | None]], public: Mapping[str, str]) -> None:
    """Refuses to start while a route says nothing.

    Args:
        routes: (path, declaration) of every route.
        public: path to reason, for routes that a framework makes by itself (static files, API descriptions).
    """
    missing = sorted({path for path, found in routes if found is None and not public.get(path, "").strip()})
    if missing:
        raise ConfigurationError(
            f"undeclared routes: {', '.join(missing)}",
            hint="guard each with an Operation, or open it with @public(reason=...); "
            "framework routes by assert_all_routes_declared(..., public={path: reason})",
            reason="undeclared_route",
        )


def asgi_facts(scope: Mapping[str, Any], *, route: str | None = None) -> RequestFacts:
    """Facts of an ASGI scope; header lines stay apart, as ASGI hands them over."""
    headers = [(bytes(name), bytes(value)) for name, value in scope.get("headers", ())]
    raw_path = scope.get("raw_path")
    path = raw_path.decode("latin-1") if raw_path else quote(scope.get("path", "/"), safe=_PATH_SAFE)
    client = scope.get("client")
    return RequestFacts(
        scope.get("method", "GET"),
        _url(scope.get("scheme", "http"), _host_line(headers), path, scope.get("query_string", b"").decode("latin-1")),
        headers,
        peer=client[0] if client else None,
        route=route,
    )


def wsgi_facts(environ: Mapping[str, Any], *, route: str | None = None) -> RequestFacts:
    """Facts of a WSGI environment; servers have joined repeated lines by commas already (PEP 3333)."""
    headers = [(key[5:].replace("_", "-").title(), value) for key, value in environ.items() if key.startswith("HTTP_")]
    headers += [
        (name, environ[key])
        for key, name in (("CONTENT_TYPE", "Content-Type"), ("CONTENT_LENGTH", "Content-Length"))
        if environ.get(key)
    ]
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "/")
    return RequestFacts(
        environ.get("REQUEST_METHOD", "GET"),
        _url(
            environ.get("wsgi.url_scheme", "http"),
            environ.get("HTTP_HOST", ""),
            quote(path.encode("latin-1", "replace"), safe=_PATH_SAFE),
            environ.get("QUERY_STRING", ""),
        ),
        headers,
        peer=environ.get("REMOTE_ADDR") or None,
        route=route,
    )


def _host_line(headers: Iterable[tuple[bytes, bytes]]) -> str:
    return next((value.decode("latin-1") for name, value in headers if name.lower() == b"host"), "")


def _url(scheme: str, host: str, path: str, query: str) -> str:
    return f"{scheme}://{host}{path}" + (f"?{query}" if query else "")


class Edge:
    """One `Trust` at the edge of one application."""

    def __init__(self, trust: Trust) -> None:
        self.trust: Trust = trust
        self.guard: Guard = Guard(trust)

    def problem(self, error: TrustError) -> ProblemResponse:
        """The answer to a refusal."""
        return respond(error)

    def preflight(self, facts: RequestFacts) -> list[tuple[str, str]] | None:
        """Headers of the 204 that answers a CORS preflight, or None where this is no preflight or there is no CORS."""
        asks = facts.method == "OPTIONS" and "access-control-request-method" in facts.headers
        if self.trust.cors is None or not asks:
            return None
        return list(_pairs(self.trust.cors.decide(facts).headers))

    def decorate(self, facts: RequestFacts, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """The response's headers with CORS, `Vary` and the security headers; what the host set is kept."""
        found = list(headers)
        if self.trust.cors is not None:
            for name, value in _pairs(self.trust.cors.decide(facts).headers):
                found = _vary(found, value) if name.lower() == "vary" else [*found, (name, value)]
        found = _vary(found, _VARY)
        if self.trust.security_headers is not None:
            found = self.trust.security_headers.apply(found)
        if facts.target.scheme == "http":
            # HSTS over plain http must be ignored by browsers (RFC 6797, 7.2) and only confuses on loopback.
            found = [pair for pair in found if pair[0].lower() != "strict-transport-security"]
        return found


def _pairs(headers: Any) -> Iterable[tuple[str, str]]:
    return headers.items() if isinstance(headers, Mapping) else headers


def _vary(headers: list[tuple[str, str]], names: str) -> list[tuple[str, str]]:
    """Merges into one Vary instead of overwriting: a lost Vary serves one origin's answer to another."""
    held = [part.strip() for name, value in headers if name.lower() == "vary" for part in value.split(",")]
    known = {name.lower() for name in held}
    merged = [*held, *(name for name in map(str.strip, names.split(",")) if name.lower() not in known)]
    return [pair for pair in headers if pair[0].lower() != "vary"] + [("Vary", ", ".join(filter(None, merged)))]


def scoped(tenant: TenantContext | None, body: Iterable[T]) -> Iterator[T]:
    """A streaming body whose every step runs in the tenant's scope: bodies outlive the view that made them."""
    return iter(body) if tenant is None else _Scoped(tenant, iter(body))


class _Scoped(Iterator[T]):
    def __init__(self, tenant: TenantContext, body: Iterator[T]) -> None:
        self._tenant: TenantContext = tenant
        self._body: Iterator[T] = body

    def __next__(self) -> T:
        with tenant_scope(self._tenant):
            return next(self._body)

    def close(self) -> None:
        """Closes the wrapped body, as WSGI asks (PEP 3333)."""
        close: Callable[[], object] | None = getattr(self._body, "close", None)
        if close is not None:
            close()
