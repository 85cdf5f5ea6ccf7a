"""Detectors of conduct: sign-ins, networks, secrets, webhooks, connections and exports."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import ClassVar, Final

from .detector import DONE, Absence, Detector
from .finding import AnomalyConfig, Finding
from .record import Record
from .windows import SEQS, Subjects, Window, micros, until

__all__ = [
    "ConnectionFlapping",
    "CredentialSpray",
    "ExportVolume",
    "NewNetworkPrivileged",
    "SecretReadUnused",
    "WebhookForgery",
]

_DAY: Final = 86_400_000_000
_NETWORKS: Final = 256  # remembered of one actor
_READS: Final = 1_000  # remembered of one actor, until they are used or told of


class CredentialSpray(Detector):
    """Failed sign-ins to many accounts from one network, few at each: one password tried everywhere."""

    rule_id: ClassVar[str] = "wst.credential_spray"
    actions: ClassVar[frozenset[str] | None] = frozenset(("signin.failed",))

    def __init__(self, config: AnomalyConfig) -> None:
        self._accounts: int = config.spray_accounts
        self._each: int = config.spray_each
        span = micros(config.spray_window)
        self._windows: Subjects[str, Window] = Subjects(config.subjects, lambda: Window(span))

    def see(self, record: Record) -> Finding | None:
        """See `Detector`."""
        network = record.network
        if network is None:
            return None
        window = self._windows.at(network)
        window.add(record, next(iter(record.targets), record.actor))
        if len(window.labels) < self._accounts or record.at < window.quiet_until:
            return None
        few = sum(count <= self._each for count in window.labels.values())
        if few >= self._accounts and window.may_tell(record.at):
            return self.found(
                record, network, f"{few} accounts, at most {self._each} tries each", window.seqs(), window.events[0][0]
            )
        return None


class NewNetworkPrivileged(Detector):
    """An owner, or an operator who enters tenants, from a /24 or /48 not seen for a month; the first one is no news."""

    rule_id: ClassVar[str] = "wst.new_network_privileged"
    actions: ClassVar[frozenset[str] | None] = None
    _OPERATORS: Final = frozenset(("tenancy.elevated", "authz.break_glass", "workspace.created"))
    _RAISE: Final = _OPERATORS | {"workspace.ownership_transferred", "member.roles_changed"}

    def __init__(self, config: AnomalyConfig) -> None:
        self._memory: int = micros(config.network_memory)
        self._privileged: Subjects[str, list[int]] = Subjects(config.subjects, list)
        self._seen: Subjects[str, dict[str, int]] = Subjects(config.subjects, dict)

    def see(self, record: Record) -> Finding | None:
        """See `Detector`."""
        if record.action in self._RAISE:
            self._note(record)
        network = record.network
        if network is None or record.outcome not in DONE:
            return None
        seen = self._seen.at(record.actor)
        first, known = not seen, seen.pop(network, None)
        seen[network] = record.at  # the longest not seen stands first
        if known is not None and record.at - known <= self._memory:
            return None
        while len(seen) > _NETWORKS or record.at - next(iter(seen.values())) > self._memory:
            del seen[next(iter(seen))]
        if first or record.actor not in self._privileged:
            return None
        return self.found(record, record.actor, f"{record.action} from {network}", (record.seq,), record.at)

    def _note(self, record: Record) -> None:
        if record.action in self._OPERATORS:
            self._privileged.at(record.actor)
        elif record.action == "workspace.ownership_transferred":
            for target in record.targets:
                self._privileged.at(target)
        elif record.action == "member.roles_changed":
            became = record.changed("roles")
            if isinstance(became, list) and "owner" in became:
                for target in record.targets:
                    self._privileged.at(target)


class SecretReadUnused(Detector):
    """A secret that was read with nothing going out afterwards, by people; workers read to work."""

    rule_id: ClassVar[str] = "wst.secret_read_unused"
    actions: ClassVar[frozenset[str] | None] = None
    _USES: Final = ("connection.", "webhook.", "integration.", "outgoing.", "secret.refreshed", "secret.rotated")

    def __init__(self, config: AnomalyConfig) -> None:
        self._span: int = micros(config.secret_use)
        self._waiting: Subjects[tuple[str, str], deque[tuple[int, int]]] = Subjects(
            config.subjects, lambda: deque(maxlen=_READS)
        )

    def wants(self, action: str) -> bool:
        """See `Detector`."""
        return action == "secret.read" or action.startswith(self._USES)

    def see(self, record: Record) -> Finding | None:
        """See `Detector`."""
        if record.action == "secret.read" and record.outcome == "success":
            if record.leaf["actor"].get("kind") == "user":
                self._waiting.at((record.tenant, record.actor)).append((record.at, record.seq))
        elif self._waiting and record.action != "secret.read":
            self._waiting.pop((record.tenant, record.actor), None)
        return None

    def end(self, at: int) -> Iterator[Absence]:
        """See `Detector`."""
        for (tenant, actor), reads in list(self._waiting.items()):
            late = until(reads, at - self._span)
            if late:
                told = f"{len(late)} reads without a use in {self._span // 60_000_000} minutes"
                yield tenant, actor, told, tuple(seq for _, seq in late[-SEQS:]), late[0][0]
            if not reads:
                del self._waiting[tenant, actor]


class WebhookForgery(Detector):
    """Signature mismatches at one endpoint."""

    rule_id: ClassVar[str] = "wst.webhook_forgery"
    actions: ClassVar[frozenset[str] | None] = frozenset(("webhook.refused",))

    def __init__(self, config: AnomalyConfig) -> None:
        self._most: int = config.forgeries
        span = micros(config.forgeries_window)
        self._windows: Subjects[tuple[str, str], Window] = Subjects(config.subjects, lambda: Window(span))

    def see(self, record: Record) -> Finding | None:
        """See `Detector`."""
        why = " ".join(str(part) for part in (record.leaf.get("reason"), *record.part("data").values()))
        if "signature" not in why:
            return None
        endpoint = next(iter(record.targets), "unknown")
        window = self._windows.at((record.tenant, endpoint))
        count = window.add(record)
        if count >= self._most and window.may_tell(record.at):
            return self.found(record, endpoint, f"{count} wrong signatures", window.seqs(), window.events[0][0])
        return None


class ConnectionFlapping(Detector):
    """A connection that does not stay as it is."""

    rule_id: ClassVar[str] = "wst.connection_flapping"
    actions: ClassVar[frozenset[str] | None] = frozenset(("connection.state_changed",))

    def __init__(self, config: AnomalyConfig) -> None:
        self._most: int = config.flaps
        span = micros(config.flaps_window)
        self._windows: Subjects[tuple[str, str], Window] = Subjects(config.subjects, lambda: Window(span))

    def see(self, record: Record) -> Finding | None:
        """See `Detector`."""
        provider = next(iter(record.targets), "unknown")
        window = self._windows.at((record.tenant, provider))
        count = window.add(record)
        if count >= self._most and window.may_tell(record.at):
            return self.found(record, provider, f"{count} changes of state", window.seqs(), window.events[0][0])
        return None


class ExportVolume(Detector):
    """More exported in a day than three times the most of the thirty days before."""

    rule_id: ClassVar[str] = "wst.export_volume"
    actions: ClassVar[frozenset[str] | None] = frozenset(("audit.exported", "data.exported", "export.created"))

    def __init__(self, config: AnomalyConfig) -> None:
        self._factor: float = config.export_factor
        self._floor: int = config.export_floor
        self._days: Subjects[str, dict[int, int]] = Subjects(config.subjects, dict)
        self._told: Subjects[str, list[int]] = Subjects(config.subjects, list)

    def see(self, record: Record) -> Finding | None:
        """See `Detector`."""
        data = record.part("data")
        count = next((data[name] for name in ("entries", "count", "rows") if isinstance(data.get(name), int)), 1)
        day, days = record.at // _DAY, self._days.at(record.tenant)
        days[day] = days.get(day, 0) + count
        for old in [old for old in days if old < day - 30]:
            del days[old]
        most = max((total for at, total in days.items() if at != day), default=0)
        told = self._told.at(record.tenant)
        if days[day] > max(most * self._factor, self._floor) and day not in told:
            told[:] = [day]
            return self.found(
                record, record.actor, f"{days[day]} entries in a day, {most} at most before", (record.seq,), record.at
            )
        return None
