"""The life of a report, and by when somebody owes an answer. Pure.

::

    received ─► triaged ─► accepted ─► fixed ─► published
        └──────────┴────► rejected
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, Literal

from ..core.errors import ConfigurationError

__all__ = ["STEPS", "DisclosurePolicy", "ReportState", "Ticket", "working_days"]

ReportState = Literal["received", "triaged", "rejected", "accepted", "fixed", "published"]

STEPS: Final[Mapping[ReportState, frozenset[ReportState]]] = MappingProxyType(
    {
        "received": frozenset(("triaged", "rejected")),
        "triaged": frozenset(("accepted", "rejected")),
        "accepted": frozenset(("fixed",)),
        "fixed": frozenset(("published",)),
        "rejected": frozenset(),
        "published": frozenset(),
    }
)
_SATURDAY: Final = 5


@dataclass(frozen=True, slots=True)
class DisclosurePolicy:
    """What reporters are promised.

    Args:
        acknowledge: working days to the first answer.
        status: between two answers after it.
        embargo: how long both keep silent, unless the reporter asks for less.

    Raises:
        ConfigurationError: not positive.
    """

    acknowledge: int = 3
    status: timedelta = timedelta(days=14)
    embargo: timedelta = timedelta(days=90)

    def __post_init__(self) -> None:
        if type(self.acknowledge) is not int or self.acknowledge < 1 or min(self.status, self.embargo) <= timedelta():
            raise ConfigurationError("a disclosure policy promises positive times", reason="disclosure_policy")


@dataclass(frozen=True, slots=True)
class Ticket:
    """Where a report stands, without what it says.

    Args:
        id: as the reporter holds it after `submit`; in lists its digest, which operators use alike.
        acknowledge_by, status_by: when an answer is owed; None once it is not.
        embargo_until: both sides' silence.
        notes: how many there are.
    """

    id: str = field(repr=False)
    state: ReportState
    received_at: datetime
    updated_at: datetime
    impact: str
    severity: str | None
    weakness: str | None
    embargo_until: datetime
    acknowledge_by: datetime | None
    status_by: datetime | None
    notes: int = 0

    def overdue(self, now: datetime) -> bool:
        """Whether an answer is owed and late."""
        owed = self.acknowledge_by or self.status_by
        return owed is not None and owed < now


def working_days(start: datetime, days: int) -> datetime:
    """The moment so many working days after `start`; Saturdays and Sundays do not count."""
    moment = start
    while days:
        moment += timedelta(days=1)
        days -= moment.weekday() < _SATURDAY
    return moment
