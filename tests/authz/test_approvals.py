"""A person confirms one operation of a subject, once: the store contract on every engine, and the three steps."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

import borrowed
from borrowed import NOW, REFUND, agent, user
from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.authz import (
    Approval,
    ApprovalInvalid,
    ApprovalRow,
    Approvals,
    ApprovalStore,
    BreakGlass,
    BreakGlassDesk,
    MemoryApprovalStore,
    Policy,
    PolicyError,
    PolicyHolder,
)
from wellstreak_trust.core import ConfigurationError, FixedClock, Principal, UsageError, drive
from wellstreak_trust.core.errors import AccessDenied, AuditUnavailable
from wellstreak_trust.core.event import AuditEvent
from wellstreak_trust.storage.sql import AsyncDatabase, Database, SqlApprovalStore
from wellstreak_trust.testing.stores.approvals import CHECKS

ADA = user("ada", "owner")
BOT = agent("bot", behind=ADA)
CY = user("cy", "approver")
AMOUNT = {"amount": "12.50", "to": "acct_1"}
ROLES = {**borrowed.DOCUMENT["roles"], "approver": {"allow": ["refunds:approve"]}}
LIFETIME = timedelta(minutes=15)


@pytest.fixture
def clock() -> FixedClock:
    return borrowed.clock()


@pytest.fixture
def policy(clock: FixedClock) -> Policy:
    return borrowed.policy(clock, roles=ROLES)


@pytest.fixture
def approvals(policy: Policy, clock: FixedClock) -> Approvals:
    return Approvals(MemoryApprovalStore(), policy, clock=clock)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, sqlite_path: Path) -> Iterator[ApprovalStore]:
    if request.param == "memory":
        yield MemoryApprovalStore()
        return
    url = f"sqlite:///{sqlite_path}"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url)
    database = Database(engine)
    database.create_all()
    yield SqlApprovalStore(database)
    engine.dispose()


def test_contract(store: ApprovalStore) -> None:
    for check in CHECKS:
        assert drive(check(store, check.__name__)) is None


@pytest.mark.anyio
async def test_contract_asynchronous(sqlite_path: Path, policy: Policy, clock: FixedClock) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{sqlite_path}")
    database = AsyncDatabase(engine)
    await database.acreate_all()
    kept = SqlApprovalStore(database)
    for check in CHECKS:
        await check(kept, check.__name__)
    desk = Approvals(kept, policy, clock=clock)
    with pytest.raises(ConfigurationError):
        desk.request(BOT, "refunds:create", REFUND)
    asked = await desk.arequest(BOT, "refunds:create", REFUND)
    await desk.aconfirm(CY, asked.id, REFUND)
    assert await desk.aconsume(asked.id, BOT, "refunds:create", REFUND)
    await engine.dispose()


def test_one_of_many_uses_it_up(store: ApprovalStore, policy: Policy, clock: FixedClock) -> None:
    desk = Approvals(store, policy, clock=clock)
    asked = desk.request(BOT, "refunds:create", REFUND, AMOUNT)
    desk.confirm(CY, asked.id, REFUND, AMOUNT)
    with ThreadPoolExecutor(4) as pool:
        tries = [pool.submit(desk.consume, asked.id, BOT, "refunds:create", REFUND, AMOUNT) for _ in range(8)]
    assert sorted(done.result().code for done in tries) == ["allowed"] + ["approval_required"] * 7


# --- the obligation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", [ADA, BOT, user("ada", "owner", scopes=frozenset({"refunds:create"}))])
def test_check_alone_never_allows(policy, subject):
    decision = policy.check(subject, "refunds:create", REFUND)
    assert (decision.allowed, decision.code) == (False, "approval_required")
    assert decision.obligations == (Approval("refunds:create", "refunds:approve"),)
    assert decision.public() == {"allowed": False, "code": "approval_required"}
    wanted = {"type": "approval", "permission": "refunds:create", "by": "refunds:approve"}
    assert decision.audit()["obligations"] == [wanted]
    assert "refunds:create" not in policy.permissions_for(subject, REFUND)
    with pytest.raises(AccessDenied):
        policy.require(subject, "refunds:create", REFUND)


def test_it_is_asked_last(policy):
    assert policy.check(user("eve", "member"), "refunds:create", REFUND).code == "no_grant"
    assert policy.check(user("ada", "owner", scopes=()), "refunds:create", REFUND).code == "ceiling"
    assert policy.check(ADA, "refunds:create", {**REFUND, "tenant_id": "t2"}).code == "tenant_mismatch"


@pytest.mark.parametrize(
    ("permission", "place"),
    [({"approval": {"by": "refunds:aprove"}}, "by"), ({"approval": {"by": "a:x"}}, "by"),
     ({"approval": {"by": "platform:list"}}, "by"), ({"approval": {"by": "*"}}, "by"), ({"approval": {"by": ""}}, "by"),
     ({"approval": {}}, "by"), ({"approval": {"by": "refunds:approve", "times": 2}}, "times"),
     ({"approval": "refunds:approve"}, "approval"), ({"aproval": {"by": "refunds:approve"}}, "aproval")],
)  # fmt: skip
def test_documents_that_mean_no_approval_are_refused(permission, place):
    known = {**borrowed.DOCUMENT["permissions"], "a:x": permission}
    with pytest.raises(PolicyError) as refused:
        borrowed.policy(permissions=known)
    assert refused.value.detail.startswith('permissions."a:x"')
    assert place in refused.value.detail


def test_the_version_tells_who_approves():
    plain = {**borrowed.DOCUMENT["permissions"], "refunds:create": {"risk": "high"}}
    assert borrowed.policy(permissions=plain).version != borrowed.policy().version


# --- the three steps -------------------------------------------------------------------------------------------------


@pytest.mark.asvs("2.3.1")
def test_request_confirm_consume(approvals, clock):
    asked = approvals.request(BOT, "refunds:create", REFUND, AMOUNT)
    assert (asked.subject_id, asked.actor_id, asked.tenant_id) == ("bot1", "ada", "t1")
    assert (asked.by, asked.expires_at) == ("refunds:approve", NOW + LIFETIME)
    assert approvals.consume(asked.id, BOT, "refunds:create", REFUND, AMOUNT).code == "approval_required"
    assert approvals.confirm(CY, asked.id, REFUND, AMOUNT).confirmed_by == "cy"
    spent = approvals.consume(asked.id, BOT, "refunds:create", REFUND, AMOUNT)
    assert (spent.allowed, spent.code, spent.obligations, spent.approval) == (True, "allowed", (), asked.id)
    assert spent.audit()["approval"] == asked.id
    assert spent.audit()["delegation"]["actor_id"] == "ada"
    assert approvals.consume(asked.id, BOT, "refunds:create", REFUND, AMOUNT).code == "approval_required"


def test_the_person_behind_an_agent_may_confirm(approvals):
    asked = approvals.request(BOT, "refunds:create", REFUND, AMOUNT)
    assert approvals.confirm(ADA, asked.id, REFUND, AMOUNT).confirmed_by == "ada"


OTHERS: list[dict[str, Any]] = [
    {"subject": ADA}, {"subject": agent("bot", behind=user("bo", "owner"))}, {"permission": "refunds:approve"},
    {"subject": dataclasses.replace(BOT, id="bot2")}, {"resource": {**REFUND, "id": "r2"}},
    {"resource": {**REFUND, "type": "credit"}}, {"resource": None}, {"arguments": {**AMOUNT, "amount": "99.00"}},
    {"arguments": {}}, {"arguments": None}, {"arguments": {**AMOUNT, "note": ""}}, {"id": "0" * 32}, {"id": ""},
    {"id": None}, {"id": "\ud800" * 32}, {"id": "a\x00" * 16},
    {"subject": user("eve", "member")}, {"subject": None}, {"resource": {**REFUND, "tenant_id": "t2"}},
]  # fmt: skip


@pytest.mark.parametrize("other", OTHERS)
def test_it_holds_for_this_operation_alone(approvals, policy, other):
    asked = approvals.request(BOT, "refunds:create", REFUND, AMOUNT)
    approvals.confirm(CY, asked.id, REFUND, AMOUNT)
    mine = {"id": asked.id, "subject": BOT, "permission": "refunds:create", "resource": REFUND, "arguments": AMOUNT}
    tried = {**mine, **other}
    answer = approvals.consume(**tried)
    assert answer == policy.check(tried["subject"], tried["permission"], tried["resource"])
    assert not answer.approval
    assert approvals.consume(**mine)


def test_what_was_revoked_meanwhile_stays_revoked(policy, clock):
    holder = PolicyHolder(policy)
    approvals = Approvals(MemoryApprovalStore(), holder, clock=clock)
    asked = approvals.request(BOT, "refunds:create", REFUND)
    approvals.confirm(CY, asked.id, REFUND)
    holder.swap(borrowed.policy(clock, roles={**ROLES, "bot": {"allow": []}}))
    assert approvals.consume(asked.id, BOT, "refunds:create", REFUND).code == "no_grant"
    demoted = agent("bot", behind=user("ada", "member"))
    holder.swap(policy)
    assert approvals.consume(asked.id, demoted, "refunds:create", REFUND).code == "ceiling"


def test_it_expires(approvals, clock):
    late, asked = (approvals.request(BOT, "refunds:create", REFUND) for _ in range(2))
    approvals.confirm(CY, asked.id, REFUND)
    clock.advance(LIFETIME)
    assert approvals.consume(asked.id, BOT, "refunds:create", REFUND).code == "approval_required"
    with pytest.raises(ApprovalInvalid):
        approvals.confirm(CY, late.id, REFUND)


@pytest.mark.asvs("2.3.5")
@pytest.mark.parametrize(
    ("approver", "reason"),
    [(agent("approver", behind=CY), "not_a_person"), (None, "not_a_person"), ("cy", "not_a_person"),
     (Principal("key", kind="api_key", tenant_id="t1", roles=frozenset({"approver"})), "not_a_person"),
     (user("cy", "approver", actor=Principal("sam")), "not_a_person"), (user("bot1", "approver"), "own_request"),
     (user("cy", "approver", tenant="t2"), "another_tenant"), (user("cy", "approver", tenant=None), "another_tenant")],
)  # fmt: skip
def test_only_another_person_of_the_tenant_confirms(approvals, approver, reason):
    asked = approvals.request(BOT, "refunds:create", REFUND, AMOUNT)
    with pytest.raises(ApprovalInvalid) as refused:
        approvals.confirm(approver, asked.id, REFUND, AMOUNT)
    assert refused.value.reason == reason
    assert refused.value.problem()["status"] == 404


def test_nobody_in_an_impersonation_confirms_it():
    admitted = borrowed.policy(roles=ROLES, ceilings={"impersonation": {"allow": ["*"]}})
    approvals = Approvals(MemoryApprovalStore(), admitted, clock=borrowed.clock())
    sam = user("sam", "approver")
    asked = approvals.request(user("ada", "owner", actor=sam), "refunds:create", REFUND)
    for involved in (sam, ADA):
        with pytest.raises(ApprovalInvalid, match="This approval"):
            approvals.confirm(involved, asked.id, REFUND)


def test_who_lacks_the_permission_does_not_confirm(approvals):
    asked = approvals.request(BOT, "refunds:create", REFUND, AMOUNT)
    for eve in (user("eve", "member"), user("cy", "approver", scopes=frozenset())):
        with pytest.raises(AccessDenied):
            approvals.confirm(eve, asked.id, REFUND, AMOUNT)


@pytest.mark.parametrize("shown", [(REFUND, {}), (None, AMOUNT), ({**REFUND, "id": "r2"}, AMOUNT)])
def test_what_is_confirmed_is_what_was_asked(approvals, shown):
    asked = approvals.request(BOT, "refunds:create", REFUND, AMOUNT)
    with pytest.raises(ApprovalInvalid) as refused:
        approvals.confirm(CY, asked.id, *shown)
    assert refused.value.reason == "another_operation"


def test_unknown_and_used_ones_look_alike(approvals):
    asked = approvals.request(BOT, "refunds:create", REFUND)
    approvals.confirm(CY, asked.id, REFUND)
    bodies = []
    for id in (asked.id, "f" * 32, "", None, "x" * 10_000):
        with pytest.raises(ApprovalInvalid) as refused:
            approvals.confirm(CY, id, REFUND)
        bodies.append(refused.value.problem())
    assert all(body == bodies[0] for body in bodies)


def test_requests_that_lead_nowhere(approvals):
    with pytest.raises(AccessDenied):
        approvals.request(user("eve", "member"), "refunds:create", REFUND)
    with pytest.raises(UsageError, match="needs no approval"):
        approvals.request(ADA, "billing:read")
    for resource in ({"type": "refund", "tenant_id": "t1"}, {**REFUND, "id": 7}, {**REFUND, "type": None}):
        with pytest.raises(UsageError):
            approvals.request(BOT, "refunds:create", resource)
    for arguments in ("text", {"amount": 12.5}, {"amount": "\ud800"}, {1: "x"}, [1]):
        with pytest.raises(UsageError):
            approvals.request(BOT, "refunds:create", REFUND, arguments)


def test_it_can_be_withdrawn(approvals):
    for who in (BOT, ADA, CY):
        asked = approvals.request(BOT, "refunds:create", REFUND)
        approvals.confirm(CY, asked.id, REFUND)
        assert approvals.withdraw(who, asked.id)
        assert approvals.consume(asked.id, BOT, "refunds:create", REFUND).code == "approval_required"
    asked = approvals.request(BOT, "refunds:create", REFUND)
    for stranger, id in ((user("eve", "member"), asked.id), (user("cy", "approver", tenant="t2"), asked.id), (CY, "x")):
        with pytest.raises(ApprovalInvalid):
            approvals.withdraw(stranger, id)


def test_a_break_glass_needs_its_approval_too(approvals, policy, clock):
    class Trail:
        suspends = False

        async def aemit(self, event: object, /) -> object:
            return None

    ops = Principal("ops", roles=frozenset({"operator"}))
    asked_for = BreakGlass(ops, "t1", {"refunds:create"}, "outage", "OPS-7", not_before=NOW, expires_at=NOW + LIFETIME)
    glass = BreakGlassDesk(Trail(), policy, clock).open(asked_for)
    asked = approvals.request(glass, "refunds:create", REFUND)
    approvals.confirm(CY, asked.id, REFUND)
    assert approvals.consume(asked.id, glass, "refunds:create", REFUND).delegation.record == glass.record


class Trail:
    """A real log that also shows what it was given; or one that is down."""

    suspends = False

    def __init__(self, down: bool = False) -> None:
        self.log = AuditLog(MemoryAuditStore(), clock=borrowed.clock())
        self.events: list[AuditEvent] = []
        self.down = down

    async def aemit(self, event: AuditEvent, /) -> object:
        if self.down:
            raise AuditUnavailable("down")
        self.events.append(event)
        return await self.log.aemit(event)


def test_the_trail_knows_the_approver_first(policy, clock):
    trail = Trail()
    approvals = Approvals(MemoryApprovalStore(), policy, clock=clock, audit=trail)
    asked = approvals.request(BOT, "refunds:create", REFUND)
    approvals.confirm(CY, asked.id, REFUND)
    (event,) = trail.events
    assert (event.action, event.tenant_id, event.actor) == ("authz.approval_confirmed", "t1", CY)
    assert event.targets == ({"type": "approval", "id": asked.id},)
    assert event.data == {"permission": "refunds:create", "subject_id": "bot1", "actor_id": "ada"}


def test_a_trail_that_is_down_confirms_nothing(policy, clock):
    store = MemoryApprovalStore()
    approvals = Approvals(store, policy, clock=clock, audit=Trail(down=True))
    asked = approvals.request(BOT, "refunds:create", REFUND)
    with pytest.raises(AuditUnavailable):
        approvals.confirm(CY, asked.id, REFUND)
    assert drive(store.read(asked.id)).confirmed_by is None


def test_a_lifetime_has_bounds(policy):
    for lifetime in (timedelta(), timedelta(days=8), timedelta(seconds=-1)):
        with pytest.raises(UsageError):
            Approvals(MemoryApprovalStore(), policy, lifetime=lifetime)


@pytest.mark.anyio
async def test_both_faces_are_one(approvals):
    asked = await approvals.arequest(BOT, "refunds:create", REFUND)
    assert isinstance(asked, ApprovalRow)
    approvals.confirm(CY, asked.id, REFUND)
    answers = await asyncio.gather(*(approvals.aconsume(asked.id, BOT, "refunds:create", REFUND) for _ in range(3)))
    assert sum(map(bool, answers)) == 1
