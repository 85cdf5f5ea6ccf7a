"""Which routes are declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

from ...guard import Operation
from ..shared import Declaration, declaration_of, refuse_undeclared, undeclared_among
from .middleware import edge

__all__ = ["assert_all_routes_declared", "undeclared_routes"]


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
    return refuse_undeclared(_walk(get_resolver(urlconf).url_patterns, "/"), public or {}, held)


def undeclared_routes(urlconf: str | None = None, *, public: Mapping[str, str] | None = None) -> list[str]:
    """The paths that `assert_all_routes_declared` would refuse, for a service under adoption; it refuses nothing."""
    return undeclared_among(_walk(get_resolver(urlconf).url_patterns, "/"), public or {})


def _walk(patterns: list[Any], prefix: str) -> Iterator[tuple[str, Declaration | None]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            yield path, _declared(pattern.callback)


def _declared(callback: Any) -> Declaration | None:
    """A class-based view carries its mark on `dispatch`, which `as_view` copies, or on each of its handlers.

    Never on the class: a subclass with a `dispatch` of its own would look guarded and not be.
    """
    found = declaration_of(callback)
    view = getattr(callback, "view_class", None)
    if found is not None or view is None:
        return found
    handlers = [getattr(view, name) for name in view.http_method_names if name != "options" and hasattr(view, name)]
    declared = [mark for handler in handlers if (mark := declaration_of(handler)) is not None]
    return declared[0] if declared and len(declared) == len(handlers) else None
