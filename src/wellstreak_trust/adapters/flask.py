"""Flask: ``TrustExtension(trust).init_app(app)``, then ``@guarded(operation)`` below each route decorator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from typing import Any, Final, ParamSpec, TypeVar

from ..core.errors import ConfigurationError, MissingExtra, TrustError
from ..core.event import Outcome
from ..core.http import RequestFacts
from ..core.sansio import require_blocking
from ..guard import Grant, Operation, outcome_of
from ..trust import Trust
from .shared import (
    Declaration,
    Edge,
    asked_of,
    declaration_of,
    declare,
    outcome_of_status,
    refuse_undeclared,
    undeclared_among,
)
from .streams import Scoped, inside
from .visit import Visit

try:
    from flask import Flask, Response, current_app, make_response, request
    from werkzeug.exceptions import HTTPException

    from .flask_cli import commands
    from .flask_hooks import webhook
except ImportError:
    raise MissingExtra(
        "the Flask adapter needs Flask", hint="pip install 'wellstreak-trust[flask]'", reason="extra"
    ) from None

__all__ = [
    "TrustExtension",
    "assert_all_routes_declared",
    "csp_nonce",
    "current_grant",
    "facts_of",
    "guarded",
    "public",
    "undeclared_routes",
    "webhook",
]

P = ParamSpec("P")
T = TypeVar("T")

_NAME: Final = "wellstreak_trust"
_VISIT: Final = "_wellstreak_trust_visit"


class TrustExtension:
    """Holds one `Trust` for one or more applications.

    Args:
        trust: the composition; its stores must be blocking, because Flask views are.
        scheme_is_trusted: False where TLS ends at a proxy that is not in ``Trust(client_address=...)``.
        forwarded_host: take ``X-Forwarded-Host`` from the proxies that are.
    """

    def __init__(
        self,
        trust: Trust,
        app: Flask | None = None,
        *,
        scheme_is_trusted: bool = True,
        forwarded_host: bool = False,
    ) -> None:
        self.edge: Edge = Edge(trust, scheme_is_trusted=scheme_is_trusted, forwarded_host=forwarded_host)
        self.opened: dict[str, str] = {}  # path to reason, of what the host opened from outside
        require_blocking(self.edge.guard, "Flask", "this Trust")
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Registers the preflight answer, the header decoration and the error handler.

        Raises:
            ConfigurationError: the app has a `Trust` already; two would both speak in every answer.
        """
        if _NAME in app.extensions:
            raise ConfigurationError("this app has a Trust", hint="one TrustExtension an app", reason="two_trusts")
        app.extensions[_NAME] = self
        app.register_error_handler(TrustError, self._render)
        app.before_request(self._preflight)
        app.after_request(self._decorate)
        app.context_processor(lambda: {"csp_nonce": csp_nonce})
        app.cli.add_command(commands(_rules, self.opened))

    def _render(self, error: TrustError) -> Response:
        problem = self.edge.problem(error)
        return Response(problem.body, problem.status, list(problem.headers))

    def _preflight(self) -> Response | None:
        headers = self.edge.preflight(facts_of())
        return None if headers is None else Response(b"", 204, headers)

    def _decorate(self, response: Response) -> Response:
        if request.method == "OPTIONS" and self.edge.preflight(facts_of()) is not None:
            return response
        pairs = self.edge.decorate(facts_of(), list(response.headers), _visit().nonce)
        response.headers.clear()
        response.headers.extend(pairs)
        return response


def facts_of() -> RequestFacts:
    """The facts of the current request, read once."""
    return _visit().facts


def csp_nonce() -> str:
    """The nonce of this response's content security policy; templates have it as ``{{ csp_nonce() }}``."""
    return _visit().csp_nonce()


def current_grant() -> Grant:
    """The grant of the current request.

    Raises:
        ConfigurationError: outside a guarded view.
    """
    return _visit().granted()


def _visit() -> Visit:
    # On the request, not on `g`: an application context that somebody keeps open serves several requests with one `g`.
    found: Visit | None = getattr(request, _VISIT, None)
    if found is None:
        edge = _edge()
        found = Visit(edge, edge.facts.wsgi(request.environ, route=request.endpoint))
        setattr(request, _VISIT, found)
    return found


def _edge() -> Edge:
    found: TrustExtension | None = current_app.extensions.get(_NAME)
    if found is None:
        raise ConfigurationError("no Trust in this app", hint="TrustExtension(trust).init_app(app)", reason="no_trust")
    return found.edge


def guarded(
    operation: Operation, *, resource: Callable[[Any], Any] | Any = None, arguments: Any = None
) -> Callable[[Callable[P, T]], Callable[P, Response]]:
    """Guards a view. A view with a parameter named ``grant`` is handed the `Grant`; `current_grant()` has it too.

    Args:
        resource: what is acted upon, or a callable of the request, run once the tenant is known.
        arguments: what an approval binds besides the resource: a mapping, or such a callable.
    """

    def decorate(view: Callable[P, T]) -> Callable[P, Response]:
        wants_grant = "grant" in signature(view).parameters

        @wraps(view)
        def guarded_view(*args: P.args, **kwargs: P.kwargs) -> Response:
            visit = _visit()
            grant = visit.edge.guard.enter(visit.facts, operation, *asked_of(request, resource, arguments))
            visit.grant = grant
            if wants_grant:
                kwargs["grant"] = grant

            def done(error: BaseException | None) -> None:
                grant.finish(visit.outcome(error, _outcome))

            response = inside(grant, lambda: make_response(current_app.ensure_sync(view)(*args, **kwargs)), done)
            visit.status = response.status_code
            if response.is_streamed:
                body: Any = response.response
                response.response = Scoped(grant.tenant, body, done)
            else:
                done(None)
            return response

        return declare(guarded_view, Declaration(operation=operation), of=view)

    return decorate


def public(reason: str) -> Callable[[Callable[P, T]], Callable[P, Response]]:
    """Declares a view open, with the reason; origin and the limits per client still apply."""

    def decorate(view: Callable[P, T]) -> Callable[P, Response]:
        @wraps(view)
        def open_view(*args: P.args, **kwargs: P.kwargs) -> Response:
            _visit().edge.guard.admit(facts_of())
            return make_response(current_app.ensure_sync(view)(*args, **kwargs))

        return declare(open_view, Declaration(reason=reason), of=view)

    return decorate


def _outcome(error: BaseException) -> Outcome:
    """``abort(response)`` carries a whole response instead of a code."""
    if not isinstance(error, HTTPException):
        return outcome_of(error)
    return outcome_of_status(error.response.status_code if error.response is not None else error.code or 500)


def assert_all_routes_declared(app: Flask, *, public: Mapping[str, str] | None = None) -> tuple[Operation, ...]:
    """Refuses an app in which a rule, blueprints and static files included, is neither guarded nor public.

    Returns:
        The registered operations that no route serves.

    Raises:
        ConfigurationError: names every such path, and every operation that the app's `Trust` cannot serve or does
            not know.
    """
    held: TrustExtension | None = app.extensions.get(_NAME)
    if held is not None:
        held.opened.update(public or {})
    return refuse_undeclared(_declared(app), public or {}, held.edge if held is not None else None)


def undeclared_routes(app: Flask, *, public: Mapping[str, str] | None = None) -> list[str]:
    """The paths that `assert_all_routes_declared` would refuse, for a service under adoption; it refuses nothing."""
    return undeclared_among(_declared(app), public or {})


def _declared(app: Flask) -> list[tuple[str, Declaration | None]]:
    return [(path, declared) for path, _, declared in _rules(app)]


def _rules(app: Flask) -> list[tuple[str, set[str] | None, Declaration | None]]:
    return [
        (str(rule), rule.methods, declaration_of(app.view_functions.get(rule.endpoint)))
        for rule in app.url_map.iter_rules()
    ]
