"""Attacks the demo host on one framework, in a process of its own, and prints the report as JSON.

``python demo_probe.py flask``. A process has one Django, and the limits' clock is one that the attacker moves.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust import Principal
from wellstreak_trust.core import SystemClock, drive
from wellstreak_trust.demo import host as demo
from wellstreak_trust.demo.routes import ROUTES
from wellstreak_trust.ratelimit import RateLimiter
from wellstreak_trust.storage.sql import AsyncDatabase, Database
from wellstreak_trust.tenancy import tenant_scope, testing_context
from wellstreak_trust.testing import OpenIdProvider
from wellstreak_trust.testing.attacker import (
    Attacker,
    Burst,
    Person,
    Route,
    SignIn,
    Target,
    WebhookTarget,
)


class Hurried:
    """The real clock, and what the attacker did not want to wait for."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return SystemClock().now() + self.ahead

    def monotonic_ns(self) -> int:
        return SystemClock().monotonic_ns() + int(self.ahead.total_seconds() * 10**9)

    def skip(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


CLOCK = Hurried()
NOWHERE = "http://127.0.0.1:9"  # nobody is there
ROLES = {"ada": ("acme", "owner"), "bo": ("acme", "member"), "eve": ("evil", "owner")}
BODIES = {
    "POST /signin": {"email": "ada@example.com", "password": "wrong"},
    "POST /w/{tenant}/invitations": {"email": "carol@example.com", "role": "member"},
    "PUT /w/{tenant}/members/{member}": {"role": "viewer"},
    "POST /w/{tenant}/support": {"reason": "a question", "ticket": "T-1"},
    "POST /w/{tenant}/ownership": {"member": "u_bo"},
    "PUT /w/{tenant}/billing": {"plan": "free"},
    "PUT /w/{tenant}/ai": {"tone": "friendly"},
    "PUT /w/{tenant}/messenger": {"token": "t"},
    "POST /w/{tenant}/messages": {"text": "hello"},
    "POST /w/{tenant}/agents": {"name": "second"},
    "PUT /w/{tenant}/agents/{agent}": {"name": "renamed"},
    "POST /admin/break-glass": {"tenant": "acme", "reason": "looking around", "ticket": "T-2"},
}


def furnish(host: demo.Host) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Sessions by person, ids by tenant."""
    for name, (tenant, role) in ROLES.items():
        if role == "owner":
            (host.memberships.create_workspace(Principal(f"u_{name}"), tenant_id=tenant))
            drive(host.set_plan(tenant, "active", 1))
    for name, (tenant, role) in ROLES.items():
        if role != "owner":
            address = f"{name}@example.com"
            owner = testing_context(tenant, ["owner"], id="u_ada" if tenant == "acme" else "u_eve")
            invited = host.memberships.invite(owner, address, [role])
            who = Principal(f"u_{name}", attributes={"email": address, "email_verified": True})
            (host.memberships.accept(invited.token, who))
    ids: dict[str, dict[str, str]] = {}
    for tenant, owner in (("acme", "u_ada"), ("evil", "u_eve")):
        with tenant_scope(testing_context(tenant, id=owner)):
            agent = drive(host.add_agent(owner, f"{tenant}'s agent"))
            drive(host.put_setting("ai", f"the tone of {tenant}"))
        ids[tenant] = {"agent": agent, "member": owner}
    ids[""] = {"path": "runs"}
    roots = {"root": ["super_admin"]}
    sessions: dict[str, str] = {}
    for name in (*ROLES, "root"):
        opened = host.sessions.open(f"u_{name}", roles=roots.get(name, []))
        sessions[name] = f"{opened.cookie.name}={opened.token.reveal()}"
    return sessions, ids


def event(host: demo.Host) -> bytes:
    """A billing event that nobody has seen."""
    event.number = getattr(event, "number", 0) + 1  # type: ignore[attr-defined]  # counted on the function itself
    now = int(host.trust.clock.now().timestamp())
    return json.dumps(
        {
            "id": f"evt_{event.number}",  # type: ignore[attr-defined]  # as above
            "type": "customer.subscription.updated",
            "created": now,
            "data": {
                "object": {
                    "id": "sub_1",
                    "status": "active",
                    "current_period_end": now + 10**6,
                    "metadata": {"workspace": "evil"},
                    "items": {"data": [{"price": {"lookup_key": "team_monthly"}, "quantity": 1}]},
                }
            },
        }
    ).encode()


def signing(host: demo.Host) -> SignIn:
    def sign_in(given: Any) -> dict[str, str]:
        opened = host.sessions.open("u_ada")
        return {"Cookie": f"{opened.cookie.name}={opened.token.reveal()}"}

    def sign_out(headers: Any) -> None:
        token = headers["Cookie"].partition("=")[2]
        (host.sessions.revoke((host.sessions.authenticate(token)).session_id))

    return SignIn(person="ada", sign_in=sign_in, sign_out=sign_out)


def attacker(framework: str, folder: Path, op: OpenIdProvider) -> Attacker:
    paths = demo.Paths(folder)
    demo.prepare(paths)
    outside = demo.Outside(NOWHERE, op.issuer, op.client_secret, "https://testserver.example")
    # The tests' own hand is a blocking host over the same file, whatever the framework.
    office = host = demo.Host(paths, Database(create_engine(f"sqlite:///{paths.database}")), outside)
    if framework == "fastapi":
        from wellstreak_trust.demo.fastapi_app import make_app as fastapi_app

        host = demo.Host(paths, AsyncDatabase(create_async_engine(f"sqlite+aiosqlite:///{paths.database}")), outside)
        target = Target.asgi(fastapi_app(host))
    else:
        target = Target.wsgi(_wsgi(framework, host))
    sessions, ids = furnish(office)
    seen: list[bytes] = []
    apply = host.feed.aapply

    async def counted(event: Any) -> Any:
        seen.append(event.body)
        return await apply(event)

    host.feed.aapply = counted  # type: ignore[method-assign]  # what the host does with an event, counted
    people = [
        Person(name, tenant, {"Cookie": sessions[name]}, [role], f"u_{name}") for name, (tenant, role) in ROLES.items()
    ]
    people.append(Person("root", None, {"Cookie": sessions["root"]}, ["super_admin"], "u_root"))
    return Attacker(
        target,
        people,
        None if framework != "django" else by_hand(),
        ids=ids,
        marks={"acme": ["the tone of acme", "acme's agent"], "evil": ["the tone of evil", "evil's agent"]},
        policy=host.trust.policy,
        bodies={place: body for place, body in BODIES.items()},
        benign=["PUT /w/{tenant}/ai", "PUT /w/{tenant}/billing", "POST /signin"],
        webhooks=[
            WebhookTarget("/hooks/billing", "stripe", demo.BILLING_SECRET, lambda: event(host), lambda: len(seen))
        ],
        sign_in=signing(office),
        stale=[ended(office)],
        bursts=[Burst("GET /w/{tenant}/members", 20)],
        on_limited=CLOCK.skip,
        public={"/hooks/billing": "signed"},
    )


def ended(host: demo.Host) -> dict[str, str]:
    opened = host.sessions.open("u_bo")
    (host.sessions.revoke(opened.session.id, user_id="u_bo"))
    return {"Cookie": f"{opened.cookie.name}={opened.token.reveal()}"}


def by_hand() -> list[Route]:
    """Django's routes do not see the method; the host's own table does."""
    return [Route(route.method, route.path, route.operation, route.public) for route in ROUTES]


def _wsgi(framework: str, host: demo.Host) -> Any:
    if framework == "flask":
        from wellstreak_trust.demo.flask_app import make_app as flask_app

        return flask_app(host)
    from wellstreak_trust.demo import django_app

    app = django_app.make_app(host)
    from django.conf import settings

    settings.ALLOWED_HOSTS = ["testserver.example", "127.0.0.1"]
    return app


if __name__ == "__main__":
    demo.RateLimiter = partial(RateLimiter, clock=CLOCK)  # type: ignore[misc]  # the limits' clock is the attacker's
    with TemporaryDirectory() as name, OpenIdProvider() as provider:
        report = attacker(sys.argv[1], Path(name), provider).run()
    print(report.to_text(), file=sys.stderr)
    print(report.to_json())
