"""What version 1 wrote is read by today's code, for ever. The files were made once, by `making.py`.

A test that fails here says that data of somebody's production can no longer be read. Bring the reader back; do not make
the files anew. What is written today may get another version, beside this one: see docs/explanation/stability.md.
"""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import making
import pytest
from making import NOW, PASSPHRASE, Ping
from sqlalchemy import create_engine

from wellstreak_trust import Principal, webhooks
from wellstreak_trust.audit import (
    AuditLog,
    CallableSink,
    DirectoryAuditStore,
    Ed25519Signer,
    LegalHold,
    Shipper,
    Witness,
    verify,
    verify_proof,
    write_verifier,
)
from wellstreak_trust.audit.cosignature import WitnessKey, cosignatures
from wellstreak_trust.audit.witness import Submission
from wellstreak_trust.authz import Approvals, Policy
from wellstreak_trust.connections import Connections
from wellstreak_trust.core import FixedClock, drive
from wellstreak_trust.core.errors import InvalidCredential
from wellstreak_trust.disclosure import DisclosureIntake
from wellstreak_trust.identity import (
    ApiKeys,
    JwtVerifier,
    KeySet,
    OneTimeCodes,
    OneTimeTokens,
    Passkeys,
    PasswordHasher,
    RecoveryCodes,
    RefreshFamilies,
    SessionManager,
    Totp,
)
from wellstreak_trust.identity.totp import totp_code
from wellstreak_trust.secrets import (
    EnvelopeKey,
    KeyChain,
    LocalKeyProvider,
    PassphraseKeyProvider,
    SealedKeyProvider,
    SecretStore,
    envelope,
)
from wellstreak_trust.storage import sql
from wellstreak_trust.storage.redis import (
    RedisApiKeyStore,
    RedisOneTimeTokenStore,
    RedisPort,
    RedisRefreshStore,
    RedisReplayStore,
    RedisSessionStore,
)
from wellstreak_trust.telemetry import WorkflowRuns
from wellstreak_trust.tenancy import Entitlements, Memberships, TenantKey, tenant_scope
from wellstreak_trust.tenancy.jobs import JobEnvelopes
from wellstreak_trust.testing import signer

V1 = Path(__file__).parent / "v1"
TOLD: dict[str, Any] = json.loads((V1 / "told.json").read_text(encoding="utf-8"))


@dataclass
class Kept:
    """A copy of what version 1 left behind, a second later."""

    folder: Path
    database: sql.Database
    clock: FixedClock
    keys: KeyChain

    @property
    def secrets(self) -> SecretStore:
        return SecretStore(sql.SqlSecretBackend(self.database), self.keys, clock=self.clock)

    @property
    def log(self) -> AuditLog:
        store, signs = sql.SqlAuditStore(self.database), Ed25519Signer.from_seed(making.SEED)
        return AuditLog(store, signs, making.ORIGIN, clock=self.clock, personal_key=making.PERSONAL_KEY)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    folder = tmp_path / "v1"
    shutil.copytree(V1, folder)
    for path in folder.glob("*.json"):
        path.chmod(0o600)
    with sqlite3.connect(folder / "trust.db") as connection:
        connection.executescript((V1 / "trust.sql").read_text(encoding="utf-8"))
    connection.close()
    engine = create_engine(f"sqlite:///{folder / 'trust.db'}")
    database = sql.Database(engine)
    database.create_all()  # as a host that upgrades
    clock = FixedClock(NOW)
    clock.advance(timedelta(seconds=1))
    keys = [LocalKeyProvider.from_file(folder / "kek.json"), SealedKeyProvider.from_file(folder / "hpke-private.json")]
    yield Kept(folder, database, clock, KeyChain(keys))
    engine.dispose()


# --- secrets ---------------------------------------------------------------------------------------------------------


def test_envelopes() -> None:
    key, sealed = EnvelopeKey(making.ENVELOPE_KEY), bytes.fromhex(TOLD["envelope"])
    assert envelope.open(key, sealed, making.CONTEXT) == b"xoxb-demo"
    assert envelope.open(key, envelope.from_text(TOLD["envelope_text"]), making.CONTEXT) == b"xoxb-demo"


def test_secrets_under_a_local_key(kept: Kept) -> None:
    assert kept.secrets.get("acme", "slack/bot").reveal() == "xoxb-second"
    assert kept.secrets.get("acme", "slack/bot", version=1).reveal() == "xoxb-demo"
    assert kept.secrets.get("acme", "slack/cert").reveal() == b"\x00\x01"
    described = kept.secrets.describe("acme", "slack/bot", version=1)
    assert described.labels == {"team": "support"}
    assert described.rotate_after == NOW + timedelta(days=90)


def test_secrets_under_a_sealed_key(kept: Kept) -> None:
    assert kept.secrets.get("sealed", "slack/bot").reveal() == "xoxb-hpke"
    public = SealedKeyProvider.from_file(kept.folder / "hpke-public.json")
    assert public.uri == SealedKeyProvider.from_file(kept.folder / "hpke-private.json").uri


def test_a_key_file_with_a_passphrase(kept: Kept) -> None:
    found = PassphraseKeyProvider.from_file(kept.folder / "kek-passphrase.json", PASSPHRASE)
    assert found.uri == f"local:{json.loads((V1 / 'kek-passphrase.json').read_text())['id']}"


# --- identity --------------------------------------------------------------------------------------------------------


def test_sessions(kept: Kept) -> None:
    sessions = SessionManager(sql.SqlSessionStore(kept.database), clock=kept.clock)
    found = sessions.authenticate(TOLD["session"])
    assert (found.id, found.tenant_id, found.aal, found.amr) == ("ada", "acme", 2, ("pwd", "otp"))
    assert found.attributes["email_verified"] is True
    assert TOLD["session_cookie"].partition("; ")[0] == f"__Host-ws_session={TOLD['session']}"
    assert [each.device for each in sessions.list("ada")] == ["Firefox"]


def test_one_time_tokens(kept: Kept) -> None:
    tokens = OneTimeTokens(sql.SqlOneTimeTokenStore(kept.database), "verify_email", clock=kept.clock)
    found = tokens.consume(TOLD["one_time_token"], email="ada@example.org")
    assert (found.subject, found.data, found.private.reveal()) == ("ada", {"step": 1}, "ada@example.org")


def test_one_time_codes(kept: Kept) -> None:
    codes = OneTimeCodes(sql.SqlOneTimeTokenStore(kept.database), "sign_in", key=making.CODE_KEY, clock=kept.clock)
    assert codes.consume(TOLD["code_ticket"], TOLD["code"]).subject == "ada"


def test_api_keys(kept: Kept) -> None:
    keys = ApiKeys(sql.SqlApiKeyStore(kept.database), clock=kept.clock)
    found = keys.authenticate(TOLD["api_key"])
    assert (found.id, found.kind, found.tenant_id, found.scopes) == ("ada", "api_key", "acme", {"notes:read"})
    assert ApiKeys.is_well_formed(TOLD["api_key"])


def test_refresh_families(kept: Kept) -> None:
    families = RefreshFamilies(sql.SqlRefreshStore(kept.database), clock=kept.clock)
    assert families.rotate(TOLD["refresh_used"], binding="cli").token.reveal() == TOLD["refresh"]
    after = families.rotate(TOLD["refresh"], binding="cli")
    assert (after.user_id, after.data) == ("ada", {"tenant": "acme"})


def test_totp(kept: Kept) -> None:
    from base64 import b32decode

    totp = Totp(sql.SqlTotpStore(kept.database), kept.secrets, issuer="WellStreak", clock=kept.clock)
    totp.confirm("ada", totp_code(b32decode(TOLD["totp_seed"]), int(kept.clock.now().timestamp()) // 30))
    assert totp.enrolled("ada")


def test_recovery_codes(kept: Kept) -> None:
    recovery = RecoveryCodes(sql.SqlRecoveryCodeStore(kept.database), PasswordHasher(permits=1), clock=kept.clock)
    assert recovery.consume("ada", TOLD["recovery_codes"][3]) == 9


def test_passkeys(kept: Kept) -> None:
    store, tokens = sql.SqlPasskeyStore(kept.database), sql.SqlOneTimeTokenStore(kept.database)
    passkeys = Passkeys(store, tokens, clock=kept.clock, **making.RP)
    challenge = passkeys.begin()
    answer = making.phone(bytes.fromhex(TOLD["passkey_handle"])).get(challenge.options)
    proof = passkeys.complete(json.dumps(answer), challenge.cookie.value)
    assert proof.user_id == "ada"


def test_passwords() -> None:
    hasher = PasswordHasher(permits=1)
    assert hasher.verify(PASSPHRASE, TOLD["password"]).ok
    assert not hasher.verify("another", TOLD["password"]).ok


def test_access_tokens(kept: Kept) -> None:
    verifier = JwtVerifier(
        KeySet.from_jwks(TOLD["jwks"]),
        issuer="https://login.example.com",
        audience="https://api.example.com",
        algorithms=("EdDSA",),
        clock=kept.clock,
    )
    assert verifier.verify(TOLD["jwt"])["sub"] == "ada"


@pytest.fixture
def remembered(redis_url: str) -> RedisPort:
    """A Redis that persisted what version 1 wrote to it."""
    port = RedisPort.from_url(redis_url)
    port.client.flushdb()
    for command in json.loads((V1 / "redis.json").read_text(encoding="utf-8")):
        port.client.execute_command(*map(bytes.fromhex, command))
    return port


def test_what_lies_in_redis(remembered: RedisPort, kept: Kept) -> None:
    sessions = SessionManager(RedisSessionStore(remembered), clock=kept.clock)
    assert sessions.authenticate(TOLD["redis_session"]).tenant_id == "acme"
    assert [each.device for each in sessions.list("ada")] == ["Firefox"]
    tokens = OneTimeTokens(RedisOneTimeTokenStore(remembered), "verify_email", clock=kept.clock)
    assert tokens.consume(TOLD["redis_one_time_token"], email="ada@example.org").data == {"step": 1}
    keys = ApiKeys(RedisApiKeyStore(remembered), clock=kept.clock)
    assert keys.authenticate(TOLD["redis_api_key"]).scopes == {"notes:read"}
    assert [each.name for each in keys.list("acme")] == ["CI"]
    families = RefreshFamilies(RedisRefreshStore(remembered), clock=kept.clock)
    assert families.rotate(TOLD["redis_refresh"], binding="cli").user_id == "ada"
    verifier = webhooks.verifier("standard_webhooks", [making.STANDARD_SECRETS[0]], clock=kept.clock)
    with pytest.raises(webhooks.Replayed):
        webhooks.ReplayGuard(RedisReplayStore(remembered), clock=kept.clock).claim(
            verifier.verify(TOLD["webhook_headers"], making.DELIVERY)
        )


# --- tenancy, authz --------------------------------------------------------------------------------------------------


def test_memberships_and_invitations(kept: Kept) -> None:
    memberships = Memberships(sql.SqlMembershipStore(kept.database), clock=kept.clock)
    assert [(each.principal_id, each.roles) for each in memberships.list(making.acme())] == [("ada", {"owner"})]
    bob = Principal("bob", attributes={"email": "bob@example.com", "email_verified": True})
    assert memberships.accept(TOLD["invitation"], bob).roles == {"admin"}


def test_job_envelopes(kept: Kept) -> None:
    memberships = Memberships(sql.SqlMembershipStore(kept.database), clock=kept.clock)
    opened = JobEnvelopes(making.JOB_KEY, memberships, clock=kept.clock).open(
        TOLD["job_envelope"], "reports.build", b"[7]"
    )
    assert (opened.tenant_id, opened.principal.id) == ("acme", "ada")


def test_subscriptions_and_usage(kept: Kept) -> None:
    source, usage = sql.SqlEntitlements(kept.database), sql.SqlUsageStore(kept.database)
    entitlements = Entitlements(source, usage, max_stale=timedelta(days=1), clock=kept.clock)
    found = entitlements.check(making.acme(), "runs")
    assert (found.allowed, found.used, found.remaining) == (True, 2, 1)
    assert drive(usage.release(TOLD["reservation"]))
    assert entitlements.check(making.acme(), "runs").used == 1
    assert entitlements.check(making.acme(), "retention_days").value == 90


def test_keys_of_tenants() -> None:
    key, told = TenantKey("report"), TOLD["tenant_keys"]
    with tenant_scope(making.acme()):
        assert key.parts(told["cache"]) == ("2026", "a b")
        assert key.parts(told["object"], "object") == ("2026", "ä")
        assert key.parts(told["topic"], "topic") == ("x_y",)
        assert key.lock("2026") == told["lock"]


def test_policies() -> None:
    policy = Policy.from_dict(making.POLICY)
    assert policy.version == TOLD["policy_version"]
    note = {"type": "note", "id": "n1", "tenant_id": "acme", "owner_id": "ada", "tags": (), "size": 1, "shared": False}
    assert policy.check(making.owner(), "notes:update", note).allowed
    assert policy.check(making.owner(), "notes:update", {**note, "tags": ("frozen",)}).code == "forbidden_by_rule"


def test_approvals(kept: Kept) -> None:
    approvals = Approvals(sql.SqlApprovalStore(kept.database), Policy.from_dict(making.POLICY), clock=kept.clock)
    spent = approvals.consume(TOLD["approval"], making.requester(), "refunds:create", making.REFUND, making.ARGUMENTS)
    assert spent.allowed


# --- audit -----------------------------------------------------------------------------------------------------------


def test_a_trail_in_a_database(kept: Kept) -> None:
    store = sql.SqlAuditStore(kept.database)
    report = verify(store, tenant_id="acme", pinned=TOLD["checkpoint"], keys=[TOLD["vkey"]], thorough=True)
    assert (report.failed, report.level) == ((), "anchored")
    tiled = verify(store, tenant_id="globex", pinned=TOLD["globex_checkpoint"], keys=[TOLD["globex_vkey"]])
    assert (tiled.failed, tiled.size) == ((), 257)
    spine = verify(store, keys=[TOLD["spine_vkey"]])
    assert spine.failed == ()


def test_events_that_wait_in_the_outbox(kept: Kept) -> None:
    log = kept.log
    assert log.relay().sent == 1
    assert log.events("acme", limit=1)[0]["id"] == "waits"


def test_how_far_a_sink_has_come(kept: Kept) -> None:
    shipper = Shipper(sql.SqlAuditStore(kept.database), CallableSink(print, "jsonl", name="collector"), making.ORIGIN)
    assert shipper.ship_all().sent == len(TOLD["exports"])  # each export is told, and was after the cursor


def test_a_legal_hold(kept: Kept) -> None:
    log = kept.log
    with pytest.raises(LegalHold):
        log.erase("ida", tenant_id="acme", reason="ticket 40", actor=making.owner())


def test_a_witness_remembers(kept: Kept) -> None:
    witness = Witness(
        sql.SqlWitnessStore(kept.database), making.WITNESS, "witness.example.com/w1", [TOLD["vkey"]], clock=kept.clock
    )
    assert witness.add_checkpoint(Submission(0, (), TOLD["checkpoint"]).body()).status == 409


def test_personal_values(kept: Kept) -> None:
    log = kept.log
    shown = {each["id"]: each for each in log.events("acme", disclose=True, actor=making.owner(), reason="ticket 12")}
    assert shown["e3"]["data"]["email"] == "grace@example.com"
    assert log.erase("grace", tenant_id="acme", reason="ticket 31", actor=making.owner()).fields_erased == 1


def test_a_proof_of_one_event() -> None:
    shown = verify_proof(TOLD["proof"], bytes.fromhex(TOLD["leaf"]), [TOLD["vkey"]])
    assert shown.failed == ()
    assert json.loads(bytes.fromhex(TOLD["leaf"]))["v"] == 1


def test_cosignatures() -> None:
    (found,) = cosignatures(TOLD["cosigned"], [WitnessKey.parse(TOLD["witness_key"])])
    assert found.at == NOW


def test_a_bundle(tmp_path: Path) -> None:
    report = verify(V1 / "bundle" / "trail", keys=[TOLD["vkey"]])
    assert (report.failed, report.size) == ((), 3)
    write_verifier(tmp_path)
    command = [sys.executable, "-I", "verify_trail.py", V1 / "bundle" / "trail", "--key", TOLD["vkey"]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_journal(kept: Kept) -> None:
    store = DirectoryAuditStore(kept.folder / "journal")
    assert verify(store, tenant_id="acme", keys=[TOLD["vkey"]]).failed == ()
    log = AuditLog(store, Ed25519Signer.from_seed(making.SEED), making.ORIGIN, clock=kept.clock)
    assert [each["id"] for each in log.events("acme")][-2:] == ["e2", "e1"]
    making.record(log)  # the same ids again: a retry, so nothing is added
    assert len(log.events("acme")) == 3


def test_exports_for_others() -> None:
    exports = TOLD["exports"]
    lines = [json.loads(line) for line in exports["jsonl"].splitlines()]
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    rows = list(csv.DictReader(exports["csv"].splitlines()))
    assert rows[0]["action"] == "billing.plan_changed"
    assert {json.loads(line)["metadata"]["version"] for line in exports["ocsf"].splitlines()} == {"1.6.0"}
    assert {json.loads(line)["specversion"] for line in exports["cloudevents"].splitlines()} == {"1.0"}
    assert exports["cef"].startswith("CEF:0|WellStreak|wellstreak_trust|1|")
    assert exports["syslog"].startswith("<110>1 ")


# --- webhooks, connections, the rest ---------------------------------------------------------------------------------


def test_what_the_sender_signed(kept: Kept) -> None:
    for secret in (making.STANDARD_SECRETS[0], "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="):
        found = webhooks.verifier("standard_webhooks", [secret], clock=kept.clock).verify(
            TOLD["webhook_headers"], making.DELIVERY
        )
        assert (found.id, found.id_signed) == ("msg_1", True)


def test_what_was_received_once(kept: Kept) -> None:
    verifier = webhooks.verifier("standard_webhooks", [making.STANDARD_SECRETS[0]], clock=kept.clock)
    found = verifier.verify(TOLD["webhook_headers"], making.DELIVERY)
    assert found.replay_key == TOLD["replay_key"]
    with pytest.raises(webhooks.Replayed):
        webhooks.ReplayGuard(sql.SqlReplayStore(kept.database), clock=kept.clock).claim(found)


def test_recipients(kept: Kept) -> None:
    store = sql.SqlRecipientStore(kept.database)
    assert drive(store.load("rcp_1")).failures == 1
    assert drive(store.load("rcp_2")).disabled == "the recipient answered 410 Gone"


def test_endpoints(kept: Kept) -> None:
    registry = webhooks.EndpointRegistry(sql.SqlEndpointStore(kept.database), kept.secrets, clock=kept.clock)
    square = signer("square", making.SQUARE_SECRET)
    url = f"https://hooks.example.com/in/{TOLD['endpoint']}"
    sent = square.sign(b'{"event_id": "e1", "type": "payment.created"}', url=url)
    endpoint, event = registry.receive(TOLD["endpoint"], sent.headers, sent.body)
    assert (endpoint.tenant_id, event.type) == ("acme", "payment.created")


def test_connections(kept: Kept) -> None:
    connections = Connections(sql.SqlConnectionStore(kept.database), kept.secrets, {"chat": [Ping()]}, clock=kept.clock)
    active = connections.require_active("acme", "chat")
    assert active.config == {"team": "T1"}


def test_vulnerability_reports(kept: Kept) -> None:
    desk = DisclosureIntake(sql.SqlReportStore(kept.database), secrets=kept.secrets, clock=kept.clock)
    assert desk.get(TOLD["report"]).state == "received"
    assert desk.read(TOLD["report"]).title == making.REPORT["title"]


def test_workflow_runs(kept: Kept) -> None:
    (run,) = WorkflowRuns(sql.SqlRunStore(kept.database), clock=kept.clock).recent("acme")
    assert (run.id, run.state, run.cost) == (TOLD["workflow"], "running", 3)


# --- the files themselves --------------------------------------------------------------------------------------------


def test_another_token_is_refused(kept: Kept) -> None:
    """The readers above look at what is there, and do not say yes to everything."""
    with pytest.raises(InvalidCredential):
        SessionManager(sql.SqlSessionStore(kept.database), clock=kept.clock).authenticate(TOLD["session"][:-4] + "AAAA")


def test_every_table_is_kept(kept: Kept) -> None:
    """A new table gets its golden row, or a reason why it needs none."""
    with sqlite3.connect(kept.folder / "trust.db") as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        empty = {name for name in names if not connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]}
    connection.close()
    assert empty == EMPTY


EMPTY = {"wst_dpop", "wst_logins", "wst_login_claims"}
"""Proofs and sign-ins in flight: they live for minutes, and an upgrade may end them."""


def test_today_writes_the_same(tmp_path: Path, redis_url: str) -> None:
    """A difference is a new version of a format, or a mistake. HPKE draws its randomness elsewhere."""
    making.make(tmp_path / "today", redis_url)
    for path in sorted(path for path in V1.rglob("*") if path.is_file() and not path.name.startswith("hpke")):
        today = tmp_path / "today" / path.relative_to(V1)
        assert _comparable(today) == _comparable(path), path.relative_to(V1)


def _comparable(path: Path) -> object:
    """The bytes; of a database its rows, because how a schema is spelt is SQLAlchemy's and SQLite's matter."""
    if path.suffix != ".sql":
        return path.read_bytes()
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    connection.executescript(path.read_text(encoding="utf-8"))
    names = [row["name"] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {name: sorted(repr(dict(row)) for row in connection.execute(f"SELECT * FROM {name}")) for name in names}
    connection.close()
    rows["wst_tenant_key"] = [row for row in rows["wst_tenant_key"] if "hpke:k_" not in row]
    return rows


def test_the_moment_is_of_the_files() -> None:
    assert datetime(2026, 11, 24, 12, tzinfo=UTC) == NOW
