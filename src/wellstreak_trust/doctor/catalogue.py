"""Every fault of a host, once: its code, what is wrong, what it lets happen, and the line that fixes it.

The code is what `ConfigurationError.reason` says where start-up refuses the same thing, what a finding of the doctor
carries, and the anchor on the page of faults. The id is the same fault among the system checks of Django.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ..core.errors import ConfigurationError
from ..core.finding import Code, Finding, Severity
from .faults_found import FOUND
from .faults_refused import REFUSED

__all__ = ["FAULTS", "MANUAL", "fault_of", "found", "refusal"]

MANUAL: Final = "https://github.com/wellstreak/wellstreak-trust/blob/main/docs/reference/faults.md"
_SEVERITY: Final[Mapping[str, Severity]] = {"E": "error", "W": "warning"}


def _code(row: tuple[str, str, str, str]) -> Code:
    id, title, why, hint = row
    return Code(_SEVERITY[id[0]], title, why, hint, f"trust.{id}")


FAULTS: Final[Mapping[str, Code]] = MappingProxyType(
    {code: _code(row) for table in (REFUSED, FOUND) for code, row in table.items()}
)
"""Code to fault."""


def fault_of(error: ConfigurationError) -> str:
    """The code of a refusal; `configuration` for one that a host's own code raised with a reason of its own."""
    return error.reason if error.reason in FAULTS else ConfigurationError.fault


def found(code: str, place: str, *, what: str = "", hint: str = "", came_from: str = "") -> Finding:
    """A finding of this fault.

    Args:
        place: the part, file or setting.
        what: what is wrong here, in a sentence; the fault's own title if empty.
        hint: what fixes it here; the fault's own line if empty.
        came_from: where the value was given.
    """
    fault = FAULTS[code]
    return Finding(code, fault.severity, place, what or fault.title, hint or fault.hint, fault.why, fault.id, came_from)


def refusal(error: ConfigurationError, place: str, *, came_from: str = "") -> Finding:
    """A start-up refusal as a finding."""
    return found(fault_of(error), place, what=error.detail, hint=error.hint, came_from=came_from)
