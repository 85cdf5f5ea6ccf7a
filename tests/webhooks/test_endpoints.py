"""Whose endpoint it is: the store contract on every engine, and the registry over a real secret store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from wellstreak_trust import webhooks
from wellstreak_trust.core import FixedClock, UsageError, drive
from wellstreak_trust.core.errors import StoreUnavailable
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, MemorySecretBackend, SecretStore
from wellstreak_trust.storage.sql import AsyncDatabase, Database, SqlEndpointStore, SqlSecretBackend
from wellstreak_trust.testing import signer
from wellstreak_trust.testing.stores.endpoints import CHECKS
from wellstreak_trust.webhooks import EndpointRegistry, EndpointStore, EndpointUnknown, MemoryEndpointStore

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
URL = "https://hooks.example.com/in/{token}"
Check = Callable[[EndpointStore], Coroutine[Any, Any, None]]


@pytest.mark.parametrize("check", CHECKS)
def test_contract_in_memory(check: Check) -> None:
    assert drive(check(MemoryEndpointStore())) is None


@pytest.mark.parametrize("check", CHECKS)
def test_contract_on_sqlite(check: Check, sqlite_path: Path) -> None:
    database = Database(create_engine(f"sqlite:///{sqlite_path}", poolclass=NullPool))
    database.create_all()
    assert drive(check(SqlEndpointStore(database))) is None


def test_contract_on_postgresql(postgres_url: str) -> None:
    database = Database(create_engine(postgres_url.replace("://", "+psycopg://"), poolclass=NullPool))
    database.create_all()
    for check in CHECKS:
        assert drive(check(SqlEndpointStore(database))) is None
        drive(database.run(lambda c: c.exec_driver_sql("DELETE FROM wst_webhook_endpoint")))


def test_contract_awaited(postgres_url: str, tmp_path: Path) -> None:
    kek = LocalKeyProvider.generate(tmp_path / "kek.json")

    async def main() -> None:
        engine = create_async_engine(postgres_url.replace("://", "+asyncpg://"), poolclass=NullPool)
        database = AsyncDatabase(engine)
        await database.acreate_all()
        assert await CHECKS[0](SqlEndpointStore(database)) is None
        registry = EndpointRegistry(
            SqlEndpointStore(database), SecretStore(SqlSecretBackend(database), KeyChain([kek]))
        )
        stripe = signer("stripe")
        made = await registry.aregister("t9", "stripe", stripe.secret)
        sent = stripe.sign(b"{}")
        endpoint, event = await registry.areceive(made.token.reveal(), sent.headers, sent.body)
        assert (endpoint.tenant_id, event.provider) == ("t9", "stripe")
        assert (await registry.alist("t9"))[0].last_outcome == "accepted"
        await engine.dispose()

    asyncio.run(main())


# --- the registry ----------------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def secrets(tmp_path: Path) -> SecretStore:
    return SecretStore(MemorySecretBackend(), KeyChain([LocalKeyProvider.generate(tmp_path / "kek.json")]))


@pytest.fixture
def registry(clock: FixedClock, secrets: SecretStore) -> EndpointRegistry:
    return EndpointRegistry(MemoryEndpointStore(), secrets, clock=clock)


def test_a_token_leads_to_tenant_provider_url_and_keys(registry: EndpointRegistry) -> None:
    square = signer("square")
    made = registry.register("t1", "square", square.secret, url=URL)
    url = made.url.reveal()
    sent = square.sign(b'{"event_id":"e1"}', at=NOW, url=url)
    endpoint, event = registry.receive(made.token.reveal(), sent.headers, sent.body)
    assert (endpoint.tenant_id, endpoint.provider, endpoint.status, endpoint.url) == ("t1", "square", "active", url)
    assert event.endpoint == f"t1/{made.id}"
    assert made.token.reveal() not in repr(made)
    row = registry.list("t1")[0]
    assert (row.last_at, row.last_outcome) == (NOW, "accepted")
    assert made.token.reveal() not in repr(row)


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "é" * 43, "A" * 10_000, "../" * 20, None, 7])
def test_unknown_tokens_are_not_found(registry: EndpointRegistry, token: Any) -> None:
    with pytest.raises(EndpointUnknown) as refused:
        registry.resolve(token)
    assert (refused.value.status, refused.value.step) == (404, "endpoint")


def test_a_disabled_endpoint_looks_like_an_unknown_one(registry: EndpointRegistry) -> None:
    made = registry.register("t1", "stripe", signer("stripe").secret)
    registry.disable("t1", made.id)
    with pytest.raises(EndpointUnknown) as disabled:
        registry.resolve(made.token.reveal())
    with pytest.raises(EndpointUnknown) as unknown:
        registry.resolve("A" * 43)
    assert disabled.value.problem() == unknown.value.problem()
    registry.enable("t1", made.id)
    assert registry.resolve(made.token.reveal()).status == "active"


def test_a_secret_is_rotated_with_an_overlap(registry: EndpointRegistry, clock: FixedClock) -> None:
    old, new = signer("stripe"), signer("stripe")
    made = registry.register("t1", "stripe", old.secret)
    token = made.token.reveal()
    registry.resolve(token)
    registry.rotate("t1", made.id, new.secret, overlap=timedelta(hours=1))
    used = set()
    for ours in (new, old):
        sent = ours.sign(b"{}", at=NOW)
        used.add(registry.receive(token, sent.headers, sent.body)[1].key_id)
    assert len(used) == 2
    clock.advance(timedelta(hours=1))
    late = clock.now()
    sent = old.sign(b"{}", at=late)
    with pytest.raises(webhooks.SignatureMismatch):
        registry.receive(token, sent.headers, sent.body)
    sent = new.sign(b"{}", at=late)
    assert registry.receive(token, sent.headers, sent.body)[1].body == b"{}"
    assert registry.list("t1")[0].last_outcome == "accepted"


def test_a_rotation_without_overlap_refuses_the_old_secret_at_once(registry: EndpointRegistry) -> None:
    old, new = signer("github"), signer("github")
    made = registry.register("t1", "github", old.secret)
    registry.rotate("t1", made.id, new.secret, overlap=timedelta(0))
    sent = old.sign(b"{}")
    with pytest.raises(webhooks.SignatureMismatch):
        registry.receive(made.token.reveal(), sent.headers, sent.body)


def test_a_ring_holds_four_and_an_overlap_is_never_prolonged(registry: EndpointRegistry, clock: FixedClock) -> None:
    made = registry.register("t1", "github", signer("github").secret)
    for hours in (1, 2, 3, 4, 5):
        registry.rotate("t1", made.id, signer("github").secret, overlap=timedelta(hours=hours))
    keys = registry.list("t1")[0].keys
    assert len(keys) == 4
    assert [key.until for key in keys] == [None, *(NOW + timedelta(hours=hours) for hours in (5, 4, 3))]


def test_a_secret_that_the_store_no_longer_serves_is_no_key(
    registry: EndpointRegistry, secrets: SecretStore, clock: FixedClock
) -> None:
    github = signer("github")
    made = registry.register("t1", "github", github.secret)
    secrets.disable("t1", f"webhook/{made.id}")
    with pytest.raises(webhooks.KeyUnavailable):
        registry.resolve(made.token.reveal())
    secrets.enable("t1", f"webhook/{made.id}")
    assert registry.resolve(made.token.reveal()).tenant_id == "t1"


def test_a_pending_endpoint_takes_the_secret_of_its_handshake_once(registry: EndpointRegistry) -> None:
    asana = signer("asana")
    made = registry.register("t1", "asana")
    endpoint = registry.resolve(made.token.reveal())
    assert endpoint.status == "pending"
    sent = asana.sign(b"{}")
    with pytest.raises(webhooks.SignatureMismatch):
        endpoint.verify(sent.headers, sent.body)
    answer = endpoint.challenge("POST", "", {"X-Hook-Secret": asana.secret}, b"")
    assert answer is not None
    assert answer.handover is not None
    assert (answer.status, answer.headers) == (200, (("X-Hook-Secret", asana.secret),))
    registry.rotate("t1", made.id, answer.handover)
    endpoint = registry.resolve(made.token.reveal())
    assert endpoint.verify(sent.headers, sent.body).provider == "asana"
    with pytest.raises(webhooks.SignatureMismatch):
        endpoint.challenge("POST", "", {"X-Hook-Secret": "b" * 32}, b"")


def test_refusals_are_noted_by_step_and_not_more_often_than_agreed(
    registry: EndpointRegistry, clock: FixedClock
) -> None:
    made = registry.register("t1", "stripe", signer("stripe").secret)
    sent = signer("stripe").sign(b"{}", at=NOW)
    for seconds in (0, 5):
        clock.advance(timedelta(seconds=seconds))
        with pytest.raises(webhooks.SignatureMismatch):
            registry.receive(made.token.reveal(), sent.headers, sent.body)
    row = registry.list("t1")[0]
    assert (row.last_outcome, row.last_at) == ("refused: signature", NOW)


def test_tenants_do_not_reach_each_others_endpoints(registry: EndpointRegistry) -> None:
    made = registry.register("t1", "stripe", signer("stripe").secret)
    for call in (
        lambda: registry.disable("t2", made.id),
        lambda: registry.enable("t2", made.id),
        lambda: registry.rotate("t2", made.id, signer("stripe").secret),
    ):
        with pytest.raises(EndpointUnknown):
            call()
    assert registry.list("t2") == ()


def test_what_would_not_verify_is_refused_before_it_is_stored(registry: EndpointRegistry) -> None:
    with pytest.raises(webhooks.WeakSecret):
        registry.register("t1", "stripe", "short")
    with pytest.raises(webhooks.UnsupportedScheme):
        registry.register("t1", "strype", "s" * 32)
    with pytest.raises(UsageError):
        registry.register("t1", "stripe", "s" * 32, url="https://hooks.example.com/in")
    assert registry.list("t1") == ()


def test_schemes_of_ones_own_are_known_by_name(secrets: SecretStore) -> None:
    acme = webhooks.custom("acme", "X-Acme-Signature")
    registry = EndpointRegistry(MemoryEndpointStore(), secrets, schemes=[acme])
    ours = signer(acme)
    made = registry.register("t1", "acme", ours.secret)
    sent = ours.sign(b"{}")
    assert registry.receive(made.token.reveal(), sent.headers, sent.body)[1].provider == "acme"


class Down(MemoryEndpointStore):
    async def by_token(self, token_hash: str) -> Any:
        raise StoreUnavailable("gone")


def test_a_store_that_is_down_is_a_503(secrets: SecretStore) -> None:
    with pytest.raises(webhooks.WebhookStoreUnavailable) as refused:
        EndpointRegistry(Down(), secrets).resolve("A" * 43)
    assert refused.value.status == 503


@pytest.mark.parametrize("name", ["sns", "sendgrid", "paypal", "stripe", "github", "standard_webhooks"])
def test_a_pending_endpoint_of_any_provider_refuses_until_its_secret_is_there(
    registry: EndpointRegistry, name: str
) -> None:
    """The address has to exist before a provider shows its secret. Where no key can be made up, it is a 503."""
    ours = signer(name)
    made = registry.register("t1", name, url=URL)
    delivery = ours.sign(at=NOW)
    with pytest.raises((webhooks.SignatureMismatch, webhooks.KeyUnavailable)):
        registry.receive(made.token.reveal(), delivery.headers, delivery.body)
    registry.rotate("t1", made.id, ours.secrets[0])
    assert registry.receive(made.token.reveal(), delivery.headers, delivery.body)[1].provider == name


def test_the_query_of_the_request_is_part_of_the_signed_url(registry: EndpointRegistry) -> None:
    """Twilio puts the hash of a JSON body there."""
    twilio = signer("twilio")
    made = registry.register("t1", "twilio", twilio.secret, url=URL)
    delivery = twilio.sign(b'{"a": 1}', url=made.url.reveal())
    query = delivery.url.partition("?")[2]
    token = made.token.reveal()
    assert registry.receive(token, delivery.headers, delivery.body, query=query)[1].signed == {"url", "body"}
    for other in ("", query + "0", f"{query}&{query}", query.replace("SHA", "sha")):
        with pytest.raises(webhooks.WebhookError):
            registry.receive(token, delivery.headers, delivery.body, query=other)


def test_a_token_stands_in_no_repr(registry: EndpointRegistry) -> None:
    made = registry.register("t1", "github", signer("github").secret, url=URL)
    token = made.token.reveal()
    endpoint = registry.resolve(token)
    assert token in endpoint.url
    assert token not in repr(endpoint) + repr(made) + repr(registry.list("t1"))
