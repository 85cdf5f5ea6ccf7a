"""Which routes are declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from ..shared import Declaration, declaration_of, refuse_undeclared

__all__ = ["assert_all_routes_declared"]


def assert_all_routes_declared(urlconf: str | None = None, *, public: Mapping[str, str] | None = None) -> None:
    """Refuses a URL configuration, nested ``include()``s too, with a view neither guarded nor public.

    Raises:
        ConfigurationError: names every such path.
    """
    refuse_undeclared(list(_walk(get_resolver(urlconf).url_patterns, "/")), public or {})


def _walk(patterns: list[Any], prefix: str) -> Iterator[tuple[str, Declaration | None]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            # Class-based views hide behind as_view(); the class carries the mark.
            yield (
                path,
                declaration_of(pattern.callback) or declaration_of(getattr(pattern.callback, "view_class", None)),
            )
