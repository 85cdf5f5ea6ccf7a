"""Values for the rows of a generated world: few and alike, so that rows of different tenants meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

from ...core.errors import ConfigurationError

__all__ = ["ORDERED", "SUMMED", "known", "value_of"]

_DAY: Final = datetime(2026, 1, 1)  # noqa: DTZ001  # columns without zone hold such
_WORDS: Final = ("a", "b", "c", "d", "e")

_MADE: Final[Mapping[type, Callable[[int], Any]]] = {
    bool: lambda n: n % 2 == 0,
    int: lambda n: n,
    float: float,
    Decimal: Decimal,
    datetime: lambda n: _DAY + timedelta(days=n),
    date: lambda n: (_DAY + timedelta(days=n)).date(),
    time: lambda n: time(n % 24, n // 24 % 60),
    timedelta: lambda n: timedelta(days=n),
    bytes: lambda n: f"b{n}".encode(),
    UUID: lambda n: uuid5(NAMESPACE_OID, str(n)),
    dict: lambda n: {"n": n},
    list: lambda n: [n],
}

ORDERED: Final = (int, float, Decimal, str, datetime, date)
"""Types whose columns have a greatest value on every database."""

SUMMED: Final = (int, float, Decimal)
"""Types whose columns add up."""


def known(kind: type) -> bool:
    """Whether values of the type can be made."""
    return kind is str or kind in _MADE


def value_of(kind: type, number: int, *, unique: bool, length: int | None = None, aware: bool = False) -> Any:
    """The value with that number: one of five where it may repeat.

    Args:
        length: most characters of a text.
        aware: whether a `datetime` carries UTC.

    Raises:
        ConfigurationError: a type that nothing is known about.
    """
    if kind is str:
        return (f"v{number}" if unique else _WORDS[number % len(_WORDS)])[:length]
    if kind not in _MADE:
        raise ConfigurationError(
            f"no values of {kind.__name__} are known", hint="give values={Model.column: lambda n: ...}", reason="values"
        )
    made = _MADE[kind](number if unique else number % len(_WORDS))
    return made.replace(tzinfo=UTC) if aware and kind is datetime else made
