"""Which routes are declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

from ...guard import Operation
from ..shared import Declaration, declaration_of, refuse_undeclared, undeclared_among
from .middleware import edge

__all__ = ["assert_all_routes_declared", "declared_routes", "undeclared_routes"]


def assert_all_routes_declared(
    urlconf: str | None = None, *, public: Mapping[str, str] | None = None
) -> tuple[Operation, ...]:
    """Refuses a URL configuration, nested ``include()``s too, with a view neither guarded nor public.

    Returns:
        The registered operations that no route serves.

    Raises:
        ConfigurationError: names every such path, and every operation that the `Trust` of the settings cannot serve or
            does not know.
    """
    held = edge() if getattr(settings, "WELLSTREAK_TRUST", None) else None
    return refuse_undeclared(declared_routes(urlconf), public or {}, held)


def undeclared_routes(urlconf: str | None = None, *, public: Mapping[str, str] | None = None) -> list[str]:
    """The paths that `assert_all_routes_declared` would refuse, for a service under adoption; it refuses nothing."""
    return undeclared_among(declared_routes(urlconf), public or {})


def declared_routes(urlconf: str | None = None) -> Iterator[tuple[str, Declaration | None]]:
    """(path, declaration) of every route, once for each operation behind it; None where it says nothing."""
    return _walk(get_resolver(urlconf).url_patterns, "/")


def _walk(patterns: list[Any], prefix: str) -> Iterator[tuple[str, Declaration | None]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            yield from ((path, declared) for declared in declarations_of(pattern.callback))


def declarations_of(callback: Any) -> list[Declaration | None]:
    """What a view says, once for each operation behind it; None where it says nothing.

    A class-based view carries its mark on `dispatch`, which `as_view` copies, on each of its handlers, or, in Django
    REST framework, among its permissions. A view of the admin is its site's.

    Never on the class: a subclass with a `dispatch` of its own would look guarded and not be.
    """
    site, model = _admin_of(callback)
    if isinstance(site, Declaration):
        rows = [Declaration(operation=operation) for operation in getattr(model, "operations", {}).values()]
        return [site, *rows]
    found = declaration_of(callback)
    view = getattr(callback, "view_class", None) or getattr(callback, "cls", None)
    if found is not None or view is None:
        return [found]
    given = getattr(callback, "initkwargs", {}).get("permission_classes", getattr(view, "permission_classes", ()))
    for permission in given:
        if hasattr(permission, "declarations"):
            actions: dict[str, str] | None = getattr(callback, "actions", None)
            return list(permission.declarations(view, None if actions is None else actions.values()))
    handlers = [getattr(view, name) for name in view.http_method_names if name != "options" and hasattr(view, name)]
    return [declaration_of(handler) for handler in handlers] or [None]


def _admin_of(callback: Any) -> tuple[Any, Any]:
    """What an admin site says for all its views, and the model whose view this is: Django's wrapper tells both."""
    model = getattr(callback, "model_admin", None)
    site = getattr(callback, "admin_site", None) or getattr(model, "admin_site", None)
    return getattr(site, "declaration", None), model
