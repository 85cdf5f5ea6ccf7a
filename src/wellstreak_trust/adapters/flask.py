"""Flask: ``TrustExtension(trust).init_app(app)``, then ``@guarded(operation)`` below each route decorator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from typing import Any, Final, ParamSpec, TypeVar

from ..core.errors import ConfigurationError, MissingExtra, TrustError
from ..core.http import RequestFacts
from ..guard import Grant, Operation
from ..trust import Trust
from .shared import Declaration, Edge, declaration_of, declare, refuse_undeclared, scoped, wsgi_facts

try:
    from flask import Flask, Response, current_app, g, make_response, request
    from werkzeug.exceptions import HTTPException
except ImportError:
    raise MissingExtra(
        "the Flask adapter needs Flask", hint="pip install 'wellstreak-trust[flask]'", reason="extra"
    ) from None

__all__ = ["TrustExtension", "assert_all_routes_declared", "current_grant", "facts_of", "guarded", "public"]

P = ParamSpec("P")
T = TypeVar("T")

_NAME: Final = "wellstreak_trust"


class TrustExtension:
    """Holds one `Trust` for one or more applications.

    Args:
        trust: the composition; its stores must be blocking, because Flask views are.
    """

    def __init__(self, trust: Trust, app: Flask | None = None) -> None:
        self.edge: Edge = Edge(trust)
        if self.edge.guard.suspends:
            raise ConfigurationError(
                "Flask cannot await this Trust", hint="build its stores over Database(engine)", reason="store_suspends"
            )
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Registers the preflight answer, the header decoration and the error handler."""
        app.extensions[_NAME] = self
        app.register_error_handler(TrustError, self._render)
        app.before_request(self._preflight)
        app.after_request(self._decorate)

    def _render(self, error: TrustError) -> Response:
        problem = self.edge.problem(error)
        return Response(problem.body, problem.status, list(problem.headers))

    def _preflight(self) -> Response | None:
        headers = self.edge.preflight(facts_of())
        return None if headers is None else Response(b"", 204, headers)

    def _decorate(self, response: Response) -> Response:
        if request.method == "OPTIONS" and self.edge.preflight(facts_of()) is not None:
            return response
        pairs = self.edge.decorate(facts_of(), list(response.headers))
        response.headers.clear()
        response.headers.extend(pairs)
        return response


def facts_of() -> RequestFacts:
    """The facts of the current request, read once."""
    found: RequestFacts | None = g.get("trust_facts")
    if found is None:
        found = g.trust_facts = wsgi_facts(request.environ, route=request.endpoint)
    return found


def current_grant() -> Grant:
    """The grant of the current request.

    Raises:
        ConfigurationError: outside a guarded view.
    """
    found: Grant | None = g.get("trust_grant")
    if found is None:
        raise ConfigurationError("no grant here", hint="put @guarded(operation) below the route", reason="no_grant")
    return found


def _edge() -> Edge:
    found: TrustExtension | None = current_app.extensions.get(_NAME)
    if found is None:
        raise ConfigurationError("no Trust in this app", hint="TrustExtension(trust).init_app(app)", reason="no_trust")
    return found.edge


def guarded(
    operation: Operation, *, resource: Callable[[Any], Any] | Any = None
) -> Callable[[Callable[P, T]], Callable[P, Response]]:
    """Guards a view. A view with a parameter named ``grant`` is handed the `Grant`; `current_grant()` has it too.

    Args:
        resource: what is acted upon, or a callable of the request, run once the tenant is known.
    """

    def decorate(view: Callable[P, T]) -> Callable[P, Response]:
        wants_grant = "grant" in signature(view).parameters

        @wraps(view)
        def guarded_view(*args: P.args, **kwargs: P.kwargs) -> Response:
            fetch = (lambda tenant: resource(request)) if callable(resource) else resource
            with _edge().guard.enter(facts_of(), operation, fetch) as grant:
                g.trust_grant = grant
                if wants_grant:
                    kwargs["grant"] = grant
                try:
                    response = make_response(current_app.ensure_sync(view)(*args, **kwargs))
                except HTTPException as error:
                    grant.finish("error" if (error.code or 500) >= 500 else "failure")
                    raise
                if response.is_streamed:
                    response.response = scoped(grant.tenant, response.iter_encoded())
                return response

        return declare(guarded_view, Declaration(operation=operation))

    return decorate


def public(reason: str) -> Callable[[Callable[P, T]], Callable[P, Response]]:
    """Declares a view open, with the reason; origin and the limits per client still apply."""

    def decorate(view: Callable[P, T]) -> Callable[P, Response]:
        @wraps(view)
        def open_view(*args: P.args, **kwargs: P.kwargs) -> Response:
            _edge().guard.admit(facts_of())
            return make_response(current_app.ensure_sync(view)(*args, **kwargs))

        return declare(open_view, Declaration(reason=reason))

    return decorate


def assert_all_routes_declared(app: Flask, *, public: Mapping[str, str] | None = None) -> None:
    """Refuses an app in which a rule, blueprints and static files included, is neither guarded nor public.

    Raises:
        ConfigurationError: names every such path.
    """
    found = [(str(rule), declaration_of(app.view_functions.get(rule.endpoint))) for rule in app.url_map.iter_rules()]
    refuse_undeclared(found, public or {})
