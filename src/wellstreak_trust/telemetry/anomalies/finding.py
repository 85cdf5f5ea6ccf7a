"""What a detector says, and the numbers it goes by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from ...core.errors import ConfigurationError

__all__ = ["RULES", "AnomalyConfig", "Finding", "Severity"]

Severity = Literal["low", "medium", "high"]

RULES: Final[dict[str, tuple[Severity, str]]] = {
    "wst.use_after_revoke": ("high", "Something was done with a session, key or membership that had ended"),
    "wst.role_before_grant": ("high", "A permission was used that no grant recorded so far allows"),
    "wst.cross_tenant_denials": ("high", "One principal was refused again and again at other tenants' resources"),
    "wst.denial_burst": ("medium", "One principal was refused far more often than usual"),
    "wst.credential_spray": ("high", "Sign-ins to many accounts failed from one network"),
    "wst.new_network_privileged": ("medium", "A privileged person acted from a network not seen before"),
    "wst.secret_read_unused": ("medium", "A secret was read and nothing was done with it"),
    "wst.break_glass_long": ("high", "An emergency access had no ticket, or went on past its time"),
    "wst.webhook_forgery": ("medium", "One endpoint was sent many webhooks with wrong signatures"),
    "wst.connection_flapping": ("low", "A connection changed its state again and again"),
    "wst.export_volume": ("medium", "Far more was exported than in the month before"),
    "wst.clock_regression": ("medium", "The clock of the log went back"),
    "wst.dangling_intent": ("medium", "Something was attempted, and how it ended was never recorded"),
    "wst.audit_gap": ("high", "Events are missing, or the log fell silent"),
}
"""Rule ids with severity and what they mean; ids are stable."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something worth a look, and where it stands in the trail.

    Args:
        rule_id: one of `RULES`.
        tenant_id: whose trail.
        subject: what it is about: a principal's id, a network, an endpoint; never a personal value.
        first_seen, last_seen: times of the first and last event of it, as recorded by the log.
        seqs: where those events stand, at most 50; each can be shown with its proof.
        explanation: one sentence with the figures that made it fire.
    """

    rule_id: str
    severity: Severity
    tenant_id: str
    subject: str
    first_seen: datetime
    last_seen: datetime
    seqs: tuple[int, ...]
    explanation: str


@dataclass(frozen=True, slots=True)
class AnomalyConfig:
    """When the rules fire; the defaults are meant to be quiet on a healthy service.

    Args:
        allows: whether a set of roles allows a permission, such as a policy's; without it only uses by principals with
            no recorded membership at all are found.
        heartbeat: how long the log may be silent; a third of what `wst.audit_gap` waits for. None where no spine ticks.
        subjects: principals, networks and the like that each rule keeps in memory; the least recently seen goes.
        now: the end of what is looked at; the last record's time unless told. Lets absences be found.

    Raises:
        ConfigurationError: a number that is not positive.
    """

    revoke_grace: timedelta = timedelta(seconds=5)
    cross_tenant: int = 3
    cross_tenant_window: timedelta = timedelta(minutes=10)
    denials: int = 20
    denials_window: timedelta = timedelta(minutes=5)
    denials_over_mean: float = 5.0
    spray_accounts: int = 15
    spray_window: timedelta = timedelta(minutes=10)
    spray_each: int = 3
    network_memory: timedelta = timedelta(days=30)
    secret_use: timedelta = timedelta(minutes=10)
    forgeries: int = 10
    forgeries_window: timedelta = timedelta(minutes=10)
    flaps: int = 6
    flaps_window: timedelta = timedelta(hours=1)
    export_factor: float = 3.0
    export_floor: int = 1_000
    clock_tolerance: timedelta = timedelta(seconds=5)
    intent: timedelta = timedelta(minutes=15)
    heartbeat: timedelta | None = None
    allows: Callable[[frozenset[str], str], bool] | None = None
    subjects: int = 10_000
    now: datetime | None = None

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            wrong = (
                value <= timedelta() if isinstance(value, timedelta) else isinstance(value, int | float) and value <= 0
            )
            if wrong:
                raise ConfigurationError(f"{name} is not positive", hint="leave it out", reason="anomaly_config")
