"""The host's HTTP face, once for all frameworks: a table of routes, each declared, each a coroutine of a `Call`."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from wellstreak_trust.core.errors import InvalidCredential, InvalidRequest, UsageError, WebhookError
from wellstreak_trust.core.event import AuditEvent
from wellstreak_trust.core.http import RequestFacts
from wellstreak_trust.guard import Grant, Operation
from wellstreak_trust.tenancy import elevate, require_tenant, tenant_scope

from . import operations as op
from .host import SYSTEM, Host

NOBODY = {"kind": "anonymous", "id": "anonymous"}


@dataclass(frozen=True)
class Call:
    """One request as a handler sees it."""

    host: Host
    facts: RequestFacts
    params: dict[str, str]
    body: bytes
    grant: Grant | None = None

    @property
    def granted(self) -> Grant:
        """The grant of a guarded route."""
        assert self.grant is not None
        return self.grant

    @property
    def tenant_id(self) -> str:
        """The tenant of the scope the guard entered."""
        return require_tenant().tenant_id

    def json(self, *names: str) -> Any:
        """The body as an object that has text under all of `names`.

        Raises:
            InvalidRequest: anything else.
        """
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            raise InvalidRequest("the body is not JSON") from None
        if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in names):
            raise InvalidRequest(f"the body needs {', '.join(names)}")
        return found


@dataclass(frozen=True)
class Reply:
    """What a handler answers."""

    value: Any = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    media: str = "application/json"

    @property
    def body(self) -> bytes:
        """The bytes to send."""
        return self.value.encode() if isinstance(self.value, str) else json.dumps(self.value).encode()


Handler = Callable[[Call], Coroutine[Any, Any, Reply]]


@dataclass(frozen=True)
class Route:
    """One route. Either an operation or a reason for being open."""

    method: str
    path: str
    handler: Handler
    operation: Operation | None = None
    public: str = ""
    resource: Callable[[Call], Coroutine[Any, Any, Any]] | None = field(default=None)


async def sign_in(call: Call) -> Reply:
    """Checks e-mail and password and opens a session."""
    said = call.json("email", "password")
    user = await call.host.user(said["email"])
    # An unknown user costs the same hash as a wrong password, so that time does not tell them apart.
    fits = await call.host.password_fits(said["password"], user.password if user else None)
    if user is None or not fits:
        await call.host.audit.aemit(AuditEvent("signin.failed", "denied", SYSTEM, NOBODY))
        raise InvalidCredential(reason="password")
    opened = await call.host.sessions.aopen(
        user.id,
        amr=("pwd",),
        roles=[user.platform_role] if user.platform_role else [],
        attributes={"email": user.email, "email_verified": True},
    )
    return Reply({"user": user.id}, headers=(("Set-Cookie", opened.cookie.header()),))


async def create_workspace(call: Call) -> Reply:
    """Founds a workspace owned by whoever is signed in."""
    principal = await call.host.trust.authenticator.aauthenticate(call.facts)
    said = call.json("id", "name")
    member = await call.host.memberships.acreate_workspace(principal, tenant_id=said["id"], name=said["name"], seats=5)
    await call.host.set_plan(member.tenant_id, "active", 1)
    return Reply({"workspace": member.tenant_id, "roles": sorted(member.roles)}, 201)


async def accept(call: Call) -> Reply:
    """Accepts an invitation for whoever is signed in."""
    principal = await call.host.trust.authenticator.aauthenticate(call.facts)
    member = await call.host.memberships.aaccept(call.json("token")["token"], principal)
    return Reply({"workspace": member.tenant_id, "roles": sorted(member.roles)})


async def invite(call: Call) -> Reply:
    """Invites somebody; a real host would mail the token."""
    said = call.json("email", "role")
    tenant = call.granted.tenant
    assert tenant is not None
    made = await call.host.memberships.ainvite(tenant, said["email"], [said["role"]])
    token = made.token.reveal() if hasattr(made.token, "reveal") else made.token
    return Reply({"invitation": made.id, "token": token}, 201)  # a real host mails it


async def read_workspace(call: Call) -> Reply:
    """The workspace and its AI settings."""
    return Reply({"workspace": call.tenant_id, "ai": await call.host.setting(call.tenant_id, "ai")})


async def list_members(call: Call) -> Reply:
    """Who belongs to the workspace."""
    members = await call.host.memberships.alist(require_tenant())
    return Reply([{"id": m.principal_id, "roles": sorted(m.roles)} for m in members])


async def read_billing(call: Call) -> Reply:
    """The plan."""
    return Reply({"plan": await call.host.setting(call.tenant_id, "plan")})


async def change_plan(call: Call) -> Reply:
    """Changes the plan."""
    await call.host.put_setting(call.tenant_id, "plan", call.json("plan")["plan"])
    return Reply({"plan": await call.host.setting(call.tenant_id, "plan")})


async def change_ai(call: Call) -> Reply:
    """Changes how the AI workforce speaks."""
    await call.host.put_setting(call.tenant_id, "ai", call.json("tone")["tone"])
    return Reply({"ai": await call.host.setting(call.tenant_id, "ai")})


async def connect(call: Call) -> Reply:
    """Stores a messaging token, never to be shown again, and defines the connection."""
    said = call.json("token")
    ref = await call.host.secrets.for_tenant(require_tenant()).aput("messenger/bot", said["token"])
    await call.host.connections.adefine(call.tenant_id, "messenger", config={}, secret="messenger/bot")
    return Reply({"stored": ref.name, "version": ref.version}, 201)


async def read_integration(call: Call) -> Reply:
    """The state of the connection; no token."""
    status = await call.host.connections.astatus(call.tenant_id, "messenger")
    info = await call.host.secrets.for_tenant(require_tenant()).adescribe("messenger/bot")
    return Reply({"state": status.state, "reason": status.reason, "hint": status.hint, "secret_version": info.version})


async def test_integration(call: Call) -> Reply:
    """Asks the provider with the stored token."""
    status = await call.host.test_connection(call.tenant_id)
    return Reply({"state": status.state, "reason": status.reason})


async def send_message(call: Call) -> Reply:
    """Acts through the connection the guard proved active."""
    gate = call.granted.connection
    return Reply({"sent": call.json("text")["text"], "generation": gate.generation})


async def create_agent(call: Call) -> Reply:
    """Creates an agent owned by its maker."""
    principal = call.granted.principal
    assert principal is not None
    made = await call.host.add_agent(call.tenant_id, principal.id, call.json("name")["name"])
    return Reply({"agent": made}, 201)


async def the_agent(call: Call) -> Any:
    """The agent of a route, as a policy resource."""
    return await call.host.agent(call.params["tenant"], call.params["agent"])


async def read_agent(call: Call) -> Reply:
    """One agent."""
    found = await the_agent(call)
    return Reply({"agent": found["id"], "name": found["name"]})


async def update_agent(call: Call) -> Reply:
    """Renames an agent."""
    await call.host.rename_agent(call.tenant_id, call.params["agent"], call.json("name")["name"])
    return Reply({"agent": call.params["agent"]})


async def read_audit(call: Call) -> Reply:
    """The workspace's trail, newest first."""
    events = await call.host.audit.aevents(call.tenant_id, limit=100)
    return Reply([{"seq": e["seq"], "action": e["action"], "outcome": e["outcome"]} for e in events])


async def billing_hook(call: Call) -> Reply:
    """A billing event: verified, applied once, in the order billing gave it."""
    host = call.host
    try:
        event = host.billing.verify(call.facts.headers.items(), call.body)
        async with host.replays.once(event):
            said = event.json()
            subscription = said["data"]["object"]
            await host.set_plan(subscription["metadata"]["workspace"], subscription["status"], said["created"])
    except WebhookError as refusal:
        if refusal.status != 200:
            reason = type(refusal).__name__
            await host.audit.aemit(AuditEvent("webhook.refused", "denied", SYSTEM, NOBODY, ("billing",), reason=reason))
        raise
    return Reply({"received": event.id})


async def security_txt(call: Call) -> Reply:
    """Where to report a vulnerability."""
    return Reply(call.host.security_txt.render(), media="text/plain; charset=utf-8")


async def list_workspaces(call: Call) -> Reply:
    """The operators' console."""
    return Reply({"operator": call.granted.request_id})


async def break_glass(call: Call) -> Reply:
    """An operator enters a customer's workspace, with a reason and a ticket, on the record."""
    said = call.json("tenant", "reason", "ticket")
    who = call.granted.principal
    try:
        glass = elevate(reason=said["reason"], ticket=said["ticket"], minutes=15, audit=call.host.audit, principal=who)
    except UsageError:
        raise InvalidRequest("a reason and a ticket are wanted") from None
    async with glass:
        with tenant_scope(glass.context(said["tenant"])):
            return Reply({"workspace": call.tenant_id, "ai": await call.host.setting(call.tenant_id, "ai")})


ROUTES = (
    Route("POST", "/signin", sign_in, public="it is how one gets a credential"),
    Route("POST", "/workspaces", create_workspace, public="there is no tenant yet; the session is checked inside"),
    Route("POST", "/invitations/accept", accept, public="the token names the tenant; the session is checked inside"),
    Route("POST", "/hooks/billing", billing_hook, public="the provider signs its deliveries"),
    Route("GET", "/.well-known/security.txt", security_txt, public="RFC 9116 wants it open"),
    Route("GET", "/w/{tenant}/", read_workspace, op.READ_WORKSPACE),
    Route("GET", "/w/{tenant}/members", list_members, op.LIST_MEMBERS),
    Route("POST", "/w/{tenant}/invitations", invite, op.INVITE),
    Route("GET", "/w/{tenant}/billing", read_billing, op.READ_BILLING),
    Route("PUT", "/w/{tenant}/billing", change_plan, op.CHANGE_PLAN),
    Route("PUT", "/w/{tenant}/ai", change_ai, op.CHANGE_AI),
    Route("PUT", "/w/{tenant}/messenger", connect, op.CONNECT),
    Route("GET", "/w/{tenant}/messenger", read_integration, op.READ_INTEGRATION),
    Route("POST", "/w/{tenant}/messenger/test", test_integration, op.TEST_INTEGRATION),
    Route("POST", "/w/{tenant}/messages", send_message, op.SEND_MESSAGE),
    Route("POST", "/w/{tenant}/agents", create_agent, op.CREATE_AGENT),
    Route("GET", "/w/{tenant}/agents/{agent}", read_agent, op.READ_AGENT, resource=the_agent),
    Route("PUT", "/w/{tenant}/agents/{agent}", update_agent, op.UPDATE_AGENT, resource=the_agent),
    Route("GET", "/w/{tenant}/audit", read_audit, op.READ_AUDIT),
    Route("GET", "/admin/workspaces", list_workspaces, op.LIST_WORKSPACES),
    Route("POST", "/admin/break-glass", break_glass, op.BREAK_GLASS),
)
