"""The chapters about workspaces: members, ownership, plans and what billing says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

from wellstreak_trust.testing import signer
from wellstreak_trust.testing.op import OpenIdProvider

from .browser import Answer, Browser, Step
from .host import BILLING_SECRET, Host, Paths


class WorkspaceChapters:
    """The people, what billing has said so far, and how a step is told."""

    def __init__(self, url: str, host: Host, paths: Paths, op: OpenIdProvider) -> None:
        self.host: Host = host
        self.op: OpenIdProvider = op
        self.paths: Paths = paths
        self.ada: Browser = Browser(url)
        self.bo: Browser = Browser(url)
        self.eve: Browser = Browser(url)
        self.root: Browser = Browser(url)
        self.anyone: Browser = Browser(url)
        self.provider: Browser = Browser(host.provider_url)
        self.chapter: str = ""
        self.agent: str = ""
        self.billed: int = 0
        self.period_end: int = int((host.trust.clock.now() + timedelta(days=30)).timestamp())

    def _step(self, tried: str, control: str, wanted: str, answer: Answer | str) -> Step:
        happened = answer if isinstance(answer, str) else f"{answer.status} {answer.code}"
        return Step(self.chapter, tried, control, wanted, happened)

    def _workspaces(self) -> Iterator[Step]:
        yield self._step("ada creates acme", "tenancy", "201 ok",
                         self.ada.ask("POST", "/workspaces", {"id": "acme", "name": "Acme"}))  # fmt: skip
        yield self._step("eve creates evil", "tenancy", "201 ok",
                         self.eve.ask("POST", "/workspaces", {"id": "evil", "name": "Evil"}))  # fmt: skip
        yield self._step("eve takes the id acme", "tenancy", "409 conflict",
                         self.eve.ask("POST", "/workspaces", {"id": "acme", "name": "Acme"}))  # fmt: skip
        invited = self.ada.ask("POST", "/w/acme/invitations", {"email": "bo@example.com", "role": "member"})
        yield self._step("ada invites bo", "tenancy", "201 ok", invited)
        token = (invited.json or {}).get("token", "")
        yield self._step("eve steals bo's invitation link", "tenancy", "404 invitation_invalid",
                         self.eve.ask("POST", "/invitations/accept", {"token": token}))  # fmt: skip
        yield self._step("bo accepts", "tenancy", "200 ok",
                         self.bo.ask("POST", "/invitations/accept", {"token": token}))  # fmt: skip
        yield self._step("the link again", "tenancy", "404 invitation_invalid",
                         self.bo.ask("POST", "/invitations/accept", {"token": token}))  # fmt: skip

    def _plans(self) -> Iterator[Step]:
        """A trial of the team plan, then the free one, which has two seats, one agent and no say in AI behaviour."""
        change, agent = ("PUT", "/w/acme/ai", {"tone": "friendly"}), ("POST", "/w/acme/agents", {"name": "first"})
        carol = ("POST", "/w/acme/invitations", {"email": "carol@example.com", "role": "member"})
        yield self._step("ada changes AI behaviour on trial", "entitlements", "200 ok", self.ada.ask(*change))
        self._bill("active", price="free", workspace="evil")
        yield self._step("eve takes the free plan; ada's plan", "entitlements", "team", self._billing("plan"))
        yield self._step("billing says: acme is on the free plan", "webhooks", "200 ok", self._bill("active", "free"))
        yield self._step("ada changes AI behaviour", "entitlements", "402 entitlement_denied", self.ada.ask(*change))
        yield self._step("ada invites a third person on two seats", "tenancy (seats)", "409 seat_limit",
                         self.ada.ask(*carol))  # fmt: skip
        yield self._step("the plan's one agent", "entitlements (metered)", "201 ok", self.ada.ask(*agent))
        yield self._step("a second one", "entitlements (metered)", "402 entitlement_denied", self.ada.ask(*agent))
        yield self._step("billing says: acme is on the team plan", "webhooks", "200 ok", self._bill("active"))
        yield self._step("ada changes AI behaviour", "entitlements", "200 ok", self.ada.ask(*change))
        yield self._step("ada invites a third person on five seats", "tenancy (seats)", "201 ok", self.ada.ask(*carol))

    def _bill(self, status: str, price: str = "team_monthly", *, workspace: str = "acme", late: int = 0) -> Answer:
        headers, body = self._hook(status, price=price, workspace=workspace, late=late)
        return self.anyone.ask("POST", "/hooks/billing", body, **headers)

    def _billing(self, field: str) -> str:
        return str((self.ada.ask("GET", "/w/acme/billing").json or {}).get(field))

    def _members(self) -> Iterator[Step]:
        bo, ada = "/w/acme/members/u_bo", "/w/acme/members/u_ada"
        yield self._step("member bo makes himself an admin", "authz", "403 denied",
                         self.bo.ask("PUT", bo, {"role": "admin"}))  # fmt: skip
        yield self._step("owner ada makes bo an admin", "tenancy", "200 ok", self.ada.ask("PUT", bo, {"role": "admin"}))
        yield self._step("admin bo makes himself an owner", "tenancy (ranks)", "403 denied",
                         self.bo.ask("PUT", bo, {"role": "owner"}))  # fmt: skip
        yield self._step("admin bo demotes ada", "tenancy (ranks)", "403 denied",
                         self.bo.ask("PUT", ada, {"role": "member"}))  # fmt: skip
        yield self._step("admin bo removes ada", "tenancy (ranks)", "403 denied", self.bo.ask("DELETE", ada))
        yield self._step("ada, the last owner, leaves", "tenancy", "409 last_owner",
                         self.ada.ask("POST", "/w/acme/leave"))  # fmt: skip
        yield self._step("ada suspends bo", "tenancy", "200 ok", self.ada.ask("POST", f"{bo}/suspend"))
        yield self._step("suspended bo reads acme", "tenancy", "404 not_found", self.bo.ask("GET", "/w/acme/"))
        yield self._step("ada reinstates bo", "tenancy", "200 ok", self.ada.ask("POST", f"{bo}/reinstate"))
        yield self._step("bo reads acme", "tenancy", "200 ok", self.bo.ask("GET", "/w/acme/"))
        support = {"id": "u_root", "reason": "the bot is silent", "ticket": ""}
        yield self._step("ada lets support in without a ticket", "tenancy", "400 invalid_request",
                         self.ada.ask("POST", "/w/acme/support", support))  # fmt: skip
        yield self._step("ada lets support in for four hours", "tenancy", "201 ok",
                         self.ada.ask("POST", "/w/acme/support", {**support, "ticket": "SUP-7"}))  # fmt: skip
        yield self._step("support reads acme", "tenancy", "200 ok", self.root.ask("GET", "/w/acme/"))
        yield self._step("support changes AI behaviour", "authz", "403 denied",
                         self.root.ask("PUT", "/w/acme/ai", {"tone": "odd"}))  # fmt: skip
        self.ada.ask("DELETE", "/w/acme/members/u_root")
        yield self._step("support after ada sent it out", "tenancy", "404 not_found", self.root.ask("GET", "/w/acme/"))

    def _ownership(self) -> Iterator[Step]:
        offer, accept = "/w/acme/ownership", "/w/acme/ownership/accept"
        yield self._step("admin bo gives acme to himself", "authz", "403 denied",
                         self.bo.ask("POST", offer, {"to": "u_bo"}))  # fmt: skip
        yield self._step("ada makes bo an owner past the transfer", "tenancy", "403 denied",
                         self.ada.ask("PUT", "/w/acme/members/u_bo", {"role": "owner"}))  # fmt: skip
        yield self._step("ada offers acme to bo", "tenancy", "202 ok", self.ada.ask("POST", offer, {"to": "u_bo"}))
        yield self._step("ada accepts in his place", "tenancy", "404 not_found", self.ada.ask("POST", accept))
        yield self._step("bo accepts", "tenancy", "200 ok", self.bo.ask("POST", accept))
        yield self._step("ada, now an admin, changes the plan", "authz", "403 denied",
                         self.ada.ask("PUT", "/w/acme/billing", {"plan": "free"}))  # fmt: skip
        self.bo.ask("POST", offer, {"to": "u_ada"})
        yield self._step("bo gives it back, ada accepts", "tenancy", "200 ok", self.ada.ask("POST", accept))
        yield self._step("ada makes bo a member again", "tenancy", "200 ok",
                         self.ada.ask("PUT", "/w/acme/members/u_bo", {"role": "member"}))  # fmt: skip

    def _hook(
        self,
        status: str,
        secret: str = BILLING_SECRET,
        *,
        age: int = 0,
        price: str = "team_monthly",
        workspace: str = "acme",
        late: int = 0,
    ) -> tuple[dict[str, str], bytes]:
        """A signed delivery. Billing orders its events by their seconds; the story's each come one later."""
        self.billed += 1
        event = {
            "id": f"evt_{self.billed}",
            "type": "customer.subscription.updated",
            "created": 1_800_000_000 + self.billed - late,
            "data": {
                "object": {
                    "status": status,
                    "metadata": {"workspace": workspace},
                    "current_period_end": self.period_end,
                    "items": {"data": [{"price": {"lookup_key": price}, "quantity": 1}]},
                }
            },
        }
        body = json.dumps(event).encode()
        signed = signer("stripe", secret).sign(body, at=self.host.trust.clock.now() - timedelta(seconds=age))
        headers = {"Origin": "", "Sec-Fetch-Site": "", **dict(signed.headers)}
        return {name.replace("-", "_"): value for name, value in headers.items()}, signed.body

    def _subscription(self) -> Iterator[Step]:
        change = ("PUT", "/w/acme/ai", {"tone": "formal"})
        yield self._step("billing says: unpaid", "webhooks", "200 ok", self._bill("unpaid"))
        yield self._step("ada changes AI behaviour", "entitlements", "402 entitlement_denied", self.ada.ask(*change))
        yield self._step("ada still reads it", "entitlements (read-only)", "200 ok", self.ada.ask("GET", "/w/acme/ai"))
        yield self._step("ada still reaches billing to pay", "entitlements", "read_only", self._billing("access"))
        late = self._bill("active", late=60).json or {}
        yield self._step("an older event arrives late", "webhooks (order)", "late", str(late.get("outcome")))
        self._bill("active")
        yield self._step("paid: ada changes AI behaviour", "entitlements", "200 ok", self.ada.ask(*change))
