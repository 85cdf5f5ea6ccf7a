"""Detectors of access: what was done after it should have ended, before it was granted, or against other tenants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, Final

from .detector import DONE, Absence, Detector
from .finding import AnomalyConfig, Finding
from .record import Record
from .windows import Subjects, Window, micros

__all__ = ["BreakGlassLong", "CrossTenantDenials", "DenialBurst", "RoleBeforeGrant", "UseAfterRevoke"]

_PLATFORM: Final = "system"
_GRANTS: Final = frozenset(("member.joined", "member.roles_changed", "member.service_added", "member.reinstated",
                  "workspace.created", "workspace.ownership_transferred", "support.access_granted"))  # fmt: skip


class UseAfterRevoke(Detector):
    """An event of a session, key or member after its revocation, sign-out or removal."""

    rule_id: ClassVar[str] = "wst.use_after_revoke"
    actions: ClassVar[frozenset[str] | None] = None
    _ENDS: Final = {
        "session.revoked": "session", "session.closed": "session", "api_key.revoked": "key", "apikey.revoked": "key",
        "refresh.family_revoked": "session", "agent.revoked": "key", "member.removed": "member",
        "member.suspended": "member",
    }  # fmt: skip
    _BEGINS: Final = frozenset(("member.joined", "member.reinstated", "member.service_added"))

    def __init__(self, config: AnomalyConfig) -> None:
        self._grace: int = micros(config.revoke_grace)
        self._ended: Subjects[tuple[str, str], list[int]] = Subjects(config.subjects, lambda: [0, 0])
        self._told: Subjects[tuple[str, str], Window] = Subjects(config.subjects, lambda: Window(micros(config.intent)))

    def see(self, record: Record) -> Finding | None:
        """See `Detector`."""
        action = record.action
        if action in self._ENDS:
            self._end(record)
        elif action in self._BEGINS:
            for target in (*record.targets, record.actor):
                self._ended.pop((record.tenant, target), None)
        elif self._ended and record.outcome in DONE:
            for key in ((record.tenant, record.actor), *(("", credential) for credential in record.credentials)):
                ended = self._ended.get(key)
                if ended is not None and record.at > ended[0] + self._grace:
                    return self._late(record, key, ended)
        return None

    def _end(self, record: Record) -> None:
        if record.outcome == "success":
            tenant = record.tenant if self._ENDS[record.action] == "member" else ""
            for target in record.targets:
                self._ended.at((tenant, target))[:] = [record.at, record.seq]

    def _late(self, record: Record, key: tuple[str, str], ended: list[int]) -> Finding | None:
        window = self._told.at(key)
        window.add(record)
        if not window.may_tell(record.at):
            return None
        late = f"{record.action} {(record.at - ended[0]) // 1_000_000} s after it had ended"
        return self.found(record, key[1], late, (ended[1], *window.seqs()), ended[0])


class RoleBeforeGrant(Detector):
    """A permission used that no grant recorded so far allows; only in trails that are seen from their first event.

    Roles of the platform come with the credential, so its own trail has no grants that could stand before their use.
    """

    rule_id: ClassVar[str] = "wst.role_before_grant"
    actions: ClassVar[frozenset[str] | None] = None

    def __init__(self, config: AnomalyConfig) -> None:
        self._allows: Callable[[frozenset[str], str], bool] | None = config.allows
        self._roles: Subjects[tuple[str, str], set[str]] = Subjects(config.subjects, set)
        self._whole: Subjects[str, list[bool]] = Subjects(config.subjects, list)
        self._judged: Subjects[tuple[str, str], set[str]] = Subjects(config.subjects, set)

    def see(self, record: Record) -> Finding | None:
        """See `Detector`."""
        whole = self._whole.get(record.tenant)
        if whole is None:
            whole = self._whole.at(record.tenant)
            whole.append(record.seq == 0 and record.tenant != _PLATFORM)
        if record.action in _GRANTS:
            if record.outcome == "success":
                self._grant(record)
            return None
        decision = record.part("decision")
        if not decision or not whole[0] or record.outcome not in DONE:
            return None
        permission = decision.get("permission")
        if not isinstance(permission, str) or permission in self._judged.get((record.tenant, record.actor), ()):
            return None
        return self._judge(record, permission)

    def _judge(self, record: Record, permission: str) -> Finding | None:
        actor = record.leaf["actor"]
        if record.part("decision").get("allowed") is not True or actor.get("actor") or actor.get("reason"):
            return None  # impersonated or delegated it borrows from somebody else, elevated from the platform
        self._judged.at((record.tenant, record.actor)).add(permission)  # told once, until its roles change
        roles = self._roles.get((record.tenant, record.actor))
        if roles is not None and (self._allows is None or self._allows(frozenset(roles), permission)):
            return None
        held = "no recorded membership" if roles is None else f"roles {', '.join(sorted(roles)) or 'none'}"
        return self.found(record, record.actor, f"{permission} was used with {held}", (record.seq,), record.at)

    def _grant(self, record: Record) -> None:
        became = record.changed("roles")
        roles = {role for role in became if isinstance(role, str)} if isinstance(became, list) else None
        for who in (*record.targets, record.actor) if record.action == "workspace.created" else record.targets:
            self._judged.pop((record.tenant, who), None)
            held = self._roles.at((record.tenant, who))
            if record.action in ("workspace.created", "workspace.ownership_transferred"):
                held.add("owner")
            elif roles is not None:
                held.clear()
                held |= roles


class CrossTenantDenials(Detector):
    """Denials for resources of other tenants by one principal: probing, whatever was guessed."""

    rule_id: ClassVar[str] = "wst.cross_tenant_denials"
    actions: ClassVar[frozenset[str] | None] = frozenset(("access.denied",))

    def __init__(self, config: AnomalyConfig) -> None:
        self._most: int = config.cross_tenant
        span = micros(config.cross_tenant_window)
        self._windows: Subjects[str, Window] = Subjects(config.subjects, lambda: Window(span))

    def see(self, record: Record) -> Finding | None:
        """See `Detector`."""
        reason = str(record.leaf.get("reason") or "")
        if record.part("decision").get("code") != "tenant_mismatch" and not reason.startswith("tenant_not_found"):
            return None
        window = self._windows.at(record.actor)
        count = window.add(record, record.tenant)
        if count >= self._most and window.may_tell(record.at):
            first = window.events[0][0]
            tenants = len(window.labels)
            return self.found(record, record.actor, f"{count} denials at {tenants} tenants", window.seqs(), first)
        return None


class DenialBurst(Detector):
    """Many denials of one principal at once, and far above what is usual for that principal."""

    rule_id: ClassVar[str] = "wst.denial_burst"
    actions: ClassVar[frozenset[str] | None] = frozenset(("access.denied",))

    def __init__(self, config: AnomalyConfig) -> None:
        self._most: int = config.denials
        self._factor: float = config.denials_over_mean
        self._span: int = micros(config.denials_window)
        self._windows: Subjects[tuple[str, str], Window] = Subjects(config.subjects, lambda: Window(self._span))
        self._usual: Subjects[tuple[str, str], list[int]] = Subjects(config.subjects, lambda: [0, 0])

    def see(self, record: Record) -> Finding | None:
        """See `Detector`."""
        key = (record.tenant, record.actor)
        window, usual = self._windows.at(key), self._usual.at(key)
        usual[0] = usual[0] or record.at
        usual[1] += 1
        count = window.add(record)
        if count < self._most:
            return None
        spans = max((window.events[0][0] - usual[0]) // self._span, 1)
        mean = (usual[1] - count) / spans
        if count >= mean * self._factor and window.may_tell(record.at):
            return self.found(
                record, record.actor, f"{count} denials, usually {mean:.1f}", window.seqs(), window.events[0][0]
            )
        return None


class BreakGlassLong(Detector):
    """Emergency access without a ticket, or used past its minutes."""

    rule_id: ClassVar[str] = "wst.break_glass_long"
    actions: ClassVar[frozenset[str] | None] = frozenset(
        ("tenancy.elevated", "tenancy.elevation_ended", "authz.break_glass")
    )

    def __init__(self, config: AnomalyConfig) -> None:
        self._open: Subjects[str, list[int]] = Subjects(config.subjects, lambda: [0, 0, 0])
        self._grace: int = micros(config.revoke_grace)

    def see(self, record: Record) -> Finding | None:
        """See `Detector`."""
        if record.action == "tenancy.elevation_ended":
            began = self._open.pop(record.actor, None)
            if began is None or record.at <= began[2] + self._grace:
                return None
            minutes = f"it went on for {(record.at - began[0]) // 60_000_000} minutes"
            return self.found(record, record.actor, minutes, (began[1], record.seq), began[0])
        if record.outcome not in DONE:
            return None
        data = record.part("data")
        said = _number(data.get("minutes"))
        if record.action == "tenancy.elevated" and said is not None:
            self._open.at(record.actor)[:] = [record.at, record.seq, record.at + int(said * 60_000_000)]
        if str(data.get("ticket") or "").strip():
            return None
        return self.found(record, record.actor, f"{record.action} without a ticket", (record.seq,), record.at)

    def end(self, at: int) -> Iterator[Absence]:
        """See `Detector`."""
        for actor, (began, seq, until) in list(self._open.items()):
            if at > until + self._grace:
                yield "system", actor, f"{(at - until) // 60_000_000} minutes past its end", (seq,), began
                del self._open[actor]


def _number(value: object) -> float | None:
    try:
        found = float(value)  # type: ignore[arg-type]  # whatever is no number is none
    except (TypeError, ValueError, OverflowError):
        return None
    return found if 0 <= found < 1_000_000 else None
