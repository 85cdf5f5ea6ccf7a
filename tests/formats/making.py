"""Makes one of everything that this package persists, signs or hands out: the files of tests/formats/v1.

    python tests/formats/making.py tests/formats/v2

They were made once, by the release that first promised to read them for ever, and are never made again: a format that
gets a new version gets a new folder beside this one. Clock and randomness stand still, so that a test can say whether
today's code still writes the same.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import create_engine

sys.path.append(str(Path(__file__).parents[1]))

import servers
from software_authenticator import Authenticator, EdDsa
from wellstreak_trust import Principal, Secret, webhooks
from wellstreak_trust.audit import (
    FORMATS,
    AuditEvent,
    AuditLog,
    CallableSink,
    DirectoryAuditStore,
    Ed25519Signer,
    Personal,
    Shipper,
    Witness,
)
from wellstreak_trust.audit.witness import Submission
from wellstreak_trust.authz import Approvals, Policy
from wellstreak_trust.connections import Connections, ProbeResult
from wellstreak_trust.core import FixedClock, Membership, TenantContext, drive
from wellstreak_trust.core.clock import SystemClock, to_micros
from wellstreak_trust.core.entropy import SystemEntropy
from wellstreak_trust.disclosure import DisclosureIntake
from wellstreak_trust.identity import (
    ApiKeys,
    JwtIssuer,
    OneTimeCodes,
    OneTimeTokens,
    Passkeys,
    PasswordHasher,
    RecoveryCodes,
    RefreshFamilies,
    SessionManager,
    Totp,
)
from wellstreak_trust.secrets import (
    EnvelopeContext,
    EnvelopeKey,
    KeyChain,
    LocalKeyProvider,
    PassphraseKeyProvider,
    SealedKeyProvider,
    SecretStore,
    envelope,
)
from wellstreak_trust.storage.redis import (
    RedisApiKeyStore,
    RedisOneTimeTokenStore,
    RedisPort,
    RedisRefreshStore,
    RedisReplayStore,
    RedisSessionStore,
)
from wellstreak_trust.storage.sql import (
    Database,
    SqlApiKeyStore,
    SqlApprovalStore,
    SqlAuditStore,
    SqlConnectionStore,
    SqlEndpointStore,
    SqlEntitlements,
    SqlMembershipStore,
    SqlOneTimeTokenStore,
    SqlPasskeyStore,
    SqlRecipientStore,
    SqlRecoveryCodeStore,
    SqlRefreshStore,
    SqlReplayStore,
    SqlReportStore,
    SqlRunStore,
    SqlSecretBackend,
    SqlSessionStore,
    SqlTotpStore,
    SqlUsageStore,
    SqlWitnessStore,
)
from wellstreak_trust.telemetry import WorkflowRuns
from wellstreak_trust.tenancy import Entitlements, Feature, Memberships, Plan, TenantKey, tenant_scope
from wellstreak_trust.tenancy.jobs import JobEnvelopes
from wellstreak_trust.testing import signer
from wellstreak_trust.webhooks.sender import standard_headers

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ORIGIN = "example.com/audit"
GLOBEX = {"id": "bo", "kind": "user"}
SEED = bytes(range(32))
WITNESS = Ed25519Signer.from_seed(bytes(range(128, 160)))
JOB_KEY = bytes(range(32, 64))
CODE_KEY = Secret(bytes(range(64, 96)))
PERSONAL_KEY = Secret(bytes(range(96, 128)))
ENVELOPE_KEY = bytes(range(64))
CONTEXT = EnvelopeContext("store-1", "acme", "slack/bot", 1, "value/text")
STANDARD_SECRETS = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
SQUARE_SECRET = "square-signing-key-of-the-golden-files"
PASSPHRASE = "correct horse battery staple"
RP = {"rp_id": "example.com", "rp_name": "WellStreak", "origins": ("https://app.example.com",)}
POLICY: dict[str, Any] = {
    "schema": 1,
    "name": "formats",
    "permissions": {
        "notes:read": {},
        "notes:update": {"resource": "note"},
        "refunds:create": {"risk": "high", "approval": {"by": "refunds:approve"}},
        "refunds:approve": {},
        "keys:rotate": {"step_up": {"aal": 2, "max_age": 900}},
    },
    "principal": {"attributes": {"department": "string?"}},
    "resources": {"note": {"attributes": {"owner_id": "string?", "tags": "strings", "size": "int", "shared": "bool"}}},
    "roles": {
        "member": {
            "allow": ["notes:read", {"permission": "notes:update", "when": "resource.owner_id == principal.id"}],
            "rank": 10,
        },
        "owner": {"inherits": ["member"], "allow": ["refunds:*", "keys:rotate"], "rank": 100},
    },
    "forbid": [
        {"id": "frozen", "permissions": ["notes:update"], "when": "has(resource.tags) && 'frozen' in resource.tags"}
    ],
}
PLAN = Plan("pro", {"sso": Feature(), "runs": Feature(limit=3), "retention_days": Feature(value=90)})
REPORT = {
    "title": "Tenant id in a cursor is trusted",
    "affected": ["GET /w/{tenant}/agents"],
    "steps": "Take the cursor of tenant A and send it to tenant B: rows of A come back.",
    "impact": "other_tenants",
}
REFUND = {"type": "refund", "id": "r1", "tenant_id": "acme"}
ARGUMENTS = {"amount": "12.50", "to": "acct_1"}
DELIVERY = b'{"id": "evt_1", "type": "invoice.paid"}'


class Ping:
    """A probe that is content; what it proved is in the database."""

    name, kind, required, timeout = "ping", "auth", True, timedelta(seconds=1)

    async def run(self, context: Any) -> ProbeResult:
        return ProbeResult("ok")


@dataclass
class Told:
    """What the readers of the files must know besides: tokens, keys, ids. JSON, bytes as hex."""

    values: dict[str, Any] = field(default_factory=dict)

    def __setitem__(self, name: str, value: Any) -> None:
        if isinstance(value, Secret):
            value = value.reveal()
        self.values[name] = value.hex() if isinstance(value, bytes) else value


@contextmanager
def standing_still() -> Iterator[None]:
    """Every random byte is known beforehand, but those that `cryptography` draws for HPKE."""
    drawn = 0

    def octets(_: SystemEntropy, count: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return hashlib.shake_256(b"wellstreak-trust/formats" + drawn.to_bytes(8, "big")).digest(count)

    stamp = to_micros(NOW) * 1_000
    with (
        patch.object(SystemEntropy, "octets", octets),
        patch.object(SystemClock, "now", lambda _: NOW),
        patch("wellstreak_trust.core.clock.time.time_ns", lambda: stamp),  # the ids of the package's own events
    ):
        yield


def owner() -> Principal:
    """Who owns the workspace."""
    return Principal("ada", tenant_id="acme", roles=frozenset({"owner"}), auth_time=NOW)


def acme() -> TenantContext:
    """Ada in her workspace."""
    return TenantContext("acme", Principal("ada"), Membership("acme", "ada", frozenset({"owner"}), version=1))


def make_texts(told: Told, clock: FixedClock) -> None:
    """What is handed out and not kept: envelopes, signatures, tokens that carry themselves."""
    sealed = envelope.seal(EnvelopeKey(ENVELOPE_KEY), b"xoxb-demo", CONTEXT)
    told["envelope"], told["envelope_text"] = sealed, envelope.to_text(sealed)
    told["password"] = PasswordHasher(permits=1).hash(PASSPHRASE)
    issuer = JwtIssuer(Ed25519PrivateKey.from_private_bytes(SEED), issuer="https://login.example.com", clock=clock)
    claims = {"aud": "https://api.example.com", "sub": "ada", "scope": "notes:read"}
    told["jwt"], told["jwks"] = issuer.issue(claims, typ="at+jwt", lifetime=timedelta(minutes=10)), issuer.jwks()
    message = webhooks.Message(DELIVERY, id="msg_1")
    told["webhook_headers"] = standard_headers(message, STANDARD_SECRETS, NOW)
    told["policy_version"] = Policy.from_dict(POLICY).version
    key = TenantKey("report")
    with tenant_scope(acme()):
        told["tenant_keys"] = {
            "cache": key.cache("2026", "a b"),
            "object": key.object("2026", "ä"),
            "topic": key.topic("x_y"),
            "lock": key.lock("2026"),
        }
    log = AuditLog(
        DirectoryAuditStore(told.values["folder"] / "journal"), Ed25519Signer.from_seed(SEED), ORIGIN, clock=clock
    )
    record(log)
    log.bundle("acme", told.values["folder"] / "bundle", actor=owner())


def record(log: AuditLog) -> None:
    """Two events of one workspace."""
    changed = {"changes": ({"field": "plan", "old": "starter", "new": "pro"},), "data": {"seats": 25}}
    log.emit(AuditEvent("billing.plan_changed", "success", "acme", owner(), id="e1", occurred_at=NOW, **changed))
    log.emit(AuditEvent("notes.read", "denied", "acme", owner(), id="e2", occurred_at=NOW, reason="no grant"))


def make_identity(database: Database, told: Told, clock: FixedClock, secrets: SecretStore) -> None:
    opened = SessionManager(SqlSessionStore(database), clock=clock).open(
        "ada", tenant_id="acme", aal=2, amr=("pwd", "otp"), attributes={"email_verified": True}, device="Firefox"
    )
    told["session"], told["session_cookie"] = opened.token, opened.cookie.header()
    tokens = SqlOneTimeTokenStore(database)
    issued = OneTimeTokens(tokens, "verify_email", clock=clock).issue(
        "ada", email="ada@example.org", data={"step": 1}, private="ada@example.org"
    )
    told["one_time_token"] = issued.token
    code = OneTimeCodes(tokens, "sign_in", key=CODE_KEY, clock=clock).issue("ada", private="ada@example.org")
    told["code"], told["code_ticket"] = code.code, code.ticket
    created = ApiKeys(SqlApiKeyStore(database), clock=clock).create(
        owner_id="ada", tenant_id="acme", scopes={"notes:read"}, name="CI"
    )
    told["api_key"] = created.secret
    families = RefreshFamilies(SqlRefreshStore(database), clock=clock)
    first = families.start("ada", binding="cli", data={"tenant": "acme"}).token
    told["refresh_used"], told["refresh"] = first, families.rotate(first, binding="cli").token
    totp = Totp(SqlTotpStore(database), secrets, issuer="WellStreak", clock=clock)
    told["totp_seed"] = totp.begin("ada", account="ada@example.org").secret
    hasher = PasswordHasher(permits=1)
    told["recovery_codes"] = [
        each.reveal() for each in RecoveryCodes(SqlRecoveryCodeStore(database), hasher, clock=clock).generate("ada")
    ]
    passkeys, device = Passkeys(SqlPasskeyStore(database), tokens, clock=clock, **RP), phone()
    registration = passkeys.begin_registration("ada", name="ada@example.org")
    passkeys.complete_registration("ada", json.dumps(device.create(registration.options)), label="Phone")
    told["passkey_handle"] = device.handle


def make_secrets(database: Database, told: Told, clock: FixedClock, folder: Path) -> SecretStore:
    kek = LocalKeyProvider.generate(folder / "kek.json", clock=clock)
    PassphraseKeyProvider.generate(folder / "kek-passphrase.json", PASSPHRASE, clock=clock)
    hpke = SealedKeyProvider.generate(folder / "hpke-private.json", folder / "hpke-public.json", clock=clock)
    backend = SqlSecretBackend(database)
    store = SecretStore(backend, KeyChain([kek, hpke]), clock=clock)
    store.put("acme", "slack/bot", "xoxb-demo", labels={"team": "support"}, rotate_after=NOW + timedelta(days=90))
    store.rotate("acme", "slack/bot", "xoxb-second", expected_version=1)
    store.put("acme", "slack/cert", b"\x00\x01")
    SecretStore(backend, KeyChain([hpke, kek]), clock=clock).put("sealed", "slack/bot", "xoxb-hpke")
    return store


def make_tenancy(database: Database, told: Told, clock: FixedClock) -> None:
    memberships = Memberships(SqlMembershipStore(database), clock=clock)
    memberships.create_workspace(Principal("ada"), tenant_id="acme", seats=5)
    told["invitation"] = memberships.invite(acme(), "bob@example.com", ["admin"]).token
    envelopes = JobEnvelopes(JOB_KEY, memberships, clock=clock)
    told["job_envelope"] = envelopes.sign(acme(), "reports.build", b"[7]")
    entitlements = SqlEntitlements(database)
    entitlements.apply("acme", PLAN.snapshot("active", NOW + timedelta(days=30), as_of=NOW))
    usage = Entitlements(entitlements, SqlUsageStore(database), max_stale=timedelta(days=1), clock=clock)
    usage.commit(usage.reserve(acme(), "runs"))
    told["reservation"] = usage.reserve(acme(), "runs").hold.id


def exported(log: AuditLog, form: str) -> str:
    """The trail in one of the formats for others."""
    parts: list[str] = []
    log.write("acme", form, parts.append, actor=owner())
    return "".join(parts)


def make_rest(database: Database, told: Told, clock: FixedClock, secrets: SecretStore) -> None:
    log = AuditLog(
        SqlAuditStore(database), Ed25519Signer.from_seed(SEED), ORIGIN, clock=clock, personal_key=PERSONAL_KEY
    )
    record(log)
    invited = {"email": Personal("grace@example.com", subject="grace")}
    log.emit(AuditEvent("member.invited", "success", "acme", owner(), id="e3", occurred_at=NOW, data=invited))
    log.hold("ida", tenant_id="acme", reason="litigation 5", actor=owner())
    told["vkey"], told["spine_vkey"] = log.vkey("acme"), log.vkey()
    told["leaf"], told["proof"] = log.entry("acme", 0), log.prove("acme", 0)
    told["checkpoint"] = log.checkpoint("acme")
    log.tick()
    log.emit_many(
        AuditEvent("notes.read", "success", "globex", GLOBEX, id=f"g{n}", occurred_at=NOW) for n in range(257)
    )
    told["globex_vkey"], told["globex_checkpoint"] = log.vkey("globex"), log.checkpoint("globex")
    Shipper(log.store, CallableSink(lambda *_: None, "jsonl", name="collector"), log.origin).ship_all()
    with database.engine.begin() as connection:
        log.outbox(connection).emit(AuditEvent("notes.read", "success", "acme", owner(), id="waits", occurred_at=NOW))
    told["exports"] = {form: exported(log, form) for form in sorted(FORMATS)}
    witness = Witness(SqlWitnessStore(database), WITNESS, "witness.example.com/w1", [log.vkey("acme")], clock=clock)
    told["witness_key"] = witness.vkey
    answer = witness.add_checkpoint(Submission(0, (), told.values["checkpoint"]).body())
    told["cosigned"] = told.values["checkpoint"] + answer.body
    square = signer("square", SQUARE_SECRET)
    registry = webhooks.EndpointRegistry(SqlEndpointStore(database), secrets, clock=clock)
    made = registry.register("acme", "square", square.secret, url="https://hooks.example.com/in/{token}")
    told["endpoint"] = made.token
    verifier = webhooks.verifier("standard_webhooks", [STANDARD_SECRETS[0]], clock=clock)
    received = verifier.verify(told.values["webhook_headers"], DELIVERY)
    told["replay_key"] = received.replay_key
    guard = webhooks.ReplayGuard(SqlReplayStore(database), clock=clock)
    guard.commit(guard.claim(received))
    recipients = SqlRecipientStore(database)
    drive(recipients.failed("rcp_1", NOW))
    drive(recipients.disable("rcp_2", "the recipient answered 410 Gone"))
    connections = Connections(SqlConnectionStore(database), secrets, {"chat": [Ping()]}, clock=clock)
    connections.define("acme", "chat", config={"team": "T1"}, secret="slack/bot")
    connections.test("acme", "chat")
    told["report"] = DisclosureIntake(SqlReportStore(database), secrets=secrets, clock=clock).submit(REPORT).id
    approvals = Approvals(SqlApprovalStore(database), Policy.from_dict(POLICY), clock=clock)
    asked = approvals.request(requester(), "refunds:create", REFUND, ARGUMENTS)
    approvals.confirm(owner(), asked.id, REFUND, ARGUMENTS)
    told["approval"] = asked.id
    runs = WorkflowRuns(SqlRunStore(database), clock=clock)
    run = runs.start("acme", "sync-calendar", actor=owner(), every=timedelta(minutes=2))
    told["workflow"] = runs.step(run, "fetch", cost=3).id


def phone(handle: bytes = b"") -> Authenticator:
    """A passkey that is the same in every process."""
    key = EdDsa()
    key._key = Ed25519PrivateKey.from_private_bytes(SEED)
    return Authenticator("https://app.example.com", key, id=bytes(16), handle=handle)


def requester() -> Principal:
    """Who asks for a refund that Ada confirms."""
    return Principal("grace", tenant_id="acme", roles=frozenset({"owner"}), auth_time=NOW)


def dumped(path: Path) -> str:
    """A database as SQL text; what stands in it is the same on every SQLite."""
    with sqlite3.connect(path) as connection:
        lines = list(connection.iterdump())
    indexes = sorted(line for line in lines if line.startswith("CREATE INDEX"))  # made in the order of a set
    return "\n".join([line for line in lines[:-1] if line not in indexes] + indexes + lines[-1:]) + "\n"


def make_redis(url: str, told: Told, clock: FixedClock) -> list[list[str]]:
    """What a Redis that persists would hold, as the commands that bring it back."""
    port = RedisPort.from_url(url)
    port.client.flushdb()
    opened = SessionManager(RedisSessionStore(port), clock=clock).open("ada", tenant_id="acme", device="Firefox")
    told["redis_session"] = opened.token
    tokens = OneTimeTokens(RedisOneTimeTokenStore(port), "verify_email", clock=clock)
    told["redis_one_time_token"] = tokens.issue("ada", email="ada@example.org", data={"step": 1}).token
    keys = ApiKeys(RedisApiKeyStore(port), clock=clock)
    told["redis_api_key"] = keys.create(owner_id="ada", tenant_id="acme", scopes={"notes:read"}, name="CI").secret
    families = RefreshFamilies(RedisRefreshStore(port), clock=clock)
    told["redis_refresh"] = families.rotate(families.start("ada", binding="cli").token, binding="cli").token
    verifier = webhooks.verifier("standard_webhooks", [STANDARD_SECRETS[0]], clock=clock)
    guard = webhooks.ReplayGuard(RedisReplayStore(port), clock=clock)
    guard.commit(guard.claim(verifier.verify(told.values["webhook_headers"], DELIVERY)))
    return restoring(port.client)


def restoring(client: Any) -> list[list[str]]:
    """The keys as commands, in hex, sorted; without their ends, which are moments and not formats."""
    found = []
    for name in sorted(client.scan_iter()):
        kind = client.type(name)
        if kind == b"string":
            command = [b"SET", name, client.get(name)]
        elif kind == b"hash":
            command = [b"HSET", name, *(part for pair in sorted(client.hgetall(name).items()) for part in pair)]
        elif kind == b"set":
            command = [b"SADD", name, *sorted(client.smembers(name))]
        else:
            pairs = client.zrange(name, 0, -1, withscores=True)
            command = [b"ZADD", name, *(part for member, score in pairs for part in (repr(score).encode(), member))]
        found.append([part.hex() for part in command])
    return found


def make(folder: Path, redis: str) -> None:
    """Everything, into a folder that must not exist; the database of `redis` is emptied."""
    folder.mkdir(parents=True)
    clock, told = FixedClock(NOW), Told({"folder": folder})
    engine = create_engine(f"sqlite:///{folder / 'trust.db'}")
    database = Database(engine)
    with standing_still():
        database.create_all()
        secrets = make_secrets(database, told, clock, folder)
        make_texts(told, clock)
        make_identity(database, told, clock, secrets)
        make_tenancy(database, told, clock)
        make_rest(database, told, clock, secrets)
        commands = make_redis(redis, told, clock)
    (folder / "redis.json").write_text(json.dumps(commands, indent=1) + "\n", encoding="utf-8")
    engine.dispose()
    (folder / "trust.sql").write_text(dumped(folder / "trust.db"), encoding="utf-8")
    for rest in folder.glob("trust.db*"):
        rest.unlink()
    (folder / "bundle" / "verify_trail.py").unlink()  # code, which may change
    del told.values["folder"]
    (folder / "told.json").write_text(json.dumps(told.values, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    with servers.redis() as address:
        make(Path(sys.argv[1]), address)
