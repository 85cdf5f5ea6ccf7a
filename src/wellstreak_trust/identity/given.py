"""What hosts and requests hand over beside tokens, in the one form that every store keeps: anything else is ours to
refuse, before a store or a library meets it.

An argument that comes out of a request is whatever JSON can hold. Without this, one store keeps what another changes
(a number as text), and a driver's or the language's own error leaves the room.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from ..core.canonical import canonical_json
from ..core.errors import ConfigurationError, UsageError

__all__ = ["configured_names", "configured_span", "names_in", "plain_data", "span_in", "text_in", "text_or_none"]


def text_in(value: object, what: str) -> str:
    """`value` itself, which names somebody or something.

    Raises:
        UsageError: no text, or text that not every store keeps: lone surrogates and NUL.
    """
    if isinstance(value, str) and "\0" not in value and _is_unicode(value):
        return value
    raise UsageError(f"{what} is text, in Unicode and without NUL")


def text_or_none(value: object, what: str) -> str | None:
    """As `text_in`, or None."""
    return None if value is None else text_in(value, what)


def plain_data(value: Mapping[str, Any] | None) -> dict[str, Any]:
    """A copy of data to get back.

    Raises:
        UsageError: no mapping, or values outside canonical JSON.
    """
    if value is not None and not isinstance(value, Mapping):
        raise UsageError("data is a mapping of names to plain values")
    found = dict(value or {})
    canonical_json(found)
    return found


def names_in(values: Iterable[str], what: str) -> tuple[str, ...]:
    """Texts, in their order.

    Raises:
        UsageError: one text, which would be read letter by letter, or no collection of texts.
    """
    found = _texts(values)
    if found is None:
        raise UsageError(f"{what} is a collection of names", hint=f"{what}=('...',)")
    return tuple(text_in(name, f"each of {what}") for name in found)


def configured_names(values: Iterable[str], what: str) -> tuple[str, ...]:
    """As `names_in`, when something is built: raises `ConfigurationError`."""
    found = _texts(values)
    if found is None:
        raise ConfigurationError(f"{what} is a collection of text", hint=f'{what}=("...",)', reason="argument")
    return found


def span_in(value: object, what: str) -> timedelta:
    """`value` itself.

    Raises:
        UsageError: no `timedelta`.
    """
    if not isinstance(value, timedelta):
        raise UsageError(f"{what} is a timedelta", hint=f"{what}=timedelta(minutes=30)")
    return value


def configured_span(value: object, what: str) -> timedelta:
    """As `span_in`, when something is built: raises `ConfigurationError`."""
    if not isinstance(value, timedelta):
        raise ConfigurationError(f"{what} is a timedelta", hint=f"{what}=timedelta(seconds=30)", reason="argument")
    return value


def _texts(values: object) -> tuple[str, ...] | None:
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        return None
    found = tuple(values)
    return found if all(isinstance(each, str) for each in found) else None


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
