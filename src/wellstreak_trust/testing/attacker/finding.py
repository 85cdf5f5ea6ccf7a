"""What an attack is, and what may come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from .wire import Exchange

if TYPE_CHECKING:
    from .scene import Scene

__all__ = ["Attack", "Case", "Finding", "Severity", "Verdict", "faulty", "passed", "unclear"]


class Severity(IntEnum):
    """How bad it is, in the words of CVSS 4.0 (section 6)."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one try showed.

    Args:
        fault: what is wrong; empty where nothing is.
        doubt: why it shows nothing; empty where it does.
        exchanges: the evidence.
        severity: where it differs from the attack's own.
    """

    fault: str = ""
    doubt: str = ""
    exchanges: tuple[Exchange, ...] = ()
    severity: Severity | None = None


def passed(*exchanges: Exchange) -> Verdict:
    """The host answered as it should."""
    return Verdict(exchanges=exchanges)


def faulty(fault: str, *exchanges: Exchange, severity: Severity | None = None) -> Verdict:
    """The host is at fault."""
    return Verdict(fault=fault, exchanges=exchanges, severity=severity)


def unclear(doubt: str, *exchanges: Exchange) -> Verdict:
    """Nothing can be said."""
    return Verdict(doubt=doubt, exchanges=exchanges)


@dataclass(frozen=True, slots=True)
class Case:
    """One try of an attack at one place, made when it is run.

    Args:
        place: the route.
        variant: which of the attack's spellings; who tries it.
    """

    place: str
    variant: str
    run: Callable[[], Verdict] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One thing a penetration tester tries.

    Args:
        id: stable name, ``battery.attack``.
        threat: what the attacker does and wants.
        expected: what a safe host answers.
        severity: of a finding, where the verdict says nothing else.
        meaning: what a finding means.
        fix: what to do about it.
        weakness: the CWE id.
        after: attacks whose finding at the same place explains this one too; it is not tried there.
    """

    id: str
    threat: str
    expected: str
    severity: Severity
    meaning: str
    fix: str
    weakness: str
    cases: Callable[[Scene], Iterator[Case]] = field(repr=False)
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A weakness at a place.

    Args:
        fault: what the host did.
        variant: the try that showed it.
    """

    attack: Attack
    place: str
    variant: str
    fault: str
    severity: Severity
    evidence: tuple[Exchange, ...] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.severity.name} {self.attack.id} at {self.place} ({self.variant}): {self.fault}"
