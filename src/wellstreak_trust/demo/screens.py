"""The screens of members, billing and AI behaviour: every rule is a verb of `Memberships` or `Entitlements`."""

from __future__ import annotations

from wellstreak_trust.core.errors import WebhookError
from wellstreak_trust.core.event import AuditEvent
from wellstreak_trust.core.tenant import Membership

from .calls import Call, Reply
from .host import SYSTEM
from .plans import TEAM

BILLING = {"kind": "service", "id": "billing"}


def _shown(member: Membership) -> dict[str, object]:
    """A row of the member screen."""
    state = "suspended" if member.suspended else "active"
    until = member.support.until.isoformat() if member.support is not None else None
    return {
        "id": member.principal_id, "roles": sorted(member.roles), "kind": member.kind, "state": state, "until": until
    }  # fmt: skip


# --- workspaces and members ------------------------------------------------------------------------------------------


async def create_workspace(call: Call) -> Reply:
    """Founds a workspace owned by whoever is signed in; it tries the team plan for two weeks."""
    principal = await call.host.trust.authenticator.aauthenticate(call.facts)
    said = call.json("id", "name")
    member = await call.host.memberships.acreate_workspace(
        principal, tenant_id=said["id"], name=said["name"], seats=TEAM.snapshot().seats
    )
    await call.host.set_plan(member.tenant_id, "trialing", 0)
    return Reply({"workspace": member.tenant_id, "roles": sorted(member.roles)}, 201)


async def list_members(call: Call) -> Reply:
    """Who belongs to the workspace, and who is invited."""
    members = await call.host.memberships.alist(call.tenant)
    return Reply([_shown(member) for member in members])


async def invite(call: Call) -> Reply:
    """Invites somebody."""
    said = call.json("email", "role")
    made = await call.host.memberships.ainvite(call.tenant, said["email"], [said["role"]])
    return Reply({"invitation": made.id, "token": made.token}, 201)  # a real host mails it


async def accept(call: Call) -> Reply:
    """Accepts an invitation for whoever is signed in."""
    principal = await call.host.trust.authenticator.aauthenticate(call.facts)
    member = await call.host.memberships.aaccept(call.json("token")["token"], principal)
    return Reply({"workspace": member.tenant_id, "roles": sorted(member.roles)})


async def change_roles(call: Call) -> Reply:
    """Gives a member another role."""
    role = call.json("role")["role"]
    return Reply(_shown(await call.host.memberships.achange_roles(call.tenant, call.params["member"], [role])))


async def remove(call: Call) -> Reply:
    """Ends a membership."""
    await call.host.memberships.aremove(call.tenant, call.params["member"])
    return Reply({"removed": call.params["member"]})


async def leave(call: Call) -> Reply:
    """Ends the own membership."""
    await call.host.memberships.aleave(call.tenant)
    return Reply({"left": call.tenant_id})


async def suspend(call: Call) -> Reply:
    """Puts a member out of action."""
    return Reply(_shown(await call.host.memberships.asuspend(call.tenant, call.params["member"])))


async def reinstate(call: Call) -> Reply:
    """Takes it back."""
    return Reply(_shown(await call.host.memberships.areinstate(call.tenant, call.params["member"])))


async def offer_ownership(call: Call) -> Reply:
    """Offers the workspace to a member."""
    member = await call.host.memberships.atransfer_ownership(call.tenant, call.json("to")["to"])
    return Reply({"offered_to": member.principal_id}, 202)


async def accept_ownership(call: Call) -> Reply:
    """Accepts it."""
    return Reply(_shown(await call.host.memberships.aaccept_ownership(call.tenant)))


async def let_support_in(call: Call) -> Reply:
    """Lets somebody of the platform read here for a while."""
    said = call.json("id", "reason", "ticket")
    member = await call.host.memberships.agrant_support(
        call.tenant, said["id"], reason=said["reason"], ticket=said["ticket"]
    )
    return Reply(_shown(member), 201)


# --- billing ---------------------------------------------------------------------------------------------------------


async def read_billing(call: Call) -> Reply:
    """The plan, what it gives now, and how many seats are left."""
    host = call.host
    found = await host.subscriptions.snapshot(call.tenant_id)
    seats = await host.entitlements.acheck(call.tenant, "seats")
    return Reply(
        {
            "plan": found.plan if found is not None else None,
            "status": found.status if found is not None else None,
            "access": await host.entitlements.aaccess(call.tenant),
            "seats": {"used": seats.used, "limit": seats.limit},
            "wanted": await host.setting("plan"),
        }
    )


async def change_plan(call: Call) -> Reply:
    """Notes the plan that is wanted; a real host opens the provider's checkout, and the webhook decides."""
    await call.host.put_setting("plan", call.json("plan")["plan"])
    return Reply({"wanted": await call.host.setting("plan")})


async def billing_hook(call: Call) -> Reply:
    """A billing event: verified, applied once, in the order billing gave it; the seats follow the plan."""
    host = call.host
    try:
        event = host.billing.verify(call.facts.headers.items(), call.body)
        async with host.replays.once(event):
            fed = await host.feed.aapply(event)
            if fed.outcome == "applied" and fed.tenant_id is not None and fed.snapshot is not None:
                await host.memberships.aset_seats(fed.tenant_id, fed.snapshot.seats, actor=BILLING)
    except WebhookError as refusal:
        if refusal.status != 200:
            # The step, as a `Receiver` says it: the rule about forgeries reads it.
            await host.audit.aemit(
                AuditEvent("webhook.refused", "denied", SYSTEM, BILLING, ("billing",), reason=refusal.step)
            )
        raise
    return Reply({"received": event.id, "outcome": fed.outcome})


# --- AI behaviour ----------------------------------------------------------------------------------------------------


async def read_ai(call: Call) -> Reply:
    """How the AI workforce speaks."""
    return Reply({"ai": await call.host.setting("ai")})


async def change_ai(call: Call) -> Reply:
    """Changes it."""
    await call.host.put_setting("ai", call.json("tone")["tone"])
    return await read_ai(call)
