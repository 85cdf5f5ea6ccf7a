"""The host's own part: its composition, its few tables, and nothing about security beyond choosing the parts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, delete, insert, select, update

from wellstreak_trust import Trust
from wellstreak_trust.audit import ActionRegistry, AuditLog, Ed25519Signer
from wellstreak_trust.authz import Policy
from wellstreak_trust.connections import Connections, ConnectionStatus, HttpProbe
from wellstreak_trust.console import Console
from wellstreak_trust.core import SystemClock
from wellstreak_trust.core.entropy import random_hex
from wellstreak_trust.disclosure import DisclosureIntake, SecurityTxt
from wellstreak_trust.identity import (
    AccountLinking,
    Authenticator,
    Identity,
    LoginStart,
    OidcLogin,
    OidcProvider,
    PasswordHasher,
    SessionManager,
)
from wellstreak_trust.origin import OriginPolicy, SecurityHeaders
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, SecretStore
from wellstreak_trust.storage.sql import (
    AsyncDatabase,
    Database,
    SqlAuditStore,
    SqlConnectionStore,
    SqlLoginStore,
    SqlMembershipStore,
    SqlReplayStore,
    SqlReportStore,
    SqlRunStore,
    SqlSecretBackend,
    SqlSessionStore,
    SqlUsageStore,
)
from wellstreak_trust.storage.sql.usage import SqlEntitlements
from wellstreak_trust.telemetry import Counters, WorkflowRuns
from wellstreak_trust.tenancy import (
    Entitlements,
    Memberships,
    PathSource,
    TenantResolver,
    TransferPolicy,
)
from wellstreak_trust.tenancy.stripe import StripeFeed
from wellstreak_trust.webhooks import ReplayGuard, WebhookVerifier, verifier

from . import operations
from .data import GUARD, Agent, Base, Setting, User
from .people import People
from .plans import PRICES, TEAM

AUDIT_ORIGIN = "demo.wellstreak.example/audit"
BILLING_SECRET = "whsec_demo_billing_secret_0123456789"
PASSWORD = "correct horse battery staple"
CONTACT = ("mailto:security@wellstreak.example",)
SYSTEM = "system"
HOME = "/w/acme/"  # where a sign-in with the provider leads


@dataclass(frozen=True)
class Outside:
    """What the host talks to, and where it is itself.

    Args:
        messenger: base URL of the messaging provider.
        issuer, client_secret: the OpenID provider, and what it knows this host by.
        url: the host's own base URL.
    """

    messenger: str
    issuer: str
    client_secret: str
    url: str = ""


LIMITS = (
    LimitRule("client", 600, timedelta(minutes=1), by=("client",)),
    LimitRule("tenant", 300, timedelta(minutes=1), by=("tenant",)),
)


@dataclass(frozen=True)
class Paths:
    """Where one installation keeps its files."""

    folder: Path

    @property
    def database(self) -> Path:
        """The one SQLite file."""
        return self.folder / "host.db"

    @property
    def kek(self) -> Path:
        """The key-encryption key."""
        return self.folder / "kek.json"


def prepare(paths: Paths) -> None:
    """Creates the database, the key file and four people; run once, before the server starts."""
    LocalKeyProvider.generate(paths.kek)
    engine = create_engine(f"sqlite:///{paths.database}")
    Database(engine).create_all()
    hasher = PasswordHasher(permits=1)
    encoded = hasher.hash(PASSWORD)
    people = {"ada": None, "bo": None, "eve": None, "root": "super_admin"}
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
        for name, role in people.items():
            person = {"email": f"{name}@example.com", "id": f"u_{name}", "password": encoded, "platform_role": role}
            connection.execute(insert(User).values(person))
    engine.dispose()


class Host:
    """One running host over one SQL port, blocking or asynchronous."""

    def __init__(self, paths: Paths, port: Database | AsyncDatabase, outside: Outside) -> None:
        GUARD.guard_engine(port.engine)
        self.provider_url: str = outside.messenger
        self.port: Database | AsyncDatabase = port
        self.signer: Ed25519Signer = Ed25519Signer.generate()
        self.audit: AuditLog = AuditLog(
            SqlAuditStore(port), signer=self.signer, origin=AUDIT_ORIGIN, registry=ActionRegistry(operations.ACTIONS)
        )
        policy = Policy.load(Path(__file__).with_name("policy.toml"))
        self.memberships: Memberships = Memberships(
            SqlMembershipStore(port), audit=self.audit, assignments=policy, transfer=TransferPolicy()
        )
        self.sessions: SessionManager = SessionManager(SqlSessionStore(port), audit=self.audit, insecure_loopback=True)
        self.passwords: PasswordHasher = PasswordHasher(permits=2)
        self.login: OidcLogin = OidcLogin(_provider(outside), SqlLoginStore(port), audit=self.audit)
        self.linking: AccountLinking = AccountLinking(People(port), trusted={outside.issuer: {"example.com"}})
        self.subscriptions: SqlEntitlements = SqlEntitlements(port)
        self.entitlements: Entitlements = Entitlements(self.subscriptions, SqlUsageStore(port), seats=self.memberships)
        keys = KeyChain([LocalKeyProvider.from_file(paths.kek)])
        self.secrets: SecretStore = SecretStore(SqlSecretBackend(port), keys, audit=self.audit)
        probe = HttpProbe("whoami", f"{outside.messenger}/whoami", allow_private=True)
        self.connections: Connections = Connections(
            SqlConnectionStore(port), self.secrets, {"messenger": [probe]}, audit=self.audit
        )
        self.runs: WorkflowRuns = WorkflowRuns(SqlRunStore(port), audit=self.audit)
        self.reports: DisclosureIntake = DisclosureIntake(SqlReportStore(port), self.audit, secrets=self.secrets)
        limiter = RateLimiter(LIMITS, store=MemoryLimitStore(allow_memory=True))  # one process, and a demo
        self.console: Console = Console(
            connections=self.connections, runs=self.runs, audit=self.audit, limiter=limiter,
            secrets=self.secrets, keys=keys, reports=self.reports, title="WellStreak operations",
        )  # fmt: skip
        self.billing: WebhookVerifier = verifier("stripe", secrets=[BILLING_SECRET])
        self.feed: StripeFeed = StripeFeed(self.subscriptions, PRICES, tenant_key="workspace", audit=self.audit)
        self.replays: ReplayGuard = ReplayGuard(SqlReplayStore(port))
        self.security_txt: SecurityTxt = SecurityTxt(contact=CONTACT, reviewed_at=SystemClock().now())
        self.trust: Trust = Trust(
            profile="production",
            authenticator=Authenticator([self.sessions]),
            tenants=TenantResolver([PathSource("/w/{tenant}/")], self.memberships, self.entitlements),
            policy=policy,
            limiter=limiter,
            origin=OriginPolicy(),
            audit=self.audit,
            connections=self.connections,
            secrets=self.secrets,
            security_headers=SecurityHeaders.api(),
            counters=Counters(),
            operations=operations.GOVERNED,
        )

    async def password_fits(self, password: str, encoded: str | None) -> bool:
        """Hashing takes a worker thread; a blocking framework waits for it, an asynchronous one is told."""
        if self.port.suspends:
            return (await self.passwords.averify(password, encoded)).ok
        return self.passwords.verify(password, encoded).ok

    async def begin_login(self) -> LoginStart:
        """Providers are asked in the way of the framework."""
        return await self.login.abegin(HOME) if self.port.suspends else self.login.begin(HOME)

    async def complete_login(self, url: str, cookies: dict[str, str]) -> Identity:
        """As above."""
        if self.port.suspends:
            return await self.login.acomplete(url, cookies)
        return self.login.complete(url, cookies)

    async def test_connection(self, tenant_id: str) -> ConnectionStatus:
        """Probes wait for the network, in the way of the framework."""
        if self.port.suspends:
            return await self.connections.atest(tenant_id, "messenger")
        return self.connections.test(tenant_id, "messenger")

    # --- the host's data: no statement names a tenant, the guard does -------------------------------------------------

    async def user(self, email: str) -> Any:
        """The row of a user, or None."""
        query = select(User.__table__).where(User.email == email)
        return await self.port.run(lambda c: c.execute(query).first(), read=True)

    async def user_of(self, user_id: str) -> Any:
        """The row of a user that is there."""
        query = select(User.__table__).where(User.id == user_id)
        return await self.port.run(lambda c: c.execute(query).one(), read=True)

    async def put_setting(self, name: str, value: Any) -> None:
        """Stores one setting of the workspace."""

        def work(connection: Connection) -> None:
            connection.execute(delete(Setting).where(Setting.name == name))
            connection.execute(insert(Setting).values(name=name, value=json.dumps(value)))

        await self.port.run(work)

    async def setting(self, name: str) -> Any:
        """One setting of the workspace, or None."""
        query = select(Setting.value).where(Setting.name == name)
        found = await self.port.run(lambda c: c.scalar(query), read=True)
        return None if found is None else json.loads(found)

    async def add_agent(self, owner_id: str, name: str) -> str:
        """Creates an agent and returns its id."""
        row = {"id": random_hex(6), "owner_id": owner_id, "name": name, "frozen": False}
        await self.port.run(lambda c: c.execute(insert(Agent).values(row)))
        return str(row["id"])

    async def agent(self, agent_id: str) -> dict[str, Any] | None:
        """An agent as a policy resource, or None."""
        query = select(Agent.__table__).where(Agent.id == agent_id)
        row = await self.port.run(lambda c: c.execute(query).mappings().first(), read=True)
        return None if row is None else {"type": "agent", **row}

    async def rename_agent(self, agent_id: str, name: str) -> None:
        """Renames an agent."""
        await self.port.run(lambda c: c.execute(update(Agent).where(Agent.id == agent_id).values(name=name)))

    async def set_plan(self, tenant_id: str, status: str, version: int) -> bool:
        """The team plan, as a contract outside billing would give it; newer than what billing said before `version`."""
        period_end = self.trust.clock.now() + timedelta(days=14)
        return await self.subscriptions.aapply(tenant_id, TEAM.snapshot(status, period_end, version=version))


def _provider(outside: Outside) -> OidcProvider:
    """The OpenID provider, which is on this machine here and nowhere else."""
    callback = f"{outside.url}/login/callback"
    return OidcProvider(
        outside.issuer,
        "client",
        outside.client_secret,
        callback,
        scopes=("openid", "email"),
        allow_insecure_loopback=True,
    )
