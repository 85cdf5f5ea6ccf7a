"""Bytes a row, on SQLite and PostgreSQL, and bytes a key on Redis; written by the package's own services.

    python bench/capacity.py [tenants]

Each figure is size divided by rows, tables and indexes apart. SQLite: pages of the table and of its indexes by the
`dbstat` table, after VACUUM. PostgreSQL: `pg_table_size` and `pg_indexes_size` after VACUUM, as freshly written:
updates and deletes bloat real tables beyond that. Redis: `used_memory` before and after, divided by what was written.
Sizes depend on ids and names: tenants are ``tn_`` and 12 digits, users ``us_`` and 12 digits. The projection at the end
is this arithmetic and nothing else: rows per tenant times bytes per row.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, create_engine, text

from wellstreak_trust import Principal, Secret
from wellstreak_trust.audit import AuditEvent, AuditLog, Ed25519Signer, Personal
from wellstreak_trust.connections import Connections, ProbeResult
from wellstreak_trust.identity import ApiKeys, OneTimeTokens, RefreshFamilies, SessionManager
from wellstreak_trust.ratelimit import LimitRule, RateLimiter
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, SecretStore
from wellstreak_trust.storage.redis import (
    RedisApiKeyStore,
    RedisLimitStore,
    RedisPort,
    RedisRefreshStore,
    RedisReplayStore,
    RedisSessionStore,
)
from wellstreak_trust.storage.sql import (
    Database,
    SqlApiKeyStore,
    SqlAuditStore,
    SqlConnectionStore,
    SqlEndpointStore,
    SqlEntitlements,
    SqlMembershipStore,
    SqlOneTimeTokenStore,
    SqlOutbox,
    SqlRefreshStore,
    SqlReplayStore,
    SqlRunStore,
    SqlSecretBackend,
    SqlSessionStore,
    SqlUsageStore,
)
from wellstreak_trust.telemetry import WorkflowRuns
from wellstreak_trust.tenancy import Entitlements, EntitlementSnapshot, Feature, Memberships, testing_context
from wellstreak_trust.webhooks import EndpointRegistry, ReplayGuard

TENANTS = 1_000
EVENTS = 10
LARGE = 51_200
MILLION = 1_000_000
ORIGIN = "bench.test/audit"
SIGNER = Ed25519Signer.from_seed(bytes(32))
PERSONAL = bytes(range(32))

# Rows a tenant: what a customer of a business product looks like on the page about capacity. Change them to yours.
ROWS = {
    "wst_workspace": 1, "wst_membership": 10, "wst_invitation": 1, "wst_sessions": 10, "wst_subjects": 10,
    "wst_api_keys": 2, "wst_refresh_families": 1, "wst_refresh_tokens": 2, "wst_one_time_tokens": 1,
    "wst_tenant_key": 1, "wst_secret": 4, "wst_secret_version": 8, "wst_connection": 4, "wst_connection_check": 200,
    "wst_connection_day": 360, "wst_webhook_endpoint": 2, "wst_replay": 300, "wst_subscription": 1, "wst_usage": 4,
    "wst_audit_head": 1, "wst_audit_leaf": 10_000, "wst_audit_tile": 39, "wst_audit_disclosure": 1_000,
    "wst_audit_subject": 10,
}  # fmt: skip


@dataclass(frozen=True)
class Sized:
    """One table."""

    name: str
    rows: int
    table: int
    indexes: int

    @property
    def per_row(self) -> tuple[float, float]:
        return self.table / self.rows, self.indexes / self.rows


class Probe:
    name, kind, required, timeout = "whoami", "auth", True, timedelta(seconds=5)

    async def run(self, context: object) -> ProbeResult:
        return ProbeResult("ok")


def tenant(number: int) -> str:
    return f"tn_{number:012}"


def user(number: int) -> str:
    return f"us_{number:012}"


def event(tenant_id: str, number: int) -> AuditEvent:
    """About 500 octets of leaf, as an operation of the guard records."""
    who = Principal(user(number), tenant_id=tenant_id, session_id="5f0c" * 8)
    return AuditEvent(
        "notes.updated", "success", tenant_id, who, (f"note_{number:08}",),
        source={"address": "203.0.113.7", "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0"},
        request={"id": "9b1d" * 8, "method": "POST", "operation": "notes.update"},
        data={"email": Personal("ada@example.com", subject=who.id)} if number % 10 == 0 else {"fields": ["title"]},
    )  # fmt: skip


def fill(database: Database, folder: Path, tenants: int = TENANTS, large: int = 2_560) -> SecretStore:
    """Every service, for so many tenants; the key-encryption key is ``kek.json`` in the folder.

    One more tenant has `large` events: tiles are kept from 256 on.
    """
    secrets = _people(database, folder, tenants)
    _integrations(database, secrets, tenants)
    _trail(database, tenants, large)
    return secrets


def _people(database: Database, folder: Path, tenants: int) -> SecretStore:
    secrets = SecretStore(SqlSecretBackend(database), KeyChain([LocalKeyProvider.generate(folder / "kek.json")]))
    members, sessions = Memberships(SqlMembershipStore(database)), SessionManager(SqlSessionStore(database))
    keys, families = ApiKeys(SqlApiKeyStore(database)), RefreshFamilies(SqlRefreshStore(database))
    links = OneTimeTokens(SqlOneTimeTokenStore(database), "verify_email")
    for number in range(tenants):
        tenant_id, who = tenant(number), user(number)
        members.create_workspace(Principal(who), tenant_id=tenant_id, name="Acme Limited", seats=25)
        members.invite(testing_context(tenant_id, roles=("owner",), id=who), f"u{number}@example.com", ["member"])
        sessions.open(who, tenant_id=tenant_id, device="Firefox on Linux", amr=("pwd", "otp"))
        keys.create(owner_id=who, tenant_id=tenant_id, scopes=["notes:read", "notes:update"], name="export")
        families.rotate(families.start(who).token)
        links.issue(who, email=f"u{number}@example.com")
        secrets.put(tenant_id, "slack/bot", "xoxb-" + "0" * 51)
        secrets.rotate(tenant_id, "slack/bot", "xoxb-" + "1" * 51)
    return secrets


def _integrations(database: Database, secrets: SecretStore, tenants: int) -> None:
    connections = Connections(SqlConnectionStore(database), secrets, {"slack": [Probe()]})
    registry = EndpointRegistry(SqlEndpointStore(database), secrets)
    replays, runs = ReplayGuard(SqlReplayStore(database)), WorkflowRuns(SqlRunStore(database))
    plans = SqlEntitlements(database)
    entitled = Entitlements(plans, SqlUsageStore(database))
    ends = datetime.now(UTC) + timedelta(days=30)
    for number in range(tenants):
        tenant_id = tenant(number)
        connections.define(tenant_id, "slack", config={"channel": "C0123456789"}, secret="slack/bot")
        connections.test(tenant_id, "slack")
        registry.register(tenant_id, "stripe", "whsec_" + "0" * 32, url="https://hooks.example.com/in/{token}")
        with replays.once(Delivered(f"{number:064x}")):
            pass
        features = {"ai_runs": Feature(1_000), "export": Feature()}
        plans.apply(tenant_id, EntitlementSnapshot("team", "active", ends, features, version=1))
        entitled.commit(entitled.reserve(testing_context(tenant_id), "ai_runs"))
        runs.start(tenant_id, "nightly-export", actor=Principal(user(number)))


def _trail(database: Database, tenants: int, large: int) -> None:
    log = AuditLog(SqlAuditStore(database), SIGNER, ORIGIN, personal_key=Secret(PERSONAL))
    for number in range(tenants):
        log.emit_many([event(tenant(number), n) for n in range(EVENTS)])
    for start in range(0, large, 256):
        log.emit_many([event("tn_large", n) for n in range(start, start + 256)])
    log.tick()
    outbox = SqlOutbox(database)  # after the tick, which empties it
    for number in range(0, tenants, 100):
        outbox.emit(event(tenant(number), EVENTS + 1))


@dataclass(frozen=True)
class Delivered:
    """What a replay guard asks of a webhook."""

    replay_key: str
    window: timedelta = timedelta(minutes=5)


# --- sizes -----------------------------------------------------------------------------------------------------------


def sqlite_sizes(engine: Engine) -> Iterator[Sized]:
    """By pages; a table without rowid index of its own has its primary key among the indexes."""
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("VACUUM")
        sized = connection.exec_driver_sql("SELECT name, sum(pgsize) FROM dbstat GROUP BY name").all()
        pages = {name: octets for name, octets in sized}
        listed = connection.exec_driver_sql("SELECT tbl_name, name, type FROM sqlite_master").all()
        for name in sorted(row.name for row in listed if row.type == "table" and row.name.startswith("wst_")):
            rows = connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one()
            own = [row.name for row in listed if row.type == "index" and row.tbl_name == name]
            if rows:
                yield Sized(name, rows, pages[name], sum(pages.get(index, 0) for index in own))


def postgres_sizes(engine: Engine) -> Iterator[Sized]:
    """By the server's own functions."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        names = connection.scalars(text("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'wst%'"))
        for name in sorted(names):
            rows = connection.scalar(text(f"SELECT count(*) FROM {name}")) or 0
            sizes = text(f"SELECT pg_table_size('{name}'), pg_indexes_size('{name}')")
            table, indexes = connection.execute(sizes).one()
            if rows:
                yield Sized(name, rows, table, indexes)


def redis_sizes(url: str, count: int) -> Iterator[tuple[str, float]]:
    """(what, octets each) for what a host may keep on Redis."""
    port = RedisPort.from_url(url, socket_timeout=5, socket_connect_timeout=5)
    client = port.client
    sessions, keys = SessionManager(RedisSessionStore(port)), ApiKeys(RedisApiKeyStore(port))
    families, replays = RefreshFamilies(RedisRefreshStore(port)), ReplayGuard(RedisReplayStore(port))
    # A bucket lives until it is full again: minutes here, so that none is gone before it is counted.
    limits = RateLimiter([LimitRule("tenant", 10, timedelta(hours=1))], RedisLimitStore(port))
    exact = RateLimiter([LimitRule("reset", 10, timedelta(hours=1), algorithm="exact")], RedisLimitStore(port))

    def ten(number: int) -> None:
        for _ in range(10):
            exact.check({"tenant": tenant(number)})

    written: dict[str, Callable[[int], object]] = {
        "session": lambda n: sessions.open(user(n), tenant_id=tenant(n), device="Firefox on Linux", amr=("pwd",)),
        "API key": lambda n: keys.create(owner_id=user(n), tenant_id=tenant(n), scopes=["notes:read"], name="export"),
        "refresh family": lambda n: families.start(user(n)),
        "webhook seen": lambda n: replays.commit(replays.claim(Delivered(f"{n:064x}"))),
        "limit bucket, gcra": lambda n: limits.check({"tenant": tenant(n)}),
        "limit bucket, exact, 10 entries": ten,
    }
    for what, write in written.items():
        before = client.info("memory")["used_memory"]
        for number in range(count):
            write(number)
        yield what, (client.info("memory")["used_memory"] - before) / count
        client.flushdb()


def shown(sized: list[Sized]) -> None:
    for each in sized:
        table, indexes = each.per_row
        print(f"{each.name:28} {each.rows:>8} rows {table:>8.0f} B {indexes:>8.0f} B of indexes, a row")


def projected(sized: list[Sized]) -> None:
    """A million tenants, by `ROWS`; the fixed part of a small table is spread over its rows, so this errs upwards."""
    total = 0.0
    for each in sized:
        if each.name in ROWS:
            octets = sum(each.per_row) * ROWS[each.name] * MILLION
            total += octets
            print(f"{each.name:28} {ROWS[each.name]:>8} a tenant {octets / 1e9:>10.1f} GB")
    print(f"{'all':28} {'':>17} {total / 1e9:>10.1f} GB")


def main() -> None:
    sys.path.append(str(Path(__file__).parent.parent / "tests"))
    import servers

    tenants = int(sys.argv[1]) if len(sys.argv) > 1 else TENANTS
    with tempfile.TemporaryDirectory() as folder, servers.postgres() as url, servers.redis() as redis_url:
        print("\nSQLite")
        engine = create_engine(f"sqlite:///{folder}/app.db")
        database = Database(engine)
        database.create_all()
        fill(database, Path(folder), tenants, LARGE)
        shown(list(sqlite_sizes(engine)))
        engine.dispose()
        print("\nPostgreSQL")
        engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        (Path(folder) / "pg").mkdir()
        database = Database(engine)
        database.create_all()
        fill(database, Path(folder) / "pg", tenants, LARGE)
        found = list(postgres_sizes(engine))
        shown(found)
        engine.dispose()
        print("\nRedis")
        for what, octets in redis_sizes(redis_url, max(tenants, 5_000)):
            print(f"{what:32} {octets:>8.0f} B")
        print("\nA million tenants on PostgreSQL, and audit events of one year")
        projected(found)


if __name__ == "__main__":
    main()
