"""A green light for what does not hold: proof of a former credential; and a provider that repeats what it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local_http import Quiet, serving
from wellstreak_trust import Principal
from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.connections import (
    ConnectionNotActive,
    Connections,
    Failure,
    HttpProbe,
    MemoryConnectionStore,
    Success,
)
from wellstreak_trust.core import FixedClock
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, MemorySecretBackend, SecretStore

NOW = datetime(2026, 11, 24, tzinfo=UTC)
WHERE = ("acme", "slack")
OLD, NEW = "xoxb-former-administrator", "xoxb-of-today"
ECHO = "<script>steal()</script>\r\nSet-Cookie: a=b"


class Provider(Quiet):
    """Knows one token, and repeats to everybody else what it was sent, with something of its own."""

    good = OLD

    def do_GET(self) -> None:
        sent = self.headers.get("Authorization", "")
        ok = sent == f"Bearer {Provider.good}"
        body = b"{}" if ok else f"denied: {sent} {ECHO}".encode()
        self.send_response(200 if ok else 401)
        self.send_header("WWW-Authenticate", f'Bearer error_description="{sent}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def address() -> Iterator[str]:
    Provider.good = OLD
    with serving(Provider) as port:
        yield f"http://127.0.0.1:{port}"


class World:
    def __init__(self, address: str, folder: Path) -> None:
        self.clock, self.log = FixedClock(NOW), AuditLog(MemoryAuditStore())
        keys = KeyChain([LocalKeyProvider.generate(folder / "kek.json")])
        self.secrets = SecretStore(MemorySecretBackend(), keys)
        self.secrets.put("acme", "slack/bot", OLD)
        probe = HttpProbe("auth", f"{address}/auth.test", allow_private=True)
        self.connections = Connections(
            MemoryConnectionStore(), self.secrets, {"slack": [probe]}, audit=self.log, clock=self.clock
        )
        self.connections.define(*WHERE, config={}, secret="slack/bot", actor=Principal("ann"))

    def open(self) -> bool:
        try:
            self.connections.require_active(*WHERE)
        except ConnectionNotActive:
            return False
        return True

    def told(self) -> str:
        """Everything that a tenant, a client or a reader of the trail gets to see."""
        status = self.connections.status(*WHERE)
        try:
            self.connections.require_active(*WHERE)
            refusal: Any = None
        except ConnectionNotActive as error:
            refusal = (error.problem(), str(error), repr(error), error.hint, error.reason)
        return f"{status!r} {status} {refusal!r} {json.dumps(self.log.events('acme'))}"


@pytest.fixture
def world(address: str, tmp_path: Path) -> World:
    return World(address, tmp_path)


def test_a_success_of_the_former_credential_opens_nothing(world: World) -> None:
    """A call that was under way when the credential was replaced comes back well: it proves the wrong thing."""
    assert world.connections.test(*WHERE).state == "active"
    assert world.open()
    world.secrets.put("acme", "slack/bot", NEW)
    Provider.good = NEW
    assert not world.open()
    for late in (Success(), Success(generation=1)):
        world.connections.report(*WHERE, late)
        assert not world.open()
    assert world.connections.test(*WHERE).state == "active"
    assert world.open()


def test_nor_does_time_or_a_hopeful_report(world: World) -> None:
    """Whoever holds the old token goes on reporting success; nothing but a test of the new one opens."""
    world.secrets.put("acme", "slack/bot", NEW)
    world.connections.test(*WHERE)
    assert not world.open()
    for _ in range(20):
        world.clock.advance(timedelta(minutes=1))
        world.connections.report(*WHERE, Success())
        assert not world.open()


def test_a_rejection_from_live_traffic_closes_at_once(world: World) -> None:
    world.connections.test(*WHERE)
    assert world.open()
    world.connections.report(*WHERE, Failure("unauthorized"))
    assert not world.open()


def test_what_the_provider_repeats_is_shown_to_nobody(world: World) -> None:
    """An error page that echoes the token, in its body and in a header."""
    Provider.good = NEW
    assert world.connections.test(*WHERE).state == "failing"
    told = world.told()
    for word in (OLD, NEW, "xoxb", "steal()", "Set-Cookie", "denied:"):
        assert word not in told
