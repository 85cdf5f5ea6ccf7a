"""`TrustSettings`: what an operator sets, where each value came from, and the composition built from it.

Values come from keyword arguments, then ``WELLSTREAK_TRUST_*`` environment variables, then defaults. A variable with
our prefix that is no setting is refused, because a misspelt security switch that is silently ignored is the worst kind
of default.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from .core.errors import ConfigurationError, MissingExtra, UsageError
from .core.secret import Secret

if TYPE_CHECKING:
    from .audit import Ed25519Signer
    from .guard import Operations
    from .storage.sql.database import SqlPort
    from .trust import Trust

try:
    from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator
    from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError
except ImportError:
    raise MissingExtra(
        "TrustSettings needs pydantic-settings", hint="pip install 'wellstreak-trust[settings]'", reason="extra"
    ) from None

__all__ = ["Origin", "TrustSettings", "audit_log", "compose"]

PREFIX: Final = "WELLSTREAK_TRUST_"
_OF_COMMANDS: Final = frozenset(("WELLSTREAK_TRUST_APP", "WELLSTREAK_TRUST_PKCS11_MODULE"))  # read by the command line
_WELL_KNOWN: Final = frozenset(("changeme", "change-me", "secret", "password", "insecure", "test", "dev", "default"))

Origin = Literal["argument", "environment", "default"]


class TrustSettings(BaseSettings):
    """Everything an operator may set; frozen. `explain()` shows each value with its origin.

    Raises:
        ConfigurationError: an unknown, malformed or unsafe setting; names the setting and the line that fixes it,
            never the value.
    """

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    profile: Literal["production", "development", "test"] = Field(
        default="production", description="how much is refused; production refuses what loses data"
    )
    database_url: Annotated[Secret[str], NoDecode] = Field(
        default=Secret("sqlite:///wellstreak_trust.db"), description="SQLAlchemy URL"
    )
    kek_file: Path | None = Field(default=None, description="local key-encryption key file, mode 0600")
    kek: Annotated[Secret[str] | None, NoDecode] = Field(
        default=None, description="key-encryption key as text, for platforms without files"
    )
    policy: str = Field(default="preset:wellstreak", description="path of the policy document, or preset:<name>")
    base_domain: str | None = Field(default=None, description="tenants are subdomains of it")
    tenant_path: str | None = Field(default=None, description="path pattern, such as /w/{tenant}/")
    tenant_header: str | None = Field(default=None, description="header that names the tenant")
    trusted_origins: tuple[str, ...] = Field(default=(), description="origins whose pages may send requests")
    cors_origins: tuple[str, ...] = Field(default=(), description="origins that may read answers")
    cors_credentials: bool = Field(default=False, description="whether these origins may send cookies")
    origin_mode: Literal["strict", "compat"] = Field(
        default="strict", description="compat lets requests of browsers without fetch metadata pass by their Origin"
    )
    trusted_proxies: tuple[str, ...] = Field(default=(), description="addresses and networks of your proxies")
    client_header: str = Field(default="x-forwarded-for", description="field in which your proxies name the client")
    limits: dict[str, str] = Field(
        default={"client": "60/minute", "tenant": "3000/minute"}, description="rule name = key it counts by: N/unit"
    )
    redis_url: Annotated[Secret[str] | None, NoDecode] = Field(
        default=None, description="where limits are counted; redis://, rediss://, redis+sentinel:// or redis+cluster://"
    )
    replicas: int = Field(default=1, ge=1, le=10_000, description="processes that share the limits")
    allow_memory: bool = Field(default=False, description="accept in-process limit counters in production")
    audit_origin: str = Field(default="localhost/audit", description="name of the audit log, on its checkpoints")
    audit_key_file: Path | None = Field(default=None, description="Ed25519 key (PEM) that signs checkpoints")
    audit_personal_key_file: Path | None = Field(
        default=None, description="key without which personal values in the trail cannot be read; never changes"
    )
    session_idle: timedelta = Field(default=timedelta(minutes=30), description="a session ends after this unused")
    session_absolute: timedelta = Field(default=timedelta(hours=12), description="a session ends after this anyway")
    issuer: str | None = Field(default=None, description="OpenID Connect issuer")

    _origins: dict[str, Origin] = PrivateAttr(default_factory=dict)
    _insecure_hosts: ClassVar[frozenset[str]] = frozenset(("localhost", "127.0.0.1", "[::1]"))

    def __init__(self, **values: Any) -> None:
        _refuse_unknown(values)
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _translated(error) from None
        except SettingsError as error:
            raise _unread(error) from None
        for name in type(self).model_fields:
            self._origins[name] = _origin(name, values)

    @field_validator("kek")
    @classmethod
    def _not_well_known(cls, value: Secret[str] | None) -> Secret[str] | None:
        if value is not None and (len(value.reveal()) < 32 or value.reveal().lower() in _WELL_KNOWN):
            raise ValueError("a default or short key; make one with `wellstreak-trust keys generate`")
        return value

    @field_validator("issuer")
    @classmethod
    def _https_issuer(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("https://"):
            raise ValueError("an issuer must be https:// (OpenID Connect Discovery 1.0, 3)")
        return value

    @model_validator(mode="after")
    def _safe_in_production(self) -> TrustSettings:
        if self.profile == "production":
            if ":memory:" in self.database_url.reveal() or self.database_url.reveal() in ("sqlite://", "sqlite:///"):
                raise ValueError("database_url: an in-memory database in production; name a file or a server")
            for name in ("trusted_origins", "cors_origins"):
                if any(origin.startswith("http://") for origin in getattr(self, name)):
                    raise ValueError(f"{name}: a plain http origin in production; write https://")
        return self

    def explain(self) -> list[tuple[str, str, Origin]]:
        """(name, value, origin) of every setting; secret values masked."""
        return [(name, str(getattr(self, name)), self._origins[name]) for name in type(self).model_fields]


def _origin(name: str, values: dict[str, Any]) -> Origin:
    if name in values:
        return "argument"
    return "environment" if f"{PREFIX}{name}".upper() in _environment() else "default"


def _environment() -> frozenset[str]:
    return frozenset(name.upper() for name in os.environ if name.upper().startswith(PREFIX)) - _OF_COMMANDS


def _refuse_unknown(values: dict[str, Any]) -> None:
    known = set(TrustSettings.model_fields)
    asked = [(name, name) for name in values] + [(e, e.removeprefix(PREFIX).lower()) for e in sorted(_environment())]
    for shown, name in asked:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise ConfigurationError(
                f"unknown setting {shown}",
                hint=f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}",
                reason="unknown_setting",
            )


def _translated(error: ValidationError) -> ConfigurationError:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    text = first["msg"].removeprefix("Value error, ")
    # What concerns several settings names the one at fault itself.
    place = ".".join(str(part) for part in first["loc"]) or text.partition(":")[0]
    return ConfigurationError(
        f"{place}: {text}" if first["loc"] else text,
        hint=f"set {PREFIX}{place.upper()} or the keyword {place}",
        reason="unsafe_setting",
    )


def _unread(error: SettingsError) -> ConfigurationError:
    """A variable that is no JSON; the cause quotes its value, so it goes no further."""
    named = re.search(r'field "(\w+)"', str(error))
    place = named[1] if named is not None else "a setting"
    return ConfigurationError(
        f"{place}: not the JSON of a list or a table",
        hint=f"""set {PREFIX}{place.upper()} to JSON, such as '["a", "b"]', or '{{"a": "b"}}' for limits""",
        reason="unsafe_setting",
    )


def compose(settings: TrustSettings, operations: Operations | None = None) -> Trust:
    """Builds a `Trust` over one SQL database from settings.

    Raises:
        ConfigurationError: missing or unsafe settings, files that do not load.
    """
    from .authz import Policy
    from .core.address import ClientAddress
    from .identity import Authenticator, SessionManager
    from .origin import CorsPolicy, OriginPolicy, SecurityHeaders
    from .storage.sql import SqlMembershipStore, SqlSessionStore
    from .telemetry import Counters
    from .tenancy import Entitlements, Memberships, TenantResolver
    from .trust import Trust

    port = _database(settings.database_url.reveal())
    audit = audit_log(settings, port)
    sessions = SessionManager(
        SqlSessionStore(port), idle=settings.session_idle, absolute=settings.session_absolute, audit=audit
    )
    memberships = Memberships(SqlMembershipStore(port), audit=audit)
    from .storage.sql.usage import SqlEntitlements, SqlUsageStore

    entitlements = Entitlements(SqlEntitlements(port), usage=SqlUsageStore(port))
    return Trust(
        profile=settings.profile,
        authenticator=Authenticator([sessions]),
        tenants=TenantResolver(_sources(settings), memberships, entitlements=entitlements),
        policy=_policy(settings.policy, Policy),
        limiter=_limiter(settings, port, audit),
        origin=OriginPolicy(trusted=settings.trusted_origins, mode=settings.origin_mode),
        audit=audit,
        secrets=_secrets(settings, port, audit),
        cors=CorsPolicy(settings.cors_origins, credentials=settings.cors_credentials)
        if settings.cors_origins
        else None,
        security_headers=SecurityHeaders.api(),
        client_address=ClientAddress(settings.trusted_proxies, header=settings.client_header),
        counters=Counters(),
        operations=operations,
    )


def _database(url: str) -> SqlPort:
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    from .storage.sql import AsyncDatabase, Database

    try:
        if make_url(url).get_dialect().is_async:
            from sqlalchemy.ext.asyncio import create_async_engine

            return AsyncDatabase(create_async_engine(url))
        return Database(create_engine(url))
    except (ArgumentError, NoSuchModuleError, ImportError):
        raise ConfigurationError(
            "database_url does not name an installed driver",
            hint="sqlite:///file.db, or postgresql+psycopg://... with wellstreak-trust[postgres]",
            reason="database_url",
        ) from None


def _policy(wanted: str, loader: Any) -> Any:
    kind, mark, name = wanted.partition(":")
    return loader.preset(name) if mark and kind == "preset" else loader.load(wanted)


def _sources(settings: TrustSettings) -> list[Any]:
    from .tenancy import HeaderSource, PathSource, SubdomainSource

    found: list[Any] = []
    if settings.base_domain:
        found.append(SubdomainSource(settings.base_domain))
    if settings.tenant_path:
        found.append(PathSource(settings.tenant_path))
    if settings.tenant_header:
        found.append(HeaderSource(settings.tenant_header))
    if not found:
        raise ConfigurationError(
            "no setting tells how a request names its tenant",
            hint=f"{PREFIX}BASE_DOMAIN, {PREFIX}TENANT_PATH=/w/{{tenant}}/ or {PREFIX}TENANT_HEADER",
            reason="tenant_source",
        )
    return found


def _limiter(settings: TrustSettings, port: SqlPort, audit: Any) -> Any:
    from .ratelimit import LimitRule, MemoryLimitStore, RateLimiter

    rules = [LimitRule.parse(key, text, by=(key,)) for key, text in settings.limits.items()]
    store: Any = MemoryLimitStore(allow_memory=settings.allow_memory)
    if settings.redis_url is not None:
        from .storage.redis import RedisLimitStore, RedisPort

        store = RedisLimitStore(RedisPort.from_url(settings.redis_url.reveal(), asynchronous=port.suspends))
    return RateLimiter(rules, store=store, replicas=settings.replicas, audit=audit)


def audit_log(settings: TrustSettings, port: SqlPort) -> Any:
    """The trail that settings describe, over a database; without a key file it signs nothing.

    Raises:
        ConfigurationError: a key file that cannot be read or is none; a personal key that is too short.
    """
    from .audit import AuditLog, Ed25519Signer
    from .core.secret import Secret
    from .storage.sql import SqlAuditStore

    signer = _signer(settings.audit_key_file, Ed25519Signer) if settings.audit_key_file else None
    personal = Secret(_read(settings.audit_personal_key_file)) if settings.audit_personal_key_file else None
    return AuditLog(SqlAuditStore(port), signer=signer, origin=settings.audit_origin, personal_key=personal)


def _signer(path: Path, signer: type[Ed25519Signer]) -> Ed25519Signer:
    try:
        return signer.from_pem(_read(path))
    except UsageError as error:
        raise ConfigurationError(f"{path.name}: {error.detail}", hint=error.hint, reason="key_file") from None


def _secrets(settings: TrustSettings, port: SqlPort, audit: Any) -> Any:
    from .secrets import EnvKeyProvider, KeyChain, LocalKeyProvider, SecretStore
    from .storage.sql import SqlSecretBackend

    if settings.kek_file is not None:
        key: Any = LocalKeyProvider.from_file(settings.kek_file)
    elif settings.kek is not None:
        key = EnvKeyProvider(settings.kek.reveal())
    else:
        return None
    return SecretStore(SqlSecretBackend(port), KeyChain([key]), audit=audit)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{path.name}: {type(error).__name__}", hint="check the path and its permissions", reason="key_file"
        ) from None
