"""What every membership, usage and subscription store must do; run it against your own.

Each check is a coroutine over a fresh store: await it, or `drive` it over a blocking store.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from ...core.errors import LastOwner, TenantNotFound, UsageError
from ...core.event import AuditEvent
from ...core.tenant import Membership, SupportAccess
from ...tenancy.entitlements import Hold, UsageStore
from ...tenancy.membership import MembershipStore
from ...tenancy.plans import SubscriptionStore
from ...tenancy.subscription import EntitlementSnapshot, Feature
from ...tenancy.workspace import Invited, Transfer, WorkspaceState

__all__ = ["MEMBERSHIP_CHECKS", "SUBSCRIPTION_CHECKS", "USAGE_CHECKS"]

_UNTIL: Final = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
_SUPPORT: Final = SupportAccess("Ä reason", "SUP-1", "u1", _UNTIL)
_INVITED: Final = Invited("i1", "d" * 64, "é@example.com", frozenset(("admin", "member")), "u1", _UNTIL)
_FOUNDED: Final = WorkspaceState.founded("t1", "u1", name="Äcme", seats=5)


async def a_tenant_id_is_claimed_once(store: MembershipStore) -> None:
    """The second claim loses and changes nothing."""
    assert await store.claim(_FOUNDED)
    assert not await store.claim(WorkspaceState.founded("t1", "intruder"))
    assert await store.load("t1") == _FOUNDED
    assert await store.load("t2") is None


async def states_come_back_whole(store: MembershipStore) -> None:
    """Every field survives a change, times to the microsecond; unknown workspaces are told apart from empty ones."""
    await store.claim(_FOUNDED)
    before, after = await store.transact("t1", lambda state: state.with_invitation(_INVITED).with_member("u2", _ROLES))
    assert before == _FOUNDED
    assert await store.load("t1") == after
    closed = replace(_INVITED, status="accepted")
    _, after = await store.transact("t1", lambda state: replace(state.with_invitation(closed), seats=None, name=""))
    assert await store.load("t1") == after
    _, after = await store.transact("t1", lambda state: replace(state.without_member("u2"), invitations={}))
    assert await store.load("t1") == after
    assert set(after.members) == {"u1"}


async def every_kind_of_membership_comes_back_whole(store: MembershipStore) -> None:
    """Kind, suspension and support of a membership, and the ownership on offer; each can be taken back."""
    await store.claim(_FOUNDED)
    offer = Transfer("u1", "u2", _UNTIL, _UNTIL)
    _, after = await store.transact(
        "t1",
        lambda state: (
            state.with_member("u2", _ROLES, suspended=frozenset(("account", "workspace")))
            .with_member("bot", _ROLES, kind="service")
            .with_member("sup", _ROLES, kind="support", support=_SUPPORT)
            .with_transfer(offer)
        ),
    )
    assert await store.load("t1") == after
    assert await store.find("t1", "sup") == after.members["sup"]
    assert after.transfer == offer
    _, after = await store.transact(
        "t1", lambda state: state.with_member("u2", _ROLES, suspended=frozenset()).with_transfer(None)
    )
    assert await store.load("t1") == after
    assert after.transfer is None


async def events_stand_or_fall_with_their_change(store: MembershipStore) -> None:
    """What the rule or the telling raises undoes both; a claim that loses tells nothing."""
    assert await store.claim(_FOUNDED, (_told("e1"),))
    assert not await store.claim(_FOUNDED, (_told("e2"),))

    def change(state: WorkspaceState) -> WorkspaceState:
        return state.with_member("u2", _ROLES)

    def refuse(state: WorkspaceState) -> WorkspaceState:
        raise LastOwner("no")

    assert await _raises(LastOwner, lambda: store.transact("t1", refuse, lambda before, after: (_told("e3"),)))
    unwritable = replace(_told("e4"), reason="\ud800")
    assert await _raises(UsageError, lambda: store.transact("t1", change, lambda before, after: (unwritable,)))
    assert await store.load("t1") == _FOUNDED
    before, after = await store.transact(
        "t1", change, lambda before, after: (_told(f"v{before.version}"), _told(f"v{after.version}"))
    )
    waiting = await store.outbox.waiting(9)
    assert [event.id for event in waiting] == ["e1", f"v{before.version}", f"v{after.version}"]
    assert waiting[0] == _told("e1")


async def an_outbox_keeps_order_and_forgets_what_is_settled(store: MembershipStore) -> None:
    """Oldest first; an id waits once; what is parked or settled is not offered again."""
    outbox = store.outbox
    for name in ("e1", "e2", "e3", "e1"):
        await outbox.aemit(_told(name))
    assert [event.id for event in await outbox.waiting(2)] == ["e1", "e2"]
    await outbox.park("e1", "audit_conflict")
    assert [event.id for event in await outbox.waiting(9)] == ["e2", "e3"]
    await outbox.settle(("e2", "unknown"))
    assert [event.id for event in await outbox.waiting(9)] == ["e3"]
    await outbox.aemit(_told("e2"))
    assert [event.id for event in await outbox.waiting(9)] == ["e3", "e2"]


async def a_rule_that_raises_changes_nothing(store: MembershipStore) -> None:
    """The error passes through; an unknown workspace never reaches the rule."""
    await store.claim(_FOUNDED)

    def refuse(state: WorkspaceState) -> WorkspaceState:
        state.without_member("u1")
        raise LastOwner("no")

    assert await _raises(LastOwner, lambda: store.transact("t1", refuse))
    assert await _raises(TenantNotFound, lambda: store.transact("t2", refuse))
    assert await store.load("t1") == _FOUNDED


async def single_memberships_are_found(store: MembershipStore) -> None:
    """By tenant and principal, and by principal alone; tenants do not mix."""
    await store.claim(_FOUNDED)
    await store.claim(WorkspaceState.founded("t0", "u2"))
    await store.transact("t1", lambda state: state.with_member("u2", _ROLES))
    assert await store.find("t1", "u2") == Membership("t1", "u2", _ROLES, 3)
    assert await store.find("t0", "u1") is None
    assert await store.find("t9", "u1") is None
    assert [found.tenant_id for found in await store.memberships_of("u2")] == ["t0", "t1"]
    assert await store.memberships_of("u9") == []


async def invitations_are_found_by_digest(store: MembershipStore) -> None:
    """The digest names the workspace."""
    await store.claim(_FOUNDED)
    await store.transact("t1", lambda state: state.with_invitation(_INVITED))
    assert await store.tenant_of_invitation(_INVITED.digest) == "t1"
    assert await store.tenant_of_invitation("e" * 64) is None


async def a_limit_is_never_passed(store: UsageStore) -> None:
    """The amount is taken whole or not at all; tenants, features and periods count apart."""
    assert await store.take_if(_hold("a", 3), 5) == 3
    assert await store.take_if(_hold("b", 3), 5) is None
    assert await store.take_if(_hold("c", 2), 5) == 5
    assert await store.take_if(_hold("d", 6), 5) is None
    assert await store.take_if(replace(_hold("e", 9), period=2), 5) is None
    for other in (replace(_hold("f", 1), period=2), replace(_hold("g", 1), tenant_id="t2")):
        assert await store.take_if(other, 5) == 1
    assert await store.used("t1", "runs", 1) == 5
    assert await store.used("t1", "other", 1) == 0


async def a_hold_is_closed_once(store: UsageStore) -> None:
    """Released holds give back once; committed ones never."""
    await store.take_if(_hold("a", 3), 5)
    await store.take_if(_hold("b", 1), 5)
    assert await store.release("a")
    assert not await store.release("a")
    assert await store.commit("b")
    assert not await store.commit("b")
    assert not await store.release("b")
    assert not await store.release("unknown")
    assert await store.used("t1", "runs", 1) == 1


async def an_estimate_gives_its_rest_back(store: UsageStore) -> None:
    """A hold is committed at what was used of it, once."""
    await store.take_if(_hold("a", 4), 5)
    assert await store.commit("a", 1)
    assert not await store.commit("a", 0)
    assert await store.used("t1", "runs", 1) == 1
    await store.take_if(_hold("b", 4), 5)
    assert await store.commit("b", 4)
    assert await store.used("t1", "runs", 1) == 5


async def a_subscription_comes_back_whole(store: SubscriptionStore) -> None:
    """Every field of it and of its features, times to the microsecond; tenants do not mix."""
    features = {
        "on": Feature(on_unknown="allow", read_only=True),
        "days": Feature(value=30),
        "runs": Feature(limit=3, overage=2),
        "seats": Feature(limit=5, seats=True),
    }
    times = {"as_of": _UNTIL, "period_start": _UNTIL, "past_due_since": _UNTIL}
    full = EntitlementSnapshot("prö", "past_due", _UNTIL, features, version=7, reference="sub_1", **times)
    assert await store.snapshot("t1") is None
    assert await store.aapply("t1", full)
    assert await store.snapshot("t1") == full
    bare = EntitlementSnapshot("", "active", None, {}, version=8)
    assert await store.aapply("t1", bare)
    assert await store.snapshot("t1") == bare
    assert await store.snapshot("t2") is None


async def late_events_change_and_tell_nothing(store: SubscriptionStore) -> None:
    """A version at or below the one held is late; what was applied told its events, in the same transaction."""
    for version, told in ((7, True), (7, False), (6, False), (0, False), (2**53 - 1, True)):
        snapshot = EntitlementSnapshot("pro", f"s{version}", None, {}, version=version)
        assert await store.aapply("t1", snapshot, (_told(f"{version}-{told}"),)) is told
    held = await store.snapshot("t1")
    assert held is not None
    assert held.status == f"s{2**53 - 1}"
    assert [event.id for event in await store.outbox.waiting(9)] == ["7-True", f"{2**53 - 1}-True"]
    unwritable = replace(_told("e"), reason="\ud800")
    newer = EntitlementSnapshot("pro", "active", None, {}, version=1)
    assert await _raises(UsageError, lambda: store.aapply("t2", newer, (unwritable,)))
    assert await store.snapshot("t2") is None


async def the_end_of_another_subscription_ends_nothing(store: SubscriptionStore) -> None:
    """An old subscription's farewell comes late and is newer; the present one's own is taken."""

    def told(status: str, reference: str | None, version: int) -> EntitlementSnapshot:
        return EntitlementSnapshot("pro", status, None, {}, version=version, reference=reference)

    assert await store.aapply("t1", told("active", "sub_2", 1))
    assert not await store.aapply("t1", told("canceled", "sub_1", 2))
    assert not await store.aapply("t1", told("incomplete_expired", "sub_1", 2))
    assert await store.aapply("t1", told("canceled", "sub_2", 2))
    assert await store.aapply("t1", told("active", "sub_3", 3))
    assert await store.aapply("t1", told("canceled", None, 4))
    assert await store.aapply("t1", told("canceled", "sub_3", 5))


_ROLES: Final = frozenset(("billing", "member"))


def _told(name: str) -> AuditEvent:
    return AuditEvent("member.joined", "success", "t1", {"kind": "user", "id": "u1"}, occurred_at=_UNTIL, id=name)


def _hold(name: str, amount: int) -> Hold:
    return Hold(name, "t1", "runs", 1, amount)


async def _raises(kind: type[Exception], call: Callable[[], Awaitable[object]]) -> bool:
    try:
        await call()
    except kind:
        return True
    return False


MEMBERSHIP_CHECKS: Final = (
    a_tenant_id_is_claimed_once,
    states_come_back_whole,
    every_kind_of_membership_comes_back_whole,
    a_rule_that_raises_changes_nothing,
    events_stand_or_fall_with_their_change,
    an_outbox_keeps_order_and_forgets_what_is_settled,
    single_memberships_are_found,
    invitations_are_found_by_digest,
)
USAGE_CHECKS: Final = (a_limit_is_never_passed, a_hold_is_closed_once, an_estimate_gives_its_rest_back)
SUBSCRIPTION_CHECKS: Final = (
    a_subscription_comes_back_whole,
    late_events_change_and_tell_nothing,
    the_end_of_another_subscription_ends_nothing,
)
