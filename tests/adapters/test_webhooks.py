"""Webhooks over every way in: one suite of raw requests, the same answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from time import sleep
from typing import Any, NamedTuple

import pytest
from ways import Answer, call_asgi, call_wsgi, django_settings

from wellstreak_trust import webhooks
from wellstreak_trust.core.errors import ConfigurationError, NoTenant, StoreUnavailable
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, MemorySecretBackend, SecretStore
from wellstreak_trust.testing import SignedRequest, signer
from wellstreak_trust.webhooks import Delivery, EndpointRegistry, Receiver, ReplayGuard

Lines = Iterable[tuple[str, str | bytes]]
URL = "https://hooks.example.com/in/square"
PARTIES = {name: signer(name) for name in ("stripe", "slack", "square", "adyen_payments", "asana", "github", "plaid")}
VERIFY_TOKEN = "as entered at the provider"


class Broken(webhooks.MemoryReplayStore):
    """A replay store that is down."""

    async def claim(self, key: str, owner: str, *, now: datetime, until: datetime) -> Any:
        raise StoreUnavailable("connection refused", hint="is it running?")


@dataclass
class Host:
    """What the routes of one application share; `outcome` is what the handler does next."""

    secrets: SecretStore
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    handed: list[str] = field(default_factory=list)
    outcome: Any = None
    guard: ReplayGuard = field(default_factory=lambda: ReplayGuard(webhooks.MemoryReplayStore()))

    def __post_init__(self) -> None:
        self.registry = EndpointRegistry(webhooks.MemoryEndpointStore(), self.secrets)
        alone = {
            "stripe": PARTIES["stripe"].verifier(),
            "slack": PARTIES["slack"].verifier(),
            "square": PARTIES["square"].verifier(url=URL),
            "nowhere": PARTIES["square"].verifier(),
            "adyen": PARTIES["adyen_payments"].verifier(),
            "asana": PARTIES["asana"].verifier(pending=True),
            "github": PARTIES["github"].verifier(max_body=100),
            "meta": webhooks.verifier("meta", ["x" * 32], verify_token=VERIFY_TOKEN),
            "plaid": webhooks.verifier("plaid", ["0123456789abcdef:0123456789abcdef"], keys=webhooks.NoKeys()),
        }
        self.receivers = {name: Receiver(verifier, self.guard) for name, verifier in alone.items()}
        self.receivers["handed"] = Receiver(alone["asana"], self.guard, handover=self.take)
        self.receivers["down"] = Receiver(alone["stripe"], ReplayGuard(Broken()))
        self.receivers["registry"] = Receiver(self.registry, self.guard)

    def take(self, endpoint: webhooks.Endpoint, secret: Any) -> None:
        self.handed.append(secret.reveal())

    def handle(self, delivery: Delivery) -> Any:
        """Plain, as views are; the asynchronous one below does the same."""
        self.seen.append((delivery.endpoint.tenant_id, delivery.event.id))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome() if self.outcome is not None else None

    async def ahandle(self, delivery: Delivery) -> Any:
        await asyncio.sleep(0)
        return self.handle(delivery)


class Way(NamedTuple):
    """One framework; `response` makes an answer of its own kind."""

    name: str
    host: Host
    call: Callable[..., Answer]
    response: Callable[[int], Any]

    def ask(self, method: str, target: str, lines: Lines, body: bytes, **given: Any) -> Answer:
        """Asks under a hostile Host field."""
        return self.call(method, target, [("Host", "evil.example"), *lines], body, **given)


def flask_way(host: Host) -> Way:
    from flask import Flask, Response

    from wellstreak_trust.adapters.flask import webhook

    app = Flask("hooks")
    for name, receiver in host.receivers.items():
        path = "/in/registry/<token>" if name == "registry" else f"/in/{name}"
        app.add_url_rule(path, name, webhook(receiver)(host.handle), methods=["GET", "HEAD", "POST"])
    return Way("flask", host, lambda *a, **k: call_wsgi(app, *a, **k), lambda status: Response("theirs", status))


def starlette_way(host: Host) -> Way:
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    from wellstreak_trust.adapters.starlette import webhook

    routes = [
        Route(
            "/in/registry/{token}" if name == "registry" else f"/in/{name}",
            webhook(receiver)(host.handle),
            methods=["GET", "HEAD", "POST"],
        )
        for name, receiver in host.receivers.items()
    ]
    app = Starlette(routes=routes)
    return Way("starlette", host, _run(app), lambda status: Response("theirs", status, media_type="text/html"))


def fastapi_way(host: Host) -> Way:
    from fastapi import FastAPI
    from starlette.responses import Response

    from wellstreak_trust.adapters.fastapi import webhook

    app = FastAPI()
    for name, receiver in host.receivers.items():
        path = "/in/registry/{token}" if name == "registry" else f"/in/{name}"
        app.add_api_route(path, webhook(receiver)(host.ahandle), methods=["GET", "HEAD", "POST"])
    return Way("fastapi", host, _run(app), lambda status: Response("theirs", status, media_type="text/html"))


def wsgi_way(host: Host) -> Way:
    from werkzeug.wrappers import Response

    from wellstreak_trust.adapters.wsgi import webhook

    hooks = {
        name: webhook(receiver, token=lambda environ: environ["PATH_INFO"].rpartition("/")[2])(host.handle)
        for name, receiver in host.receivers.items()
    }

    def app(environ: Any, start_response: Any) -> Any:
        try:
            return hooks[environ["PATH_INFO"].split("/")[2]](environ, start_response)
        except ZeroDivisionError:
            return Response("broken", 500)(environ, start_response)

    return Way(
        "wsgi",
        host,
        lambda *a, **k: call_wsgi(app, *a, **k),
        lambda status: Response("theirs", status, mimetype="text/html"),
    )


def asgi_way(host: Host) -> Way:
    from starlette.responses import Response

    from wellstreak_trust.adapters.asgi import webhook

    hooks = {
        name: webhook(receiver, token=lambda scope: scope["path"].rpartition("/")[2])(host.ahandle)
        for name, receiver in host.receivers.items()
    }

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await hooks[scope["path"].split("/")[2]](scope, receive, send)

    return Way("asgi", host, _run(app), lambda status: Response("theirs", status, media_type="text/html"))


def _run(app: Any) -> Callable[..., Answer]:
    return lambda *asked, **given: asyncio.run(call_asgi(app, *asked, **given))


def django_ways(wsgi: Host, asgi: Host) -> Iterator[Way]:
    import django
    from django.apps import apps
    from django.conf import UserSettingsHolder, global_settings
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse
    from django.urls import path

    from wellstreak_trust.adapters.django import webhook

    def patterns(host: Host, handler: Any) -> tuple[Any, ...]:
        return tuple(
            path("in/registry/<token>" if name == "registry" else f"in/{name}", webhook(receiver)(handler))
            for name, receiver in host.receivers.items()
        )

    for name, host, handler, make in (
        ("django-wsgi", wsgi, wsgi.handle, WSGIHandler),
        ("django-asgi", asgi, asgi.ahandle, ASGIHandler),
    ):
        holder = UserSettingsHolder(global_settings)
        holder.SECRET_KEY, holder.ALLOWED_HOSTS = "x" * 50, ["*"]
        holder.ROOT_URLCONF = patterns(host, handler)
        holder.MIDDLEWARE = ["django.middleware.csrf.CsrfViewMiddleware"]
        with django_settings(holder):
            if not apps.ready:
                django.setup()
            app = make()

        def call(*asked: Any, app: Any = app, holder: Any = holder, **given: Any) -> Answer:
            with django_settings(holder):
                if isinstance(app, WSGIHandler):
                    return call_wsgi(app, *asked, **given)
                return asyncio.run(call_asgi(app, *asked, **given))

        yield Way(name, host, call, lambda status: HttpResponse("theirs", status=status))


@pytest.fixture
def ways(tmp_path: Any) -> list[Way]:
    kek = LocalKeyProvider.generate(tmp_path / "kek.json")
    hosts = [Host(SecretStore(MemorySecretBackend(), KeyChain([kek]))) for _ in range(7)]
    plain = [
        flask_way(hosts[0]),
        starlette_way(hosts[1]),
        fastapi_way(hosts[2]),
        wsgi_way(hosts[5]),
        asgi_way(hosts[6]),
    ]
    return [*plain, *django_ways(hosts[3], hosts[4])]


def everywhere(ways: list[Way], name: str, lines: Lines, body: bytes, method: str = "POST", **given: Any) -> Answer:
    """Asks all and returns the one answer they agree on."""
    answers = {way.name: way.ask(method, f"/in/{name}", lines, body, **given) for way in ways}
    first = answers["flask"]
    for where, answer in answers.items():
        assert (answer.status, answer.body) == (first.status, first.body), where
        for header in ("content-type", "www-authenticate", "x-hook-secret", "cache-control"):
            if answer.status >= 400 or header == "x-hook-secret":
                assert answer.header(header) == first.header(header), (where, header)
    return first


def post(ways: list[Way], name: str, sent: SignedRequest, body: bytes | None = None) -> Answer:
    return everywhere(ways, name, sent.headers.items(), sent.body if body is None else body)


def code(answer: Answer) -> str:
    assert answer.header("content-type") == "application/problem+json"
    found: dict[str, Any] = json.loads(answer.body)
    assert (found["status"], set(found)) == (answer.status, {"type", "title", "status", "code"})
    return str(found["code"])


def effects(ways: list[Way]) -> int:
    counts = {len(way.host.seen) for way in ways}
    assert len(counts) == 1, {way.name: way.host.seen for way in ways}
    return counts.pop()


def test_one_delivery_has_one_effect(ways: list[Way]) -> None:
    sent = PARTIES["stripe"].sign(b'{"id": "evt_1"}')
    assert post(ways, "stripe", sent).status == 200
    assert [way.host.seen for way in ways] == [[("", "evt_1")]] * len(ways)
    again = post(ways, "stripe", sent)
    assert (again.status, json.loads(again.body)["code"], effects(ways)) == (200, "replayed", 1)


def test_all_that_is_not_genuine_looks_alike(ways: list[Way]) -> None:
    ours = PARTIES["stripe"]
    sent = ours.sign(b"{}")
    answers = [
        post(ways, "stripe", sent, b"{} "),
        post(ways, "stripe", ours.wrong_secret(sent)),
        post(ways, "stripe", ours.stale(b"{}")),
        post(ways, "stripe", ours.future(b"{}")),
        everywhere(ways, "stripe", [], b"{}"),
        everywhere(ways, "stripe", [], b"", method="GET"),
    ]
    assert {(answer.status, code(answer), answer.header("www-authenticate")) for answer in answers} == {
        (401, "unauthenticated", "Signature")
    }
    assert len({answer.body for answer in answers}) == 1
    assert effects(ways) == 0


def test_what_is_malformed_is_a_400(ways: list[Way]) -> None:
    sent = PARTIES["stripe"].sign(b"{}")
    signature = sent.headers["Stripe-Signature"]
    for lines in (
        [("Stripe-Signature", signature), ("Stripe-Signature", signature)],
        [("Stripe-Signature", signature), ("stripe-signature", signature)],
        [("Stripe-Signature", b"t=1,v1=\xff\xfe")],
        [("Stripe-Signature", "t=1,v1=" + "a" * 9_000)],
        [("Stripe-Signature", signature + " ")],
    ):
        answer = everywhere(ways, "stripe", lines, sent.body)
        assert (answer.status, code(answer)) == (400, "webhook_refused")
    assert effects(ways) == 0


def test_a_body_over_the_cap_is_not_read(ways: list[Way]) -> None:
    sent = PARTIES["github"].sign(b"x" * 101)
    assert code(post(ways, "github", sent)) == "too_large"
    assert post(ways, "github", PARTIES["github"].sign(b"x" * 100)).status == 200
    statuses = {}
    for way in ways:  # a length that is not declared, as ASGI's are here anyway
        given = (
            {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
            if way.name in ("flask", "wsgi", "django-wsgi")
            else {}
        )
        statuses[way.name] = way.ask("POST", "/in/github", sent.headers.items(), sent.body, **given).status
    assert statuses.pop("django-wsgi") == 401  # Django takes a request without length for an empty one
    assert set(statuses.values()) == {413}
    assert effects(ways) == 1


def test_a_handler_that_fails_gives_the_event_up(ways: list[Way]) -> None:
    sent = PARTIES["stripe"].sign(b'{"id": "evt_2"}')
    for way in ways:
        way.host.outcome = NoTenant("the customer is not known yet")
    assert code(post(ways, "stripe", sent)) == NoTenant.code
    for way in ways:
        way.host.outcome = lambda way=way: way.response(503)
    assert (post(ways, "stripe", sent).status, post(ways, "stripe", sent).body) == (503, b"theirs")
    for way in ways:
        way.host.outcome = lambda way=way: way.response(202)
    assert (post(ways, "stripe", sent).status, effects(ways)) == (202, 4)
    assert (post(ways, "stripe", sent).status, effects(ways)) == (200, 4)


def test_an_error_of_the_host_passes_and_gives_the_event_up(ways: list[Way]) -> None:
    sent = PARTIES["stripe"].sign(b'{"id": "evt_3"}')
    for way in ways:
        way.host.outcome = ZeroDivisionError()
        try:
            assert way.ask("POST", "/in/stripe", sent.headers.items(), sent.body).status == 500
        except ZeroDivisionError:
            assert way.name in ("starlette", "fastapi", "asgi")  # they answer, then raise for the server's log
        way.host.outcome = None
    assert (post(ways, "stripe", sent).status, effects(ways)) == (200, 2)


def test_a_delivery_in_another_worker_is_a_conflict(ways: list[Way]) -> None:
    sent = PARTIES["stripe"].sign(b'{"id": "evt_4"}')
    event = PARTIES["stripe"].verifier().verify(sent.headers, sent.body)
    claims = [way.host.guard.claim(event) for way in ways]
    answer = post(ways, "stripe", sent)
    assert (answer.status, code(answer), effects(ways)) == (409, "in_flight", 0)
    for way, claim in zip(ways, claims, strict=True):
        way.host.guard.release(claim)
    assert post(ways, "stripe", sent).status == 200


def test_what_is_down_is_a_503_that_makes_the_provider_retry(ways: list[Way]) -> None:
    answer = post(ways, "down", PARTIES["stripe"].sign(b"{}"))
    assert (answer.status, code(answer)) == (503, "unavailable")
    answer = post(ways, "plaid", PARTIES["plaid"].sign(b"{}"))
    assert (answer.status, code(answer), effects(ways)) == (503, "unavailable", 0)


def test_the_signed_url_is_the_configured_one(ways: list[Way]) -> None:
    square = PARTIES["square"]
    sent = square.sign(b'{"event_id": "e1"}', url=URL)
    lines = [*sent.headers.items(), ("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "http")]
    assert everywhere(ways, "square", lines, sent.body).status == 200
    forged = square.sign(b'{"event_id": "e2"}', url="https://evil.example/in/square")
    assert post(ways, "square", forged).status == 401
    assert code(post(ways, "nowhere", sent)) == "internal_error"
    assert effects(ways) == 1


def test_handshakes(ways: list[Way]) -> None:
    opening = PARTIES["slack"].sign(b'{"type": "url_verification", "challenge": "3eZbrw1a"}')
    assert post(ways, "slack", opening).body == b"3eZbrw1a"
    assert post(ways, "slack", PARTIES["slack"].wrong_secret(opening)).status == 401
    token = VERIFY_TOKEN.replace(" ", "%20")
    query = f"meta?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1158201444"
    answer = everywhere(ways, query, [], b"", method="GET")
    assert (answer.status, answer.body) == (200, b"1158201444")
    assert everywhere(ways, query.replace("as%20", "is%20"), [], b"", method="GET").status == 401
    assert effects(ways) == 0


def test_what_a_handshake_brings_is_handed_over_or_refused(ways: list[Way]) -> None:
    secret = "b537207f20cbfa02357cf448134da559"
    answer = everywhere(ways, "handed", [("X-Hook-Secret", secret)], b"")
    assert (answer.status, answer.header("x-hook-secret")) == (200, secret)
    assert [way.host.handed for way in ways] == [[secret]] * len(ways)
    assert code(everywhere(ways, "asana", [("X-Hook-Secret", secret)], b"")) == "internal_error"


def test_what_the_provider_wants_to_read(ways: list[Way]) -> None:
    sent = PARTIES["adyen_payments"].sign()
    for _ in range(2):
        answer = post(ways, "adyen", sent)
        assert (answer.status, answer.body, effects(ways)) == (200, b"[accepted]", 1)


def test_endpoints_of_tenants(ways: list[Way]) -> None:
    twilio = signer("twilio")
    for way in ways:
        made = way.host.registry.register("acme", "twilio", twilio.secret, url="https://hooks.example.com/in/{token}")
        token = made.token.reveal()
        body = b'{"event": 1}'
        query = f"bodySHA256={sha256(body).hexdigest()}"
        sent = twilio.sign(body, url=f"https://hooks.example.com/in/{token}")
        target = f"/in/registry/{token}?{query}"
        assert sent.url.endswith(query)
        assert way.ask("POST", target, sent.headers.items(), sent.body).status == 200, way.name
        assert way.ask("POST", target, sent.headers.items(), b"{}").status == 401
        assert way.ask("POST", target.partition("?")[0], sent.headers.items(), sent.body).status in (400, 401)
        assert way.host.seen == [("acme", None)]
        row = way.host.registry.list("acme")[0]
        assert row.last_outcome.startswith("refused")
        way.host.registry.disable("acme", made.id)
        gone = way.ask("POST", target, sent.headers.items(), sent.body)
        assert (gone.status, code(gone)) == (404, "not_found")
        unknown = way.ask("POST", f"/in/registry/{'x' * 43}", sent.headers.items(), b"x" * 3_000_000)
        assert unknown.body == gone.body


def test_a_slow_overlap_ends_by_itself(ways: list[Way]) -> None:
    old, new = signer("stripe"), signer("stripe")
    for way in ways:
        made = way.host.registry.register("acme", "stripe", old.secret)
        way.host.registry.rotate("acme", made.id, new.secret, overlap=timedelta())
        statuses = []
        for party in (old, new):
            sent = party.sign(b"{}")
            target = f"/in/registry/{made.token.reveal()}"
            statuses.append(way.ask("POST", target, sent.headers.items(), sent.body).status)
        assert statuses == [401, 200], way.name


def test_a_blocking_view_of_django_over_an_asynchronous_store(tmp_path: Any) -> None:
    from django.conf import UserSettingsHolder, global_settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.urls import path
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    from wellstreak_trust.adapters.django import webhook
    from wellstreak_trust.storage.sql import AsyncDatabase, SqlReplayStore

    database = AsyncDatabase(create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/a.db", poolclass=NullPool))
    asyncio.run(database.acreate_all())
    receiver = Receiver(PARTIES["stripe"].verifier(), ReplayGuard(SqlReplayStore(database)))
    seen: list[str | None] = []
    holder = UserSettingsHolder(global_settings)
    holder.SECRET_KEY, holder.ALLOWED_HOSTS, holder.MIDDLEWARE = "x" * 50, ["*"], []
    holder.ROOT_URLCONF = (path("in", webhook(receiver)(lambda delivery: seen.append(delivery.event.id))),)
    sent = PARTIES["stripe"].sign(b'{"id": "evt_5"}')
    with django_settings(holder):
        app = WSGIHandler()
        statuses = [call_wsgi(app, "POST", "/in", sent.headers.items(), sent.body).status for _ in range(2)]
    assert (statuses, seen) == ([200, 200], ["evt_5"])


def test_flask_over_an_asynchronous_store_is_a_mistake_that_is_said(tmp_path: Any) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine

    from wellstreak_trust.adapters.flask import webhook
    from wellstreak_trust.storage.sql import AsyncDatabase, SqlReplayStore

    database = AsyncDatabase(create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/a.db"))
    with pytest.raises(ConfigurationError):
        webhook(Receiver(PARTIES["stripe"].verifier(), ReplayGuard(SqlReplayStore(database))))(print)


def test_under_a_trust_the_route_is_declared_public(tmp_path: Any) -> None:
    """`@public` outside: its limits for strangers come before the body is read, and the start-up check is content."""
    from fastapi import FastAPI
    from flask import Flask
    from small import Small

    from wellstreak_trust.adapters import fastapi, flask

    receiver = Receiver(PARTIES["stripe"].verifier(), ReplayGuard(webhooks.MemoryReplayStore()))
    sent, seen = PARTIES["stripe"].sign(b'{"id": "evt_6"}'), list[str | None]()
    trust = Small().trust

    def paid(delivery: Delivery) -> None:
        seen.append(delivery.event.id)

    first = Flask("hooks", static_folder=None)
    flask.TrustExtension(trust).init_app(first)
    first.post("/in")(flask.public("signed by Stripe")(flask.webhook(receiver)(paid)))
    flask.assert_all_routes_declared(first)
    second = FastAPI(openapi_url=None)
    second.add_middleware(fastapi.TrustMiddleware, trust=trust)
    second.post("/in")(fastapi.public("signed by Stripe")(fastapi.webhook(receiver)(paid)))
    fastapi.assert_all_routes_declared(second)
    answers = [
        call_wsgi(first, "POST", "/in", sent.headers.items(), sent.body),
        asyncio.run(call_asgi(second, "POST", "/in", sent.headers.items(), sent.body)),
    ]
    assert ([answer.status for answer in answers], seen) == ([200, 200], ["evt_6"])
    assert json.loads(answers[1].body)["code"] == "replayed"


def test_under_a_trust_of_django_too() -> None:
    from django.conf import UserSettingsHolder, global_settings
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler
    from django.urls import path
    from small import Small

    from wellstreak_trust.adapters import django

    seen: list[str | None] = []

    def paid(delivery: Delivery) -> None:
        seen.append(delivery.event.id)

    async def apaid(delivery: Delivery) -> None:
        paid(delivery)

    receiver = Receiver(PARTIES["stripe"].verifier(), ReplayGuard(webhooks.MemoryReplayStore()))
    opened = django.public("signed by Stripe")
    holder = UserSettingsHolder(global_settings)
    holder.SECRET_KEY, holder.ALLOWED_HOSTS, holder.WELLSTREAK_TRUST = "x" * 50, ["*"], Small().trust
    holder.MIDDLEWARE = [
        "wellstreak_trust.adapters.django.TrustMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ]
    holder.ROOT_URLCONF = (
        path("in", opened(django.webhook(receiver)(paid))),
        path("ain", opened(django.webhook(receiver)(apaid))),
    )
    first, second = (PARTIES["stripe"].sign(b'{"id": "evt_%d"}' % number) for number in (7, 8))
    with django_settings(holder):
        django.assert_all_routes_declared()
        wsgi, asgi = WSGIHandler(), ASGIHandler()
        answers = [
            call_wsgi(wsgi, "POST", "/in", first.headers.items(), first.body),
            asyncio.run(call_asgi(asgi, "POST", "/ain", second.headers.items(), second.body)),
            call_wsgi(wsgi, "POST", "/in", first.headers.items(), b"{}"),
        ]
    assert ([answer.status for answer in answers], seen) == ([200, 200, 401], ["evt_7", "evt_8"])


def test_many_identical_deliveries_at_once_have_one_effect(tmp_path: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from flask import Flask
    from sqlalchemy import create_engine
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool
    from starlette.applications import Starlette
    from starlette.routing import Route

    from wellstreak_trust.adapters import flask, starlette
    from wellstreak_trust.storage.sql import AsyncDatabase, Database, SqlReplayStore

    Database(create_engine(f"sqlite:///{tmp_path}/a.db", poolclass=NullPool)).create_all()
    blocking = Database(create_engine(f"sqlite:///{tmp_path}/a.db", poolclass=NullPool))
    awaited = AsyncDatabase(create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/a.db", poolclass=NullPool))
    seen: list[str | None] = []

    def slow(delivery: Delivery) -> None:
        seen.append(delivery.event.id)
        sleep(0.02)

    async def aslow(delivery: Delivery) -> None:
        seen.append(delivery.event.id)
        await asyncio.sleep(0.02)

    def receiver(store: Any) -> Receiver:
        return Receiver(PARTIES["stripe"].verifier(), ReplayGuard(store))

    first = Flask("hooks")
    first.post("/in")(flask.webhook(receiver(SqlReplayStore(blocking)))(slow))
    second = Starlette(
        routes=[Route("/in", starlette.webhook(receiver(SqlReplayStore(awaited)))(aslow), methods=["POST"])]
    )
    sent = [PARTIES["stripe"].sign(b'{"id": "evt_%d"}' % number) for number in (1, 2)]
    with ThreadPoolExecutor(8) as pool:
        asked = [("POST", "/in", sent[0].headers.items(), sent[0].body)] * 40
        answers = list(pool.map(lambda one: call_wsgi(first, *one), asked))

    async def main() -> list[Answer]:
        lines = sent[1].headers.items()
        return await asyncio.gather(*(call_asgi(second, "POST", "/in", lines, sent[1].body) for _ in range(40)))

    answers += asyncio.run(main())
    assert sorted(map(str, seen)) == ["evt_1", "evt_2"]
    assert {answer.status for answer in answers} <= {200, 409}
