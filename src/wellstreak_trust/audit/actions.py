"""The actions of this package: what it puts on a trail by itself, and which requirement asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .spec import ActionSpec, Criticality

__all__ = ["SDK_ACTIONS"]

_GROUPS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "access": (("16.3.2",), ("AU-2", "AC-3")),
    "audit": (("16.4.2", "16.5.3"), ("AU-5", "AU-9")),
    "authz": (("16.3.2",), ("AU-2", "AC-6(9)")),
    "connection": (("16.3.3",), ("AU-2", "SA-9")),
    "disclosure": (("16.3.3",), ("RA-5(11)", "SI-2")),
    "limit": (("16.3.3", "16.3.4"), ("AU-2", "SC-5")),
    "member": (("16.3.2",), ("AC-2(4)", "AU-2")),
    "operations": (("16.3.2", "16.4.2"), ("AC-6(9)", "AU-2")),
    "secret": (("16.3.3",), ("AU-2", "SC-12")),
    "secrets": (("16.3.3",), ("AU-2", "SC-12")),
    "session": (("16.3.1",), ("AC-12", "AU-2")),
    "signin": (("16.3.1",), ("AC-7", "AU-2", "IA-2")),
    "subscription": (("16.3.2",), ("AU-2", "AC-2(4)")),
    "support": (("16.3.2",), ("AC-6(9)", "AU-2")),
    "tenancy": (("16.3.2", "16.3.3"), ("AC-4", "AC-6(9)", "AU-2")),
    "webhook": (("16.3.3",), ("AU-2", "SC-8")),
    "workflow": (("16.3.3",), ("AU-2", "SI-4")),
    "workspace": (("16.3.2",), ("AC-2(4)", "AU-2")),
}
"""What the part before the first dot is logged for: OWASP ASVS 5 requirements and NIST SP 800-53 rev. 5 controls."""


def _ours(name: str, criticality: Criticality, about: str, *, needs_reason: bool = False) -> ActionSpec:
    asvs, nist = _GROUPS[name.partition(".")[0]]
    return ActionSpec(name, criticality, about, needs_reason=needs_reason, asvs=asvs, nist=nist)


SDK_ACTIONS: Final[tuple[ActionSpec, ...]] = (
    _ours("audit.gap", "protective", "Events that could not be recorded, counted after recovery"),
    _ours("audit.tree_head", "standard", "The spine notes the state of a tree"),
    _ours("audit.heartbeat", "standard", "The log was there and nothing was recorded"),
    _ours("audit.tail_cut", "critical", "A torn write was cut from the end of a directory of records"),
    _ours("audit.subject_erased", "critical", "The personal data of a subject was erased", needs_reason=True),
    _ours("audit.hold_placed", "critical", "Erasure and pruning were forbidden", needs_reason=True),
    _ours("audit.hold_released", "critical", "Erasure and pruning are allowed again", needs_reason=True),
    _ours("audit.pruned", "critical", "Old events were archived and deleted", needs_reason=True),
    _ours("audit.disclosed", "critical", "Personal values of the trail were read", needs_reason=True),
    _ours("audit.exported", "critical", "The trail was exported"),
    _ours("audit.read", "standard", "The trail was read"),
    _ours("disclosure.received", "standard", "A vulnerability report came in"),
    _ours("disclosure.triaged", "standard", "A vulnerability report was assessed"),
    _ours("disclosure.rejected", "standard", "A vulnerability report was rejected"),
    _ours("disclosure.accepted", "standard", "A vulnerability report was accepted"),
    _ours("disclosure.fixed", "standard", "A reported vulnerability was fixed"),
    _ours("disclosure.published", "standard", "A reported vulnerability was published"),
    _ours("access.denied", "protective", "The policy refused an operation"),
    _ours("access.attempted", "standard", "An operation was let through and is about to run"),
    _ours("authz.break_glass", "critical", "An operator was given permissions in a tenant", needs_reason=True),
    _ours("authz.approval_confirmed", "critical", "A person approved an operation of somebody else"),
    _ours("signin.succeeded", "standard", "Somebody signed in"),
    _ours("signin.failed", "protective", "A sign-in failed"),
    _ours("session.opened", "standard", "A session began"),
    _ours("session.closed", "protective", "A session ended by its user"),
    _ours("session.revoked", "protective", "A session was ended for its user"),
    _ours("tenancy.elevated", "critical", "An operator entered another tenant", needs_reason=True),
    _ours("tenancy.elevation_ended", "protective", "An operator left another tenant"),
    _ours("tenancy.unscoped", "critical", "Code ran outside the tenant guard", needs_reason=True),
    _ours("workspace.created", "standard", "A workspace was created"),
    _ours("workspace.ownership_transferred", "critical", "A workspace has another owner"),
    _ours("workspace.transfer_offered", "critical", "An ownership was offered"),
    _ours("workspace.transfer_cancelled", "protective", "An ownership on offer was withdrawn or declined"),
    _ours("workspace.seats_changed", "standard", "A workspace has another number of seats"),
    _ours("subscription.changed", "standard", "A subscription has another state"),
    _ours("member.invited", "standard", "Somebody was invited"),
    _ours("member.invitation_revoked", "protective", "An invitation was withdrawn"),
    _ours("member.joined", "standard", "An invitation was accepted"),
    _ours("member.roles_changed", "critical", "A member's roles changed"),
    _ours("member.removed", "protective", "A member lost access"),
    _ours("member.suspended", "protective", "A member was put out of action"),
    _ours("member.reinstated", "critical", "A suspended member is back"),
    _ours("member.service_added", "critical", "A service account became a member"),
    _ours("support.access_granted", "critical", "Support was let in for a while", needs_reason=True),
    _ours("support.access_ended", "protective", "The time of support is over"),
    _ours("secret.written", "critical", "A secret was stored"),
    _ours("secret.read", "critical", "A secret was read"),
    _ours("secret.rotated", "critical", "A secret was replaced by a new version"),
    _ours("secret.refreshed", "critical", "A secret was replaced by what its provider gave for it"),
    _ours("secret.reverted", "critical", "An older value of a secret became a new version"),
    _ours("secret.disabled", "protective", "A secret was switched off"),
    _ours("secret.enabled", "critical", "A secret was switched on again"),
    _ours("secret.destroyed", "critical", "A version of a secret was destroyed"),
    _ours("secret.shredded", "critical", "All secrets of a tenant became unreadable"),
    _ours("secrets.rewrapped", "critical", "Data keys were wrapped again under another key"),
    _ours("secrets.reencrypted", "critical", "Secrets of a tenant were sealed again under its new key"),
    _ours("secrets.verified", "standard", "Stored secrets were opened to see whether they are sound"),
    _ours("secrets.key_turned", "critical", "A tenant has a new key"),
    _ours("connection.state_changed", "standard", "An integration changed its state"),
    _ours("operations.viewed", "critical", "An operator read the operator page"),
    _ours("workflow.started", "standard", "Background work began"),
    _ours("workflow.stalled", "standard", "Background work was not heard of in time"),
    _ours("workflow.failed", "standard", "Background work ended without result"),
    _ours("workflow.done", "standard", "Background work ended well"),
    _ours("webhook.verified", "sampled", "A webhook was accepted"),
    _ours("webhook.refused", "protective", "A webhook was refused"),
    _ours("webhook.undeliverable", "protective", "A webhook of ours could not be delivered"),
    _ours("webhook.recipient_disabled", "protective", "A recipient gets no webhooks any more"),
    _ours("limit.degraded", "protective", "A rate limit ran on its outage policy"),
)
