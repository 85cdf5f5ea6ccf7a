"""`Report`: the effective configuration and what was found, in the forms in which they are handed on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ..core.finding import Finding, Severity, to_sarif, to_text
from .catalogue import FAULTS, MANUAL
from .effective import Row

__all__ = ["Report"]


@dataclass(frozen=True, slots=True)
class Report:
    """What an examination of a host has to say.

    Args:
        rows: the effective configuration.
        findings: errors first.
    """

    rows: Sequence[Row]
    findings: Sequence[Finding]

    def fails(self, at: Severity = "error") -> bool:
        """Whether something is as severe as that."""
        return any(at == "warning" or each.severity == "error" for each in self.findings)

    def to_text(self) -> str:
        """For people: the configuration in columns, then the findings."""
        return "\n".join(part for part in (_columns(self.rows), to_text(self.findings), self._count()) if part)

    def _count(self) -> str:
        errors = sum(each.severity == "error" for each in self.findings)
        return f"{_counted(errors, 'error')}, {_counted(len(self.findings) - errors, 'warning')}\n"

    def to_json(self) -> str:
        """An object with `configuration` and `findings`."""
        configuration = [{"name": row.name, "value": row.value, "from": row.origin} for row in self.rows]
        found = [asdict(each) for each in self.findings]
        return json.dumps({"configuration": configuration, "findings": found}, indent=2, ensure_ascii=False)

    def to_sarif(self, *, artifact: str = "pyproject.toml") -> str:
        """The findings as a SARIF 2.1.0 log, shown at the file `artifact`."""
        return to_sarif(self.findings, FAULTS, tool="wellstreak-trust doctor", artifact=artifact, manual=MANUAL)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _columns(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    wide = max(len(row.name) for row in rows)
    lines = (f"{row.name:{wide}}  {row.value}" + (f"  ({row.origin})" if row.origin else "") for row in rows)
    return "".join(f"{line}\n" for line in lines)
