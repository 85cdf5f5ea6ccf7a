"""The whole guard: origin, limits, session, membership, policy, all over memory stores, on ASGI and alone.

    python bench/guard.py

Each row is a median over rounds taken in turns; `over bare` is what the guard adds to the same app without it.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import report
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wellstreak_trust import Guard, Operation, Principal, RequestFacts, Trust
from wellstreak_trust.adapters.starlette import TrustMiddleware, guarded
from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.authz import Policy
from wellstreak_trust.connections import Connections, MemoryConnectionStore, ProbeResult
from wellstreak_trust.core.principal import StepUp
from wellstreak_trust.identity import Authenticator, MemorySessionStore, SessionManager
from wellstreak_trust.origin import OriginPolicy, SecurityHeaders
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, MemorySecretBackend, SecretStore
from wellstreak_trust.tenancy import (
    Entitlements,
    Feature,
    Memberships,
    MemoryMembershipStore,
    PathSource,
    Plan,
    StaticPlans,
    TenantResolver,
)

ROUNDS, CALLS = report.rounds(31), 200
READ = Operation("billing.read", "billing:read")
AUDITED = Operation("billing.update", "billing:update", audit="billing.updated")
EVERY = Operation(
    "messages.send",
    "messages:send",
    feature="messaging",
    limits=(LimitRule("messages", 10**7, timedelta(minutes=1), by=("tenant",)),),
    connection="chat",
    audit="messages.sent",
    step_up=StepUp(max_age=86_400),
)


class WhoAmI:
    name, kind, required, timeout = "whoami", "auth", True, timedelta(seconds=1)

    async def run(self, context: Any) -> ProbeResult:
        return ProbeResult("ok")


def connected() -> Connections:
    """A gate whose one connection was proved just now."""
    with tempfile.TemporaryDirectory() as folder:
        keys = KeyChain([LocalKeyProvider.generate(Path(folder, "kek.json"))])
    secrets = SecretStore(MemorySecretBackend(), keys)
    secrets.put("acme", "bot", "token")
    made = Connections(MemoryConnectionStore(), secrets, {"chat": [WhoAmI()]})
    made.define("acme", "chat", config={}, secret="bot")
    made.test("acme", "chat")
    return made


def build() -> tuple[Trust, dict[str, str]]:
    sessions = SessionManager(MemorySessionStore())
    memberships = Memberships(MemoryMembershipStore())
    memberships.create_workspace(Principal("ada"), tenant_id="acme")
    opened = sessions.open("ada")
    plans = StaticPlans([Plan("team", {"messaging": Feature()})], {"acme": "team"})
    trust = Trust(
        profile="test",
        authenticator=Authenticator([sessions]),
        tenants=TenantResolver([PathSource("/w/{tenant}/")], memberships, entitlements=Entitlements(plans)),
        policy=Policy.from_dict(
            {
                "schema": 1,
                "permissions": {"billing:read": {}, "billing:update": {}, "messages:send": {}},
                "roles": {"owner": {"allow": ["billing:*", "messages:*"]}},
            }
        ),
        limiter=RateLimiter(
            [
                LimitRule("client", 10**7, timedelta(minutes=1), by=("client",)),
                LimitRule("tenant", 10**7, timedelta(minutes=1), by=("tenant",)),
            ],
            store=MemoryLimitStore(),
        ),
        origin=OriginPolicy(),
        audit=AuditLog(MemoryAuditStore()),
        security_headers=SecurityHeaders.api(),
        connections=connected(),
    )
    headers = {
        "host": "app.example",
        "cookie": f"{opened.cookie.name}={opened.token.reveal()}",
        "sec-fetch-site": "same-origin",
        "user-agent": "bench",
        "accept": "*/*",
    }
    return trust, headers


async def plain(request: Request) -> Response:
    return Response(b"ok")


async def with_grant(request: Request, grant: Any) -> Response:
    return Response(b"ok")


def asgi(app: Any, headers: dict[str, str]) -> Callable[[], Awaitable[None]]:
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def once() -> None:
        scope = {
            "type": "http", "method": "POST", "path": "/w/acme/billing", "raw_path": b"/w/acme/billing",
            "query_string": b"", "headers": lines, "scheme": "https", "client": ("203.0.113.9", 1),
            "server": ("h", 443), "root_path": "", "http_version": "1.1",
        }  # fmt: skip
        status = 0

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)

        await app(scope, receive, send)
        assert status == 200

    return once


async def main() -> None:
    trust, headers = build()
    guard = Guard(trust)
    facts = [RequestFacts("POST", "https://app.example/w/acme/billing", headers, peer="203.0.113.9")]

    def routes(endpoint: Any) -> list[Route]:
        return [Route("/w/{tenant}/billing", endpoint, methods=["POST"])]

    def app(operation: Operation) -> Starlette:
        made = Starlette(routes=routes(guarded(operation)(with_grant)))
        made.add_middleware(TrustMiddleware, trust=trust)
        return made

    async def alone() -> None:
        async with await guard.aenter(facts[0], READ):
            return

    ways = {
        "bare ASGI app": asgi(Starlette(routes=routes(plain)), headers),
        "guarded ASGI app": asgi(app(READ), headers),
        "guarded and audited ASGI app": asgi(app(AUDITED), headers),
        "guarded by every stage": asgi(app(EVERY), headers),
        "guard alone": alone,
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for once in ways.values():
        await once()
    for _ in range(ROUNDS):
        for name, once in ways.items():
            begun = time.perf_counter()
            for _ in range(CALLS):
                await once()
            taken[name].append((time.perf_counter() - begun) / CALLS * 1e6)
    bare = statistics.median(taken["bare ASGI app"])
    for name, rounds in taken.items():
        found = statistics.median(rounds)
        over = f"{found - bare:7.1f} µs over bare" if name.startswith("guarded") else ""
        print(f"{name:30} {found:7.1f} µs {over}")
    adds = statistics.median(taken["guarded ASGI app"]) - bare
    report.measured("guard", "whole guard on ASGI, over the bare app", adds, "µs", target=150)
    audited = statistics.median(taken["guarded and audited ASGI app"]) - bare
    report.measured("guard", "the same with an audited operation, two events", audited, "µs", target=150)
    every = statistics.median(taken["guarded by every stage"]) - bare
    report.measured("guard", "every stage: plan, step-up, own limit, connection, audit", every, "µs", target=150)


asyncio.run(main())
