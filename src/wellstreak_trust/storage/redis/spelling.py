"""How the stores spell keys, times and replies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, TypeVar

from ...core.errors import ConfigurationError, StoreUnavailable, UsageError

__all__ = ["key_prefix", "milliseconds", "restriction", "rows", "strange", "text"]

T = TypeVar("T")

_MARGIN: Final = timedelta(minutes=1)  # what has ended stays so long: the host's clock decides, the server only clears
_MILLISECOND: Final = timedelta(milliseconds=1)


def key_prefix(prefix: str, room: str) -> str:
    """What all keys of a store begin with; the braces put them into one slot of a cluster.

    Raises:
        ConfigurationError: a prefix that is empty, not printable ASCII, or holds braces.
    """
    if not prefix or not prefix.isascii() or not prefix.isprintable() or set(prefix) & set("{}"):
        raise ConfigurationError("not a key prefix", hint="letters and digits, such as prefix='wst'")
    return f"{prefix}:{{{room}}}:"


def milliseconds(left: timedelta, margin: timedelta = _MARGIN) -> int:
    """How long the server keeps a key that is good for `left`."""
    return (max(timedelta(), left) + margin) // _MILLISECOND


def restriction(name: str | None) -> str:
    """To whom a script is restricted; empty for no restriction, which an empty name is not: that one is nobody's."""
    return "" if name is None else f"={name}"


def text(value: Any) -> str:
    """A reply as text, whichever way the client decodes; `StoreUnavailable` for anything else."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, str):
        return value
    raise strange()


def rows(reply: Any, fields: int, build: Callable[[list[Any]], T]) -> list[T]:
    """A flat reply as rows of so many fields, each built into what it means; `StoreUnavailable` for a reply of another
    shape.
    """
    if not isinstance(reply, list) or len(reply) % fields:
        raise strange()
    try:
        return [build(reply[at : at + fields]) for at in range(0, len(reply), fields)]
    except (ValueError, TypeError, LookupError, UsageError):
        raise strange() from None


def strange() -> StoreUnavailable:
    """An answer of another shape is no answer: it must not sign anybody in by accident."""
    return StoreUnavailable("redis: an answer of another shape", hint="check what stands between us and the server")
