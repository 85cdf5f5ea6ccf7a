"""A platform on a bad day: what the operator page shows in its tests and on its picture. Times stand still."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from wellstreak_trust import Principal, Trust
from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.authz import Policy
from wellstreak_trust.connections import Connections, MemoryConnectionStore, ProbeResult
from wellstreak_trust.console import Console
from wellstreak_trust.core.clock import FixedClock
from wellstreak_trust.core.event import AuditEvent
from wellstreak_trust.disclosure import DisclosureIntake, MemoryReportStore
from wellstreak_trust.guard import Guard
from wellstreak_trust.identity import Authenticator, MemorySessionStore, SessionManager
from wellstreak_trust.origin import OriginPolicy, SecurityHeaders
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter
from wellstreak_trust.secrets import KeyChain, MemorySecretBackend, SecretStore
from wellstreak_trust.secrets.providers import LocalKeyProvider
from wellstreak_trust.telemetry import MemoryRunStore, WorkflowRuns
from wellstreak_trust.tenancy import Memberships, MemoryMembershipStore, PathSource, TenantResolver

START = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
ADA, ROOT = Principal("u_ada"), Principal("u_root", roles=frozenset({"super_admin"}))
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HOSTILE = {
    "script": "<script>document.title='taken'</script>",
    "handler": '"><img src=x onerror="document.title=\'taken\'">',
    "bidi": "user\u202egnp.exe\u2066\u2069\u200f",
    "long": "w" * 10_000,
    "nul": "nul\x00\x1b[31m\ud800",
    "marks": "z" + "\u0310\u0337" * 40,
}


@dataclass
class Answering:
    """A probe that says what it is told to, and how long it took."""

    name: str
    took: timedelta
    kind: str = "auth"
    required: bool = True
    timeout: timedelta = timedelta(seconds=5)
    says: dict[tuple[str, str], ProbeResult] = field(default_factory=dict)

    async def run(self, context: Any) -> ProbeResult:
        said = self.says.get((context.tenant_id, context.provider), ProbeResult("ok"))
        return replace(said, latency=self.took)


class Furnished:
    """One platform over memory stores."""

    def __init__(self, kek: Any, *, empty: bool = False) -> None:
        self.clock = FixedClock(START)
        self.audit = AuditLog(MemoryAuditStore(), clock=self.clock)
        self.sessions = SessionManager(MemorySessionStore(), insecure_loopback=True)
        self.keys = KeyChain([LocalKeyProvider.generate(kek)])
        self.secrets = SecretStore(MemorySecretBackend(), self.keys, audit=self.audit, clock=self.clock)
        self.whoami = Answering("whoami", timedelta(milliseconds=84))
        self.scopes = Answering("scopes", timedelta(milliseconds=31), "scope")
        probes = {name: [self.whoami, self.scopes] for name in ("slack", "hubspot", "calendar", "stripe", "mailer")}
        self.store = MemoryConnectionStore()
        self.connections = Connections(self.store, self.secrets, probes, audit=self.audit, clock=self.clock)
        self.runs = WorkflowRuns(MemoryRunStore(), audit=self.audit, clock=self.clock)
        self.reports = DisclosureIntake(MemoryReportStore(), self.audit, clock=self.clock)
        self.limiter = RateLimiter(
            [
                LimitRule("client", 600, MINUTE, by=("client",)),
                LimitRule("tenant", 300, MINUTE, by=("tenant",), burst=60),
                LimitRule("sign-in", 5, 15 * MINUTE, by=("account",), algorithm="exact", on_outage="closed"),
                LimitRule("exports", 200, "month", by=("tenant",), algorithm="calendar", mode="shadow"),
            ],
            MemoryLimitStore(allow_memory=True),
            self.clock,
        )
        if not empty:
            self._furnish()
        self.console = Console(
            connections=self.connections, runs=self.runs, audit=self.audit, limiter=self.limiter,
            secrets=self.secrets, keys=self.keys, reports=self.reports, clock=self.clock, title="WellStreak operations",
        )  # fmt: skip
        self.trust = Trust(
            profile="test",
            authenticator=Authenticator([self.sessions]),
            tenants=TenantResolver([PathSource("/w/{tenant}/")], Memberships(MemoryMembershipStore())),
            policy=Policy.from_dict(
                {
                    "schema": 1,
                    "permissions": {"operations:view": {"scope": "platform"}, "notes:read": {}},
                    "roles": {"super_admin": {"allow": ["operations:view"]}, "owner": {"allow": ["notes:read"]}},
                }
            ),
            limiter=self.limiter, origin=OriginPolicy(), audit=self.audit, security_headers=SecurityHeaders.strict(),
        )  # fmt: skip
        self.guard = Guard(self.trust)

    def cookie(self, who: str, *roles: str) -> str:
        opened = self.sessions.open(who, roles=roles)
        return f"{opened.cookie.name}={opened.token.reveal()}"

    # --- the bad day --------------------------------------------------------------------------------------------------

    def _furnish(self) -> None:
        self._connect()
        self._work()
        self._trail()
        self._disclose()
        self._keep_secrets()
        self.connections.probe_due(100)
        self.connections.define("tailspin", "mailer", config={})
        self.clock.advance(timedelta(seconds=20))

    def _connect(self) -> None:
        tenants = ("acme", "borealis", "northwind", "tailspin", HOSTILE["script"], HOSTILE["bidi"])
        for place, tenant in enumerate(tenants):
            for provider in ("slack", "hubspot", "calendar", "stripe")[: 4 - place % 3]:
                self.secrets.put(tenant, f"{provider}/token", "not shown")
                self.connections.define(tenant, provider, config={}, secret=f"{provider}/token")
                self.connections.test(tenant, provider)
                self._history(tenant, provider, 89 - 11 * place)
        self._fails("acme", "hubspot", ProbeResult("fail", "unauthorized", "401: Bearer xoxb-secret-token was refused"))
        for _ in range(3):
            self._fails("northwind", "hubspot", ProbeResult("fail", "server_error", "503 from upstream"))
        for _ in range(7):
            self._fails("borealis", "slack", ProbeResult("fail", "timeout"))
        self.connections.suspend("northwind", "slack", "asked by the customer", actor=ROOT)
        self.clock.advance(4 * MINUTE)

    def _fails(self, tenant: str, provider: str, result: ProbeResult) -> None:
        self.clock.advance(MINUTE)
        self.whoami.says[tenant, provider] = result
        self.connections.test(tenant, provider)

    def _history(self, tenant: str, provider: str, length: int) -> None:
        """Ninety days of checks, as a store keeps them."""
        days = self.store._days.setdefault((tenant, provider), {})  # a year of days would take a year
        for age in range(1, length + 1):
            day = (START - age * DAY).date()
            down = 288 if age == 17 and provider == "hubspot" else (age * 7 + len(provider) * 13) % 61
            failed = down if age % 9 == len(provider) % 9 or down == 288 else 0
            days[day] = (288 - failed, 288)

    def _work(self) -> None:
        for number in range(18):
            tenant = ("acme", "borealis", "northwind")[number % 3]
            run = self.runs.start(tenant, ("sync-calendar", "score-leads", "send-digest")[number % 3], actor=ADA,
                                  connection=("calendar", "hubspot", None)[number % 3],
                                  run_id=f"run_{number:03}", every=10 * MINUTE)  # fmt: skip
            step = ("fetch", "score", "write")[number % 3] if number != 9 else HOSTILE["marks"]
            run = self.runs.step(run, step, cost=40 + 17 * number)
            if number in (4, 11):
                self.runs.fail(run, "provider_timeout")
            elif number == 6:
                self.runs.pause(run, "awaits_approval", until=self.clock.now() + DAY)
            self.clock.advance(MINUTE)
            if number < 14 and number not in (4, 6, 9, 11):
                self.runs.done(run, cost=12)
        self.runs.stalled()

    def _trail(self) -> None:
        for _ in range(24):
            self.audit.emit(self._event("system", "access.denied", "denied", Principal("u_mallory")))
            self.clock.advance(timedelta(seconds=2))
        for name, text in HOSTILE.items():
            # A lone surrogate and texts without end are refused where they come in.
            target = text if name in ("script", "handler", "bidi", "marks") else f"member-{name}"
            self.audit.emit(self._event("acme", "member.removed", "success", ADA, target))
        self.audit.emit(self._event("acme", "member.removed", "success", ADA, "u_bo"))
        self.clock.advance(MINUTE)
        self.audit.emit(self._event("acme", "member.invited", "success", Principal("u_bo"), "u_cy"))
        for number in range(120):
            self.audit.emit(self._event("borealis", "demo.step", "success", ADA, f"t_{number}"))

    def _event(self, tenant: str, action: str, outcome: Any, who: Principal, target: str = "doc") -> AuditEvent:
        return AuditEvent(action, outcome, tenant, who, targets=(target,), occurred_at=self.clock.now())

    def _disclose(self) -> None:
        report = {
            "title": "Invitation tokens can be guessed", "steps": "Ask for two invitations and compare their tokens.",
            "affected": ["/invitations/accept"], "impact": "other_tenants", "severity": "high", "weakness": "CWE-330",
        }  # fmt: skip
        self.reports.submit(report)
        second = self.reports.submit({**report, "impact": "own_tenant", "severity": "medium", "weakness": "CWE-79"})
        self.reports.advance(second.id, "triaged", actor=ROOT)
        self.reports.advance(second.id, "accepted", actor=ROOT)

    def _keep_secrets(self) -> None:
        now = self.clock.now()
        self.secrets.put("borealis", "webhook/old", "not shown", rotate_after=now + MINUTE)
        self.clock.advance(2 * MINUTE)
        for tenant, name, rotate, end in (
            ("acme", "hubspot/refresh", now + 3 * DAY, None),
            ("acme", "legacy/ftp", now + 200 * DAY, now + 12 * DAY),
            ("borealis", "webhook/signing", now + DAY, None),
            ("northwind", "calendar/client", now + 21 * DAY, None),
        ):
            self.secrets.put(tenant, name, "not shown", rotate_after=rotate, not_after=end)
