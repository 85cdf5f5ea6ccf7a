"""An approval in the pipeline: it opens what the policy alone denies, once, and is not lost to another stage."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from borrowed import DOCUMENT
from wellstreak_trust import Guard, Operation, Principal, RequestFacts, Trust
from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.authz import Approvals, MemoryApprovalStore, Policy
from wellstreak_trust.core import ConfigurationError, Membership, TenantContext
from wellstreak_trust.core.errors import AccessDenied, RateLimited, TrustError, Unavailable
from wellstreak_trust.guard import APPROVAL_HEADER
from wellstreak_trust.origin import OriginPolicy
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter

POLICY = Policy.from_dict(DOCUMENT)
REFUND = Operation("refunds.create", "refunds:create", audit="refund.created")
THE_REFUND = {"type": "refund", "id": "r1", "tenant_id": "t1"}
AMOUNT = {"amount": "12.50"}
ROLES = {"bo": ("bot",), "ada": ("owner",), "eve": ("member",)}


def inside(name: str) -> TenantContext:
    return TenantContext("t1", Principal(name), Membership("t1", name, frozenset(ROLES[name])))


class Doors:
    """Who a test says to be, is."""

    async def aauthenticate(self, facts: RequestFacts) -> Principal:
        return Principal(facts.headers.get("who") or "")

    async def aresolve(self, facts: RequestFacts, principal: Principal) -> TenantContext:
        return inside(principal.id)


class Broken(MemoryApprovalStore):
    async def consume_if(self, *arguments: Any) -> bool:
        raise OSError("the disk is gone")


class World:
    def __init__(self, limit: int = 100, store: MemoryApprovalStore | None = None, *, desk: bool = True) -> None:
        self.approvals = Approvals(store or MemoryApprovalStore(), POLICY)
        self.audit = AuditLog(MemoryAuditStore())
        rules = [LimitRule("tenant", limit, timedelta(minutes=1), by=("tenant",))]
        self.guard = Guard(
            Trust(
                profile="test",
                authenticator=Doors(),
                tenants=Doors(),
                policy=POLICY,
                limiter=RateLimiter(rules, store=MemoryLimitStore()),
                origin=OriginPolicy(),
                audit=self.audit,
                approvals=self.approvals if desk else None,
            )
        )

    def confirmed(self, arguments: dict[str, str] = AMOUNT) -> str:
        asked = self.approvals.request(inside("bo"), "refunds:create", THE_REFUND, arguments)
        return self.approvals.confirm(inside("ada"), asked.id, THE_REFUND, arguments).id

    def do(self, *ids: str, who: str = "bo", arguments: Any = AMOUNT) -> Any:
        headers = [("Sec-Fetch-Site", "same-origin"), ("Who", who), *((APPROVAL_HEADER, id) for id in ids)]
        facts = RequestFacts("POST", "https://app.example/refunds", headers, peer="203.0.113.7")
        with self.guard.enter(facts, REFUND, THE_REFUND, arguments) as grant:
            return grant.decision

    def refused(self, *ids: str, **more: Any) -> TrustError:
        with pytest.raises(TrustError) as caught:
            self.do(*ids, **more)
        return caught.value


@pytest.mark.asvs("2.3.5")
def test_it_opens_once_and_stands_on_record() -> None:
    world = World()
    assert world.refused().problem()["code"] == "approval_required"
    id = world.confirmed()
    assert world.do(id).approval == id
    attempt = next(event for event in world.audit.events("t1") if event["outcome"] == "attempted")
    assert attempt["decision"]["approval"] == id
    again = world.refused(id)
    assert (type(again), again.status, again.code) == (AccessDenied, 403, "approval_required")


@pytest.mark.parametrize("arguments", [None, {}, {"amount": "1250.00"}, {**AMOUNT, "to": "x"}])
def test_other_arguments_are_another_operation(arguments: Any) -> None:
    world = World()
    id = world.confirmed()
    assert world.refused(id, arguments=arguments).code == "approval_required"
    assert world.do(id).allowed


def test_arguments_may_be_fetched_inside_the_tenant_and_only_when_needed() -> None:
    world, asked = World(), []

    def arguments(tenant: TenantContext) -> dict[str, str]:
        asked.append(tenant.tenant_id)
        return AMOUNT

    world.refused(arguments=arguments)
    assert asked == []
    assert world.do(world.confirmed(), arguments=arguments).allowed
    assert asked == ["t1"]


def test_what_does_not_fit_opens_nothing() -> None:
    world = World()
    id = world.confirmed()
    unconfirmed = world.approvals.request(inside("bo"), "refunds:create", THE_REFUND, AMOUNT).id
    for ids in ([id, id], [f"{id},{id}"], ["0" * 32], [""], [id.upper() + "x"], [unconfirmed]):
        assert world.refused(*ids).code == "approval_required", ids
    assert world.refused(id, who="ada").code == "approval_required"  # somebody else's
    assert world.refused(id, who="eve").code == "denied"  # an approval gives no permission
    assert world.do(id).allowed


def test_a_stage_that_refuses_does_not_use_it_up() -> None:
    world = World(limit=1)
    first, second = world.confirmed(), world.confirmed({"amount": "1.00"})
    assert world.do(first).allowed
    assert isinstance(world.refused(second, arguments={"amount": "1.00"}), RateLimited)
    spent = world.approvals.consume(second, inside("bo"), "refunds:create", THE_REFUND, {"amount": "1.00"})
    assert spent.allowed


def test_a_refused_approval_gives_the_limits_back() -> None:
    world = World(limit=1)
    id = world.confirmed()
    for _ in range(3):
        assert world.refused("0" * 32).code == "approval_required"
    assert world.do(id).allowed


def test_a_store_that_is_down_refuses() -> None:
    world = World(store=Broken())
    assert isinstance(world.refused(world.confirmed()), Unavailable)


def test_without_approvals_it_stays_denied() -> None:
    world = World(desk=False)
    id = world.confirmed()
    assert world.refused(id).code == "approval_required"


def test_a_part_that_cannot_spend_is_refused_at_start() -> None:
    world = World()
    with pytest.raises(ConfigurationError, match="approvals"):
        Guard(
            Trust(
                profile="test",
                authenticator=Doors(),
                tenants=Doors(),
                policy=POLICY,
                origin=OriginPolicy(),
                audit=world.audit,
                approvals=object(),  # type: ignore[arg-type]  # what a host may hand over by mistake
            )
        )
