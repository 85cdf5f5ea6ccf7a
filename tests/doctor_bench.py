"""A host of real parts that the doctor finds nothing wrong with, and the means to make one thing wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import create_engine

from wellstreak_trust import Operation, Trust
from wellstreak_trust.audit import ActionRegistry, ActionSpec, AuditLog, Ed25519Signer
from wellstreak_trust.authz import Policy
from wellstreak_trust.connections import Connections, HttpProbe
from wellstreak_trust.core import Secret
from wellstreak_trust.doctor import Finding, examine, run
from wellstreak_trust.identity import ApiKeys, Authenticator, SessionManager
from wellstreak_trust.origin import CorsPolicy, OriginPolicy, SecurityHeaders
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, SecretStore
from wellstreak_trust.storage.sql import (
    Database,
    SqlApiKeyStore,
    SqlAuditStore,
    SqlConnectionStore,
    SqlMembershipStore,
    SqlSecretBackend,
    SqlSessionStore,
    SqlUsageStore,
)
from wellstreak_trust.storage.sql.usage import SqlEntitlements
from wellstreak_trust.telemetry import Counters
from wellstreak_trust.tenancy import Entitlements, Memberships, PathSource, TenantResolver

READ = Operation("notes.read", "notes:read")
PURGE = Operation("notes.purge", "notes:purge", audit="notes.purged")
POLICY: dict[str, Any] = {
    "schema": 1,
    "permissions": {"notes:read": {}, "notes:purge": {"risk": "high", "step_up": {"aal": 2, "max_age": 900}}},
    "roles": {"owner": {"rank": 100, "allow": ["notes:read", "notes:purge"]}},
}
ACTIONS = ActionRegistry([ActionSpec("notes.purged", "critical")])
PREFIX = "WELLSTREAK_TRUST_"


class Bench:
    """One folder with a database and keys, and the host over it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.monkeypatch = monkeypatch
        self.data = folder / "data"
        self.keys = folder / "keys"
        for path in (self.data, self.keys):
            path.mkdir(mode=0o700)
        self.url = f"sqlite:///{self.data / 'trust.db'}"
        self.engine = create_engine(self.url)
        self.database = Database(self.engine)
        self.database.create_all()
        self.signer = Ed25519Signer.generate()
        self.kek = LocalKeyProvider.generate(self.keys / "kek.json")
        self.key = Secret(b"p" * 32)
        self.audit = self.log()
        for name in [*os.environ]:
            if name.startswith(PREFIX):
                monkeypatch.delenv(name)

    def log(self, **changed: Any) -> AuditLog:
        told: dict[str, Any] = {
            "signer": self.signer, "origin": "acme.com/audit", "registry": ACTIONS, "personal_key": self.key,
        }  # fmt: skip
        return AuditLog(SqlAuditStore(self.database), **{**told, **changed})

    def sessions(self, **changed: Any) -> SessionManager:
        return SessionManager(SqlSessionStore(self.database), **{"audit": self.audit, **changed})

    def api_keys(self, **changed: Any) -> ApiKeys:
        told: dict[str, Any] = {"audit": self.audit, "rights": lambda owner, tenant: frozenset({"notes:read"})}
        return ApiKeys(SqlApiKeyStore(self.database), **{**told, **changed})

    def limiter(self, *rules: LimitRule, **changed: Any) -> RateLimiter:
        told = rules or (self.rule("client"), self.rule("tenant"))
        return RateLimiter(told, **{"store": MemoryLimitStore(allow_memory=True), **changed})

    @staticmethod
    def rule(key: str, **changed: Any) -> LimitRule:
        return LimitRule(key, 60, timedelta(minutes=1), by=(key,), **changed)

    def connections(self, url: str = "https://messenger.example/whoami") -> Connections:
        probes = {"messenger": [HttpProbe("whoami", url, allow_private=url.startswith("http:"))]}
        return Connections(SqlConnectionStore(self.database), self.secrets(), probes, audit=self.audit)

    def secrets(self, **changed: Any) -> SecretStore:
        return SecretStore(SqlSecretBackend(self.database), KeyChain([self.kek]), **{"audit": self.audit, **changed})

    def members(self, **changed: Any) -> Memberships:
        return Memberships(SqlMembershipStore(self.database), **{"audit": self.audit, **changed})

    def tenants(self, *sources: Any, **changed: Any) -> TenantResolver:
        told: dict[str, Any] = {
            "entitlements": Entitlements(SqlEntitlements(self.database), SqlUsageStore(self.database))
        }
        return TenantResolver(sources or [PathSource("/w/{tenant}/")], self.members(), **{**told, **changed})

    def parts(self) -> dict[str, Any]:
        return {
            "authenticator": Authenticator([self.sessions(), self.api_keys()]),
            "tenants": self.tenants(),
            "policy": Policy.from_dict(POLICY),
            "limiter": self.limiter(),
            "origin": OriginPolicy(trusted=("https://app.acme.com",)),
            "audit": self.audit,
            "connections": self.connections(),
            "secrets": self.secrets(),
            "cors": CorsPolicy(("https://app.acme.com",)),
            "security_headers": SecurityHeaders.api(),
            "counters": Counters(),
        }

    def trust(self, **changed: Any) -> Trust:
        return Trust(**{"profile": "production", **self.parts(), **changed})

    def examine(
        self,
        *,
        operations: Any = (READ, PURGE),
        beside: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
        app: Any = None,
        reach: bool = False,
        deploying: bool | None = None,
        **changed: Any,
    ) -> list[Finding]:
        """What is found in the good host with these changes."""
        return examine(
            self.trust(**changed), operations=operations, parts=beside or {}, environment=environment or {}, app=app,
            reach=reach, deploying=deploying,
        )  # fmt: skip

    def with_member(self, member: Any, **more: Any) -> list[Finding]:
        return self.examine(authenticator=Authenticator([member]), **more)

    # --- made of settings ---------------------------------------------------------------------------------------------

    def settings(self, **changed: str | None) -> dict[str, str]:
        """The variables of the same host made of settings; None leaves one out."""
        audit, personal = self.keys / "audit.pem", self.keys / "personal.key"
        if not audit.exists():
            pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            for path, octets in ((audit, pem), (personal, b"q" * 32)):
                path.touch(mode=0o600)
                path.write_bytes(octets)
        told: dict[str, str | None] = {
            "database_url": self.url, "kek_file": str(self.keys / "kek.json"), "base_domain": "app.acme.com",
            "allow_memory": "true", "audit_origin": "acme.com/audit", "audit_key_file": str(audit),
            "audit_personal_key_file": str(personal),
            **changed,
        }  # fmt: skip
        return {f"{PREFIX}{name.upper()}": value for name, value in told.items() if value is not None}

    def run(self, environment: Mapping[str, str] | None = None, *, reach: bool = False, **more: Any) -> list[Finding]:
        """What is found in a process with these variables."""
        with self.monkeypatch.context() as patched:
            for name, value in (self.settings() if environment is None else environment).items():
                patched.setenv(name, value)
            return list(run(reach=reach, **more).findings)

    def set(self, **changed: str | None) -> list[Finding]:
        """What is found with these settings changed."""
        return self.run(self.settings(**changed))

    def close(self) -> None:
        self.engine.dispose()


Case = Callable[[Bench, bool], list[Finding]]
"""Of the bench and whether the fault is planted: what is found."""
