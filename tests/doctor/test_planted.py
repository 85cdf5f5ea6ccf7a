"""Every fault that the doctor can find, planted into a real host: it is found, and gone once its fix is made."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flask
import pytest
from fastapi import FastAPI
from flask_cors import CORS
from sqlalchemy import create_engine
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.sessions import SessionMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from doctor_bench import ACTIONS, POLICY, PREFIX, PURGE, READ, Bench
from wellstreak_trust import Operation
from wellstreak_trust.adapters.fastapi import TrustMiddleware
from wellstreak_trust.adapters.flask import TrustExtension
from wellstreak_trust.audit import ActionRegistry, AuditLog, MemoryAuditStore
from wellstreak_trust.authz import Policy
from wellstreak_trust.core import FixedClock, SystemClock
from wellstreak_trust.core.address import ClientAddress
from wellstreak_trust.disclosure import SecurityTxt
from wellstreak_trust.doctor import Finding
from wellstreak_trust.doctor.faults_found import FOUND
from wellstreak_trust.identity import (
    JwtVerifier,
    KeySet,
    MemorySessionStore,
    OidcProvider,
    SessionManager,
    TokenProfile,
)
from wellstreak_trust.origin import NONCE, CorsPolicy, ObservedOrigin, OriginPolicy, SecurityHeaders
from wellstreak_trust.secrets import LocalKeyProvider
from wellstreak_trust.storage.sql import Database, SqlAuditStore, SqlReplayStore
from wellstreak_trust.tenancy import HeaderSource, Plan, StaticPlans
from wellstreak_trust.webhooks import MemoryReplayStore, ReplayGuard, verifier

NOW = datetime.now(UTC)
SHARED = KeySet.from_secret(b"s" * 32)


def jwt(**changed: Any) -> JwtVerifier:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    told: dict[str, Any] = {"issuer": "https://op.example", "audience": "host", "algorithms": ("ES256",)}
    return JwtVerifier(changed.pop("keys", KeySet.from_pem(pem)), **{**told, **changed})


def policy(**changed: Any) -> Policy:
    return Policy.from_dict({**POLICY, **changed})


def roles(**changed: Any) -> Policy:
    return policy(roles={**POLICY["roles"], **changed})


def owned_notes(forbid: list[dict[str, Any]]) -> Policy:
    permissions = {name: {**told, "resource": "note"} for name, told in POLICY["permissions"].items()}
    return policy(permissions=permissions, resources={"note": {"attributes": {"owner_id": "string?"}}}, forbid=forbid)


def headers(*pairs: tuple[str, str]) -> SecurityHeaders:
    return SecurityHeaders(pairs=pairs or SecurityHeaders().pairs, csp=SecurityHeaders.api().csp)


def django(**changed: Any) -> SimpleNamespace:
    """The names that Django's own settings would have; the real ones are in `test_django`."""
    ours = "wellstreak_trust.adapters.django"
    told: dict[str, Any] = {
        "DEBUG": False, "ALLOWED_HOSTS": ["app.acme.com"], "SECRET_KEY": os.urandom(32).hex(),
        "INSTALLED_APPS": [ours], "MIDDLEWARE": [f"{ours}.TrustMiddleware"], "SESSION_COOKIE_SECURE": False,
    }  # fmt: skip
    return SimpleNamespace(**{**told, **changed})


def flask_app(bench: Bench, **config: Any) -> flask.Flask:
    app = flask.Flask("shop", static_folder=None)
    app.config.update(config)
    TrustExtension(bench.trust()).init_app(app)
    return app


def asgi(bench: Bench, *outside: tuple[type[Any], dict[str, Any]], debug: bool = False) -> FastAPI:
    app = FastAPI(openapi_url=None, debug=debug)
    app.add_middleware(TrustMiddleware, trust=bench.trust())
    for kind, options in outside:
        app.add_middleware(kind, **options)
    return app


def security_txt(ago: int) -> SecurityTxt:
    return SecurityTxt(contact=("mailto:security@acme.com",), reviewed_at=NOW - timedelta(days=ago))


def replay(bench: Bench, **options: Any) -> ReplayGuard:
    return ReplayGuard(SqlReplayStore(bench.database), **options)


# --- how files are planted ---


def mode_of(bench: Bench, name: str, mode: int) -> list[Finding]:
    told = bench.settings()
    path = bench.keys / name
    path.chmod(mode)
    return bench.run(told)


def moved(bench: Bench, folder: Path) -> list[Finding]:
    """The audit key in another folder."""
    told = bench.settings()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / "audit.pem"
    (bench.keys / "audit.pem").rename(target)
    return bench.run({**told, f"{PREFIX}AUDIT_KEY_FILE": str(target)})


def in_repository(bench: Bench, wrong: bool) -> list[Finding]:
    project = bench.folder / "project"
    (project / (".git" if wrong else "docs")).mkdir(parents=True)
    return moved(bench, project / "deploy")


def in_open_folder(bench: Bench, wrong: bool) -> list[Finding]:
    told = bench.settings()
    bench.keys.chmod(0o777 if wrong else 0o700)
    return bench.run(told)


def owned(bench: Bench, wrong: bool) -> list[Finding]:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    told = bench.settings()
    os.chown(bench.keys / "audit.pem", 65_534 if wrong else 0, -1)
    return bench.run(told)


def reused(bench: Bench, wrong: bool) -> list[Finding]:
    return bench.set(audit_personal_key_file=str(bench.keys / "kek.json")) if wrong else bench.set()


def old_kek(bench: Bench, wrong: bool) -> list[Finding]:
    path = bench.keys / "another.json"
    LocalKeyProvider.generate(path, clock=FixedClock(NOW - timedelta(days=500 if wrong else 5)))
    return bench.set(kek_file=str(path))


@contextmanager
def public_folder() -> Iterator[Path]:
    """A folder that every user of this machine may enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def readable_database(bench: Bench, wrong: bool) -> list[Finding]:
    with public_folder() as folder:
        engine = create_engine(f"sqlite:///{folder / 'trust.db'}")
        Database(engine).create_all()
        engine.dispose()
        for path in folder.iterdir():
            path.chmod(0o644 if wrong else 0o600)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
        return bench.set(database_url=str(engine.url))


def in_memory(bench: Bench, wrong: bool) -> list[Finding]:
    if not wrong:
        return bench.examine()
    database = Database(create_engine("sqlite://"))
    log = AuditLog(SqlAuditStore(database), **{"signer": bench.signer, "origin": "acme.com/audit", "registry": ACTIONS,
                                               "personal_key": bench.key})  # fmt: skip
    found = bench.examine(audit=log)
    database.engine.dispose()
    return found


def far_database(bench: Bench, wrong: bool, driver: str) -> list[Finding]:
    url = f"{driver}://app:secret@db.acme.com/trust" + ("" if wrong else "?sslmode=verify-full")
    return bench.set(database_url=url, **{"redis_url": None})


def tables(bench: Bench, wrong: bool) -> list[Finding]:
    path = bench.data / "another.db"
    engine = create_engine(f"sqlite:///{path}")
    if not wrong:
        Database(engine).create_all()
    engine.dispose()
    return bench.run(bench.settings(database_url=str(engine.url)), reach=True)


def older_tables(bench: Bench, wrong: bool) -> list[Finding]:
    if wrong:
        with bench.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM wst_schema WHERE version > 2")
    return bench.run(reach=True)


def unreachable(bench: Bench, wrong: bool) -> list[Finding]:
    path = bench.data / "broken.db"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    told = bench.settings(database_url=f"sqlite:///{path}") if wrong else bench.settings()
    return bench.run(told, reach=True)


def settings_of(wrong: dict[str, str | None], right: dict[str, str | None]) -> Callable[[Bench, bool], list[Finding]]:
    return lambda bench, planted: bench.set(**(wrong if planted else right))


def around(wrong: dict[str, str], right: dict[str, str] | None = None) -> Callable[[Bench, bool], list[Finding]]:
    return lambda bench, planted: bench.examine(environment=wrong if planted else right or {})


def given(wrong: Callable[[Bench], Any], right: Callable[[Bench], Any], name: str) -> Callable[..., list[Finding]]:
    return lambda bench, planted: bench.examine(**{name: (wrong if planted else right)(bench)})


def policies(wrong: Policy, right: Policy) -> Callable[[Bench, bool], list[Finding]]:
    return lambda bench, planted: bench.examine(policy=wrong if planted else right)


def governed(*wrong: Operation, right: tuple[Operation, ...] = (), **more: Any) -> Callable[..., list[Finding]]:
    return lambda bench, planted: bench.examine(operations=(READ, PURGE, *(wrong if planted else right)), **more)


def kept(wrong: Callable[[Bench], Any], right: Callable[[Bench], Any]) -> Callable[[Bench, bool], list[Finding]]:
    return lambda bench, planted: bench.examine(beside={"kept": (wrong if planted else right)(bench)})


def on(wrong: Callable[[Bench], Any], right: Callable[[Bench], Any], **more: Any) -> Callable[..., list[Finding]]:
    return lambda bench, planted: bench.examine(app=(wrong if planted else right)(bench), **more)


GRANT = {"permission": "notes:read"}
NEVER = "principal.aal >= 2 && principal.aal < 2"
PLANNED = Operation("notes.search", "notes:read", feature="search")
SEND = Operation("notes.send", "notes:read", connection="courier")

CASES: dict[str, Callable[[Bench, bool], list[Finding]]] = {
    # settings that do not even load
    "unknown_setting: misspelt": settings_of({"trusted_origin": "https://app.acme.com"}, {}),
    "unsafe_setting: in-memory database": settings_of({"database_url": "sqlite://"}, {}),
    "unsafe_setting: plain http origin": settings_of({"trusted_origins": '["http://app.acme.com"]'},
                                                     {"trusted_origins": '["https://app.acme.com"]'}),
    "unsafe_setting: plain http CORS origin": settings_of({"cors_origins": '["http://app.acme.com"]'}, {}),
    "unsafe_setting: plain http issuer": settings_of({"issuer": "http://op.example"}, {"issuer": "https://op.example"}),
    "unsafe_setting: well-known KEK": settings_of({"kek_file": None, "kek": "changeme"}, {}),
    "unsafe_setting: no replicas": settings_of({"replicas": "0"}, {"replicas": "1"}),
    # settings that the composition refuses
    "tenant_source": settings_of({"base_domain": None}, {}),
    "database_url": settings_of({"database_url": "nosql://host/db"}, {}),
    "key_file": settings_of({"audit_key_file": "/nowhere/audit.pem"}, {}),
    "kek: readable by others": lambda bench, wrong: mode_of(bench, "kek.json", 0o644 if wrong else 0o600),
    "personal_key": lambda bench, wrong: bench.set(**short_key(bench) if wrong else {}),
    "policy: missing document": settings_of({"policy": "/nowhere/policy.toml"}, {}),
    "session_ends": settings_of({"session_idle": "P1D", "session_absolute": "PT1H"}, {}),
    "client_address: trusts everybody": settings_of({"trusted_proxies": '["0.0.0.0/0"]'},
                                                    {"trusted_proxies": '["10.0.0.0/8"]'}),
    "origin_pattern: over a public suffix": settings_of({"trusted_origins": '["https://*.github.io"]'}, {}),
    "cors_zone_credentials: in settings": settings_of(
        {"cors_origins": '["https://*.acme.com"]', "cors_credentials": "true"},
        {"cors_origins": '["https://app.acme.com"]', "cors_credentials": "true"}),
    "limit_rule": settings_of({"limits": '{"client": "0/minute", "tenant": "9/minute"}'}, {}),
    "redis_url": settings_of({"redis_url": "gopher://cache"}, {}),
    # settings that load
    "memory_store: limits": settings_of({"allow_memory": None}, {}),
    "kek_in_environment": lambda bench, wrong: bench.set(**kek_as_text(bench) if wrong else {}),
    "two_keks": lambda bench, wrong: bench.set(**{**kek_as_text(bench), "kek_file": str(bench.keys / "kek.json")}
                                               if wrong else {}),
    "empty_setting": settings_of({"audit_origin": "acme.com/audit", "redis_url": ""}, {}),
    "database_default": lambda bench, wrong: default_database(bench, wrong),
    "profile_not_production": settings_of({"profile": "development"}, {}),
    "profile_not_production: deployed": lambda bench, wrong: bench.examine(
        profile="development" if wrong else "production", deploying=True),
    "audit_unsigned": settings_of({"audit_key_file": None}, {}),
    "audit_origin_default": settings_of({"audit_origin": None}, {}),
    "audit_personal_unkeyed": settings_of({"audit_personal_key_file": None}, {}),
    "tenant_header": settings_of({"base_domain": None, "tenant_header": "X-Workspace"},
                                 {"tenant_header": "X-Workspace"}),
    "origin_compat": settings_of({"origin_mode": "compat"}, {"origin_mode": "strict"}),
    "session_long": settings_of({"session_absolute": "P90D"}, {"session_absolute": "P7D"}),
    "session_idle_long": settings_of({"session_idle": "P3D", "session_absolute": "P7D"}, {}),
    "no_client_limit": settings_of({"limits": '{"tenant": "3000/minute"}'}, {}),
    "no_tenant_limit": settings_of({"limits": '{"client": "60/minute"}'}, {}),
    # the process
    "replicas_too_few": lambda bench, wrong: workers(bench, {"replicas": "1" if wrong else "4"}),
    "limits_per_process": lambda bench, wrong: workers(bench, {"replicas": "4"}, redis=not wrong),
    "sqlite_replicas": lambda bench, wrong: workers(bench, {"replicas": "4"}, sqlite=wrong),
    "proxy_not_trusted": lambda bench, wrong: bench.examine(
        environment={"KUBERNETES_SERVICE_HOST": "10.0.0.1"},
        client_address=ClientAddress(() if wrong else ("10.0.0.0/8",))),
    "forwarded_allow_all": lambda bench, wrong: bench.examine(
        environment={"FORWARDED_ALLOW_IPS": "*" if wrong else "10.0.0.1"}, client_address=ClientAddress(("10.0.0.1",))),
    "tls_keys_logged": around({"SSLKEYLOGFILE": "/tmp/keys.log"}),
    "debug_mode: by a variable": around({"FLASK_DEBUG": "1"}, {"FLASK_DEBUG": "0"}),
    # the composition
    "memory_store: replay guard beside it": kept(
        lambda bench: ReplayGuard(MemoryReplayStore(allow_memory=False)), replay),
    "memory_store: a development host that is deployed": lambda bench, wrong: deployed(bench, wrong),
    "memory_accepted: audit": given(
        lambda bench: AuditLog(MemoryAuditStore(allow_memory=True), bench.signer, "acme.com/audit", ACTIONS,
                               personal_key=bench.key),
        lambda bench: bench.log(), "audit"),
    "memory_accepted: sessions": lambda bench, wrong: bench.with_member(
        SessionManager(MemorySessionStore(allow_memory=True), audit=bench.audit) if wrong else bench.sessions()),
    "fixed_clock": kept(lambda bench: replay(bench, clock=FixedClock(NOW)), replay),
    "part_unrecorded: sign-ins": lambda bench, wrong: bench.with_member(
        bench.sessions(**{"audit": None} if wrong else {})),
    "part_unrecorded: secrets": given(
        lambda bench: bench.secrets(audit=None), lambda bench: bench.secrets(), "secrets"),
    "no_counters": lambda bench, wrong: bench.examine(**{"counters": None} if wrong else {}),
    # identity
    "cookie_insecure": lambda bench, wrong: bench.with_member(bench.sessions(insecure_loopback=wrong)),
    "session_remembered_long": lambda bench, wrong: bench.with_member(
        bench.sessions(remember_absolute=timedelta(days=3_650 if wrong else 90))),
    "jwt_leeway": lambda bench, wrong: bench.with_member(jwt(leeway=timedelta(seconds=300 if wrong else 30))),
    "jwt_lifetime": lambda bench, wrong: bench.with_member(jwt(max_lifetime=None if wrong else timedelta(hours=1))),
    "jwt_shared_secret": lambda bench, wrong: bench.with_member(
        jwt(keys=SHARED, algorithms=("HS256",)) if wrong else jwt()),
    "token_type_open": lambda bench, wrong: bench.with_member(
        jwt(profile=TokenProfile(frozenset(("at+jwt", None) if wrong else ("at+jwt",)), proves_requests=True))),
    "issuer_insecure": kept(lambda bench: provider("http://127.0.0.1:9000", loopback=True),
                            lambda bench: provider("https://op.example", loopback=False)),
    "keys_without_rights": lambda bench, wrong: bench.with_member(bench.api_keys(**{"rights": None} if wrong else {})),
    # the edge
    "no_limiter": lambda bench, wrong: bench.examine(**{"limiter": None} if wrong else {}),
    "limit_shadow": given(
        lambda bench: bench.limiter(bench.rule("client"), bench.rule("tenant"), bench.rule("api_key?", mode="shadow")),
        lambda bench: bench.limiter(bench.rule("client"), bench.rule("tenant"), bench.rule("api_key?")), "limiter"),
    "observing: an origin policy": given(
        lambda bench: ObservedOrigin(OriginPolicy(), until=SystemClock().now() + timedelta(days=30)),
        lambda bench: OriginPolicy(), "origin"),
    "limit_fails_open": given(
        lambda bench: bench.limiter(bench.rule("client", on_outage="open"), bench.rule("tenant")),
        lambda bench: bench.limiter(bench.rule("client", on_outage="closed"), bench.rule("tenant")), "limiter"),
    "proxies_wide": given(lambda bench: ClientAddress(("0.0.0.0/1", "128.0.0.0/1")),
                          lambda bench: ClientAddress(("10.0.0.0/8", "104.16.0.0/13", "fd00::/8")), "client_address"),
    "origin_insecure": given(lambda bench: OriginPolicy(("http://localhost:3000",)),
                             lambda bench: OriginPolicy(("https://app.acme.com",)), "origin"),
    "cors_insecure": given(lambda bench: CorsPolicy(("http://10.0.0.9",), allow_insecure=True),
                           lambda bench: CorsPolicy(("https://app.acme.com",)), "cors"),
    "cors_public": given(lambda bench: CorsPolicy.public(), lambda bench: CorsPolicy(()), "cors"),
    "cors_zone_credentials": given(lambda bench: CorsPolicy(("https://*.acme.com",), credentials=True),
                                   lambda bench: CorsPolicy(("https://*.acme.com",)), "cors"),
    "no_security_headers": lambda bench, wrong: bench.examine(**{"security_headers": None} if wrong else {}),
    "hsts_weak: missing": given(lambda bench: headers(("X-Frame-Options", "DENY")), lambda bench: headers(),
                                "security_headers"),
    "hsts_weak: a day": given(
        lambda bench: SecurityHeaders.app().with_header("Strict-Transport-Security", "max-age=86400"),
        lambda bench: SecurityHeaders.app(), "security_headers"),
    "csp_unsafe": given(
        lambda bench: SecurityHeaders.app().with_csp("script-src", "'self'", "'unsafe-inline'", unsafe=True),
        lambda bench: SecurityHeaders.app().with_csp("script-src", "'self'", NONCE), "security_headers"),
    "csp_absent": given(lambda bench: SecurityHeaders(csp=()), lambda bench: SecurityHeaders.app(), "security_headers"),
    "csp_report_only": given(lambda bench: SecurityHeaders.app().report_only(), lambda bench: SecurityHeaders.app(),
                             "security_headers"),
    "tenant_header: composed": lambda bench, wrong: bench.examine(
        tenants=bench.tenants(HeaderSource("X-Workspace")) if wrong else bench.tenants()),
    # files
    "key_file_readable": lambda bench, wrong: mode_of(bench, "audit.pem", 0o644 if wrong else 0o600),
    "key_file_replaceable": in_open_folder,
    "key_file_owner": owned,
    "key_file_in_repository": in_repository,
    "key_file_served": lambda bench, wrong: moved(bench, bench.folder / ("static" if wrong else "mounted")),
    "key_beside_database": lambda bench, wrong: moved(bench, bench.data if wrong else bench.folder / "mounted"),
    "key_reused": reused,
    "kek_old": old_kek,
    "database_readable": readable_database,
    # databases
    "database_in_memory": in_memory,
    "database_plaintext": lambda bench, wrong: far_database(bench, wrong, "postgresql+psycopg"),
    "database_plaintext: asyncpg": lambda bench, wrong: far_database(bench, wrong, "postgresql+asyncpg"),
    "tables_missing": tables,
    "tables_missing: older": older_tables,
    "database_unreachable": unreachable,
    "redis_plaintext": settings_of({"redis_url": "redis://:pass@cache.acme.com"},
                                   {"redis_url": "rediss://:pass@cache.acme.com"}),
    "redis_no_password": settings_of({"redis_url": "rediss://cache.acme.com"},
                                     {"redis_url": "rediss://:pass@cache.acme.com"}),
    # the trail and the operations
    "audit_not_strict": given(lambda bench: bench.log(registry=ActionRegistry(strict=False)), lambda bench: bench.log(),
                              "audit"),
    "audit_action: of an operation": governed(Operation("notes.copy", "notes:read", audit="notes.copied"),
                                        right=(Operation("notes.copy", "notes:read", audit="notes.purged"),)),
    "unknown_permission": governed(Operation("notes.copy", "notes:copy"),
                                   right=(Operation("notes.copy", "notes:read"),)),
    "part": lambda bench, wrong: bench.examine(**{"connections": object()} if wrong else {}),
    "limits": governed(Operation("notes.copy", "notes:read", limits=("copies",)),
                       right=(Operation("notes.copy", "notes:read", limits=("client",)),)),
    "connections": lambda bench, wrong: bench.examine(
        operations=(READ, PURGE, Operation("notes.send", "notes:read", connection="messenger")),
        **{"connections": None} if wrong else {}),
    "connection_unknown": governed(SEND, right=(Operation("notes.send", "notes:read", connection="messenger"),)),
    "entitlements": lambda bench, wrong: bench.examine(
        operations=(READ, PURGE, PLANNED), tenants=bench.tenants(entitlements=None) if wrong else bench.tenants()),
    "unsold_feature": lambda bench, wrong: bench.examine(
        operations=(READ, PURGE, PLANNED),
        beside={"plans": StaticPlans([Plan("team", features={} if wrong else {"search": feature()})], {})}),
    "audit_missing": governed(Operation("notes.empty", "notes:purge"),
                                    right=(Operation("notes.empty", "notes:purge", audit="notes.purged"),)),
    "operation_without_step_up": lambda bench, wrong: bench.examine(policy=policy(
        permissions={**POLICY["permissions"], "notes:purge": {"risk": "high"}}) if wrong else policy()),
    "operation_twice": governed(READ, right=()),
    "permission_unused": lambda bench, wrong: bench.examine(operations=(READ,) if wrong else (READ, PURGE)),
    "probe_insecure": given(lambda bench: bench.connections("http://messenger.acme.com/whoami"),
                            lambda bench: bench.connections(), "connections"),
    # the policy
    "policy_ungranted_permission": policies(
        policy(roles={"owner": {"rank": 100, "allow": ["notes:read"]}}), policy()),
    "policy_mixed_scopes": lambda bench, wrong: mixed_scopes(bench, wrong),
    "policy_risky_grant": policies(roles(helper={"allow": ["notes:purge"]}),
                                   roles(helper={"rank": 5, "allow": ["notes:purge"]})),
    "policy_grant_always": policies(
        roles(helper={"rank": 5, "allow": [{**GRANT, "when": "true"}]}),
        roles(helper={"rank": 5, "allow": [{**GRANT, "when": "principal.aal >= 2"}]})),
    "policy_grant_never": policies(
        roles(helper={"rank": 5, "allow": ["notes:purge", {**GRANT, "when": NEVER}]}),
        roles(helper={"rank": 5, "allow": ["notes:purge", {**GRANT, "when": "principal.aal >= 2"}]})),
    "policy_shadowed_grant": policies(
        roles(helper={"rank": 5, "allow": ["notes:read", {**GRANT, "when": "principal.aal >= 2"}]}),
        roles(helper={"rank": 5, "allow": ["notes:read"]})),
    "policy_idle_role": policies(roles(guest={"allow": []}), roles(guest={"rank": 1, "allow": ["notes:read"]})),
    "policy_reaches_owner": policies(
        roles(helper={"rank": 5, "inherits": ["owner"]}), roles(helper={"rank": 5, "allow": ["notes:read"]})),
    "policy_unguarded_forbid": policies(
        owned_notes([{"id": "f", "permissions": ["notes:*"], "when": "resource.owner_id == 'x'"}]),
        owned_notes([{"id": "f", "permissions": ["notes:*"],
                      "when": "has(resource.owner_id) && resource.owner_id == 'x'"}])),
    "policy_forbid_always": policies(
        policy(forbid=[{"id": "f", "permissions": ["notes:read"], "when": "true"}]), policy()),
    "policy_forbid_never": policies(
        policy(forbid=[{"id": "f", "permissions": ["notes:read"], "when": NEVER}]),
        policy(forbid=[{"id": "f", "permissions": ["notes:read"], "when": "principal.aal < 1"}])),
    # webhooks and disclosure
    "webhook_weak_secret": kept(lambda bench: verifier("stripe", ["whsec_1"], allow_weak=True),
                                lambda bench: verifier("stripe", ["whsec_" + "a" * 32])),
    "webhook_secret_shared": kept(
        lambda bench: [verifier("github", ["a" * 32]), verifier("shopify", ["a" * 32])],
        lambda bench: [verifier("github", ["a" * 32]), verifier("shopify", ["b" * 32])]),
    "webhook_window_long": kept(lambda bench: verifier("stripe", ["whsec_" + "a" * 32], timedelta(hours=6)),
                                lambda bench: verifier("stripe", ["whsec_" + "a" * 32], timedelta(minutes=5))),
    "replay_short": kept(lambda bench: replay(bench, ttl=timedelta(hours=1)), replay),
    "replay_accepts": kept(lambda bench: replay(bench, on_store_error="accept"), replay),
    "security_txt_expired": kept(lambda bench: security_txt(ago=300), lambda bench: security_txt(ago=10)),
    "security_txt_expiring": kept(lambda bench: security_txt(ago=170), lambda bench: security_txt(ago=10)),
    # the framework
    "debug_mode: Flask": on(lambda bench: flask_app(bench, DEBUG=True), flask_app),
    "debug_mode: FastAPI": on(lambda bench: asgi(bench, debug=True), asgi),
    "debug_mode: Django": on(lambda bench: django(DEBUG=True), lambda bench: django()),
    "hosts_any": on(lambda bench: django(ALLOWED_HOSTS=["*"]), lambda bench: django()),
    "middleware_order: FastAPI": on(
        lambda bench: asgi(bench, (SessionMiddleware, {"secret_key": "k" * 32, "https_only": True})), asgi),
    "middleware_order: Django": on(
        lambda bench: django(MIDDLEWARE=["django.middleware.common.CommonMiddleware", *django().MIDDLEWARE]),
        lambda bench: django(MIDDLEWARE=["django.middleware.security.SecurityMiddleware", *django().MIDDLEWARE,
                                         "django.middleware.common.CommonMiddleware"])),
    "middleware_missing": on(lambda bench: django(MIDDLEWARE=[]), lambda bench: django()),
    "cors_twice: FastAPI": lambda bench, wrong: bench.examine(app=cors_inside(bench, wrong)),
    "cors_twice: Flask": lambda bench, wrong: bench.examine(app=flask_with_cors(bench, wrong)),
    "secret_key_weak: Flask": on(
        lambda bench: flask_app(bench, SECRET_KEY="dev", SESSION_COOKIE_SECURE=True),
        lambda bench: flask_app(bench, SECRET_KEY=os.urandom(32), SESSION_COOKIE_SECURE=True)),
    "secret_key_weak: Django": on(lambda bench: django(SECRET_KEY="django-insecure-" + "ab12" * 12),
                                  lambda bench: django()),
    "framework_cookie_insecure: Flask": on(
        lambda bench: flask_app(bench, SECRET_KEY=os.urandom(32)),
        lambda bench: flask_app(bench, SECRET_KEY=os.urandom(32), SESSION_COOKIE_SECURE=True)),
    "framework_cookie_insecure: Django": on(
        lambda bench: with_sessions(), lambda bench: with_sessions(SESSION_COOKIE_SECURE=True)),
    "framework_cookie_insecure: Starlette": lambda bench, wrong: bench.examine(app=sessions_inside(bench, wrong)),
    "forwarded_host_open": on(lambda bench: django(USE_X_FORWARDED_HOST=True), lambda bench: django()),
    "forwarded_host_open: ProxyFix": lambda bench, wrong: bench.examine(app=proxied(bench, wrong)),
    "forwarded_scheme_open": lambda bench, wrong: bench.examine(
        app=django(SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https")),
        client_address=ClientAddress(() if wrong else ("10.0.0.0/8",))),
}  # fmt: skip


def deployed(bench: Bench, wrong: bool) -> list[Finding]:
    store = MemoryAuditStore() if wrong else SqlAuditStore(bench.database)
    log = AuditLog(store, bench.signer, "acme.com/audit", ACTIONS, personal_key=bench.key)
    found = bench.examine(profile="development", deploying=True, audit=log)
    return [each for each in found if each.code != "profile_not_production"]


def short_key(bench: Bench) -> dict[str, str | None]:
    path = bench.keys / "short.key"
    path.touch(mode=0o600)
    path.write_bytes(b"short")
    return {"audit_personal_key_file": str(path)}


def kek_as_text(bench: Bench) -> dict[str, str | None]:
    return {"kek_file": None, "kek": (bench.keys / "kek.json").read_text(encoding="utf-8")}


def default_database(bench: Bench, wrong: bool) -> list[Finding]:
    bench.monkeypatch.chdir(bench.data)
    return bench.set(database_url=None) if wrong else bench.set()


def workers(bench: Bench, changed: dict[str, str | None], *, sqlite: bool = False, redis: bool = True) -> list[Finding]:
    """Four processes that count in Redis, over PostgreSQL unless told."""
    told = {
        "redis_url": "rediss://:pass@cache.acme.com" if redis else None,
        "database_url": bench.url if sqlite else "postgresql+psycopg://app@db.acme.com/trust?sslmode=verify-full",
    }
    return bench.run({**bench.settings(**told, **changed), "WEB_CONCURRENCY": "4"})


def provider(issuer: str, *, loopback: bool) -> OidcProvider:
    return OidcProvider(issuer, "client", "s" * 32, "https://acme.com/cb", allow_insecure_loopback=loopback)


def feature() -> Any:
    from wellstreak_trust.tenancy import Feature

    return Feature()


def mixed_scopes(bench: Bench, wrong: bool) -> list[Finding]:
    operators = Operation("platform.list", "platform:list")
    held = policy(
        permissions={**POLICY["permissions"], "platform:list": {"scope": "platform"}},
        roles={
            **POLICY["roles"],
            "operator": {"rank": 5, "allow": ["platform:list", *(["notes:read"] if wrong else [])]},
        },
    )
    return bench.examine(policy=held, operations=(READ, PURGE, operators))


def cors_inside(bench: Bench, wrong: bool) -> FastAPI:
    app = FastAPI(openapi_url=None)
    if wrong:
        app.add_middleware(CORSMiddleware, allow_origins=["*"])
    app.add_middleware(TrustMiddleware, trust=bench.trust())
    return app


def sessions_inside(bench: Bench, wrong: bool) -> FastAPI:
    app = FastAPI(openapi_url=None)
    app.add_middleware(SessionMiddleware, secret_key="k" * 32, https_only=not wrong)
    app.add_middleware(TrustMiddleware, trust=bench.trust())
    return app


def flask_with_cors(bench: Bench, wrong: bool) -> flask.Flask:
    app = flask_app(bench)
    if wrong:
        CORS(app)
    return app


def with_sessions(**changed: Any) -> SimpleNamespace:
    chain = [*django().MIDDLEWARE, "django.contrib.sessions.middleware.SessionMiddleware"]
    return django(MIDDLEWARE=chain, **changed)


def proxied(bench: Bench, wrong: bool) -> flask.Flask:
    app = flask_app(bench)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1 if wrong else 0)  # type: ignore[method-assign]  # as its manual says
    return app


@pytest.mark.parametrize("name", CASES)
def test_a_planted_fault_is_found_and_its_fix_removes_it(name: str, bench: Bench) -> None:
    code, case = name.partition(":")[0], CASES[name]
    found = case(bench, True)
    assert {each.code for each in found} == {code}
    for each in found:
        assert each.why
        assert each.hint
        assert each.id.startswith("trust.")
        assert each.severity == ("error" if each.id.startswith("trust.E") else "warning")
    bench.monkeypatch.undo()
    assert case(Bench(bench.folder / "mended", bench.monkeypatch), False) == []


ON_LIVE_SERVERS = {"database_superuser", "redis_unreachable", "redis_evicts", "redis_not_persistent"}  # `test_live`


def test_every_fault_of_a_host_that_starts_is_planted() -> None:
    planted = {name.partition(":")[0] for name in CASES}
    assert set(FOUND) - planted == ON_LIVE_SERVERS
    assert len(planted) >= 100
