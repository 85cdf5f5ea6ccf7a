"""What happens when a part breaks: before the operation the guard closes, after it nothing is masked."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import TYPE_CHECKING, Final

from ..core.errors import TrustError, Unavailable

if TYPE_CHECKING:
    from ..trust import Counting

__all__ = ["Dependency", "Spared"]

_LOG: Final = logging.getLogger("wellstreak_trust.guard")


class Dependency:
    """Around every question to a part: what it throws that is no `TrustError` is an outage, and the answer is no.

    Args:
        name: the field of `Trust` that is asked.
        outage: what the caller sees; a 503, because a retry may help and nothing was done.
    """

    __slots__ = ("_name", "_outage")

    def __init__(self, name: str, outage: type[Unavailable] = Unavailable) -> None:
        self._name: str = name
        self._outage: type[Unavailable] = outage

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if isinstance(error, Exception) and not isinstance(error, TrustError):
            raise self._outage(
                f"{self._name} failed ({type(error).__name__})", hint=f"look at the cause, in Trust({self._name}=...)"
            ) from error


class Spared:
    """Around work after the decision: it must not mask the answer that is under way, so its faults are told aside.

    Args:
        counters: count them, if there are any.
        name, **labels: the counter; its name is logged too.
    """

    __slots__ = ("_counters", "_labels", "_name")

    def __init__(self, counters: Counting | None, name: str, /, **labels: str) -> None:
        self._counters: Counting | None = counters
        self._name: str = name
        self._labels: dict[str, str] = labels

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        if not isinstance(error, Exception):
            return False
        # The type alone: a driver's message may quote what it was given.
        _LOG.error("%s %s: %s", self._name, " ".join(self._labels.values()), type(error).__name__)
        if self._counters is not None:
            self._counters.add(self._name, **self._labels)
        return True
