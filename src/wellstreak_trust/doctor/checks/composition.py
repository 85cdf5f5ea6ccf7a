"""Parts that production should not have, and parts that it should."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ...connections import Connections
from ...core.clock import FixedClock
from ...identity import ApiKeys, SessionManager
from ...secrets import SecretStore
from ...tenancy import Memberships
from ..case import Case, Check, Hit

__all__ = ["CHECKS"]

_RECORDERS: Final[dict[type[Any], str]] = {
    SessionManager: "sign-ins",
    ApiKeys: "API keys made and revoked",
    Memberships: "members and roles",
    SecretStore: "secrets read and changed",
    Connections: "connections closed and opened",
}
_LIMITS: Final = "wellstreak_trust.ratelimit."  # their counters in memory are a matter of how many processes there are


def _volatile(case: Case) -> Iterator[Hit]:
    for place, part in case.parts:
        if getattr(part, "volatile", False) is True:
            of_limits = "allow_memory" if place.startswith("limiter.") else ""
            yield Hit(place, f"{type(part).__name__} forgets everything with the process", setting=of_limits)


def _accepted(case: Case) -> Iterator[Hit]:
    for place, part in case.parts:
        accepted = getattr(part, "volatile", None) is False and not type(part).__module__.startswith(_LIMITS)
        if accepted:
            yield Hit(place, f"{type(part).__name__} was accepted in production with allow_memory=True")


def _fixed_clock(case: Case) -> Iterator[Hit]:
    yield from (Hit(place) for place, _ in case.of_kind(FixedClock))


def _unrecorded(case: Case) -> Iterator[Hit]:
    for kind, what in _RECORDERS.items():
        for place, part in case.of_kind(kind):
            if not getattr(part, "recorded", True):
                yield Hit(
                    place, f"{kind.__name__} records nothing: {what} leave no trace", f"{kind.__name__}(audit=...)"
                )


def _counters(case: Case) -> Iterator[Hit]:
    if case.trust is not None and case.trust.counters is None:
        yield Hit("counters")


CHECKS: Final = (
    Check("memory_store", _volatile),
    Check("memory_accepted", _accepted),
    Check("fixed_clock", _fixed_clock),
    Check("part_unrecorded", _unrecorded),
    Check("no_counters", _counters),
)
