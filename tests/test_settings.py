"""Settings: unknown and unsafe ones stop start-up, and every value tells where it came from."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from wellstreak_trust import Guard, Principal, RequestFacts, Trust, TrustSettings
from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.core.errors import InvalidCredential
from wellstreak_trust.storage.sql import create_all


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("WELLSTREAK_TRUST_"):
            monkeypatch.delenv(name)


def test_every_value_tells_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WELLSTREAK_TRUST_REPLICAS", "3")
    monkeypatch.setenv("WELLSTREAK_TRUST_KEK", "k" * 40)
    rows = {name: (value, origin) for name, value, origin in TrustSettings(base_domain="app.example").explain()}
    assert rows["replicas"] == ("3", "environment")
    assert rows["base_domain"] == ("app.example", "argument")
    assert rows["profile"] == ("production", "default")
    assert "kkk" not in repr(rows)


def test_secret_texts_come_from_the_environment_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    document = '{"format": "wellstreak-trust/kek/v1", "id": "k_0011223344556677"}'
    monkeypatch.setenv("WELLSTREAK_TRUST_DATABASE_URL", "sqlite:///other.db")
    monkeypatch.setenv("WELLSTREAK_TRUST_KEK", document)
    found = TrustSettings()
    assert found.database_url.reveal() == "sqlite:///other.db"
    assert found.kek is not None
    assert found.kek.reveal() == document


def test_a_misspelt_variable_is_refused_with_the_right_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WELLSTREAK_TRUST_TRUSTED_PROXY", "10.0.0.0/8")
    with pytest.raises(ConfigurationError) as caught:
        TrustSettings()
    assert caught.value.reason == "unknown_setting"
    assert "trusted_proxies" in caught.value.hint


UNSAFE: dict[str, dict[str, Any]] = {
    "memory database": {"database_url": "sqlite://"},
    "memory database by name": {"database_url": "sqlite:///:memory:"},
    "default key": {"kek": "changeme"},
    "short key": {"kek": "abc"},
    "http issuer": {"issuer": "http://login.example"},
    "http origin": {"trusted_origins": ["http://app.example"]},
    "http cors": {"cors_origins": ["http://app.example"]},
    "profile": {"profile": "prod"},
    "replicas": {"replicas": 0},
}


@pytest.mark.asvs("13.2.3")
@pytest.mark.parametrize("kind", UNSAFE)
def test_unsafe_settings_are_refused_without_their_value(kind: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        TrustSettings(**UNSAFE[kind])
    error = caught.value
    assert error.reason == "unsafe_setting"
    assert "WELLSTREAK_TRUST_" in error.hint
    assert "changeme" not in str(error)


def composed(tmp_path: Path, **changed: Any) -> Trust:
    url = f"sqlite:///{tmp_path / 'trust.db'}"
    engine = create_engine(url)
    create_all(engine)
    engine.dispose()
    given: dict[str, Any] = {"database_url": url, "tenant_path": "/w/{tenant}/", "allow_memory": True, **changed}
    return Trust.from_settings(TrustSettings(**given))


def test_a_whole_trust_from_settings(tmp_path: Path) -> None:
    from wellstreak_trust.secrets import LocalKeyProvider

    kek = tmp_path / "kek.json"
    LocalKeyProvider.generate(kek)
    trust = composed(tmp_path, kek_file=kek, cors_origins=["https://app.example"])
    guard = Guard(trust)
    facts = RequestFacts("GET", "https://api.example/w/acme/", peer="203.0.113.1")
    with pytest.raises(InvalidCredential):
        guard.enter(facts, _operation())
    trust.secrets.put("acme", "slack/bot", "xoxb-1")
    assert trust.secrets.get("acme", "slack/bot").reveal() == "xoxb-1"
    memberships: Any = trust.tenants
    assert memberships is not None
    assert Principal("x").id == "x"


def _operation() -> Any:
    from wellstreak_trust import Operation

    return Operation("billing.read", "billing:read")


REFUSED: dict[str, dict[str, Any]] = {
    "tenant_source": {"tenant_path": None},
    "memory_store": {"allow_memory": False},
    "database_url": {"database_url": "nonsense://x"},
    "client_address": {"trusted_proxies": ["*"]},
}


@pytest.mark.parametrize("reason", REFUSED)
def test_compositions_that_are_refused(tmp_path: Path, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        composed(tmp_path, **REFUSED[reason])
    assert caught.value.reason == reason
    assert caught.value.hint


def test_a_wildcard_origin_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        composed(tmp_path, cors_origins=["*"])
    with pytest.raises(ConfigurationError):
        composed(tmp_path, trusted_origins=["https://*"])


def test_limits_are_counted_where_the_setting_says(tmp_path: Path, redis_url: str) -> None:
    trust = composed(tmp_path, redis_url=redis_url)
    assert type(trust.limiter.store).__name__ == "RedisLimitStore"
    assert not trust.limiter.suspends
    assert redis_url not in str(TrustSettings(redis_url=redis_url).explain())
    with pytest.raises(ConfigurationError) as refused:
        composed(tmp_path, redis_url="redis://:hunter2@host:port")
    assert "hunter2" not in str(refused.value) + refused.value.detail + refused.value.hint


# --- what the manual says of each setting ----------------------------------------------------------------------------

WORDS: dict[str, dict[str, Any]] = tomllib.loads(
    (Path(__file__).parents[1] / "docs/reference/settings.toml").read_text(encoding="utf-8")
)
REFUSALS = [(name, reason, value) for name, entry in WORDS.items() for reason, value in entry["refused"].items()]


def test_the_manual_knows_every_setting_and_no_other() -> None:
    assert list(WORDS) == list(TrustSettings.model_fields)
    assert all(field.description for field in TrustSettings.model_fields.values())


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], TrustSettings]:
    """Settings of a whole host out of the environment, with one of them changed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.key").write_bytes(b"too short")
    base = {"DATABASE_URL": f"sqlite:///{tmp_path}/trust.db", "TENANT_PATH": "/w/{tenant}/", "ALLOW_MEMORY": "true"}

    def changed(name: str, value: str) -> TrustSettings:
        for variable, text in {**base, name.upper(): value}.items():
            monkeypatch.setenv(f"WELLSTREAK_TRUST_{variable}", text)
        return TrustSettings()

    return changed


@pytest.mark.parametrize("name", WORDS)
def test_the_manuals_example_is_taken(environment: Callable[[str, str], TrustSettings], name: str) -> None:
    rows = {row: origin for row, _, origin in environment(name, WORDS[name]["example"]).explain()}
    assert rows[name] == "environment"


@pytest.mark.parametrize(("name", "reason", "value"), REFUSALS)
def test_the_manuals_refusals_are_those_of_the_code(
    environment: Callable[[str, str], TrustSettings], name: str, reason: str, value: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Trust.from_settings(environment(name, value))
    assert caught.value.reason == reason
    if reason == "unsafe_setting":
        assert caught.value.detail.startswith(f"{name}: ")
        assert f"WELLSTREAK_TRUST_{name.upper()}" in caught.value.hint
        assert value not in str(caught.value)


def test_a_key_file_that_is_no_key_is_a_refusal_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "audit.pem").write_text("no key")
    with pytest.raises(ConfigurationError) as caught:
        composed(tmp_path, audit_key_file=tmp_path / "audit.pem")
    assert caught.value.reason == "key_file"
    assert caught.value.detail.startswith("audit.pem: ")


def test_a_registry_is_handed_on_to_the_trust(tmp_path: Path) -> None:
    from wellstreak_trust import Operations

    url = f"sqlite:///{tmp_path / 'trust.db'}"
    settings = TrustSettings(database_url=url, tenant_path="/w/{tenant}/", allow_memory=True)
    registry = Operations([_operation()])
    trust = Trust.from_settings(settings, operations=registry)
    assert trust.operations is registry
    assert registry.faults(trust) == []
