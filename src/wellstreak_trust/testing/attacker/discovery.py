"""The routes of an application, with the declarations that the adapters put on them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Final

from ...adapters.shared import Declaration, declaration_of
from ...core.errors import UsageError
from .route import Route

__all__ = ["routes_of"]

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ASIDE: Final = frozenset(("HEAD", "OPTIONS"))  # frameworks add them by themselves; attacks add their own
_FLASK: Final = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>")
_KINDS: Final = {"int": "int", "uuid": "uuid"}


def routes_of(app: Any, *, public: Mapping[str, str] | None = None, declared: bool = True) -> tuple[Route, ...]:
    """Every route of a FastAPI, Starlette, Flask or Django application, one for each method.

    Django's routes do not see the method; a view that does not tell (class-based views and ``require_http_methods``
    do) is taken for one that answers them all.

    Args:
        app: the application; for Django its handler, or the dotted name of its URL configuration.
        public: path to reason, for routes that a framework makes by itself, as `assert_all_routes_declared` takes it.
        declared: False for a host that declares nothing: every other route is then taken for guarded.

    Raises:
        UsageError: an application of another kind. Give its routes by hand.
    """
    reasons = {_template(path): why.strip() for path, why in (public or {}).items()}

    def settled(route: Route) -> Route:
        reason = reasons.get(route.path, "")
        return (
            replace(route, declared=True, public=reason) if not route.declared and (reason or not declared) else route
        )

    return tuple(settled(route) for route in dict.fromkeys(_walker(app)(app)))


def _walker(app: Any) -> Callable[[Any], Iterable[Route]]:
    if isinstance(app, str) or type(app).__module__.startswith("django."):
        return _django
    if hasattr(app, "url_map"):
        return _flask
    if hasattr(app, "routes"):
        return _fastapi if type(app).__module__.startswith("fastapi") or hasattr(app, "openapi") else _starlette
    raise UsageError(
        f"no routes are found on {type(app).__name__}",
        hint='give them: routes=[Route("GET", "/w/{tenant}/notes")], or Target(..., routes_of=app) where it is wrapped',
    )


def _route(method: str, path: str, declaration: Declaration | None) -> Route:
    if declaration is None:
        return Route(method, path, declared=False)
    return Route(method, path, operation=declaration.operation, public=declaration.reason or "")


def _flask(app: Any) -> Iterator[Route]:
    for rule in app.url_map.iter_rules():
        path = _template(str(rule))
        for method in sorted(set(rule.methods or ()) - _ASIDE):
            yield _route(method, path, declaration_of(app.view_functions.get(rule.endpoint)))


def _template(path: str) -> str:
    """Flask's and Django's way of writing parameters, as ours."""
    return _FLASK.sub(lambda match: _parameter(match[2], match[1]), path)


def _parameter(name: str, kind: str | None) -> str:
    return f"{{{name}:{_KINDS[kind]}}}" if kind in _KINDS else f"{{{name}}}"


def _starlette(app: Any) -> Iterator[Route]:
    yield from _nested(app.routes, "", iter, lambda route: None)


def _fastapi(app: Any) -> Iterator[Route]:
    from ...adapters.fastapi import guard_of, unfolded

    yield from _nested(app.routes, "", unfolded, guard_of)


_Open = Callable[[Iterable[Any]], Iterable[Any]]
_Look = Callable[[Any], Declaration | None]


def _nested(routes: Iterable[Any], prefix: str, opened: _Open, look: _Look) -> Iterator[Route]:
    """As `adapters.starlette.declared_routes`, with the methods."""
    for route in opened(routes):
        path = prefix + (getattr(route, "path", None) or "")
        below = getattr(route, "routes", None)
        if below:
            yield from _nested(below, path, opened, look)
            continue
        endpoint = getattr(route, "endpoint", None)
        if endpoint is None:
            continue  # a mounted application of another kind: static files, say
        methods = getattr(route, "methods", None)
        socket = not methods and "websocket" in type(getattr(route, "original_route", route)).__name__.lower()
        template = re.sub(r"\{(\w+):(\w+)\}", lambda match: _parameter(match[1], match[2]), path)
        for method in ("WEBSOCKET",) if socket else sorted(set(methods or ("GET",)) - _ASIDE):
            yield _route(method, template, declaration_of(endpoint) or look(route))


def _django(app: Any) -> Iterator[Route]:
    from django.urls import get_resolver

    resolver = get_resolver(app if isinstance(app, str) else None)
    yield from _patterns(resolver.url_patterns, "/")


def _patterns(patterns: Iterable[Any], prefix: str) -> Iterator[Route]:
    from django.urls import URLResolver

    from ...adapters.django.routes import declarations_of

    for pattern in patterns:
        path = prefix + _template(str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern.url_patterns, path)
            continue
        methods, said = _methods(pattern.callback), declarations_of(pattern.callback)
        # One that speaks for the whole view, or one for each method; else each could be behind each.
        pairs = zip(methods, said, strict=True) if len(methods) == len(said) else product(methods, said)
        yield from (_route(method, path, declaration) for method, declaration in pairs)


def _methods(callback: Any) -> Sequence[str]:
    """Those of a view class or of a viewset's route; a plain function does not tell."""
    actions = getattr(callback, "actions", None)  # Django REST framework
    if actions:
        return [name.upper() for name in actions if name != "head"]
    view = getattr(callback, "view_class", None) or getattr(callback, "cls", None)
    if view is None:
        return _METHODS
    return [name.upper() for name in view.http_method_names if name not in ("head", "options") and hasattr(view, name)]
