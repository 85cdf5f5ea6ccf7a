"""Our own webhooks over real HTTP, to recipients that misbehave."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool
from standardwebhooks import Webhook

from local_http import Quiet, serving
from wellstreak_trust import webhooks
from wellstreak_trust.core import FixedClock, SystemClock, UsageError, drive, egress
from wellstreak_trust.core.egress import Egress
from wellstreak_trust.core.errors import StoreUnavailable
from wellstreak_trust.storage.sql import Database, SqlRecipientStore
from wellstreak_trust.testing import signer
from wellstreak_trust.testing.stores.recipients import CHECKS
from wellstreak_trust.webhooks import MemoryRecipientStore, Message, Recipient, WebhookSender
from wellstreak_trust.webhooks.sender import PLAN, standard_headers

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PRIVATE = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
GOT: list[tuple[str, dict[str, str], bytes]] = []


class Handler(Quiet):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        GOT.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        status = int(self.path.strip("/"))
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "/200")
        if status == 429:
            self.send_header("Retry-After", "3600")
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving(Handler) as port:
        yield f"http://127.0.0.1:{port}"


class Trail:
    suspends = False

    def __init__(self) -> None:
        self.actions: list[str] = []

    async def aemit(self, event: Any, /) -> None:
        self.actions.append(event.action)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def trail() -> Trail:
    return Trail()


@pytest.fixture
def sender(clock: FixedClock, trail: Trail) -> WebhookSender:
    return WebhookSender(clock=clock, audit=trail, way=Egress(SystemClock(), allow_private=True))


def to(url: str, *secrets: str) -> Recipient:
    return Recipient("r1", "t1", url, secrets or (SECRET,))


@pytest.mark.parametrize("check", CHECKS)
def test_contract(check: Any, sqlite_path: Path) -> None:
    assert drive(check(MemoryRecipientStore())) is None
    database = Database(create_engine(f"sqlite:///{sqlite_path}", poolclass=NullPool))
    database.create_all()
    assert drive(check(SqlRecipientStore(database))) is None


def test_contract_on_postgresql(postgres_url: str) -> None:
    database = Database(create_engine(postgres_url.replace("://", "+psycopg://"), poolclass=NullPool))
    database.create_all()
    for check in CHECKS:
        assert drive(check(SqlRecipientStore(database))) is None
        drive(database.run(lambda c: c.exec_driver_sql("DELETE FROM wst_webhook_recipient")))


@pytest.mark.asvs("4.1.5")
def test_both_libraries_take_what_is_sent(server: str) -> None:
    """The reference library takes v1, ours takes v1 and v1a, and both keys sign while one is replaced."""
    public = signer("standard_webhooks", PRIVATE)
    older = "whsec_" + "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    sender = WebhookSender(way=Egress(SystemClock(), allow_private=True))
    GOT.clear()
    attempt = sender.send(to(f"{server}/200", SECRET, older, public.secret), Message(b'{"type":"x"}'))
    assert (attempt.outcome, attempt.status) == ("delivered", 200)
    _, headers, body = GOT[0]
    assert headers["webhook-signature"].count("v1,") == 2
    assert headers["webhook-signature"].count("v1a,") == 1
    for secret in (SECRET, older):
        assert Webhook(secret).verify(body, headers) == {"type": "x"}
        assert webhooks.verifier("standard_webhooks", [secret]).verify(headers, body).id == headers["webhook-id"]
    assert public.verifier().verify(headers, body).id_signed


def test_the_awaited_face_sends_too(server: str) -> None:
    sender = WebhookSender(way=Egress(SystemClock(), allow_private=True))
    assert asyncio.run(sender.asend(to(f"{server}/204"), Message(b"{}"))).outcome == "delivered"


@pytest.mark.asvs("15.3.2")
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_failures_and_never_followed(sender: WebhookSender, server: str, status: int) -> None:
    GOT.clear()
    attempt = sender.send(to(f"{server}/{status}"), Message(b"{}"))
    assert (attempt.outcome, attempt.code, attempt.status) == ("retry", "status", status)
    assert [path for path, _, _ in GOT] == [f"/{status}"]


def test_the_plan_is_followed_to_its_end(sender: WebhookSender, server: str, trail: Trail, clock: FixedClock) -> None:
    message, outcomes = Message(b"{}"), []
    for number in range(1, len(PLAN) + 1):
        attempt = sender.send(to(f"{server}/500"), message, attempt=number)
        if attempt.code == "circuit_open":
            assert attempt.due is not None
            clock.advance(attempt.due - clock.now())
            attempt = sender.send(to(f"{server}/500"), message, attempt=number)
        outcomes.append(attempt.outcome)
        if attempt.due is not None:
            wait = attempt.due - clock.now()
            assert 0.89 * PLAN[number] <= wait <= 1.11 * PLAN[number]
            clock.advance(wait)
    assert outcomes == ["retry"] * (len(PLAN) - 1) + ["failed"]
    assert trail.actions == ["webhook.undeliverable"]
    assert len({headers["webhook-id"] for _, headers, _ in GOT[-3:]}) == 1
    assert len({headers["webhook-timestamp"] for _, headers, _ in GOT[-3:]}) == 3


def test_gone_disables_at_once(sender: WebhookSender, server: str, trail: Trail) -> None:
    assert sender.send(to(f"{server}/410"), Message(b"{}")).outcome == "disabled"
    GOT.clear()
    again = sender.send(to(f"{server}/200"), Message(b"{}"))
    assert (again.outcome, again.code, GOT) == ("disabled", "disabled", [])
    assert trail.actions == ["webhook.recipient_disabled"]
    sender.enable(to(server))
    assert sender.send(to(f"{server}/200"), Message(b"{}")).outcome == "delivered"


def test_a_recipient_may_ask_for_patience_up_to_a_day(sender: WebhookSender, server: str) -> None:
    attempt = sender.send(to(f"{server}/429"), Message(b"{}"))
    assert attempt.due == NOW + timedelta(hours=1)


def test_the_circuit_opens_after_five_failures_and_closes_with_a_success(
    sender: WebhookSender, server: str, clock: FixedClock
) -> None:
    for _ in range(5):
        assert sender.send(to(f"{server}/503"), Message(b"{}")).code == "status"
    GOT.clear()
    held = sender.send(to(f"{server}/200"), Message(b"{}"))
    assert (held.outcome, held.code, held.due, GOT) == ("retry", "circuit_open", NOW + timedelta(seconds=30), [])
    clock.advance(timedelta(seconds=30))
    assert sender.send(to(f"{server}/200"), Message(b"{}")).outcome == "delivered"
    assert sender.send(to(f"{server}/503"), Message(b"{}")).code == "status"
    assert sender.send(to(f"{server}/200"), Message(b"{}")).outcome == "delivered"


def test_five_days_without_a_success_disable(sender: WebhookSender, server: str, clock: FixedClock) -> None:
    assert sender.send(to(f"{server}/500"), Message(b"{}")).outcome == "retry"
    clock.advance(timedelta(days=5))
    assert sender.send(to(f"{server}/500"), Message(b"{}"), attempt=2).outcome == "disabled"


@pytest.mark.asvs("1.3.6")
@pytest.mark.parametrize(
    "url",
    [
        "https://localhost/",
        "https://127.0.0.1/",
        "https://10.0.0.7/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://017700000001/",
        "https://127.1/",
        "https://0/",
        "https://[::]/",
        "https://[::127.0.0.1]/",
        "https://[fec0::1]/",
        "https://127.0.0.1\\@example.com/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "http://example.com/",
        "https://user@example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
    ],
)
def test_inner_addresses_are_never_called(url: str, clock: FixedClock) -> None:
    attempt = WebhookSender(clock=clock).send(to(url), Message(b"{}"))
    assert attempt.outcome == "failed"
    assert attempt.code in ("blocked_address", "bad_url")


@pytest.mark.asvs("1.3.6")
def test_a_name_that_changes_its_mind_gains_nothing(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the second answer would be loopback; there is no second question."""
    real, asked = socket.getaddrinfo, []

    def lying(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "rebind.example":
            return real(host, port, *args, **kwargs)
        asked.append(host)
        return real("127.0.0.1" if len(asked) > 1 else "127.0.0.2", port, *args, **kwargs)

    monkeypatch.setattr(egress, "is_global", lambda text: text == "127.0.0.2")  # passes for a global address here
    monkeypatch.setattr(socket, "getaddrinfo", lying)
    GOT.clear()
    way = Egress(SystemClock(), timedelta(seconds=2))
    port = server.rpartition(":")[2]
    attempt = WebhookSender(way=way).send(to(f"https://rebind.example:{port}/200"), Message(b"{}"))
    assert (len(asked), GOT, attempt.code) == (1, [], "unreachable")


@pytest.mark.parametrize("secrets", [(), ("short",), ("whsec_!!",), ("whsk_AAAA",), ("whsk_" + "A" * 86 + "==",)])
def test_secrets_that_are_no_keys_are_refused_unsent(sender: WebhookSender, server: str, secrets: Any) -> None:
    GOT.clear()
    with pytest.raises(webhooks.WeakSecret):
        sender.send(Recipient("r1", "t1", f"{server}/200", secrets), Message(b"{}"))
    assert GOT == []


@pytest.mark.parametrize("message", [Message(b"{}", "a.b"), Message("{}"), Message(b"x" * 1_048_577)])  # type: ignore[arg-type]  # text
def test_messages_that_cannot_be_sent(sender: WebhookSender, message: Message) -> None:
    with pytest.raises(UsageError):
        sender.send(to("https://example.com/"), message)


class Down(MemoryRecipientStore):
    async def load(self, id: str) -> Any:
        raise StoreUnavailable("gone")


def test_without_its_store_nothing_is_sent(server: str) -> None:
    GOT.clear()
    with pytest.raises(webhooks.WebhookStoreUnavailable):
        WebhookSender(Down(), way=Egress(SystemClock(), allow_private=True)).send(to(f"{server}/200"), Message(b"{}"))
    assert GOT == []


def test_nothing_shows_a_secret() -> None:
    assert SECRET not in repr(to("https://example.com/"))
    assert "card" not in repr(Message(b"card"))


def test_a_secret_that_ends_signs_no_longer(clock: FixedClock) -> None:
    """The rings of recipients are those of verifiers."""
    old, new = signer("standard_webhooks"), signer("standard_webhooks")
    until = clock.now() + timedelta(days=1)
    ring = (new.secret, webhooks.SigningSecret(old.secret, until))
    message = Message(b"{}")
    for at, count in ((clock.now(), 2), (until, 1)):
        headers = standard_headers(message, ring, at)
        assert headers["webhook-signature"].count("v1,") == count
        assert new.verifier().verify(headers, b"{}", now=at).id == message.id
    with pytest.raises(webhooks.WeakSecret):
        standard_headers(message, ring[1:], until)
