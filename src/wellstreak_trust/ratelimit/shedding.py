"""`LoadShedder`: what one worker refuses when it has more to do than it can.

Work that waits in an overloaded worker is finished after its caller has gone. So the worker counts what it has under
way and refuses early, the least important first: bulk work fills at most ``1 - 2 * reserve`` of the capacity, normal
work ``1 - reserve``, and the last share is kept for what is critical, such as sign-in, payment and webhooks of billing.
Pressure from elsewhere (a lagging event loop, a full queue) shrinks the room of all but the critical.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Lock
from types import TracebackType
from typing import Any, Final, Literal, get_args

from ..core.entropy import SYSTEM_ENTROPY, Entropy
from ..core.errors import ConfigurationError, RateLimited, UsageError
from .outage import Counting

__all__ = ["Importance", "LoadShedder", "Ticket"]

Importance = Literal["critical", "normal", "bulk"]
_RETRY_SECONDS: Final = 5  # spread over one to five, so that what was shed does not come back at once


class Ticket:
    """Room for one piece of work, or its refusal (503); the truth value is `allowed`.

    As a context manager it raises `RateLimited` where there was no room, and gives the room back.
    """

    __slots__ = ("_shedder", "allowed", "retry_after", "violated")

    outage: Final = True
    """The caller did nothing wrong: `RateLimited` answers 503 with the registered type temporary-reduced-capacity."""

    def __init__(self, shedder: LoadShedder | None, name: str, retry_after: timedelta | None) -> None:
        self.allowed: bool = shedder is not None
        self.retry_after: timedelta | None = retry_after
        self.violated: tuple[str, ...] = () if self.allowed else (name,)
        self._shedder: LoadShedder | None = shedder

    def __bool__(self) -> bool:
        return self.allowed

    def headers(self) -> dict[str, str]:
        """``Retry-After`` of a refusal."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after // timedelta(seconds=1))}

    def problem(self, instance: str | None = None) -> dict[str, Any]:
        """The RFC 9457 document of the refusal."""
        return RateLimited(self).problem(instance)

    def release(self) -> None:
        """Gives the room back, once."""
        shedder = self._shedder
        if shedder is not None:
            with shedder._lock:
                shedder._under_way -= self._shedder is not None
                self._shedder = None

    def __enter__(self) -> Ticket:
        if not self.allowed:
            raise RateLimited(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()


class LoadShedder:
    """Admits work by importance while there is room in this process.

    Args:
        capacity: pieces of work under way at most.
        reserve: the share kept for more important work at each step, at least 0 and below a half.
        pressure: how loaded the worker is for reasons of its own, 0 to 1; it must be quick and is asked each time. One
            that raises or answers otherwise counts as none.
        name: of the policy in problem documents.

    Raises:
        ConfigurationError: numbers that leave no room for bulk work.
    """

    def __init__(
        self,
        capacity: int,
        reserve: float = 0.2,
        *,
        pressure: Callable[[], float] | None = None,
        name: str = "load",
        metrics: Counting | None = None,
        entropy: Entropy = SYSTEM_ENTROPY,
    ) -> None:
        fit = type(capacity) is int and type(reserve) in (int, float) and 0 <= reserve < 0.5
        if not fit or capacity * (1 - 2 * reserve) < 1:
            raise ConfigurationError(
                "the capacity leaves no room for bulk work", hint="LoadShedder(100, reserve=0.2)", reason="shedder"
            )
        shares = {"critical": 1.0, "normal": 1 - reserve, "bulk": 1 - 2 * reserve}
        self._room: dict[str, float] = {importance: capacity * share for importance, share in shares.items()}
        self._pressure: Callable[[], float] | None = pressure
        self._name: str = name
        self._metrics: Counting | None = metrics
        self._entropy: Entropy = entropy
        self._lock: Lock = Lock()
        self._under_way: int = 0

    @property
    def under_way(self) -> int:
        """Pieces of work admitted and not yet released."""
        return self._under_way

    def admit(self, importance: Importance = "normal") -> Ticket:
        """Admits one piece of work, or refuses it; never waits.

        Raises:
            UsageError: an importance that does not exist.
        """
        room = self._room.get(importance) if isinstance(importance, str) else None
        if room is None:
            raise UsageError("unknown importance", hint="one of " + ", ".join(get_args(Importance)))
        if self._pressure is not None and importance != "critical":
            room *= 1 - _pressed(self._pressure)
        with self._lock:
            admitted = self._under_way + 1 <= room
            self._under_way += admitted
        if admitted:
            return Ticket(self, self._name, None)
        if self._metrics is not None:
            self._metrics.add("wst.ratelimit.shed", importance=importance)
        return Ticket(None, self._name, timedelta(seconds=1 + self._entropy.octets(1)[0] % _RETRY_SECONDS))


def _pressed(pressure: Callable[[], float]) -> float:
    try:
        found = float(pressure())
    except Exception:
        found = 0.0  # a broken gauge must not close the house
    return min(found, 1.0) if found > 0 else 0.0  # nor may one that answers NaN
