"""What may be recorded, and what must happen when it cannot be: every action is declared once.

Criticality answers one question: the trail is down, does the action still happen?

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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args

from ..core.errors import AuditEventRejected, ConfigurationError

__all__ = ["SDK_ACTIONS", "ActionRegistry", "ActionSpec", "Criticality"]

Criticality = Literal["critical", "standard", "protective", "sampled"]

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,127}")


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One action that the trail may hold.

    Args:
        name: dotted by convention: ``billing.plan_changed``.
        criticality: what happens when it cannot be recorded.
        about: one line for the inventory (OWASP ASVS 5, 16.1.1).
        needs_reason: an event without `reason` is refused.

    Raises:
        ConfigurationError: a malformed name or an unknown criticality.
    """

    name: str
    criticality: Criticality = "standard"
    about: str = ""
    needs_reason: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
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

    @property
    def must_stand(self) -> bool:
        """Whether the action may only happen once the event is stored."""
        return self.criticality in ("critical", "standard")


SDK_ACTIONS: Final[tuple[ActionSpec, ...]] = (
    ActionSpec("audit.gap", "protective", "Events that could not be recorded, counted after recovery"),
    ActionSpec("audit.subject_erased", "critical", "The personal data of a subject was erased", needs_reason=True),
    ActionSpec("audit.exported", "critical", "The trail was exported"),
    ActionSpec("audit.read", "standard", "The trail was read"),
    ActionSpec("disclosure.received", "standard", "A vulnerability report came in"),
    ActionSpec("disclosure.triaged", "standard", "A vulnerability report was assessed"),
    ActionSpec("disclosure.rejected", "standard", "A vulnerability report was rejected"),
    ActionSpec("disclosure.accepted", "standard", "A vulnerability report was accepted"),
    ActionSpec("disclosure.fixed", "standard", "A reported vulnerability was fixed"),
    ActionSpec("disclosure.published", "standard", "A reported vulnerability was published"),
    ActionSpec("access.denied", "protective", "The policy refused an operation"),
    ActionSpec("access.attempted", "standard", "An operation was let through and is about to run"),
    ActionSpec("authz.break_glass", "critical", "An operator was given permissions in a tenant", needs_reason=True),
    ActionSpec("agent.credential_minted", "critical", "An agent got a credential to act for somebody"),
    ActionSpec("authz.approval_confirmed", "critical", "A person approved an operation of somebody else"),
    ActionSpec("signin.succeeded", "standard", "Somebody signed in"),
    ActionSpec("signin.failed", "protective", "A sign-in failed"),
    ActionSpec("session.opened", "standard", "A session began"),
    ActionSpec("session.closed", "protective", "A session ended by its user"),
    ActionSpec("session.revoked", "protective", "A session was ended for its user"),
    ActionSpec("tenancy.elevated", "critical", "An operator entered another tenant", needs_reason=True),
    ActionSpec("tenancy.elevation_ended", "protective", "An operator left another tenant"),
    ActionSpec("tenancy.unscoped", "critical", "Code ran outside the tenant guard", needs_reason=True),
    ActionSpec("workspace.created", "standard", "A workspace was created"),
    ActionSpec("workspace.ownership_transferred", "critical", "A workspace has another owner"),
    ActionSpec("workspace.transfer_offered", "critical", "An ownership was offered"),
    ActionSpec("workspace.transfer_cancelled", "protective", "An ownership on offer was withdrawn or declined"),
    ActionSpec("workspace.seats_changed", "standard", "A workspace has another number of seats"),
    ActionSpec("subscription.changed", "standard", "A subscription has another state"),
    ActionSpec("member.invited", "standard", "Somebody was invited"),
    ActionSpec("member.invitation_revoked", "protective", "An invitation was withdrawn"),
    ActionSpec("member.joined", "standard", "An invitation was accepted"),
    ActionSpec("member.roles_changed", "critical", "A member's roles changed"),
    ActionSpec("member.removed", "protective", "A member lost access"),
    ActionSpec("member.suspended", "protective", "A member was put out of action"),
    ActionSpec("member.reinstated", "critical", "A suspended member is back"),
    ActionSpec("member.service_added", "critical", "A service account became a member"),
    ActionSpec("support.access_granted", "critical", "Support was let in for a while", needs_reason=True),
    ActionSpec("support.access_ended", "protective", "The time of support is over"),
    ActionSpec("secret.written", "critical", "A secret was stored"),
    ActionSpec("secret.read", "critical", "A secret was read"),
    ActionSpec("secret.rotated", "critical", "A secret was replaced by a new version"),
    ActionSpec("secret.refreshed", "critical", "A secret was replaced by what its provider gave for it"),
    ActionSpec("secret.reverted", "critical", "An older value of a secret became a new version"),
    ActionSpec("secret.disabled", "protective", "A secret was switched off"),
    ActionSpec("secret.enabled", "critical", "A secret was switched on again"),
    ActionSpec("secret.destroyed", "critical", "A version of a secret was destroyed"),
    ActionSpec("secret.shredded", "critical", "All secrets of a tenant became unreadable"),
    ActionSpec("secrets.rewrapped", "critical", "Data keys were wrapped again under another key"),
    ActionSpec("secrets.reencrypted", "critical", "Secrets of a tenant were sealed again under its new key"),
    ActionSpec("secrets.verified", "standard", "Stored secrets were opened to see whether they are sound"),
    ActionSpec("secrets.key_turned", "critical", "A tenant has a new key"),
    ActionSpec("connection.state_changed", "standard", "An integration changed its state"),
    ActionSpec("webhook.verified", "sampled", "A webhook was accepted"),
    ActionSpec("webhook.refused", "protective", "A webhook was refused"),
    ActionSpec("webhook.undeliverable", "protective", "A webhook of ours could not be delivered"),
    ActionSpec("webhook.recipient_disabled", "protective", "A recipient gets no webhooks any more"),
    ActionSpec("limit.degraded", "protective", "A rate limit ran on its outage policy"),
)


class ActionRegistry:
    """All actions of a host, and always those of this package.

    Args:
        specs: the host's own actions.
        strict: refuse actions that are not declared; else they count as `standard`.

    Raises:
        ConfigurationError: an action declared twice, or one of this package's own declared again.
    """

    __slots__ = ("_specs", "strict")

    def __init__(self, specs: Iterable[ActionSpec] = (), *, strict: bool = True) -> None:
        self._specs: dict[str, ActionSpec] = {}
        self.strict: bool = strict
        for spec in (*SDK_ACTIONS, *specs):
            if spec.name in self._specs:
                raise ConfigurationError(f"action {spec.name} is declared twice", reason="audit_action")
            self._specs[spec.name] = spec

    def __iter__(self) -> Iterator[ActionSpec]:
        return iter(self._specs.values())

    def __contains__(self, name: object) -> bool:
        return name in self._specs

    def spec(self, name: str) -> ActionSpec:
        """The declaration of an action; raises `AuditEventRejected` for one that is not declared or is no name."""
        found = self._specs.get(name) if isinstance(name, str) else None
        if found is not None:
            return found
        if self.strict or not isinstance(name, str) or not _NAME.fullmatch(name):
            raise AuditEventRejected("the action is not declared", hint="add ActionSpec(name) to the ActionRegistry")
        return ActionSpec(name)
