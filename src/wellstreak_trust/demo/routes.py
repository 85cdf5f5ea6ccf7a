"""The host's HTTP face, once for all frameworks: a table of routes, each declared, each a coroutine of a `Call`."""

from __future__ import annotations

from typing import Any

from wellstreak_trust.core.errors import InvalidCredential, InvalidRequest, NotFound, UsageError
from wellstreak_trust.core.event import AuditEvent
from wellstreak_trust.guard import workspace as own
from wellstreak_trust.tenancy import elevate, require_tenant, tenant_scope

from . import operations as op
from . import screens
from .calls import Call, Reply, Route
from .host import SYSTEM

NOBODY = {"kind": "anonymous", "id": "anonymous"}


async def sign_in(call: Call) -> Reply:
    """Checks e-mail and password and opens a session."""
    said = call.json("email", "password")
    user = await call.host.user(said["email"])
    # An unknown user costs the same hash as a wrong password, so that time does not tell them apart.
    fits = await call.host.password_fits(said["password"], user.password if user else None)
    if user is None or not fits:
        await call.host.audit.aemit(AuditEvent("signin.failed", "denied", SYSTEM, NOBODY))
        raise InvalidCredential(reason="password")
    return Reply({"user": user.id}, headers=(("Set-Cookie", await _opened(call, user, ("pwd",))),))


async def _opened(call: Call, user: Any, amr: tuple[str, ...]) -> str:
    opened = await call.host.sessions.aopen(
        user.id,
        amr=amr,
        roles=[user.platform_role] if user.platform_role else [],
        attributes={"email": user.email, "email_verified": True},
    )
    return opened.cookie.header()


async def begin_login(call: Call) -> Reply:
    """Sends the browser to the provider."""
    start = await call.host.begin_login()
    return Reply(status=303, headers=(("Location", start.url), ("Set-Cookie", start.cookie.header())))


async def complete_login(call: Call) -> Reply:
    """Takes the browser back, finds whose account it is, and opens a session."""
    identity = await call.host.complete_login(call.facts.url, dict(call.facts.cookies))
    found = await call.host.linking.asign_in(identity)
    session = await _opened(call, await call.host.user_of(found.user_id), identity.amr)
    cookies = [session] if identity.cookie is None else [session, identity.cookie.header()]
    headers = (("Location", identity.return_to), *(("Set-Cookie", cookie) for cookie in cookies))
    return Reply(status=303, headers=headers)


async def read_workspace(call: Call) -> Reply:
    """The workspace and its AI settings."""
    return Reply({"workspace": call.tenant_id, "ai": await call.host.setting("ai")})


async def connect(call: Call) -> Reply:
    """Stores a messaging token, never to be shown again, and defines the connection."""
    said = call.json("token")
    ref = await call.host.secrets.for_tenant(require_tenant()).aput("messenger/bot", said["token"])
    await call.host.connections.adefine(call.tenant_id, "messenger", config={}, secret="messenger/bot")
    return Reply({"stored": ref.name, "version": ref.version}, 201)


async def read_integration(call: Call) -> Reply:
    """The state of the connection; no token."""
    try:
        status = await call.host.connections.astatus(call.tenant_id, "messenger")
    except NotFound:
        return Reply({"state": "draft", "reason": "unknown_connection", "hint": "connect the integration first"})
    info = await call.host.secrets.for_tenant(require_tenant()).adescribe("messenger/bot")
    return Reply({"state": status.state, "reason": status.reason, "hint": status.hint, "secret_version": info.version})


async def test_integration(call: Call) -> Reply:
    """Asks the provider with the stored token."""
    status = await call.host.test_connection(call.tenant_id)
    return Reply({"state": status.state, "reason": status.reason})


async def suspend_integration(call: Call) -> Reply:
    """Closes the connection until somebody tests it again."""
    who = call.granted.principal
    status = await call.host.connections.asuspend(call.tenant_id, "messenger", "by its owner", actor=who)
    return Reply({"state": status.state, "reason": status.reason})


async def send_message(call: Call) -> Reply:
    """Acts through the connection the guard proved active, as a run that operators can follow."""
    gate, who, text = call.granted.connection, call.tenant.principal, call.json("text")["text"]
    async with call.host.runs.arun(call.tenant_id, "send-message", actor=who, connection="messenger") as run:
        await run.astep("deliver", cost=1)
    return Reply({"sent": text, "generation": gate.generation})


async def create_agent(call: Call) -> Reply:
    """Creates an agent owned by its maker; the plan says how many, and none is counted that was not made."""
    host, name = call.host, call.json("name")["name"]
    taken = await host.entitlements.areserve(call.tenant, "agents")
    try:
        made = await host.add_agent(call.tenant.principal.id, name)
    except BaseException:
        await host.entitlements.arelease(taken)
        raise
    await host.entitlements.acommit(taken)
    return Reply({"agent": made}, 201)


async def the_agent(call: Call) -> Any:
    """The agent of a route, as a policy resource."""
    return await call.host.agent(call.params["agent"])


async def read_agent(call: Call) -> Reply:
    """One agent."""
    found = await the_agent(call)
    return Reply({"agent": found["id"], "name": found["name"]})


async def update_agent(call: Call) -> Reply:
    """Renames an agent."""
    await call.host.rename_agent(call.params["agent"], call.json("name")["name"])
    return Reply({"agent": call.params["agent"]})


async def read_audit(call: Call) -> Reply:
    """The workspace's trail, newest first."""
    events = await call.host.audit.aevents(call.tenant_id, limit=100)
    return Reply([{"seq": e["seq"], "action": e["action"], "outcome": e["outcome"]} for e in events])


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
            return Reply({"workspace": call.tenant_id, "ai": await call.host.setting("ai")})


ROUTES = (
    Route("POST", "/signin", sign_in, public="it is how one gets a credential"),
    Route("GET", "/login", begin_login, public="it is how one gets a credential"),
    Route("GET", "/login/callback", complete_login, public="as above; the provider sends the browser here"),
    Route("POST", "/workspaces", screens.create_workspace, public="no tenant yet; the session is checked inside"),
    Route(
        "POST",
        "/invitations/accept",
        screens.accept,
        public="the token names it; the session is checked inside",
    ),
    Route("POST", "/hooks/billing", screens.billing_hook, public="the provider signs its deliveries"),
    Route("GET", "/.well-known/security.txt", security_txt, public="RFC 9116 wants it open"),
    Route("GET", "/w/{tenant}/", read_workspace, op.READ_WORKSPACE),
    Route("GET", "/w/{tenant}/members", screens.list_members, op.LIST_MEMBERS),
    Route("POST", "/w/{tenant}/invitations", screens.invite, own.INVITE),
    Route("PUT", "/w/{tenant}/members/{member}", screens.change_roles, own.CHANGE_ROLES),
    Route("DELETE", "/w/{tenant}/members/{member}", screens.remove, own.REMOVE),
    Route("POST", "/w/{tenant}/members/{member}/suspend", screens.suspend, own.SUSPEND),
    Route("POST", "/w/{tenant}/members/{member}/reinstate", screens.reinstate, own.REINSTATE),
    Route("POST", "/w/{tenant}/leave", screens.leave, own.LEAVE),
    Route("POST", "/w/{tenant}/support", screens.let_support_in, own.GRANT_SUPPORT),
    Route("POST", "/w/{tenant}/ownership", screens.offer_ownership, own.TRANSFER_OWNERSHIP),
    Route("POST", "/w/{tenant}/ownership/accept", screens.accept_ownership, own.ACCEPT_OWNERSHIP),
    Route("GET", "/w/{tenant}/billing", screens.read_billing, op.READ_BILLING),
    Route("PUT", "/w/{tenant}/billing", screens.change_plan, op.CHANGE_PLAN),
    Route("GET", "/w/{tenant}/ai", screens.read_ai, op.READ_AI),
    Route("PUT", "/w/{tenant}/ai", screens.change_ai, op.CHANGE_AI),
    Route("PUT", "/w/{tenant}/messenger", connect, op.CONNECT),
    Route("GET", "/w/{tenant}/messenger", read_integration, op.READ_INTEGRATION),
    Route("POST", "/w/{tenant}/messenger/test", test_integration, op.TEST_INTEGRATION),
    Route("POST", "/w/{tenant}/messenger/suspend", suspend_integration, op.SUSPEND_INTEGRATION),
    Route("POST", "/w/{tenant}/messages", send_message, op.SEND_MESSAGE),
    Route("POST", "/w/{tenant}/agents", create_agent, op.CREATE_AGENT),
    Route("GET", "/w/{tenant}/agents/{agent}", read_agent, op.READ_AGENT, resource=the_agent),
    Route("PUT", "/w/{tenant}/agents/{agent}", update_agent, op.UPDATE_AGENT, resource=the_agent),
    Route("GET", "/w/{tenant}/audit", read_audit, op.READ_AUDIT),
    Route("GET", "/admin/workspaces", list_workspaces, op.LIST_WORKSPACES),
    Route("POST", "/admin/break-glass", break_glass, op.BREAK_GLASS),
)
