"""A small sound host over memory stores, on Flask and on FastAPI. What is planted overrides one method of it.

ada owns acme and bo is a member there; eve owns evil. Each tenant has one note.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import flask
from fastapi import Depends, FastAPI, Request, Response, WebSocket

from wellstreak_trust import Operation, Principal, Trust
from wellstreak_trust.adapters import fastapi as on_fastapi
from wellstreak_trust.adapters import flask as on_flask
from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.authz import Policy
from wellstreak_trust.core.errors import InvalidRequest, NotFound
from wellstreak_trust.identity import Authenticator, MemorySessionStore, SessionManager
from wellstreak_trust.origin import OriginPolicy, OriginVerdict, SecurityHeaders
from wellstreak_trust.ratelimit import MemoryLimitStore, RateLimiter
from wellstreak_trust.tenancy import Memberships, MemoryMembershipStore, PathSource, TenantResolver, testing_context
from wellstreak_trust.testing.attacker import Attacker, Person, SignIn, Target, WebhookTarget
from wellstreak_trust.webhooks import MemoryReplayStore, ReplayGuard, verifier

READ = Operation("notes.read", "notes:read")
WRITE = Operation("notes.write", "notes:write")
PURGE = Operation("notes.purge", "notes:purge")
SETTINGS = Operation("settings.read", "settings:read")
POLICY = Policy.from_dict(
    {
        "schema": 1,
        "permissions": {"notes:read": {}, "notes:write": {}, "notes:purge": {}, "settings:read": {}},
        "roles": {
            "member": {"rank": 10, "allow": ["notes:read", "notes:write"]},
            "owner": {"rank": 100, "inherits": ["member"], "allow": ["notes:purge", "settings:read"]},
        },
    }
)
SECRET = "whsec_planted_hosts_secret_0123456789"
NOTES = {"acme": {"note-of-acme-1": "acme's own words"}, "evil": {"note-of-evil-1": "evil's own words"}}
ROLES = {"ada": ("acme", "owner"), "bo": ("acme", "member"), "eve": ("evil", "owner")}
Reply = tuple[Any, int]


class Unchecked:
    """An origin policy that lets everything pass."""

    def check(self, facts: Any) -> OriginVerdict:
        return OriginVerdict(True, "not looked at")


class Notes:
    """The host: its parts, its data, what its handlers do."""

    def __init__(self) -> None:
        self.notes = {tenant: dict(notes) for tenant, notes in NOTES.items()}
        self.sessions = SessionManager(MemorySessionStore())
        self.memberships = Memberships(MemoryMembershipStore())
        for tenant, owner in (("acme", "ada"), ("evil", "eve")):
            self.memberships.create_workspace(Principal(owner), tenant_id=tenant)
        invited = self.memberships.invite(testing_context("acme", ["owner"], id="ada"), "bo@example.com", ["member"])
        bo = Principal("bo", attributes={"email": "bo@example.com", "email_verified": True})
        self.memberships.accept(invited.token, bo)
        self.events: list[str] = []
        self.hooks = verifier("stripe", secrets=[SECRET])
        self.replays = ReplayGuard(MemoryReplayStore())

    # --- what may be planted -----------------------------------------------------------------------------------------

    def trust(self) -> Trust:
        return Trust(profile="test", **self.parts())

    def parts(self) -> dict[str, Any]:
        return {
            "authenticator": Authenticator([self.sessions]),
            "tenants": TenantResolver([PathSource("/w/{tenant}/")], self.memberships),
            "policy": POLICY,
            "limiter": RateLimiter([], store=MemoryLimitStore()),
            "origin": OriginPolicy(),
            "audit": AuditLog(MemoryAuditStore()),
            "security_headers": SecurityHeaders.api(),
        }

    def find(self, tenant_id: str, note: str, facts: Any) -> str:
        found = self.notes[tenant_id].get(note)
        if found is None:
            raise NotFound(f"no note {note}")
        return found

    def listed(self, tenant_id: str, facts: Any) -> Reply:
        return sorted(self.notes[tenant_id].values()), 200

    def create(self, tenant_id: str, said: dict[str, Any]) -> Reply:
        return {"tenant_id": tenant_id, "text": said["text"]}, 201

    def said(self, body: bytes) -> dict[str, Any]:
        try:
            found = json.loads(body)
            json.dumps(found, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise InvalidRequest("no JSON") from None
        if not isinstance(found, dict) or not isinstance(found.get("text"), str):
            raise InvalidRequest("no text")
        return found

    def operations(self) -> dict[str, Operation | None]:
        """Operation by handler; None leaves the route open."""
        return {"listed": READ, "find": READ, "create": WRITE, "purge": PURGE, "settings": SETTINGS}

    def receive(self, headers: Any, body: bytes, method: str) -> Reply:
        if method != "POST":
            return {}, 405
        event = self.hooks.verify(headers, body)
        with self.replays.once(event):
            self.events.append(event.id or "")
        return {}, 200

    def sign_in(self, given: Any) -> dict[str, str]:
        opened = self.sessions.open("ada")
        return {"Cookie": f"{opened.cookie.name}={opened.token.reveal()}"}

    def sign_out(self, headers: Any) -> None:
        token = headers["Cookie"].partition("=")[2]
        session = self.sessions.authenticate(token).session_id
        assert session is not None
        self.sessions.revoke(session)

    def changed(self, app: Any) -> Any:
        """The application, wrapped."""
        return app

    def answered(self, headers: list[tuple[str, str]], facts: Any) -> list[tuple[str, str]]:
        """Header lines that the host adds by itself."""
        return []

    # --- how it is attacked ------------------------------------------------------------------------------------------

    def people(self) -> list[Person]:
        found = []
        for name, (tenant, role) in ROLES.items():
            opened = self.sessions.open(name)
            found.append(Person(name, tenant, {"Cookie": f"{opened.cookie.name}={opened.token.reveal()}"}, [role]))
        return found

    def attacker(self, target: Target, **more: Any) -> Attacker:
        said: dict[str, Any] = {
            "ids": {tenant: {"note": next(iter(notes))} for tenant, notes in NOTES.items()},
            "marks": {tenant: [*notes.values()] for tenant, notes in NOTES.items()},
            "policy": POLICY,
            "bodies": {"POST /w/{tenant}/notes": {"text": "x"}},
            "benign": ["POST /w/{tenant}/notes"],
            "webhooks": [WebhookTarget("/hooks/stripe", "stripe", SECRET, effects=lambda: len(self.events))],
            "sign_in": SignIn(person="ada", sign_in=self.sign_in, sign_out=self.sign_out),
        }
        return Attacker(target, self.people(), **{**said, **more})

    def on_flask(self, **more: Any) -> Attacker:
        app = flask_app(self)
        return self.attacker(Target.wsgi(self.changed(app), routes_of=app), **more)

    def on_fastapi(self, **more: Any) -> Attacker:
        app = fastapi_app(self)
        return self.attacker(Target.asgi(self.changed(app), routes_of=app), **more)


def flask_app(host: Notes) -> flask.Flask:
    app = flask.Flask("notes", static_folder=None)
    on_flask.TrustExtension(host.trust()).init_app(app)
    acts = host.operations()

    def guarded(name: str) -> Callable[..., Any]:
        operation = acts[name]
        return on_flask.guarded(operation) if operation is not None else lambda view: view

    @app.get("/w/<tenant>/notes")
    @guarded("listed")
    def listed(tenant: str) -> Any:
        return host.listed(tenant, on_flask.facts_of())

    @app.post("/w/<tenant>/notes")
    @guarded("create")
    def create(tenant: str) -> Any:
        return host.create(tenant, host.said(flask.request.get_data()))

    @app.get("/w/<tenant>/notes/<note>")
    @guarded("find")
    def find(tenant: str, note: str) -> Any:
        return {"text": host.find(tenant, note, on_flask.facts_of())}

    @app.delete("/w/<tenant>/notes/<note>")
    @guarded("purge")
    def purge(tenant: str, note: str) -> Any:
        host.find(tenant, note, on_flask.facts_of())
        return "", 204

    @app.get("/w/<tenant>/settings")
    @guarded("settings")
    def settings(tenant: str) -> Any:
        return {"tenant": tenant, "plan": "team"}

    @app.post("/hooks/stripe")
    @on_flask.public("the provider signs")
    def hook() -> Any:
        return host.receive(list(flask.request.headers.items()), flask.request.get_data(), "POST")

    @app.get("/")
    @on_flask.public("the front page")
    def front() -> Any:
        return {"hello": "world"}

    @app.after_request
    def more(response: flask.Response) -> flask.Response:
        for name, value in host.answered(list(response.headers), on_flask.facts_of()):
            response.headers[name] = value
        return response

    return app


def fastapi_app(host: Notes) -> FastAPI:
    app = FastAPI(openapi_url=None)
    app.add_middleware(on_fastapi.TrustMiddleware, trust=host.trust())
    on_fastapi.problems(app)
    acts = host.operations()

    def guarded(name: str) -> list[Any]:
        operation = acts[name]
        return [Depends(on_fastapi.Guarded(operation))] if operation is not None else []

    def reply(request: Request, said: Reply) -> Response:
        response = Response(json.dumps(said[0]), said[1], media_type="application/json")
        for name, value in host.answered(list(response.headers.items()), on_fastapi.facts_of(request)):
            response.headers[name] = value
        return response

    @app.get("/w/{tenant}/notes", dependencies=guarded("listed"))
    async def listed(request: Request, tenant: str) -> Response:
        return reply(request, host.listed(tenant, on_fastapi.facts_of(request)))

    @app.post("/w/{tenant}/notes", dependencies=guarded("create"))
    async def create(request: Request, tenant: str) -> Response:
        return reply(request, host.create(tenant, host.said(await request.body())))

    @app.get("/w/{tenant}/notes/{note}", dependencies=guarded("find"))
    async def find(request: Request, tenant: str, note: str) -> Response:
        return reply(request, ({"text": host.find(tenant, note, on_fastapi.facts_of(request))}, 200))

    @app.delete("/w/{tenant}/notes/{note}", dependencies=guarded("purge"))
    async def purge(request: Request, tenant: str, note: str) -> Response:
        host.find(tenant, note, on_fastapi.facts_of(request))
        return Response(status_code=204)

    @app.get("/w/{tenant}/settings", dependencies=guarded("settings"))
    async def settings(request: Request, tenant: str) -> Response:
        return reply(request, ({"tenant": tenant, "plan": "team"}, 200))

    @app.post("/hooks/stripe")
    @on_fastapi.public("the provider signs")
    async def hook(request: Request) -> Response:
        return reply(request, host.receive(list(request.headers.items()), await request.body(), "POST"))

    @app.get("/")
    @on_fastapi.public("the front page")
    async def front(request: Request) -> Response:
        return reply(request, ({"hello": "world"}, 200))

    @app.websocket("/w/{tenant}/live")
    async def live(socket: WebSocket, grant: Any = Depends(on_fastapi.Guarded(READ))) -> None:  # noqa: B008 - FastAPI's own manner
        await socket.accept()
        await socket.close()

    return app
