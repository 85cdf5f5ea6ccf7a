"""Which routes of a Starlette application are declared. Public as ``starlette.assert_all_routes_declared``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..guard import Operation
from .asgi_middleware import TrustMiddleware
from .shared import Declaration, Edge, declaration_of, refuse_undeclared, undeclared_among

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["assert_all_routes_declared", "declared_routes", "trust_in", "undeclared_routes"]

Declared = tuple[str, Declaration | None]


def assert_all_routes_declared(app: Any, *, public: Mapping[str, str] | None = None) -> tuple[Operation, ...]:
    """Refuses an app in which a route, mounts and websockets included, is neither guarded nor public.

    Returns:
        The registered operations that no route serves.

    Raises:
        ConfigurationError: names every such path, and every operation that the app's `Trust` cannot serve or does
            not know.
    """
    return refuse_undeclared(declared_routes(app.routes), public or {}, trust_in(app))


def undeclared_routes(app: Any, *, public: Mapping[str, str] | None = None) -> list[str]:
    """The paths that `assert_all_routes_declared` would refuse, for a service under adoption; it refuses nothing."""
    return undeclared_among(declared_routes(app.routes), public or {})


def declared_routes(
    routes: Iterable[BaseRoute],
    prefix: str = "",
    *,
    opened: Callable[[Iterable[Any]], Iterable[Any]] = iter,
    look: Callable[[Any], Declaration | None] = lambda route: None,
) -> Iterator[Declared]:
    """(path, declaration) of every route, mounted applications included.

    Args:
        opened: lists what a framework nests in one entry.
        look: finds declarations that are not on the endpoint.
    """
    for route in opened(routes):
        path = prefix + (getattr(route, "path", None) or "")
        below = getattr(route, "routes", None)
        if below:
            yield from declared_routes(below, path, opened=opened, look=look)
            continue
        endpoint = getattr(route, "endpoint", None) or getattr(route, "app", None)
        yield path or repr(endpoint), declaration_of(endpoint) or look(route)


def trust_in(app: Any) -> Edge | None:
    """The edge of the `TrustMiddleware` that an application was given, made anew for checks at start-up."""
    for entry in getattr(app, "user_middleware", ()):
        if entry.cls is TrustMiddleware:
            return Edge(*entry.args, **entry.kwargs)
    return None
