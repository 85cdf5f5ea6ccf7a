"""From what a host has at hand to what is examined: a `Trust`, an object that holds one, or an application with one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..core.errors import ConfigurationError
from ..trust import Trust

__all__ = ["Target", "resolved", "target_of"]


class Target(NamedTuple):
    """What is examined.

    Args:
        trust: the composition.
        parts: what the host keeps beside it, by name.
        app: the application, where it is one.
    """

    trust: Trust
    parts: Mapping[str, object]
    app: Any = None


def target_of(given: Any) -> Target:
    """The target that something stands for.

    Args:
        given: a `Trust`; a Flask, Starlette or FastAPI application; an object with a ``trust``, whose other attributes
            are parts too; or a function that returns one of these.

    Raises:
        ConfigurationError: there is no `Trust` in it; or what the function raises.
    """
    found = resolved(given)
    if isinstance(found, Trust):
        return Target(found, {})
    inside = _in_flask(found) or _in_asgi(found)
    if inside is not None:
        return Target(inside, {}, found)
    held = getattr(found, "trust", None)
    if isinstance(held, Trust):
        beside = {name: part for name, part in vars(found).items() if not name.startswith("_") and part is not held}
        return Target(held, beside)
    raise ConfigurationError(
        f"there is no Trust in {type(found).__name__}",
        hint="name a Trust, a function that returns one, an application that has one, or an object with a `trust`",
        reason="no_trust",
    )


def resolved(given: Any) -> Any:
    """What a function or class without arguments makes; anything else as it is. Applications are callable too, and
    are not called.
    """
    return given() if hasattr(given, "__code__") or isinstance(given, type) else given


def _in_flask(app: Any) -> Trust | None:
    extensions = getattr(app, "extensions", None)
    extension = extensions.get("wellstreak_trust") if isinstance(extensions, dict) else None
    found = getattr(getattr(extension, "edge", None), "trust", None)
    return found if isinstance(found, Trust) else None


def _in_asgi(app: Any) -> Trust | None:
    for each in getattr(app, "user_middleware", None) or ():
        found = each.kwargs.get("trust")
        if isinstance(found, Trust):
            return found
    return None
