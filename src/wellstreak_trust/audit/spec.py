"""The declaration of one action. What happens when it cannot be recorded is its criticality.

=============  ==========================================  ========================================================
criticality    for                                         when the trail cannot take it
=============  ==========================================  ========================================================
``critical``   roles, ownership, secrets, elevation        `AuditUnavailable`, so the action must not run
``standard``   configuration                               the same, after waiting up to the deadline
``protective`` denials, sign-out, revocation, disabling    goes on: kept in memory and recorded on recovery, counted
``sampled``    frequent, harmless facts                    dropped and counted
=============  ==========================================  ========================================================

Blocking a safety stop because it cannot be logged would help an attacker who fills the disk; hence `protective`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from ..core.errors import AuditEventRejected, ConfigurationError
from ..core.event import AuditEvent

__all__ = ["ActionSpec", "Criticality", "is_action_name"]

Criticality = Literal["critical", "standard", "protective", "sampled"]

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,127}")
_KEY: Final = re.compile(r"[A-Za-z0-9_.-]+")


def is_action_name(name: object) -> bool:
    """Whether `name` can name an action: at most 128 letters, digits and ``_ . : -``, a letter first."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One action that the trail may hold.

    Args:
        name: dotted by convention: ``billing.plan_changed``.
        criticality: what happens when it cannot be recorded.
        about: one line for the inventory (OWASP ASVS 5, 16.1.1).
        needs_reason: an event without `reason` is refused.
        fields: the only keys that `data` may hold at its top; None allows all. What is declared is what is collected.
        asvs: requirements of OWASP ASVS 5 that ask for it, such as ``16.3.2``.
        nist: controls of NIST SP 800-53 that ask for it, such as ``AC-6(9)``.

    Attributes:
        checks: whether `check` can refuse anything.

    Raises:
        ConfigurationError: a malformed name or field, or an unknown criticality.
    """

    name: str
    criticality: Criticality = "standard"
    about: str = ""
    needs_reason: bool = False
    fields: frozenset[str] | None = None
    asvs: tuple[str, ...] = ()
    nist: tuple[str, ...] = ()
    checks: bool = field(init=False, repr=False, compare=False, default=False)

    def __post_init__(self) -> None:
        if not is_action_name(self.name):
            raise ConfigurationError(
                "an action is a name of at most 128 letters, digits and _ . : -",
                hint="such as billing.plan_changed",
                reason="audit_action",
            )
        if self.criticality not in get_args(Criticality):
            raise ConfigurationError(
                f"{self.name}: unknown criticality",
                hint=f"one of {', '.join(get_args(Criticality))}",
                reason="audit_criticality",
            )
        if self.fields is not None:
            if not all(isinstance(key, str) and _KEY.fullmatch(key) for key in self.fields):
                raise ConfigurationError(
                    f"{self.name}: fields is a set of keys of [A-Za-z0-9_.-]+",
                    hint="fields=frozenset({'plan', 'seats'})",
                    reason="audit_fields",
                )
            object.__setattr__(self, "fields", frozenset(self.fields))
        object.__setattr__(self, "checks", self.needs_reason or self.fields is not None)

    @property
    def must_stand(self) -> bool:
        """Whether the action may only happen once the event is stored."""
        return self.criticality == "critical" or self.criticality == "standard"

    def check(self, event: AuditEvent) -> None:
        """Raises `AuditEventRejected` for an event without the reason it needs or with data that is not declared."""
        if self.needs_reason and (not event.reason or (isinstance(event.reason, str) and not event.reason.strip())):
            raise AuditEventRejected(f"{self.name} needs a reason", hint="AuditEvent(..., reason='why')")
        if self.fields is None:
            return
        if not isinstance(event.data, Mapping):
            raise AuditEventRejected(f"{self.name}: data is not a mapping")
        if not self.fields.issuperset(event.data):
            unknown = sorted(str(key) for key in event.data if key not in self.fields)
            raise AuditEventRejected(
                f"{self.name}: data.{unknown[0]} is not declared", hint="add it to ActionSpec(fields=...)"
            )
